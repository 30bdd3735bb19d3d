"""Signing in: the first factor, the second, and the session that both together open."""

import asyncio
from dataclasses import dataclass, field, replace

from data.operations import audit, codes, sending
from data.operations.actors import code_is_asked, factor_of, facts_of, methods_of, policy_of
from data.operations.codes import CodeAlreadyUsed, CodeWrong, LockedNow, Right
from data.operations.remembered import is_remembered, remember
from data.operations.resync import NextCodeWanted, judge_pair
from data.operations.sending import CodeSent, CodeToSend, NotSent
from data.rules import recovery, throttle
from data.rules.addresses import normalise, source_of
from data.rules.events import Event
from data.rules.facts import Application, FirstFactor, Method, Proof
from data.rules.names import fold_username
from data.rules.policy import (
    MustChangePassword,
    MustEnrol,
    NeedCode,
    Refusal,
    Refused,
    SignedIn,
    Step,
    next_step,
)
from data.rules.remembering import password_credential
from data.storage import models
from data.store import Store, Tx

_CREDENTIAL_CHANGED = "Your key or password was changed meanwhile. Sign in again."
_KEPT_MINUTES = 24 * 60
_SESSION_OVER = "This session is over. Sign in again."

RestrictedOrFull = SignedIn | MustChangePassword | MustEnrol | NeedCode


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from: the application, and the source address (or `local`)."""

    application: Application
    address: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A typed name, looked up. Of an unknown or deactivated user it holds a decoy and no keys.

    The typed name is not shown by `repr`: people type passwords there.
    """

    username: str = field(repr=False)
    origin: Origin
    bucket: int = field(repr=False)
    user_id: int | None
    credential: int
    key_fingerprints: frozenset[str]
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A passed first factor that waits for its code. `session_id` is set inside a restricted session.

    `methods` are those by which the user could have a code when it passed.
    """

    user_id: int
    username: str
    origin: Origin
    first_factor: FirstFactor
    credential: str
    session_id: int | None = None
    methods: tuple[Method, ...] = (Method.APP,)


@dataclass(frozen=True, slots=True)
class Session:
    """What an application is given: who signed in, and what they must do before anything else.

    `attempt` is set while `step` asks for a code; `notices` are sentences to show at sign-in.
    """

    id: int
    user_id: int
    username: str
    application: Application
    address: str
    step: RestrictedOrFull
    notices: tuple[str, ...] = ()
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class FirstFactorRejected:
    """No such user, wrong password, unknown key or deactivated: all the same to the other side."""


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The first factor passed; a code is to be asked."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Admitted:
    """A session is open; its step says whether it is restricted."""

    session: Session


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The first factor passed, yet there is no way in; `reason` may be shown."""

    reason: str


FirstFactorResult = FirstFactorRejected | CodeNeeded | Admitted | TurnedAway
CodeResult = Admitted | NextCodeWanted | CodeWrong | CodeAlreadyUsed | TurnedAway | FirstFactorRejected
SendResult = CodeSent | NotSent | TurnedAway


def find_candidate(tx: Tx, username: str, origin: Origin) -> Candidate:
    """Look a typed name up, with the same statements whether or not there is such a user."""
    folded = fold_username(username) or ""
    user = models.User.get_or_none(models.User.name == folded)
    known = user if user is not None and user.active else None
    user_id = known.id if known else None
    keys = models.PublicKey.select(models.PublicKey.fingerprint).where(
        models.PublicKey.user == (user_id or 0)
    )
    fingerprints = frozenset(key.fingerprint for key in keys)
    return Candidate(
        username=folded,
        origin=Origin(origin.application, normalise(origin.address)),
        bucket=tx.services.vault.bucket(folded or username),
        user_id=user_id,
        credential=known.credential if known else 0,
        key_fingerprints=fingerprints,
        password_hash=(known.password_hash if known else None) or tx.services.hasher.decoy,
    )


async def prove_password(store: Store, candidate: Candidate, password: str) -> FirstFactorResult:
    """Judge a password after the wait that the source has earned.

    Once it is looked at, its outcome is counted even when the caller is gone.
    """
    wait = await store.read(first_factor_delay, candidate)
    if wait:
        await asyncio.sleep(wait)
    return await store.finish(_judge_password(store, candidate, password))


async def _judge_password(store: Store, candidate: Candidate, password: str) -> FirstFactorResult:
    right = await store.compute(store.services.hasher.verify, candidate.password_hash, password)
    return await store.run(settle_password, candidate, right=right)


