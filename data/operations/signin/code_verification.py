"""Judging a second-factor answer: counted, verified and spent in the caller's transaction."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from data.operations.actors import policy_of
from data.operations.audit import lock_notices, trail
from data.operations.audit.wrong_codes import spent_attempts
from data.operations.certificates.withdrawal import withdraw_own
from data.operations.derived_user_columns import refresh_few_codes, refresh_standing_of
from data.operations.secret_sealing import open_factor
from data.operations.signin.remembered_addresses import forget
from data.operations.signin.sent_codes import Lapse, spend_proof, void_codes
from data.operations.signin.sessions import end_sessions_of_user
from data.operations.signin.temporary_codes import void_temporary_code
from data.rules import clock_jumps, recovery_codes, totp
from data.rules.audit_events import Event
from data.rules.code_answers import Answer, Form
from data.rules.domain_types import Method as FactorMethod
from data.rules.policy import ATTEMPTS, Refusal, attempts_in_words
from data.rules.source_addresses import Origin
from data.storage import models
from data.storage.prepared_statements import Prepared, PreparedWrite
from data.store import Tx

Method = Literal["code", "recovery code", "temporary code", "text message code", "e-mail code"]


@dataclass(frozen=True, slots=True)
class Right:
    """The answer was right and is spent; `recovery_left` is set when it was a recovery code."""

    method: Method
    recovery_left: int | None = None

    @property
    def is_temporary(self) -> bool:
        """Whether it was a temporary code, which proves less than others."""
        return self.method == "temporary code"


@dataclass(frozen=True, slots=True)
class CodeWrong:
    """The answer was wrong and counted."""

    attempts_left: int

    @property
    def message(self) -> str:
        """The message, with the attempts that are left."""
        return f"Wrong code, {attempts_in_words(self.attempts_left)}"


@dataclass(frozen=True, slots=True)
class CodeAlreadyUsed:
    """The answer was right once, so it was not counted. The app's next code comes in some seconds."""

    next_in_seconds: int | None

    @property
    def message(self) -> str:
        """The message, with when the next code comes."""
        return clock_jumps.used_code_in_words(self.next_in_seconds)


@dataclass(frozen=True, slots=True)
class CodeLapsed:
    """The answer is a sent or temporary code that is no longer good; it was not counted."""

    lapse: Lapse

    @property
    def message(self) -> str:
        """Why it is no longer good."""
        return self.lapse.value


@dataclass(frozen=True, slots=True)
class LockedNow:
    """The answer was wrong, and it was the last attempt."""


WRONG_FOR = timedelta(minutes=5)
"""How long an answer that was judged wrong is not judged again."""
_DIGEST_LENGTH = 32
"""Hexadecimal digits kept of the keyed hash of a wrong answer: 128 bits."""


def judge(
    tx: Tx, user: models.User, app: models.Factor | None, answer: Answer, origin: Origin
) -> Right | CodeWrong | CodeAlreadyUsed | CodeLapsed | LockedNow:
    """Judge a code from the app, a sent, recovery or temporary code of a user who is not locked.

    `app` is their authenticator app, if its codes are accepted now.
    """
    verdict = _verdict(tx, user, app, answer)
    if verdict is None:
        return count_wrong(tx, user, answer, origin)
    if isinstance(verdict, Right):
        reset_attempts(user)
        void_codes(user.id)
        if verdict.recovery_left is not None:
            trail.write_own(tx, Event.RECOVERY_USED, user, origin, left=verdict.recovery_left)
        if verdict.is_temporary:
            trail.write_own(tx, Event.TEMPORARY_CODE_USED, user, origin)
    return verdict


def _verdict(
    tx: Tx, user: models.User, app: models.Factor | None, answer: Answer
) -> Right | CodeAlreadyUsed | CodeLapsed | None:
    if answer.form is Form.CODE:
        return _judge_digits(tx, user, app, answer.text)
    if answer.form is Form.SCRATCH_CODE:
        return _judge_scratch_code(tx, user, answer.text)
    if answer.form is Form.RECOVERY_CODE:
        return _judge_recovery_code(tx, user, answer.text)
    return None


def is_known_wrong(tx: Tx, user: models.User, answer: Answer) -> bool:
    """Whether this answer of a user was judged wrong within `WRONG_FOR`."""
    return _digest(tx, user, answer) in _wrong_answers(tx, user)


def _digest(tx: Tx, user: models.User, answer: Answer) -> str:
    digest = tx.services.vault.digest_code(answer.text, user_id=user.id, purpose="wrong answer")
    return digest[:_DIGEST_LENGTH]


def _wrong_answers(tx: Tx, user: models.User) -> dict[str, int]:
    """Read the keyed hashes of answers recently judged wrong, each with its time in microseconds."""
    since, now = models.microseconds(tx.now - WRONG_FOR), models.microseconds(tx.now)
    pairs = (word.partition(":") for word in user.wrong_answers.split())
    return {digest: int(at) for digest, _, at in pairs if since < int(at) <= now}


_UNUSED = Prepared(
    models.RecoveryCode,
    1,
    lambda user_id: models.RecoveryCode.select(models.RecoveryCode.id).where(
        (models.RecoveryCode.user == user_id)
        & models.RecoveryCode.used_at.is_null()
        & models.RecoveryCode.expires_at.is_null()
    ),
)


def codes_left(user_id: int) -> int:
    """Count a user's unused recovery codes."""
    return len(_UNUSED.all(user_id))


