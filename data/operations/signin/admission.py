"""Admission: what a proven user must do next, and the session that this opens or continues."""

from dataclasses import dataclass, replace
from datetime import datetime

from peewee import fn

from data.operations.actors import ActingUser, days_left_of, facts_of, origin_of, policy_of
from data.operations.audit import trail
from data.operations.audit.wrong_codes import locked_in_words
from data.operations.guards import require_user
from data.operations.signin import code_verification
from data.operations.signin.code_verification import Right
from data.operations.signin.known_places import note_place
from data.operations.signin.remembered_addresses import is_remembered
from data.rules import recovery_codes
from data.rules.audit_events import Event
from data.rules.deadline import newly_seen
from data.rules.domain_types import FirstFactor, Method, Proof, Role, ThemeChoice, UserFacts
from data.rules.policy import (
    ATTEMPTS,
    MustChangePassword,
    MustEnrol,
    NeedCode,
    Refusal,
    Refused,
    SignedIn,
    Step,
    asks_code,
    next_step,
)
from data.rules.remembered_addresses import password_credential
from data.rules.source_addresses import Origin, place_in_words
from data.storage import models
from data.storage.prepared_statements import Prepared, PreparedInsert, PreparedWrite, joined, parted
from data.store import Tx

SIGNINS_PER_MINUTE = 60
"""Sign-ins of a user without a code within one minute of the clock; with a code, the codes limit them."""
TOO_MANY_SIGNINS = "You have signed in too often. Wait a minute, then sign in again."
CREDENTIAL_CHANGED = "Your key or password was changed in the meantime. Sign in again."
ONE_TIME_USED_AGAIN = "Your one-time password was used for another sign-in, so this session was ended."
_SESSION_OVER = "This session is over. Sign in again."

RestrictedOrFull = SignedIn | MustChangePassword | MustEnrol | NeedCode


@dataclass(frozen=True, slots=True)
class Attempt:
    """A passed first factor that waits for its code. `session_id` is set inside a restricted session.

    `methods` are those that the rules then named for a code, and `attempts_left` how often the user could
    then be wrong.
    """

    user_id: int
    username: str
    origin: Origin
    first_factor: FirstFactor
    credential: str
    session_id: int | None = None
    methods: tuple[Method, ...] = (Method.APP,)
    attempts_left: int = ATTEMPTS


@dataclass(frozen=True, slots=True)
class Session:
    """What an application gets: who signed in, and what they must do before anything else.

    `attempt` is set while `step` asks for a code; `notices` are sentences to show at its step; `days_left` is
    how many days its user has left to set up two-factor authentication, once `step` asks for nothing more;
    `temporary_code` says that its user signed in with a temporary code, so that the phone should be
    replaced; `plain` that they prefer the plain mode.
    """

    id: int
    user_id: int
    username: str
    application: str
    address: str
    started_at: datetime
    step: RestrictedOrFull
    notices: tuple[str, ...] = ()
    attempt: Attempt | None = None
    theme: ThemeChoice = ThemeChoice.TERMINAL
    temporary_code: bool = False
    plain: bool = False
    days_left: int | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A session is open; its step says whether it is restricted."""

    session: Session


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The first factor passed, but the user cannot sign in; `reason` may be shown."""

    reason: str


@require_user(restricted=(SignedIn, MustChangePassword, MustEnrol, NeedCode))
def unfinished_session(me: ActingUser) -> Session | None:
    """Read what the actor's session must do before anything else; None if it is restricted no more.

    The step `SignedIn` says that `advance` finishes it.
    """
    step = me.step
    if not me.session.restricted or isinstance(step, Refused):
        return None
    attempt = _attempt_in(me.session, me.user)
    waiting = replace(attempt, methods=step.methods) if isinstance(step, NeedCode) else None
    return _session(me.user, attempt, step, me.session.id, me.session.started_at, attempt=waiting)


def advance(tx: Tx, session_id: int) -> Admitted | TurnedAway:
    """Ask the rules again after a restricted session has done what it was opened for.

    The session becomes a full one only here and in `submit_code`.
    """
    session = models.Session.get_or_none(models.Session.id == session_id)
    if session is None or session.ended_at is not None:
        return TurnedAway((session.ended_because if session else "") or _SESSION_OVER)
    user = session.user
    attempt = _attempt_in(session, user)
    if reason := ended_meanwhile(user, attempt):
        return turn_away(tx, user, attempt, reason)
    proof = replace(proof_of(tx, user, attempt), code=session.code_at is not None)
    step = step_of(tx, user, proof)
    if isinstance(step, Refused):
        return turn_away(tx, user, attempt, step.reason)
    return admit(tx, user, attempt, step, proof)


