"""What an answer to the prompt for a code leads to, at a sign-in and as fresh proof.

Only a guess is judged: an answer with a form that this user can now give and that was not recently judged
wrong. All others are told what to type, and are counted separately from the attempts.
"""

from dataclasses import dataclass

from data.operations.audit import trail
from data.operations.signin import code_verification
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeLapsed, CodeWrong, LockedNow, Right
from data.operations.signin.resync import NextCodeWanted, judge_pair, offered_until
from data.operations.signin.uncounted_attempts import AUDITED, Kind, count
from data.rules import code_answers
from data.rules.audit_events import Event
from data.rules.code_answers import Answer, Form
from data.rules.source_addresses import Origin
from data.storage import models
from data.store import Tx


@dataclass(frozen=True, slots=True)
class NotACode:
    """The answer has no form that this user can now give: it was neither judged nor counted."""

    message = "That is not a code."


@dataclass(frozen=True, slots=True)
class WrongBefore:
    """The same answer was judged wrong in the last five minutes: it was neither judged nor counted."""

    message = "You already tried that code. It was not counted again."


AskedAgain = CodeWrong | CodeAlreadyUsed | CodeLapsed | NextCodeWanted | NotACode | WrongBefore
"""Results after which the same question is asked again; each has a `message` for the user."""


def judge_answer(
    tx: Tx, user: models.User, app: models.Factor | None, typed: str, origin: Origin, *, may_resync: bool
) -> Right | AskedAgain | LockedNow:
    """Judge, by its form, what a user who is not locked typed.

    `app` is their authenticator app, if its codes are accepted now; `may_resync` says that an offer to
    resync its clock can be used here.
    """
    offered = app if may_resync and offered_until(tx, app) is not None else None
    answer = code_answers.read(typed)
    if answer is None or not _is_taken(user, answer, resync=offered is not None):
        count(tx, user, Kind.NO_CODE, origin)
        return NotACode()
    if code_verification.is_known_wrong(tx, user, answer):
        count(tx, user, Kind.REPEATED, origin)
        return WrongBefore()
    verdict = (judge_pair(tx, user, offered, answer, origin) if offered else None) or code_verification.judge(
        tx, user, app, answer, origin
    )
    if isinstance(verdict, CodeLapsed):
        count(tx, user, Kind.LAPSED, origin)
    if isinstance(verdict, CodeAlreadyUsed) and count(tx, user, Kind.USED, origin) <= AUDITED:
        trail.write_own(tx, Event.CODE_REPLAYED, user, origin)
    return verdict


def _is_taken(user: models.User, answer: Answer, *, resync: bool) -> bool:
    """Whether answers of this form are accepted from this user now."""
    match answer.form:
        case Form.SCRATCH_CODE:
            return code_verification.has_scratch_codes(user.id)
        case Form.TWO_CODES:
            return resync
        case _:
            return True
