"""Resyncing a phone whose clock is off: two consecutive codes, while an offer is open.

How an offer changes the odds of an attacker who has the first factor and guesses: the ordinary window
accepts 3 codes of a million, so seven attempts succeed with 21 in a million, offer or not. A pair typed
in one answer must hit one of 40 pairs among 10^12. Typed in two answers, a first code hits one of 41
steps (41 in a million) and learns that it did, but that opens nothing: its one successor is hit with one
in a million by each remaining answer. Over all seven attempts that adds about two in a billion. The first
hit of an offer is not counted, or the last attempt could not be used for a pair; every other answer
counts, so there are at most eight tries.

What an offer does change is how long observed codes are useful: an attacker who has the first factor and
saw two consecutive unused codes can use them for ten minutes instead of one. That is why an administrator
makes an offer for one user, and it lasts an hour and ends with the next accepted code.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from data.operations.audit import trail
from data.operations.signin import code_verification
from data.operations.signin.code_verification import LockedNow, Right
from data.operations.signin.sent_codes import void_codes
from data.rules import totp
from data.rules.audit_events import Event
from data.rules.clock_jumps import read_steps
from data.rules.code_answers import Answer, Form
from data.rules.policy import ATTEMPTS, attempts_in_words
from data.rules.source_addresses import Origin
from data.storage import models
from data.store import Tx

OFFER_LASTS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NextCodeWanted:
    """The answer was the first code of a pair; the next one that the phone shows completes it."""

    attempts_left: int

    @property
    def message(self) -> str:
        """What to do, in words."""
        next_one = "That is the first of two codes. Wait until your app shows the next one, then type it."
        if self.attempts_left == ATTEMPTS:
            return next_one
        return f"{next_one} {attempts_in_words(self.attempts_left)}"


def offered_until(tx: Tx, factor: models.Factor | None) -> datetime | None:
    """Return when an open offer ends."""
    until = factor.resync_until if factor else None
    return until if until is not None and until - OFFER_LASTS <= tx.now < until else None


def judge_pair(
    tx: Tx, user: models.User, factor: models.Factor, answer: Answer, origin: Origin
) -> Right | NextCodeWanted | LockedNow | None:
    """Judge an answer as a pair of codes from an app, or as one half of it, while an offer is open.

    None if it is neither, or if the code belongs to the ordinary window: then it is judged as any other.
    A code is still good only once: both halves are dead afterwards, and so are all earlier codes.
    """
    if answer.form not in (Form.CODE, Form.TWO_CODES):
        return None
    digits = answer.text
    secret = code_verification.secret_of(tx, factor)
    barred = read_steps(factor.barred_steps)
    pair = partial(totp.match_pair, secret, at=tx.now, after=factor.last_step, barred=barred)
    if answer.form is Form.TWO_CODES:
        return _accept(tx, user, factor, pair(digits[: totp.DIGITS], digits[totp.DIGITS :]), origin)
    if code_verification.match(tx, factor, secret, digits) != totp.Unmatched():
        return None
    if factor.resync_step is not None:
        before = totp.code_at(secret, factor.resync_step)
        step = pair(before, digits)
        if step == factor.resync_step + 1:
            return _accept(tx, user, factor, step, origin)
    lone = totp.match_lone(secret, digits, at=tx.now, after=factor.last_step, barred=barred)
    return None if lone is None else _take_first(tx, user, factor, lone, answer, origin)


def _accept(
    tx: Tx, user: models.User, factor: models.Factor, step: int | None, origin: Origin
) -> Right | None:
    """Take the phone's clock from the second code of a pair, and spend both codes."""
    if step is None:
        return None
    drift = step - totp.step_at(tx.now)
    if not code_verification.spend_step(factor.id, step, offset=drift):
        return None
    models.Factor.update(drift=drift).where(models.Factor.id == factor.id).execute()
    code_verification.reset_attempts(user)
    void_codes(user.id)
    trail.write_own(tx, Event.RESYNCED, user, origin, seconds=drift * totp.STEP_SECONDS)
    return Right("code")


def _take_first(
    tx: Tx, user: models.User, factor: models.Factor, step: int, answer: Answer, origin: Origin
) -> NextCodeWanted | LockedNow:
    """Keep the first code of a pair; all but the first of an offer count as wrong."""
    models.Factor.update(resync_step=step).where(models.Factor.id == factor.id).execute()
    if factor.resync_step is None:
        trail.write_own(tx, Event.RESYNC_BEGUN, user, origin)
        return NextCodeWanted(user.attempts_left)
    counted = code_verification.count_wrong(tx, user, answer, origin)
    return counted if isinstance(counted, LockedNow) else NextCodeWanted(counted.attempts_left)