def _attempt_in(session: models.Session, user: models.User) -> Attempt:
    """Return the first factor that a session was opened with."""
    return Attempt(
        user.id,
        user.name,
        origin_of(session),
        FirstFactor(session.first_factor),
        session.credential,
        session.id,
        attempts_left=user.attempts_left,
    )


_PROVEN = Prepared(
    models.User,
    2,
    lambda user_id, fingerprint: (
        models.User.select(
            models.User,
            models.Account,
            fn.EXISTS(
                models.PublicKey.select(1).where(
                    models.PublicKey.user == models.User.id, models.PublicKey.fingerprint == fingerprint
                )
            ),
            joined(models.UserRole.role, models.UserRole.user == models.User.id),
        )
        .join(models.Account)
        .where(models.User.id == user_id)
    ),
    parent="account",
    more=2,
)
"""A user, whether they hold a key, and their roles."""


def read_attempting(attempt: Attempt) -> tuple[models.User, bool, frozenset[Role]] | None:
    """Read the user of an attempt, whether they still have the key or password, and their roles."""
    found = _PROVEN.one_with_more(attempt.user_id, attempt.credential)
    if found is None:
        return None
    user, (holds, roles) = found
    stands = bool(holds) if attempt.first_factor is FirstFactor.KEY else _password_stands(user, attempt)
    return user, stands, frozenset(map(Role, parted(roles)))


def ended_meanwhile(user: models.User, attempt: Attempt, *, stands: bool | None = None) -> str | None:
    """Return why the earlier proof no longer counts, whatever is proven next.

    `stands` says whether the user still has the key or password, if that was already read.
    """
    if attempt.session_id is not None:
        session = models.Session.get_or_none(models.Session.id == attempt.session_id)
        if session is None or session.ended_at is not None:
            return (session.ended_because if session else "") or _SESSION_OVER
    stands = _credential_stands(user, attempt) if stands is None else stands
    return None if stands else CREDENTIAL_CHANGED


def _credential_stands(user: models.User, attempt: Attempt) -> bool:
    """Whether the user still has the key, or the password that was proven."""
    if attempt.first_factor is FirstFactor.KEY:
        return holds_key(user.id, attempt.credential)
    return _password_stands(user, attempt)


def _password_stands(user: models.User, attempt: Attempt) -> bool:
    return attempt.credential == password_credential(user.credential)


_KEY = Prepared(
    models.PublicKey,
    2,
    lambda user_id, fingerprint: models.PublicKey.select().where(
        (models.PublicKey.user == user_id) & (models.PublicKey.fingerprint == fingerprint)
    ),
)


_SIGNED_IN = PreparedWrite(
    5,
    lambda at, minute, count, places, user_id: models.User.update(
        last_signin_at=at, signin_minute=minute, signin_count=count, known_places=places
    ).where(models.User.id == user_id),
)
_COUNTED = PreparedWrite(
    3,
    lambda minute, count, user_id: models.User.update(signin_minute=minute, signin_count=count).where(
        models.User.id == user_id
    ),
)
_KEY_USED = PreparedWrite(
    3,
    lambda at, user_id, fingerprint: models.PublicKey.update(last_used_at=at).where(
        (models.PublicKey.user == user_id) & (models.PublicKey.fingerprint == fingerprint)
    ),
)


def holds_key(user_id: int, fingerprint: str) -> bool:
    """Whether a user has the key now."""
    return _KEY.one(user_id, fingerprint) is not None


def proof_of(tx: Tx, user: models.User, attempt: Attempt) -> Proof:
    """Gather what is proven without a code."""
    remembered = is_remembered(tx, user, attempt.origin, attempt.credential)
    return Proof(attempt.first_factor, address_remembered=remembered)


def step_of(tx: Tx, user: models.User, proof: Proof, facts: UserFacts | None = None) -> Step:
    """Ask the rules what a user must do next; `facts` are the present ones, if already read."""
    return next_step(policy_of(user.account), facts or facts_of(tx, user), proof, tx.now)