async def prove_fresh_password(
    store: Store, candidate: Candidate, password: str
) -> FirstFactorRejected | None:
    """Judge a password again inside a session: as slowly and as surely counted as at a sign-in."""
    wait = await store.read(first_factor_delay, candidate)
    if wait:
        await asyncio.sleep(wait)
    return await store.finish(_judge_fresh_password(store, candidate, password))


async def _judge_fresh_password(
    store: Store, candidate: Candidate, password: str
) -> FirstFactorRejected | None:
    right = await store.compute(store.services.hasher.verify, candidate.password_hash, password)
    return None if right else await store.run(_reject, candidate)


def first_factor_delay(tx: Tx, candidate: Candidate) -> float:
    """Return the seconds that the next password from this source for this name waits."""
    table = models.FirstFactorFailures
    since = int(tx.now.timestamp()) // 60 - throttle.WINDOW_MINUTES
    of_source = of_name = 0
    for row in table.select().where((table.source == _source(candidate)) & (table.minute > since)):
        of_source += row.count
        of_name += row.count if row.bucket == candidate.bucket else 0
    return throttle.delay(failures_of_source=of_source, failures_of_name=of_name)


def settle_password(tx: Tx, candidate: Candidate, *, right: bool) -> FirstFactorResult:
    """Record a judged password and decide what comes next."""
    user = _still(candidate) if right else None
    if user is None:
        return _reject(tx, candidate)
    attempt = _attempt(candidate, user, FirstFactor.PASSWORD, password_credential(user.credential))
    return _after_first_factor(tx, user, attempt, candidate)


def prove_key(tx: Tx, candidate: Candidate, fingerprint: str) -> FirstFactorResult:
    """Record a public key whose signature was verified and decide what comes next."""
    user = _still(candidate)
    if user is None or not _holds_key(user.id, fingerprint):
        return _reject(tx, candidate)
    attempt = _attempt(candidate, user, FirstFactor.KEY, fingerprint)
    return _after_first_factor(tx, user, attempt, candidate)


def submit_code(tx: Tx, attempt: Attempt, answer: str) -> CodeResult:
    """Judge the answer to the question for a code: count, verify, spend, audit and admit, all or nothing."""
    user = models.User.get_or_none(models.User.id == attempt.user_id)
    if user is None:
        return TurnedAway(_CREDENTIAL_CHANGED)
    if reason := _ended_meanwhile(user, attempt):
        return _turn_away(tx, user, attempt, reason)
    proof = _proof(tx, user, attempt)
    step = _step(user, proof)
    if isinstance(step, Refused):
        return _turn_away(tx, user, attempt, step.reason)
    if not isinstance(step, NeedCode):
        return _admit(tx, user, attempt, step, proof)
    asker = sending.Asker(attempt.origin.application, attempt.origin.address)
    verdict = judge_pair(tx, user, answer, asker) or codes.judge(tx, user, answer, asker)
    if isinstance(verdict, Right):
        remember(tx, user, attempt.origin.application, attempt.origin.address, attempt.credential)
        proof = replace(proof, code=True)
        return _admit(tx, user, attempt, _step(user, proof), proof, method=verdict)
    return TurnedAway(Refusal.LOCKED.value) if isinstance(verdict, LockedNow) else verdict


def send_code(tx: Tx, attempt: Attempt, method: Method) -> CodeToSend | NotSent | TurnedAway:
    """Make a code for someone who has passed the first factor; asking never changes the attempt count."""
    user = models.User.get_or_none(models.User.id == attempt.user_id)
    if user is None:
        return TurnedAway(_CREDENTIAL_CHANGED)
    if reason := _ended_meanwhile(user, attempt):
        return _turn_away(tx, user, attempt, reason)
    step = _step(user, _proof(tx, user, attempt))
    if isinstance(step, Refused):
        return _turn_away(tx, user, attempt, step.reason)
    factor = factor_of(user.id, method)
    if not isinstance(step, NeedCode) or method not in methods_of(user) or factor is None:
        return NotSent(f"No code can be sent to you by {method.label} any more. Sign in again.")
    if factor.destination is None:
        return NotSent("Codes of an authenticator app are not sent. Open the app.")
    asker = sending.Asker(attempt.origin.application, attempt.origin.address)
    return sending.make_code(tx, user, method, factor.destination, sending.PROOF, asker)


def end_session(tx: Tx, session_id: int) -> None:
    """Record that a session ended; the first to say so counts."""
    table = models.Session
    session = table.get_or_none(table.id == session_id)
    if session is None or session.ended_at is not None:
        return
    table.update(ended_at=tx.now).where(table.id == session_id).execute()
    user = session.user
    audit.write(
        tx,
        Event.SIGNED_OUT,
        account_id=user.account_id,
        actor=user.name,
        user=user.name,
        application=Application(session.application),
        address=session.address,
    )


