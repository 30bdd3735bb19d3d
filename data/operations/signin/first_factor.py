"""The first factor: which user is meant, and their password or key."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Protocol, TypeVar

from peewee import fn

from data.fair_queue import Unserved
from data.operations.actors import facts_from, policy_of, read_user
from data.operations.signin.admission import (
    Admitted,
    Attempt,
    TurnedAway,
    admit,
    holds_key,
    proof_of,
    step_of,
    turn_away,
)
from data.operations.signin.dummy_hashes import count_costs, decoy_of
from data.operations.signin.password_guessing import (
    forget_old_failures,
    has_many_untold,
    takes_turns,
    tell_of_failures,
)
from data.rules import passwords, throttle
from data.rules.domain_types import FirstFactor, Method, Proof, Role
from data.rules.policy import (
    ATTEMPTS,
    NeedCode,
    Refusal,
    Refused,
    next_step,
)
from data.rules.remembered_addresses import may_remember, password_credential
from data.rules.source_addresses import Origin, normalise, source_of
from data.rules.user_fields import USERNAME_LIMIT, fold_username
from data.storage import models
from data.storage.password_hashing import Verified, decoy_like
from data.storage.prepared_statements import Prepared, joined, parted
from data.store import Store, Tx


@dataclass(frozen=True, slots=True)
class Candidate:
    """A typed name, looked up. For an unknown or deactivated user it holds no ID and no keys.

    If there is no password, or a one-time password that has expired, `password_hash` is a decoy that no
    password matches. The typed name is not shown by `repr`: people type passwords there.
    `shares_address` says that the address is that of an application, from which everyone comes.

    `code_asked` is set if the rules now ask for a code after either first factor. Whoever then proves one is
    asked without another transaction: the one that judges the code decides again. `attempts_left` is how
    often it can be wrong.
    """

    username: str = field(repr=False)
    origin: Origin
    bucket: int = field(repr=False)
    user_id: int | None
    credential: int
    key_fingerprints: frozenset[str]
    password_hash: str = field(repr=False)
    one_time_until: datetime | None = None
    shares_address: bool = False
    code_asked: NeedCode | None = None
    attempts_left: int = ATTEMPTS


@dataclass(frozen=True, slots=True)
class FirstFactorRejected:
    """Unknown user, wrong password, unknown key or deactivated: the client cannot see which."""


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The first factor passed; a code must be asked for."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class NotJudged:
    """The password was not judged and nothing was counted: too many others were waiting."""

    message: ClassVar = "Too many passwords are being checked. Yours was not. Try again."


FirstFactorResult = FirstFactorRejected | CodeNeeded | Admitted | TurnedAway
PasswordResult = FirstFactorResult | NotJudged


R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_FOUND = Prepared(
    models.User,
    2,
    lambda name, address: (
        models.User.select(
            models.User,
            models.Account,
            joined(models.PublicKey.fingerprint, models.PublicKey.user == models.User.id),
            joined(models.Factor.kind, models.Factor.user == models.User.id),
            joined(models.UserRole.role, models.UserRole.user == models.User.id),
            fn.EXISTS(
                models.RememberedAddress.select(1).where(
                    models.RememberedAddress.user == models.User.id,
                    models.RememberedAddress.address == address,
                )
            ),
        )
        .join(models.Account)
        .where(models.User.name == name)
    ),
    parent="account",
    more=4,
)
"""A user, their keys, the kinds of their factors, their roles, and whether an address is remembered."""


def find_candidate(
    tx: Tx,
    username: str,
    origin: Origin,
    serves: Callable[[models.User], bool] | None = None,
    *,
    shares_address: bool = False,
) -> Candidate:
    """Look up a typed name, with the same statements whether or not the user exists.

    A user whom the application does not serve is like an unknown one; `shares_address` as in `Candidate`.
    """
    folded = fold_username(username) or ""
    origin = replace(origin, address=normalise(origin.address))
    user, more = _FOUND.one_with_more(folded, origin.address) or (None, (None,) * 4)
    keys, kinds, roles, is_known_place = more
    if user is not None and serves is not None and not serves(user):
        user = None
    known = user if user is not None and user.active else None
    bucket = tx.services.vault.bucket(folded or username[:USERNAME_LIMIT])
    return Candidate(
        username=folded,
        origin=origin,
        bucket=bucket,
        user_id=known.id if known else None,
        credential=known.credential if known else 0,
        key_fingerprints=parted(keys) if known else frozenset(),
        password_hash=_password_hash(tx, user, bucket),
        one_time_until=known.one_time_until if known else None,
        shares_address=shares_address,
        code_asked=_code_asked(tx, known, origin, kinds, roles, is_known_place) if known else None,
        attempts_left=known.attempts_left if known else ATTEMPTS,
    )


def _code_asked(
    tx: Tx,
    user: models.User,
    origin: Origin,
    kinds: str | None,
    roles: str | None,
    is_known_place: object,
) -> NeedCode | None:
    """Return the question for a code if either first factor leads to it, whatever is remembered.

    Whoever lost their last factor is asked only if codes are left; that is not known here.
    """
    policy = policy_of(user.account)
    usable = policy.methods & set(map(Method, parted(kinds)))
    methods = tuple(method for method in Method if method in usable)
    facts = facts_from(user, methods, frozenset(map(Role, parted(roles))), recovery_codes=False)
    is_remembered = bool(is_known_place) and may_remember(policy, origin)
    step = next_step(policy, facts, Proof(FirstFactor.PASSWORD, address_remembered=is_remembered), tx.now)
    return step if isinstance(step, NeedCode) else None


def code_needed(candidate: Candidate, first_factor: FirstFactor, credential: str) -> CodeNeeded | None:
    """Return the question for a code if the look-up has shown that it comes after a proven first factor."""
    if candidate.user_id is None or candidate.code_asked is None:
        return None
    return CodeNeeded(
        Attempt(
            candidate.user_id,
            candidate.username,
            candidate.origin,
            first_factor,
            credential,
            methods=candidate.code_asked.methods,
            attempts_left=candidate.attempts_left,
        )
    )


def _password_hash(tx: Tx, user: models.User | None, bucket: int) -> str:
    if user is None or user.password_hash is None:
        return decoy_of(tx, bucket)
    good = user.active and not passwords.one_time_ended(tx.now, user.one_time_until)
    return user.password_hash if good else decoy_like(user.password_hash)


async def prove_password(
    store: Store, candidate: Candidate, password: str, gone: asyncio.Event | None = None
) -> PasswordResult:
    """Judge a password when its turn has come, after the delay of its source.

    `gone` is set when the client leaves. A password whose hash has not started by then counts as a
    failure without hashing, so that a source that hangs up pays with its own failures and not with
    others' time.
    """
    asked = code_needed(candidate, FirstFactor.PASSWORD, password_credential(candidate.credential))
    return await judge_password(store, candidate, password, settle_password, gone, asked)


class Settle(Protocol[R_co]):
    """An operation that records a judged password and decides what comes next, as `settle_password` does."""

    def __call__(
        self, tx: Tx, candidate: Candidate, /, *, right: bool, renewed: str | None, after_failures: bool
    ) -> R_co:
        """Record it; see `record_password`."""
        ...


async def judge_password(
    store: Store,
    candidate: Candidate,
    password: str,
    settle: Settle[R],
    gone: asyncio.Event | None = None,
    settled: R | None = None,
) -> R | FirstFactorRejected | NotJudged:
    """Judge a password as `prove_password` does, and return what `settle` says of it.

    `settled` is what it would say, if that is known, of a right password with which nothing is recorded.
    """
    return await store.finish(_judge_password(store, candidate, password, settle, gone, settled))


async def _judge_password(
    store: Store,
    candidate: Candidate,
    password: str,
    settle: Settle[R],
    gone: asyncio.Event | None,
    settled: R | None,
) -> R | FirstFactorRejected | NotJudged:
    circumstances = await store.read(_circumstances, candidate)
    verified = await _verify(store, candidate, password, gone, circumstances)
    if verified is Unserved.BUSY:
        return NotJudged()
    if verified is Unserved.GONE:
        return await store.run_with_others(_reject, candidate)
    if settled is not None and verified == Verified(right=True) and not circumstances.many_failures:
        return settled
    return await store.run_with_others(
        settle,
        candidate,
        right=verified.right,
        renewed=verified.renewed,
        after_failures=circumstances.many_failures,
    )


async def prove_fresh_password(
    store: Store, candidate: Candidate, password: str
) -> FirstFactorRejected | NotJudged | None:
    """Judge a password again in a session, with the same delays and counting as at a sign-in."""
    return await store.finish(_prove_fresh_password(store, candidate, password))


async def _prove_fresh_password(
    store: Store, candidate: Candidate, password: str
) -> FirstFactorRejected | NotJudged | None:
    circumstances = await store.read(_circumstances, candidate)
    verified = await _verify(store, candidate, password, None, circumstances)
    if verified is Unserved.BUSY:
        return NotJudged()
    right = isinstance(verified, Verified) and verified.right
    return None if right else await store.run_with_others(_reject, candidate)


async def _verify(
    store: Store,
    candidate: Candidate,
    password: str,
    gone: asyncio.Event | None,
    circumstances: "_Circumstances",
) -> Verified | Unserved:
    if circumstances.seconds:
        await _pause(circumstances.seconds, gone)
    verify = store.services.hasher.verify_and_renew
    source, address = _source(candidate), source_of(candidate.origin.address)

    def judge() -> Awaitable[Verified | Unserved]:
        return store.compute_in_turn(address, gone, verify, candidate.password_hash, password)

    if not circumstances.in_turn:
        return await judge()
    return await store.turns.run(
        candidate.bucket, source, gone, judge, sources=throttle.TURNS, rest=throttle.TURN_SECONDS
    )


async def _pause(seconds: float, gone: asyncio.Event | None) -> None:
    """Wait, unless or until the client is gone."""
    if gone is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(gone.wait(), seconds)


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """How long a password waits, whether it then takes turns, and whether many failed before."""

    seconds: float
    in_turn: bool
    many_failures: bool


def _circumstances(tx: Tx, candidate: Candidate) -> _Circumstances:
    """Read this outside the admitting transaction, where it would conflict with the failures of others."""
    count_costs(tx)
    return _Circumstances(
        first_factor_delay(tx, candidate),
        takes_turns(tx, candidate.bucket, candidate.user_id, _source(candidate)),
        has_many_untold(tx, candidate.bucket, candidate.user_id),
    )


_FAILURES = Prepared(
    models.FirstFactorFailures,
    2,
    lambda source, minute: (
        models.FirstFactorFailures.select()
        .where((models.FirstFactorFailures.source == source) & (models.FirstFactorFailures.minute > minute))
        .limit(throttle.ENOUGH)
    ),
)
"""A row counts one or more, so reading this many rows is enough; a stranger can create thousands."""


def first_factor_delay(tx: Tx, candidate: Candidate) -> float:
    """Return the seconds that the next password from this source for this name waits."""
    since = int(tx.now.timestamp()) // 60 - throttle.WINDOW_MINUTES
    of_source = of_name = 0
    for row in _FAILURES.all(_source(candidate), since):
        of_source += row.count
        of_name += row.count if row.bucket == candidate.bucket else 0
    return throttle.delay(failures_of_source=of_source, failures_of_name=of_name)


def settle_password(
    tx: Tx, candidate: Candidate, *, right: bool, renewed: str | None = None, after_failures: bool = False
) -> FirstFactorResult:
    """Record a judged password (see `record_password`), and decide what comes next."""
    user = record_password(tx, candidate, right=right, renewed=renewed, after_failures=after_failures)
    if isinstance(user, FirstFactorRejected):
        return user
    credential = password_credential(user.credential)
    return _after_first_factor(tx, user, candidate, FirstFactor.PASSWORD, credential)


def record_password(
    tx: Tx, candidate: Candidate, *, right: bool, renewed: str | None, after_failures: bool
) -> models.User | FirstFactorRejected:
    """Record a judged password, with its hash if that was renewed; return whose it is.

    If it is right `after_failures` (many, and not reported yet), its user is told. A one-time password
    that has expired since it was looked up is as wrong as one that had expired before.
    """
    right = right and not passwords.one_time_ended(tx.now, candidate.one_time_until)
    user = _still(candidate) if right else None
    if user is None:
        return _reject(tx, candidate)
    if after_failures:
        tell_of_failures(tx, user, candidate.bucket, candidate.origin)
    if renewed is not None:
        models.User.update(password_hash=renewed).where(models.User.id == user.id).execute()
    return user


def prove_key(tx: Tx, candidate: Candidate, fingerprint: str) -> FirstFactorResult:
    """Record a public key whose signature was verified and decide what comes next."""
    user = _still(candidate)
    if user is None or not holds_key(user.id, fingerprint):
        return _reject(tx, candidate)
    return _after_first_factor(tx, user, candidate, FirstFactor.KEY, fingerprint)


def _source(candidate: Candidate) -> str:
    """Return what failures are counted under: the source, and at a shared address each name by itself."""
    source = source_of(candidate.origin.address)
    return f"{source} {candidate.bucket}" if candidate.shares_address else source


def _still(candidate: Candidate) -> models.User | None:
    """Read the candidate's user again, if still active and with the password that was judged."""
    user = read_user(candidate.user_id or 0)
    stands = user is not None and user.active and user.credential == candidate.credential
    return user if stands else None


