"""Who acts, looked up again in each operation's transaction, so that a demotion applies at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from peewee import fn

from data.operations.results import Denied, Refused, SessionOver
from data.rules.deadline import days_left
from data.rules.domain_types import (
    FirstFactor,
    Method,
    Mode,
    Policy,
    PolicyNotice,
    Proof,
    Role,
    UserFacts,
)
from data.rules.policy import NeedCode, Step, next_step, outlived, why_over
from data.rules.remembered_addresses import may_remember, still_holds
from data.rules.source_addresses import ON_HOST, Origin
from data.rules.user_fields import storable, tidy
from data.rules.user_status import Standing
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

NO_SUCH_ACCOUNT = Denied("The account was not found. List accounts with: twofold account list")
_NAMED_ACCOUNTS = 5


@dataclass(frozen=True, slots=True)
class Operator:
    """Someone who can read the home on the host; `login` is their name there.

    `account` names the account to act in; None means the only one.
    """

    login: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A user, acting through an open session."""

    session_id: int


Actor = Operator | Member


@dataclass(frozen=True, slots=True)
class Acting:
    """An actor as the database has it in this transaction. Fields about a user are None for the operator.

    `step` is what the rules ask of the session now.
    """

    tx: Tx
    name: str
    account_id: int
    policy: Policy
    origin: Origin
    roles: frozenset[Role]
    user: models.User | None = None
    session: models.Session | None = None
    facts: UserFacts | None = None
    step: Step | None = None

    @property
    def is_operator(self) -> bool:
        """Whether this is the operator on the host."""
        return self.user is None


@dataclass(frozen=True, slots=True)
class ActingUser(Acting):
    """A signed-in user acting on their own things."""

    user: models.User
    session: models.Session
    facts: UserFacts
    step: Step


@dataclass(frozen=True, slots=True)
class ActingOperator:
    """The operator acting on the whole installation, in any account."""

    tx: Tx
    operator: Operator


_USER = Prepared(
    models.User,
    1,
    lambda key: (
        models.User.select(models.User, models.Account).join(models.Account).where(models.User.id == key)
    ),
    parent="account",
)
_ROLES = Prepared(models.UserRole, 1, lambda key: models.UserRole.select().where(models.UserRole.user == key))
_SESSION = Prepared(models.Session, 1, lambda key: models.Session.select().where(models.Session.id == key))
_FACTORS = Prepared(models.Factor, 1, lambda key: models.Factor.select().where(models.Factor.user == key))
_FIRST_ACCOUNTS = Prepared(
    models.Account,
    0,
    lambda: models.Account.select().order_by(models.Account.name).limit(_NAMED_ACCOUNTS + 1),
)


def policy_of(account: models.Account) -> Policy:
    """Read an account's policy."""
    return _policy(
        account.mode,
        account.remember_days,
        app_on=account.app_on,
        sms_on=account.sms_on,
        email_on=account.email_on,
        notify_new_places=account.notify_new_places,
        notify_locks=account.notify_locks,
        deadline=account.deadline,
        grace_days=account.grace_days,
        seen_at=account.seen_at,
    )


@lru_cache
def _policy(
    mode: str,
    remember_days: int,
    *,
    app_on: bool,
    sms_on: bool,
    email_on: bool,
    notify_new_places: bool,
    notify_locks: bool,
    deadline: datetime | None,
    grace_days: int,
    seen_at: datetime,
) -> Policy:
    switches = {Method.APP: app_on, Method.SMS: sms_on, Method.EMAIL: email_on}
    methods = frozenset(method for method, on in switches.items() if on)
    notices = {PolicyNotice.NEW_PLACES: notify_new_places, PolicyNotice.LOCKS: notify_locks}
    told = frozenset(each for each, on in notices.items() if on)
    return Policy(Mode(mode), remember_days, methods, told, deadline, grace_days, seen_at)


def days_left_of(policy: Policy, user: models.User, now: datetime) -> int | None:
    """Return how many days a user has left to set up two-factor authentication; None if there is no limit."""
    is_free = user.standing == Standing.FREE.value
    return days_left(policy, user.grace_from, now) if is_free else None


def roles_of(user: models.User) -> frozenset[Role]:
    """Read the roles that a user holds."""
    return frozenset(Role(row.role) for row in _ROLES.all(user.id))


def factor_of(user_id: int, method: Method) -> models.Factor | None:
    """Read a user's confirmed factor of a method, if there is one."""
    return factor_among(_FACTORS.all(user_id), method)


def usable_factors(user_id: int, policy: Policy) -> list[models.Factor]:
    """Read a user's confirmed factors of the methods that are on, in the order of the methods."""
    kinds = [method.value for method in Method if method in policy.methods]
    rows = [row for row in _FACTORS.all(user_id) if row.kind in kinds]
    return sorted(rows, key=lambda row: kinds.index(row.kind))


def read_user(user_id: int) -> models.User | None:
    """Read a user with their account."""
    return _USER.one(user_id)


def read_session(session_id: int) -> models.Session | None:
    """Read a session with its user and their account."""
    session = _SESSION.one(session_id)
    user = read_user(session.user_id) if session is not None else None
    if session is None or user is None:
        return None
    session.user = user
    return session


def factor_among(factors: Sequence[models.Factor], method: Method) -> models.Factor | None:
    """Return the factor of a method, if it is one of these."""
    return next((row for row in factors if row.kind == method.value), None)