def turn_away(tx: Tx, user: models.User, attempt: Attempt, reason: str) -> TurnedAway:
    """Record that a user who passed the first factor was turned away, up to a limit a minute."""
    count = _signins(tx, user)
    if count <= SIGNINS_PER_MINUTE:
        _COUNTED.run_unanswered(_minute(tx), count + 1, user.id)
        _audit(tx, Event.TURNED_AWAY, user, attempt, reason=str(reason))
    return TurnedAway(locked_in_words(user) if reason == Refusal.LOCKED else str(reason))


def _signins(tx: Tx, user: models.User) -> int:
    """Count the sign-ins of this minute; the first one over the limit is recorded as turned away."""
    return user.signin_count if user.signin_minute == _minute(tx) else 0


def _minute(tx: Tx) -> int:
    return int(tx.now.timestamp()) // 60


def admit(
    tx: Tx, user: models.User, attempt: Attempt, step: Step, proof: Proof, *, method: Right | None = None
) -> Admitted | TurnedAway:
    """Open a session, or continue a restricted one; it stays restricted while the step asks for something.

    A remembered address is not fresh proof: a sensitive act asks for a code at once. So it is with a
    temporary code, except for replacing the phone.
    """
    if isinstance(step, Refused):
        return turn_away(tx, user, attempt, step.reason)
    if attempt.session_id is None and method is None and _signins(tx, user) >= SIGNINS_PER_MINUTE:
        return turn_away(tx, user, attempt, TOO_MANY_SIGNINS)
    restricted = not isinstance(step, SignedIn)
    changes: dict[str, object] = {"restricted": restricted, "credential": attempt.credential}
    temporary = method is not None and method.is_temporary
    if method is not None:
        changes |= {"fresh_at": tx.now, "code_at": tx.now, "temporary_code": temporary}
    by_address = isinstance(step, SignedIn) and _rests_on_address(tx, user, proof)
    if by_address:
        changes["fresh_at"] = None
    methods = _methods(attempt, method, by_address=by_address)
    if method is not None or by_address or attempt.session_id is None:
        changes["methods"] = methods
    told = () if restricted else notices(user, method)
    places = _note_place(tx, user, attempt) if isinstance(step, SignedIn) else None
    if attempt.session_id is None:
        if isinstance(step, MustChangePassword):
            told = _supersede(tx, user, attempt)
        session_id, started_at = _open_session(tx, attempt, changes), tx.now
    else:
        session_id = attempt.session_id
        started_at = models.Session.get_by_id(session_id).started_at
        models.Session.update(changes).where(models.Session.id == session_id).execute()
    _record_admission(tx, user, attempt, step, methods, places)
    if isinstance(step, MustEnrol):
        _note_time(tx, user.account)
    waiting = None
    if isinstance(step, NeedCode):
        waiting = replace(attempt, session_id=session_id, methods=step.methods)
    opened = _session(user, attempt, step, session_id, started_at, attempt=waiting)
    left = None if restricted else days_left_of(policy_of(user.account), user, tx.now)
    return Admitted(replace(opened, notices=told, temporary_code=temporary, days_left=left))


def _session(
    user: models.User,
    proven: Attempt,
    step: RestrictedOrFull,
    session_id: int,
    started_at: datetime,
    *,
    attempt: Attempt | None,
) -> Session:
    return Session(
        id=session_id,
        user_id=user.id,
        username=user.name,
        application=proven.origin.application,
        address=proven.origin.address,
        started_at=started_at,
        step=step,
        attempt=attempt,
        theme=ThemeChoice(user.theme or ThemeChoice.TERMINAL),
        plain=user.plain,
    )


def _note_time(tx: Tx, account: models.Account) -> None:
    """Keep the hour in which someone was asked to set up: a clock that goes back does not undo it."""
    hour = newly_seen(policy_of(account), tx.now)
    if hour is not None:
        models.Account.update(seen_at=hour).where(models.Account.id == account.id).execute()


def _supersede(tx: Tx, user: models.User, attempt: Attempt) -> tuple[str, ...]:
    """End sessions that the same one-time password opened before; return what to tell its user now."""
    table = models.Session
    opened = (table.user == user.id) & (table.credential == attempt.credential)
    last = table.select().where(opened).order_by(table.id.desc()).first()
    if last is None:
        return ()
    still_open = table.ended_at.is_null()
    ended = (
        table.update(ended_at=tx.now, ended_because=ONE_TIME_USED_AGAIN).where(opened, still_open).execute()
    )
    _audit(tx, Event.ONE_TIME_PASSWORD_REUSED, user, attempt, ended=ended)
    before = f"{last.started_at:%Y-%m-%d %H:%M} UTC {place_in_words(last.application, last.address)}"
    return (f"This one-time password was used before: {before}. If that was not you, tell an administrator.",)