def _reject(tx: Tx, candidate: Candidate) -> FirstFactorRejected:
    """Count a failure under its source and minute; for an unknown name, only a bucket is kept."""
    table = models.FirstFactorFailures
    minute = int(tx.now.timestamp()) // 60
    if not table.select().where(table.minute == minute).exists():
        forget_old_failures(minute)
    table.insert(
        source=_source(candidate),
        bucket=candidate.bucket,
        user_id=candidate.user_id or 0,
        minute=minute,
        count=1,
    ).on_conflict(
        conflict_target=[table.source, table.bucket, table.user_id, table.minute],
        update={table.count: table.count + 1, table.told: False},
    ).execute()
    return FirstFactorRejected()


def _after_first_factor(
    tx: Tx, user: models.User, candidate: Candidate, first_factor: FirstFactor, credential: str
) -> FirstFactorResult:
    attempt = Attempt(
        user.id,
        user.name,
        candidate.origin,
        first_factor,
        credential,
        attempts_left=user.attempts_left,
    )
    proof = proof_of(tx, user, attempt)
    match step_of(tx, user, proof):
        case Refused(Refusal.DEACTIVATED):
            return _reject(tx, candidate)
        case Refused(reason):
            return turn_away(tx, user, attempt, reason)
        case NeedCode(methods):
            return CodeNeeded(replace(attempt, methods=methods))
        case step:
            return admit(tx, user, attempt, step, proof)