def _judge_digits(
    tx: Tx, user: models.User, app: models.Factor | None, digits: str
) -> Right | CodeAlreadyUsed | CodeLapsed | None:
    """Judge six digits by every method that is on: the field does not say where they come from."""
    of_app = None if app is None else _judge_app_code(tx, app, digits)
    if isinstance(of_app, Right):
        return of_app
    match spend_proof(tx, user, policy_of(user.account), digits):
        case FactorMethod.EMAIL:
            return Right("e-mail code")
        case FactorMethod.SMS:
            return Right("text message code")
        case Lapse.USED:
            return of_app or CodeAlreadyUsed(None)
        case Lapse() as lapse:
            return of_app or CodeLapsed(lapse)
        case _:
            return of_app


def _judge_app_code(tx: Tx, factor: models.Factor, digits: str) -> Right | CodeAlreadyUsed | None:
    match match(tx, factor, secret_of(tx, factor), digits):
        case totp.Matched(step) if spend_step(factor.id, step, offset=step - totp.step_at(tx.now)):
            return Right("code")
        case totp.Unmatched():
            return None
        case _:
            shown = totp.drifted(tx.now, factor.drift)
            return CodeAlreadyUsed(totp.seconds_to_live_step(at=shown, after=factor.last_step))


def secret_of(tx: Tx, factor: models.Factor) -> str:
    """Open the secret of an authenticator app."""
    return totp.encode_secret(open_factor(tx, factor))


def match(
    tx: Tx, factor: models.Factor, secret: str, digits: str
) -> totp.Matched | totp.Replayed | totp.Unmatched:
    """Find the time step of a code in the window around the time that the phone shows."""
    shown = totp.drifted(tx.now, factor.drift)
    barred = clock_jumps.read_steps(factor.barred_steps)
    return totp.match_step(secret, digits, at=shown, after=factor.last_step, barred=barred)


_SPEND = PreparedWrite(
    4,
    lambda step, offset, factor_id, later: models.Factor.update(
        last_step=step, last_offset=offset, resync_until=None, resync_step=None
    ).where((models.Factor.id == factor_id) & (models.Factor.last_step < later)),
)


def spend_step(factor_id: int, step: int, *, offset: int) -> bool:
    """Accept a time step once: on every node, the row accepts only later steps.

    How far the phone was ahead is kept to explain failing codes. This ends an offer to resync.
    """
    return bool(_SPEND.run(step, offset, factor_id, step))


def _judge_recovery_code(
    tx: Tx, user: models.User, symbols: str
) -> Right | CodeAlreadyUsed | CodeLapsed | None:
    typed = recovery_codes.parse(symbols)
    if typed is None:
        return None
    table = models.RecoveryCode
    stored = table.get_or_none((table.user == user.id) & (table.selector == typed.selector))
    if stored is None or not tx.services.recovery_hasher.verify(stored.secret_hash, typed.secret):
        return None
    if stored.used_at is None and stored.expires_at is not None and stored.expires_at <= tx.now:
        return CodeLapsed(Lapse.TEMPORARY_EXPIRED)
    return _spend_code(tx, stored)


def _spend_code(tx: Tx, code: models.RecoveryCode) -> Right | CodeAlreadyUsed:
    table = models.RecoveryCode
    if not table.update(used_at=tx.now).where((table.id == code.id) & table.used_at.is_null()).execute():
        return CodeAlreadyUsed(None)
    if code.expires_at is not None:
        return Right("temporary code")
    refresh_few_codes(code.user_id)
    return Right("recovery code", codes_left(code.user_id))


def scratch_digest(tx: Tx, user_id: int, code: str) -> str:
    """Hash a scratch code with a key: without one, eight digits could be guessed from the hash."""
    return tx.services.vault.digest_code(code, user_id=user_id, purpose="scratch code")


def has_scratch_codes(user_id: int) -> bool:
    """Whether scratch codes were imported for a user and not replaced since."""
    table = models.RecoveryCode
    return table.select().where((table.user == user_id) & table.selector.startswith("#")).exists()


def _judge_scratch_code(tx: Tx, user: models.User, digits: str) -> Right | CodeAlreadyUsed | None:
    """Judge an imported code; no typed recovery code looks like its hash or its selector."""
    table = models.RecoveryCode
    digest = scratch_digest(tx, user.id, digits)
    stored = table.get_or_none((table.user == user.id) & (table.secret_hash == digest))
    if stored is None:
        return None
    return _spend_code(tx, stored)


def reset_attempts(user: models.User) -> None:
    """Restore all attempts after a right answer."""
    if user.attempts_left != ATTEMPTS:
        models.User.update(attempts_left=ATTEMPTS).where(models.User.id == user.id).execute()


def count_wrong(tx: Tx, user: models.User, answer: Answer, origin: Origin) -> CodeWrong | LockedNow:
    """Count a wrong answer, and keep its keyed hash for a while; the last attempt locks the user."""
    table = models.User
    left = max(0, user.attempts_left - 1)
    wrong = _wrong_answers(tx, user) | {_digest(tx, user, answer): models.microseconds(tx.now)}
    kept = " ".join(f"{digest}:{at}" for digest, at in wrong.items())
    table.update(attempts_left=left, wrong_answers=kept).where(table.id == user.id).execute()
    trail.write_own(tx, Event.CODE_WRONG, user, origin, left=left)
    if left:
        return CodeWrong(left)
    table.update(locked_at=tx.now).where(table.id == user.id).execute()
    refresh_standing_of(user.id, tx.now)
    forget(user.id)
    void_temporary_code(user.id)
    end_sessions_of_user(tx, user.id, Refusal.LOCKED)
    trail.write_own(tx, Event.LOCKED, user, origin, used=spent_attempts(user, 0).by_registered)
    withdraw_own(tx, user, origin, "the user was locked")
    lock_notices.tell_of_lock(tx, user, origin)
    return LockedNow()