def _rests_on_address(tx: Tx, user: models.User, proof: Proof) -> bool:
    """Whether a code would be asked for if the address were not remembered."""
    if proof.code or not proof.address_remembered:
        return False
    return asks_code(policy_of(user.account), facts_of(tx, user))


_COLUMNS = (
    "user",
    "application",
    "address",
    "first_factor",
    "worker",
    "started_at",
    "fresh_at",
    "code_at",
    "temporary_code",
    "restricted",
    "credential",
    "methods",
)
_OPENED = PreparedInsert(
    len(_COLUMNS), lambda *values: models.Session.insert(dict(zip(_COLUMNS, values, strict=True)))
)


def _open_session(tx: Tx, attempt: Attempt, changes: dict[str, object]) -> int:
    columns: dict[str, object] = {
        "user": attempt.user_id,
        "application": attempt.origin.application,
        "address": attempt.origin.address,
        "first_factor": attempt.first_factor.value,
        "worker": attempt.origin.worker,
        "started_at": tx.now,
        "fresh_at": tx.now,
        "code_at": None,
        "temporary_code": False,
        **changes,
    }
    stored = (columns[name] for name in _COLUMNS)
    return _OPENED.run(*(models.microseconds(it) if isinstance(it, datetime) else it for it in stored))


def _methods(attempt: Attempt, method: Right | None, *, by_address: bool) -> str:
    """Return, in words, what an admission is based on."""
    if by_address:
        return f"{attempt.first_factor.value} from a remembered address"
    return attempt.first_factor.value + (f" and {method.method}" if method else "")


def _note_place(tx: Tx, user: models.User, attempt: Attempt) -> str:
    return note_place(tx, user, attempt.origin, attempt.first_factor, attempt.credential)


def _record_admission(
    tx: Tx, user: models.User, attempt: Attempt, step: Step, methods: str, places: str | None
) -> None:
    minute, count = _minute(tx), _signins(tx, user) + 1
    if not isinstance(step, SignedIn):
        _COUNTED.run_unanswered(minute, count, user.id)
    match step:
        case MustChangePassword():
            _audit(tx, Event.RESTRICTED, user, attempt, methods=methods, reason="new password required")
        case MustEnrol():
            _audit(tx, Event.RESTRICTED, user, attempt, methods=methods, reason="2FA setup required")
        case NeedCode():
            _audit(tx, Event.RESTRICTED, user, attempt, methods=methods, reason="code required")
        case _:
            _audit(tx, Event.SIGNED_IN, user, attempt, methods=methods)
            _SIGNED_IN.run_unanswered(models.microseconds(tx.now), minute, count, places, user.id)
    if attempt.first_factor is FirstFactor.KEY:
        _KEY_USED.run_unanswered(models.microseconds(tx.now), user.id, attempt.credential)


def accept(
    tx: Tx, user: models.User, attempt: Attempt, methods: str, *, by_code: bool = True
) -> TurnedAway | None:
    """Record a sign-in to an application that opens its own session; None unless there were too many."""
    count = _signins(tx, user)
    if not by_code and count >= SIGNINS_PER_MINUTE:
        return turn_away(tx, user, attempt, TOO_MANY_SIGNINS)
    _audit(tx, Event.SIGNED_IN, user, attempt, methods=methods)
    _SIGNED_IN.run_unanswered(models.microseconds(tx.now), _minute(tx), count + 1, user.known_places, user.id)
    return None


def notices(user: models.User, method: Right | None) -> tuple[str, ...]:
    """Say to a user who signs in what is left of their recovery codes, if that is little."""
    left = method.recovery_left if method else None
    if left is None:
        if not user.few_codes or not user.recovery_saved or method is None:
            return ()
        left = code_verification.codes_left(user.id)
    if left > recovery_codes.FEW_LEFT:
        return ()
    return (f"{left} recovery code{'' if left == 1 else 's'} left. Make new ones on My profile.",)


def _audit(tx: Tx, event: Event, user: models.User, attempt: Attempt, **detail: object) -> None:
    trail.write_own(tx, event, user, attempt.origin, **detail)