def end_all_sessions(tx: Tx, application: Application) -> int:
    """End what a killed server left open, before it serves again; return how many there were."""
    table = models.Session
    return int(
        table.update(ended_at=tx.now)
        .where((table.application == application.value) & table.ended_at.is_null())
        .execute()
    )


def advance(tx: Tx, session_id: int) -> CodeResult:
    """Ask the rules again after a restricted session has done what it was opened for.

    The session becomes a full one only here and in `submit_code`.
    """
    session = models.Session.get_or_none(models.Session.id == session_id)
    if session is None or session.ended_at is not None:
        return TurnedAway((session.ended_because if session else "") or _SESSION_OVER)
    user = session.user
    attempt = Attempt(
        user.id,
        user.name,
        Origin(Application(session.application), session.address),
        FirstFactor(session.first_factor),
        session.credential,
        session.id,
        methods_of(user),
    )
    if reason := _ended_meanwhile(user, attempt):
        return _turn_away(tx, user, attempt, reason)
    proof = replace(_proof(tx, user, attempt), code=session.code_proven)
    step = _step(user, proof)
    if isinstance(step, Refused):
        return _turn_away(tx, user, attempt, step.reason)
    return _admit(tx, user, attempt, step, proof)


def _source(candidate: Candidate) -> str:
    return source_of(candidate.origin.address)


def _attempt(candidate: Candidate, user: models.User, first_factor: FirstFactor, credential: str) -> Attempt:
    return Attempt(user.id, user.name, candidate.origin, first_factor, credential, methods=methods_of(user))


def _still(candidate: Candidate) -> models.User | None:
    """Read the candidate's user again: active, and with the password that was looked at."""
    user = models.User.get_or_none(models.User.id == (candidate.user_id or 0))
    stands = user is not None and user.active and user.credential == candidate.credential
    return user if stands else None


def _holds_key(user_id: int, fingerprint: str) -> bool:
    table = models.PublicKey
    return table.get_or_none((table.user == user_id) & (table.fingerprint == fingerprint)) is not None


def _credential_stands(user: models.User, attempt: Attempt) -> bool:
    """Whether the key is still held, or the password still the one that was proven."""
    if attempt.first_factor is FirstFactor.KEY:
        return _holds_key(user.id, attempt.credential)
    return attempt.credential == password_credential(user.credential)


def _ended_meanwhile(user: models.User, attempt: Attempt) -> str | None:
    """Say why what was proven before counts no more, whatever is proven next."""
    if attempt.session_id is not None:
        session = models.Session.get_or_none(models.Session.id == attempt.session_id)
        if session is None or session.ended_at is not None:
            return (session.ended_because if session else "") or _SESSION_OVER
    return None if _credential_stands(user, attempt) else _CREDENTIAL_CHANGED


def _reject(tx: Tx, candidate: Candidate) -> FirstFactorRejected:
    """Count a failure under its source and minute, for a day; of the name only a bucket is kept."""
    table = models.FirstFactorFailures
    minute = int(tx.now.timestamp()) // 60
    table.delete().where(table.minute < minute - _KEPT_MINUTES).execute()
    table.insert(source=_source(candidate), bucket=candidate.bucket, minute=minute, count=1).on_conflict(
        conflict_target=[table.source, table.bucket, table.minute], update={table.count: table.count + 1}
    ).execute()
    return FirstFactorRejected()


def _proof(tx: Tx, user: models.User, attempt: Attempt) -> Proof:
    """Gather what stands proven without a code."""
    origin = attempt.origin
    remembered = is_remembered(tx, user, origin.application, origin.address, attempt.credential)
    return Proof(attempt.first_factor, address_remembered=remembered)


def _step(user: models.User, proof: Proof) -> Step:
    return next_step(policy_of(user.account), facts_of(user), proof)


def _rests_on_address(user: models.User, proof: Proof) -> bool:
    """Whether a code would be asked, were the address not remembered."""
    return (
        proof.address_remembered and not proof.code and code_is_asked(policy_of(user.account), facts_of(user))
    )


def _after_first_factor(
    tx: Tx, user: models.User, attempt: Attempt, candidate: Candidate
) -> FirstFactorResult:
    proof = _proof(tx, user, attempt)
    match _step(user, proof):
        case Refused(Refusal.DEACTIVATED):
            return _reject(tx, candidate)
        case Refused(reason):
            return _turn_away(tx, user, attempt, reason)
        case NeedCode():
            return CodeNeeded(attempt)
        case step:
            return _admit(tx, user, attempt, step, proof)


