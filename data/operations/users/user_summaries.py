"""Reading users: the users table, one user's details, one's own profile."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from data.operations.actors import Acting, ActingUser, factor_of, facts_of, policy_of, usable_factors
from data.operations.audit import trail
from data.operations.guards import require_permission, require_user
from data.operations.signin import code_verification
from data.operations.signin.remembered_addresses import Remembered, remembered_of
from data.operations.signin.resync import offered_until
from data.operations.signin.sessions import SessionPage, own_sessions
from data.operations.users.target_user import Target, require_target
from data.operations.users.user_search import Cursor, SortKey, UserQuery, find_users
from data.rules.domain_types import Method, Mode, Role, Status
from data.rules.permissions import Action
from data.rules.policy import may_set_up, may_turn_off, status
from data.rules.sent_codes import masked
from data.rules.user_status import Standing, status_of
from data.storage import models
from data.store import Tx

RECENT = 8


@dataclass(frozen=True, slots=True)
class UserRow:
    """One row of the users table."""

    id: int
    name: str
    full_name: str
    email: str
    phone: str | None
    practice: str
    roles: frozenset[Role]
    status: Status
    last_signin_at: datetime | None
    cursor: tuple[str, int]


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of users; `following` is where the next one starts, if there is one.

    `total` counts all matches; if `uncounted`, there may be more. A search shows no more than it counts;
    with filters alone, following pages show all, and each may hold few rows, or none.
    `several_practices` says whether the account has more than one.
    """

    rows: tuple[UserRow, ...]
    total: int
    following: Cursor | None
    uncounted: bool
    several_practices: bool

    @property
    def more(self) -> bool:
        """Whether a page follows."""
        return self.following is not None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An SSH key as lists show it."""

    fingerprint: str
    algorithm: str
    comment: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FactorRow:
    """A second factor as lists show it; `masked` is where its codes are sent."""

    method: Method
    masked: str | None
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class UserDetail:
    """Everything an administrator sees of a user. `one_time_until` is when a one-time password expires."""

    id: int
    name: str
    full_name: str
    email: str
    phone: str | None
    practice: str
    account: str
    account_id: int
    mode: Mode
    roles: frozenset[Role]
    status: Status
    required: bool
    active: bool
    locked_at: datetime | None
    attempts_left: int
    enrolled_at: datetime | None
    factors: tuple[FactorRow, ...]
    recovery_codes_left: int
    has_password: bool
    one_time_until: datetime | None
    keys: tuple[KeyRow, ...]
    remembered: tuple[Remembered, ...]
    resync_until: datetime | None
    created_at: datetime
    last_signin_at: datetime | None
    recent: tuple[trail.Entry, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything users see of themselves, and what the policy allows them to do."""

    detail: UserDetail
    may_set_up: bool
    may_turn_off: bool
    must_use_two_factor: bool
    methods: frozenset[Method]
    sessions: SessionPage


@require_permission(Action.SEE_PEOPLE)
def list_users(acting: Acting, query: UserQuery) -> UserPage:
    """Read one page of the users table, straight from the database."""
    found = find_users(acting, query)
    users = {row.id: row for row in models.User.select().where(models.User.id.in_(found.ids))}
    shown = [users[user_id] for user_id in found.ids]
    roles = roles_by_user(found.ids)
    practices = _practice_names({row.practice_id for row in shown})
    mode = acting.policy.mode
    return UserPage(
        tuple(
            _row(row, mode, roles.get(row.id, frozenset()), practices[row.practice_id], query.sort)
            for row in shown
        ),
        found.total,
        found.following,
        found.uncounted,
        _has_several_practices(acting.account_id),
    )


@require_target(Action.SEE_PEOPLE)
def user_detail(found: Target) -> UserDetail:
    """Read everything about one user."""
    return _detail(found.tx, found.user)


@require_user()
def my_profile(me: ActingUser) -> Profile:
    """Read the actor's own profile."""
    return Profile(
        _detail(me.tx, me.user),
        may_set_up=may_set_up(me.policy),
        may_turn_off=me.facts.enrolled and may_turn_off(me.policy, me.facts),
        must_use_two_factor=me.facts.must_use_two_factor or me.policy.mode in (Mode.REQUIRED, Mode.PERMANENT),
        methods=me.policy.methods,
        sessions=own_sessions(me),
    )


def _practice_names(ids: set[int]) -> dict[int, str]:
    table = models.Practice
    return {row.id: row.name for row in table.select().where(table.id.in_(list(ids)))}


def _has_several_practices(account_id: int) -> bool:
    table = models.Practice
    return bool(table.select(table.id).where(table.account == account_id).limit(2).count() > 1)


def _row(user: models.User, mode: Mode, roles: frozenset[Role], practice: str, sort: SortKey) -> UserRow:
    seen = user.last_signin_at
    key = {
        SortKey.NAME: user.name,
        SortKey.EMAIL: user.email,
        SortKey.LAST_SIGNIN: str(models.microseconds(seen) if seen else 0),
    }
    return UserRow(
        id=user.id,
        name=user.name,
        full_name=user.full_name,
        email=user.email,
        phone=user.phone,
        practice=practice,
        roles=roles,
        status=status_of(mode, Standing(user.standing)),
        last_signin_at=user.last_signin_at,
        cursor=(key[sort], user.id),
    )


def roles_by_user(user_ids: Iterable[int]) -> dict[int, frozenset[Role]]:
    """Read the roles of several users; users without a role are left out."""
    table = models.UserRole
    held: dict[int, frozenset[Role]] = {}
    for row in table.select().where(table.user.in_(list(user_ids))):
        held[row.user_id] = held.get(row.user_id, frozenset()) | {Role(row.role)}
    return held


def key_rows(user_id: int) -> tuple[KeyRow, ...]:
    """Read a user's SSH keys."""
    table = models.PublicKey
    return tuple(
        KeyRow(row.fingerprint, row.algorithm, row.comment, row.added_at, row.last_used_at)
        for row in table.select().where(table.user == user_id).order_by(table.id)
    )


def _detail(tx: Tx, user: models.User) -> UserDetail:
    account = user.account
    policy, facts = policy_of(account), facts_of(tx, user)
    factors = tuple(
        FactorRow(
            Method(row.kind),
            masked(Method(row.kind), row.destination) if row.destination else None,
            row.confirmed_at,
        )
        for row in usable_factors(user.id, policy)
    )
    return UserDetail(
        id=user.id,
        name=user.name,
        full_name=user.full_name,
        email=user.email,
        phone=user.phone,
        practice=user.practice.name,
        account=account.name,
        account_id=account.id,
        mode=policy.mode,
        roles=facts.roles,
        status=status(policy, facts),
        required=user.required,
        active=user.active,
        locked_at=user.locked_at,
        attempts_left=user.attempts_left,
        enrolled_at=min((factor.confirmed_at for factor in factors), default=None),
        factors=factors,
        recovery_codes_left=code_verification.codes_left(user.id),
        has_password=user.password_hash is not None,
        one_time_until=user.one_time_until,
        keys=key_rows(user.id),
        remembered=remembered_of(tx, user),
        resync_until=offered_until(tx, factor_of(user.id, Method.APP)),
        created_at=user.created_at,
        last_signin_at=user.last_signin_at,
        recent=tuple(trail.entries(account.id, trail.Filter(user=user.name), limit=RECENT)),
    )
