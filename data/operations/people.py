"""Reading people: the users table, one user's detail, one's own profile."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from peewee import Case, fn

from data.operations import audit, codes
from data.operations.actors import (
    Acting,
    ActingUser,
    Actor,
    authorise,
    factor_of,
    facts_of,
    own,
    policy_of,
    usable_factors,
)
from data.operations.remembered import Remembered, remembered_of
from data.operations.results import Denied, Refused
from data.operations.resync import offered_until
from data.rules.facts import ADMIN_ROLES, Method, Mode, Policy, Role, Status, UserFacts
from data.rules.names import fold_username, phone_part, storable
from data.rules.permissions import Action
from data.rules.policy import may_set_up, may_turn_off, status
from data.rules.sending import masked
from data.storage import models
from data.store import Tx

PAGE = 50
"""Rows that one page of a table holds."""
RECENT = 8
_SEARCH_WORDS = 8
"""Words of a search that are looked for; more would outgrow what a database takes."""


class SortKey(StrEnum):
    """By which column the users table is sorted."""

    NAME = "name"
    EMAIL = "email"
    LAST_SIGNIN = "last sign-in"


@dataclass(frozen=True, slots=True)
class UserQuery:
    """What the users table asks for; `after` is the `cursor` of the last row of the page before.

    `search` looks for its words in names, addresses, phone numbers and practices; `practice` is the
    name of one, in full.
    """

    search: str = ""
    status: Status | None = None
    sort: SortKey = SortKey.NAME
    after: tuple[str, int] | None = None
    limit: int = PAGE
    practice: str | None = None


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
    """A page of users; `total` counts all that match, `more` says whether a page follows."""

    rows: tuple[UserRow, ...]
    total: int
    more: bool


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
    """All that an administrator sees of a user."""

    id: int
    name: str
    full_name: str
    email: str
    phone: str | None
    practice: str
    account: str
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
    one_time_password: bool
    keys: tuple[KeyRow, ...]
    remembered: tuple[Remembered, ...]
    resync_until: datetime | None
    created_at: datetime
    last_signin_at: datetime | None
    recent: tuple[audit.Entry, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """All that users see of themselves, and what the policy leaves to them."""

    detail: UserDetail
    may_set_up: bool
    may_turn_off: bool
    must_use_two_factor: bool
    methods: frozenset[Method]


def list_users(tx: Tx, actor: Actor, query: UserQuery) -> UserPage | Refused:
    """Read one page of the users table, straight from the database."""
    acting = authorise(tx, actor, Action.SEE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    matching = _matching(acting, query)
    total = matching.count()
    rows = list(_page(matching, query))
    shown = rows[: query.limit]
    roles = roles_by_user(row.id for row in shown)
    practices = {
        row.id: row.name
        for row in models.Practice.select().where(models.Practice.account == acting.account_id)
    }
    enrolled = _enrolled(acting.policy, (row.id for row in shown))
    return UserPage(
        tuple(
            _row(
                row, acting.policy, roles.get(row.id, frozenset()), row.id in enrolled, practices, query.sort
            )
            for row in shown
        ),
        total,
        len(rows) > query.limit,
    )


def find_user(acting: Acting, name: str) -> models.User | Denied:
    """Look a user of the actor's own account up by name."""
    folded = fold_username(name)
    user = models.User.get_or_none(
        (models.User.name == (folded or "")) & (models.User.account == acting.account_id)
    )
    return user if user is not None else Denied("There is no such user.")