def _turn_away(tx: Tx, user: models.User, attempt: Attempt, reason: str) -> TurnedAway:
    _audit(tx, Event.TURNED_AWAY, user, attempt, reason=str(reason))
    return TurnedAway(str(reason))


def _admit(
    tx: Tx, user: models.User, attempt: Attempt, step: Step, proof: Proof, *, method: Right | None = None
) -> Admitted | TurnedAway:
    """Open a session, or carry a restricted one on; what the step still asks for keeps it restricted.

    A remembered address is no fresh proof: a sensitive act asks for a code at once.
    """
    if isinstance(step, Refused):
        return _turn_away(tx, user, attempt, step.reason)
    restricted = not isinstance(step, SignedIn)
    changes: dict[str, object] = {"restricted": restricted, "credential": attempt.credential}
    if method is not None:
        changes |= {"code_proven": True, "fresh_at": tx.now}
    by_address = isinstance(step, SignedIn) and _rests_on_address(user, proof)
    if by_address:
        changes["fresh_at"] = None
    methods = _methods(attempt, method, by_address=by_address)
    if method is not None or by_address or attempt.session_id is None:
        changes["methods"] = methods
    if attempt.session_id is None:
        session_id = _open_session(tx, attempt, changes)
    else:
        session_id = attempt.session_id
        models.Session.update(changes).where(models.Session.id == session_id).execute()
    _record_admission(tx, user, attempt, step, methods)
    waiting = isinstance(step, NeedCode)
    return Admitted(
        Session(
            id=session_id,
            user_id=user.id,
            username=user.name,
            application=attempt.origin.application,
            address=attempt.origin.address,
            step=step,
            notices=() if restricted else _notices(user, method),
            attempt=_within(attempt, session_id) if waiting else None,
        )
    )


def _open_session(tx: Tx, attempt: Attempt, changes: dict[str, object]) -> int:
    columns: dict[str, object] = {
        "user": attempt.user_id,
        "application": attempt.origin.application.value,
        "address": attempt.origin.address,
        "first_factor": attempt.first_factor.value,
        "started_at": tx.now,
        "fresh_at": tx.now,
    }
    return int(models.Session.insert(columns | changes).execute())


def _within(attempt: Attempt, session_id: int) -> Attempt:
    return Attempt(
        attempt.user_id,
        attempt.username,
        attempt.origin,
        attempt.first_factor,
        attempt.credential,
        session_id,
        attempt.methods,
    )


def _methods(attempt: Attempt, method: Right | None, *, by_address: bool) -> str:
    """Say what an admission rests on."""
    if by_address:
        return f"{attempt.first_factor.value} from a remembered address"
    return attempt.first_factor.value + (f" and {method.method}" if method else "")


def _record_admission(tx: Tx, user: models.User, attempt: Attempt, step: Step, methods: str) -> None:
    match step:
        case MustChangePassword():
            _audit(tx, Event.RESTRICTED, user, attempt, methods=methods, reason="must change the password")
        case MustEnrol():
            _audit(tx, Event.RESTRICTED, user, attempt, methods=methods, reason="must set up 2FA")
        case NeedCode():
            _audit(tx, Event.RESTRICTED, user, attempt, methods=methods, reason="a code is to be given")
        case _:
            _audit(tx, Event.SIGNED_IN, user, attempt, methods=methods)
            models.User.update(last_signin_at=tx.now).where(models.User.id == user.id).execute()
    if attempt.first_factor is FirstFactor.KEY:
        table = models.PublicKey
        table.update(last_used_at=tx.now).where(
            (table.user == user.id) & (table.fingerprint == attempt.credential)
        ).execute()


def _notices(user: models.User, method: Right | None) -> tuple[str, ...]:
    left = method.recovery_left if method else None
    if left is None:
        if not user.recovery_saved or method is None:
            return ()
        left = codes.codes_left(user.id)
    if left > recovery.FEW_LEFT:
        return ()
    return (f"{left} recovery code{'' if left == 1 else 's'} left. Make new ones on My profile.",)


def _audit(tx: Tx, event: Event, user: models.User, attempt: Attempt, **detail: object) -> None:
    audit.write(
        tx,
        event,
        account_id=user.account_id,
        actor=user.name,
        user=user.name,
        application=attempt.origin.application,
        address=attempt.origin.address,
        **detail,
    )