def facts_of(
    tx: Tx,
    user: models.User,
    usable: Sequence[models.Factor] | None = None,
    roles: frozenset[Role] | None = None,
) -> UserFacts:
    """Gather the facts about a user for the rules; `usable` factors and `roles` are read if not given."""
    if usable is None:
        usable = usable_factors(user.id, policy_of(user.account))
    return facts_from(
        user,
        tuple(Method(row.kind) for row in usable),
        roles_of(user) if roles is None else roles,
        recovery_codes=user.lost_factor and _has_recovery_codes(tx, user.id),
    )


def facts_from(
    user: models.User, methods: tuple[Method, ...], roles: frozenset[Role], *, recovery_codes: bool
) -> UserFacts:
    """Put together the facts about a user; `recovery_codes` matters only if their last factor was lost."""
    return UserFacts(
        active=user.active,
        locked=user.locked_at is not None,
        one_time_password=user.one_time_until is not None,
        required=user.required,
        lost_factor=user.lost_factor,
        methods=methods,
        roles=roles,
        recovery_codes=recovery_codes,
        grace_from=user.grace_from,
    )


def _has_recovery_codes(tx: Tx, user_id: int) -> bool:
    """Whether a user has an unused recovery code, or a temporary code that has not expired."""
    table = models.RecoveryCode
    good = table.used_at.is_null() & (table.expires_at.is_null() | (table.expires_at > tx.now))
    return bool(table.select().where((table.user == user_id) & good).exists())


def origin_of(session: models.Session) -> Origin:
    """Return where a session was opened from."""
    return Origin(session.application, session.address)


def step_of_session(tx: Tx, session: models.Session, facts: UserFacts) -> Step:
    """Ask the rules what a session must do now, given everything that was proven in it.

    A full session also relies on its remembered address, for as long as that is remembered.
    """
    policy = policy_of(session.user.account)
    proof = Proof(FirstFactor(session.first_factor), code=session.code_at is not None)
    step = next_step(policy, facts, proof, tx.now)
    if isinstance(step, NeedCode) and not session.restricted:
        remembered = remembers(tx, session.user, origin_of(session), session.credential)
        return next_step(policy, facts, replace(proof, address_remembered=remembered), tx.now)
    return step


def remembers(tx: Tx, user: models.User, origin: Origin, credential: str) -> bool:
    """Whether this user recently gave a code from this address with this first factor.

    The last sign-in is ignored: one at a node whose clock is ahead would end sessions at the others.
    """
    policy = policy_of(user.account)
    if not may_remember(policy, origin):
        return False
    table = models.RememberedAddress
    row = table.get_or_none(
        (table.user == user.id) & (table.address == origin.address) & (table.credential == credential)
    )
    return row is not None and still_holds(
        policy,
        accepted_at=row.accepted_at,
        until=row.until,
        now=tx.now,
        last_signin_at=None,
    )


def find_account(name: str) -> models.Account | None:
    """Look up an account by name, ignoring case."""
    folded = (tidy(name) or "").lower()
    found: models.Account | None = models.Account.get_or_none(fn.FOLD(models.Account.name) == folded)
    return found


def _account_of(operator: Operator) -> models.Account | Denied:
    """Find the account that the operator acts in: the named one, or the only one."""
    if operator.account is not None:
        return find_account(operator.account) or NO_SUCH_ACCOUNT
    accounts = _FIRST_ACCOUNTS.all()
    if len(accounts) == 1:
        return accounts[0]
    named = ", ".join(account.name for account in accounts[:_NAMED_ACCOUNTS])
    more = ", ..." if len(accounts) > _NAMED_ACCOUNTS else ""
    return Denied(f"There are several accounts ({named}{more}). Choose one with --account NAME.")


def why_ended(tx: Tx, session: models.Session) -> str | None:
    """Return why a session is over, possibly an empty text; None if it is not."""
    if session.ended_at is not None:
        return session.ended_because
    return outlived(session.started_at, tx.now, tx.services.longest_session)


def in_account(tx: Tx, operator: Operator, account: models.Account) -> Acting:
    """Have the operator act in an account."""
    return Acting(
        tx,
        f"operator:{storable(operator.login)}"[:40],
        account.id,
        policy_of(account),
        ON_HOST,
        frozenset(),
    )


def in_each_account(tx: Tx, operator: Operator) -> list[Acting] | Denied:
    """Have the operator act in every account, or only in the one they name."""
    if operator.account is None:
        accounts = models.Account.select().order_by(models.Account.name)
        return [in_account(tx, operator, account) for account in accounts]
    account = find_account(operator.account)
    return NO_SUCH_ACCOUNT if account is None else [in_account(tx, operator, account)]


def resolve(tx: Tx, actor: Actor) -> Acting | Refused:
    """Look up an actor, and judge their session by the rules and the present facts.

    A session that the rules would not call signed in is over, unless it is restricted: then it is still
    on its way there.
    """
    if isinstance(actor, Operator):
        account = _account_of(actor)
        return account if isinstance(account, Denied) else in_account(tx, actor, account)
    session = read_session(actor.session_id)
    if session is None or (over := why_ended(tx, session)) is not None:
        return SessionOver(over) if session and over else SessionOver()
    user = session.user
    facts = facts_of(tx, user)
    step = step_of_session(tx, session, facts)
    if over := why_over(step, restricted=session.restricted):
        return SessionOver(over)
    return ActingUser(
        tx,
        user.name,
        user.account.id,
        policy_of(user.account),
        origin_of(session),
        facts.roles,
        user,
        session,
        facts,
        step,
    )