def user_detail(tx: Tx, actor: Actor, name: str) -> UserDetail | Refused:
    """Read everything about one user."""
    acting = authorise(tx, actor, Action.SEE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    user = find_user(acting, name)
    return user if isinstance(user, Denied) else _detail(tx, user)


def my_profile(tx: Tx, actor: Actor) -> Profile | Refused:
    """Read the actor's own profile."""
    me = own(tx, actor)
    if not isinstance(me, ActingUser):
        return me
    return Profile(
        _detail(tx, me.user),
        may_set_up=may_set_up(me.policy),
        may_turn_off=me.facts.enrolled and may_turn_off(me.policy, me.facts),
        must_use_two_factor=me.facts.must_use_two_factor or me.policy.mode in (Mode.REQUIRED, Mode.PERMANENT),
        methods=me.policy.methods,
    )


def status_column(policy: Policy) -> Any:
    """Write the rule `status` as SQL, for filtering in the database."""
    table = models.User
    pending = Status.PENDING.value
    enrolled = has_factor(policy.methods)
    admin_role = models.UserRole.role.in_([role.value for role in ADMIN_ROLES])
    is_admin = fn.EXISTS(models.UserRole.select(1).where((models.UserRole.user == table.id) & admin_role))
    rows: list[tuple[Any, str]] = [
        (table.active == False, Status.DEACTIVATED.value),  # noqa: E712 - peewee builds SQL from it.
        (table.locked_at.is_null(False), Status.LOCKED.value),
    ]
    if policy.mode is Mode.OFF:
        return Case(None, rows, Status.NOT_AVAILABLE.value)
    rows.append((enrolled, Status.ENABLED.value))
    rows.append((table.required, pending))
    rows.append((table.lost_factor, pending))
    rows.append((is_admin, pending))
    everyone = policy.mode in (Mode.REQUIRED, Mode.PERMANENT)
    return Case(None, rows, pending if everyone else Status.NO.value)


def has_factor(methods: frozenset[Method]) -> Any:
    """Write as SQL whether a user has a confirmed factor of one of these methods."""
    table = models.Factor
    kinds = [method.value for method in methods]
    return fn.EXISTS(table.select(1).where((table.user == models.User.id) & table.kind.in_(kinds)))


def _matching(acting: Acting, query: UserQuery) -> Any:
    table = models.User
    matching = table.select().where(table.account == acting.account_id)
    for word in storable(query.search).lower().split()[:_SEARCH_WORDS]:
        found = (
            table.name.contains(word)
            | table.email.contains(word)
            | fn.FOLD(table.full_name).contains(word)
            | table.practice.in_(_practices(acting, fn.FOLD(models.Practice.name).contains(word)))
        )
        if digits := phone_part(word):
            found |= table.phone.contains(digits)
        matching = matching.where(found)
    if query.practice is not None:
        named = _practices(acting, models.Practice.name == storable(query.practice))
        matching = matching.where(table.practice.in_(named))
    if query.status is not None:
        matching = matching.where(status_column(acting.policy) == query.status.value)
    return matching


def _practices(acting: Acting, which: Any) -> Any:
    table = models.Practice
    return table.select(table.id).where((table.account == acting.account_id) & which)


def _page(matching: Any, query: UserQuery) -> Any:
    """Read the rows after the cursor: by key, so that a late page costs what the first one does."""
    table = models.User
    if query.sort is SortKey.LAST_SIGNIN:
        moment = fn.COALESCE(table.last_signin_at, 0)
        if query.after is not None:
            at, row_id = int(query.after[0]), query.after[1]
            matching = matching.where((moment < at) | ((moment == at) & (table.id > row_id)))
        return matching.order_by(moment.desc(), table.id).limit(query.limit + 1)
    column = table.email if query.sort is SortKey.EMAIL else table.name
    if query.after is not None:
        matching = matching.where(column > query.after[0])
    return matching.order_by(column).limit(query.limit + 1)


def _cursor(user: models.User, sort: SortKey) -> tuple[str, int]:
    match sort:
        case SortKey.LAST_SIGNIN:
            seen = user.last_signin_at
            return str(models.microseconds(seen) if seen else 0), user.id
        case SortKey.EMAIL:
            return user.email, user.id
        case _:
            return user.name, user.id


def _row(
    user: models.User,
    policy: Policy,
    roles: frozenset[Role],
    enrolled: bool,
    practices: dict[int, str],
    sort: SortKey,
) -> UserRow:
    facts = UserFacts(
        active=user.active,
        locked=user.locked_at is not None,
        required=user.required,
        enrolled=enrolled,
        lost_factor=user.lost_factor,
        roles=roles,
    )
    return UserRow(
        id=user.id,
        name=user.name,
        full_name=user.full_name,
        email=user.email,
        phone=user.phone,
        practice=practices.get(user.practice_id, ""),
        roles=roles,
        status=status(policy, facts),
        last_signin_at=user.last_signin_at,
        cursor=_cursor(user, sort),
    )


def roles_by_user(user_ids: Iterable[int]) -> dict[int, frozenset[Role]]:
    """Read the roles of several users; who holds none is left out."""
    table = models.UserRole
    held: dict[int, frozenset[Role]] = {}
    for row in table.select().where(table.user.in_(list(user_ids))):
        held[row.user_id] = held.get(row.user_id, frozenset()) | {Role(row.role)}
    return held


def _enrolled(policy: Policy, user_ids: Iterable[int]) -> set[int]:
    table = models.Factor
    kinds = [method.value for method in policy.methods]
    usable = table.user.in_(list(user_ids)) & table.kind.in_(kinds)
    return {row.user_id for row in table.select(table.user).where(usable)}


def key_rows(user_id: int) -> tuple[KeyRow, ...]:
    """Read a user's SSH keys."""
    table = models.PublicKey
    return tuple(
        KeyRow(row.fingerprint, row.algorithm, row.comment, row.added_at, row.last_used_at)
        for row in table.select().where(table.user == user_id).order_by(table.id)
    )


def _detail(tx: Tx, user: models.User) -> UserDetail:
    account = user.account
    policy, facts = policy_of(account), facts_of(user)
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
        mode=policy.mode,
        roles=facts.roles,
        status=status(policy, facts),
        required=user.required,
        active=user.active,
        locked_at=user.locked_at,
        attempts_left=user.attempts_left,
        enrolled_at=min((factor.confirmed_at for factor in factors), default=None),
        factors=factors,
        recovery_codes_left=codes.codes_left(user.id),
        has_password=user.password_hash is not None,
        one_time_password=user.one_time_password,
        keys=key_rows(user.id),
        remembered=remembered_of(tx, user),
        resync_until=offered_until(tx, factor_of(user.id, Method.APP)),
        created_at=user.created_at,
        last_signin_at=user.last_signin_at,
        recent=tuple(audit.entries(account.id, audit.Filter(user=user.name), limit=RECENT)),
    )
