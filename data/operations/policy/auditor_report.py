"""What an auditor asks of an account: how far it is, who has no second factor, and what is an exception.

Everything is counted and read from the rows themselves; people are read page by page.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from peewee import Case, fn

from data.operations.actors import Acting
from data.operations.guards import require_permission
from data.operations.leases import hold_for_page
from data.operations.policy.overview import Group, StatusCounts, count_statuses
from data.operations.results import Denied
from data.operations.users.practices import NO_SUCH_PRACTICE, find_practice
from data.operations.users.queries import has_factor
from data.operations.users.user_summaries import roles_by_user
from data.rules.audit_events import Event
from data.rules.deadline import Demand, demand_of, mode_in_words
from data.rules.domain_types import NEVER, Method, Mode, Role, Status
from data.rules.permissions import Action
from data.rules.remembered_addresses import period_in_words
from data.rules.user_status import Counts, Standing, status_of
from data.storage import models

PAGE = 500


class Exempt(StrEnum):
    """Why something else holds for a user than for others, in words."""

    REQUIRED = "required individually"
    NOT_REQUIRED = "no longer required individually"
    DISABLED = "2FA disabled by an administrator"
    CLEARED = "2FA data cleared by an administrator"
    TURNED_OFF = "2FA turned off by the user"
    WITHDRAWN = "method withdrawn because its address or number changed"


_LOST_BY: Mapping[str, Exempt] = {
    Event.NOT_REQUIRED.value: Exempt.NOT_REQUIRED,
    Event.DISABLED.value: Exempt.DISABLED,
    Event.CLEARED.value: Exempt.CLEARED,
    Event.TURNED_OFF.value: Exempt.TURNED_OFF,
    Event.WITHDRAWN.value: Exempt.WITHDRAWN,
}
"""The events after which a user has no second factor; the newest one explains it."""
_REQUIRED_BY: Mapping[str, Exempt] = {
    Event.REQUIRED.value: Exempt.REQUIRED,
    Event.USER_CREATED.value: Exempt.REQUIRED,
}
"""The events that can have set the flag of a user; the newest one did."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A part of the policy in words; when and by whom it was last changed, if the log still says."""

    name: str
    value: str
    since: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """The account, its policy, and its adoption by practice and by role.

    A user with several roles counts in each; those without one are the last group.
    """

    account: str
    at: datetime
    settings: tuple[Setting, ...]
    everyone: StatusCounts
    practices: tuple[Group, ...]
    roles: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Unprotected:
    """An active user without a second factor of a method that is on."""

    name: str
    full_name: str
    practice: str
    roles: frozenset[Role]
    status: Status
    created_at: datetime
    last_signin_at: datetime | None


@dataclass(frozen=True, slots=True)
class Exemption:
    """An active user for whom something else holds; since when and by whom, if the log still says."""

    name: str
    full_name: str
    practice: str
    exempt: Exempt
    since: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class ExemptionPage:
    """The exemptions of one page of users; `following` is where the next page begins, None on the last."""

    rows: tuple[Exemption, ...]
    following: str | None


@require_permission(Action.SEE_PEOPLE)
def summarise(acting: Acting, practice: str | None = None) -> ReportSummary | Denied:
    """Read the policy, and count the active users of one practice or of all."""
    scope = _scope(acting, practice)
    if isinstance(scope, Denied):
        return scope
    user, table, held = models.User, models.Practice, models.UserRole
    active = (scope[0] == scope[1]) & user.active
    demand = demand_of(acting.policy, acting.tx.now)
    by_practice = _tally(user.practice, user.select().where(active), demand)
    by_role = _tally(held.role, user.select().join(held).where(active), demand)
    without = user.select().where(active & ~fn.EXISTS(held.select(1).where(held.user == user.id)))
    no_role = _tally(user.account, without, demand).get(acting.account_id)
    everyone = Counts(
        {standing: sum(found[standing] for found in by_practice.values()) for standing in Standing},
        sum(found.spared for found in by_practice.values()),
    )
    named = table.select().where(table.account == acting.account_id).order_by(fn.FOLD(table.name))
    one = find_practice(acting, practice) if practice is not None else None

    def group(name: str, counts: Counts | None) -> Group:
        return Group(name, count_statuses(demand, counts or Counts({})))

    return ReportSummary(
        account=models.Account.get_by_id(acting.account_id).name,
        at=acting.tx.now,
        settings=tuple(_settings(acting)),
        everyone=count_statuses(demand, everyone),
        practices=tuple(group(row.name, by_practice.get(row.id)) for row in ([one] if one else named)),
        roles=(
            *(group(role.label, by_role.get(role.value)) for role in Role),
            group("no role", no_role),
        ),
    )


@require_permission(Action.SEE_PEOPLE)
def list_unprotected(
    acting: Acting, practice: str | None = None, *, after: str = "", limit: int = PAGE
) -> tuple[Unprotected, ...] | Denied:
    """Read a page of the users without a second factor, by name; `after` is the last on the previous page.

    An actor has one export at a time, from the page without `after` to one that is not full.
    """
    rows = _page(acting, practice, ~has_factor(acting.policy.methods), after, limit)
    if isinstance(rows, Denied):
        return rows
    roles, demand = roles_by_user(row.id for row in rows), demand_of(acting.policy, acting.tx.now)
    return tuple(
        Unprotected(
            name=row.name,
            full_name=row.full_name,
            practice=row.practice.name,
            roles=roles.get(row.id, frozenset()),
            status=status_of(demand, Standing(row.standing), row.grace_from),
            created_at=row.created_at,
            last_signin_at=row.last_signin_at,
        )
        for row in rows
    )


@require_permission(Action.SEE_PEOPLE)
def list_exceptions(
    acting: Acting, practice: str | None = None, *, after: str = "", limit: int = PAGE
) -> ExemptionPage | Denied:
    """Read the exceptions to the policy, of a page of users by name.

    In the mode `optional`, users who are required individually are exceptions, and those who no longer
    are. In every mode, users are who lost their second factor: by whom it was removed, or how.
    An actor has one export at a time, from the page without `after` to the last one.
    """
    lacks, is_optional = ~has_factor(acting.policy.methods), acting.policy.mode is Mode.OPTIONAL
    wanted = lacks | models.User.required if is_optional else lacks
    rows = _page(acting, practice, wanted, after, limit, lacks.alias("lacks"))
    if isinstance(rows, Denied):
        return rows
    newest = _newest(acting, [row.name for row in rows])
    found = [
        Exemption(row.name, row.full_name, row.practice.name, *reason)
        for row in rows
        for reason in _reasons(row, newest.get(row.name, []), is_optional=is_optional)
    ]
    return ExemptionPage(tuple(found), rows[-1].name if len(rows) == limit else None)


def _scope(acting: Acting, practice: str | None) -> tuple[Any, int] | Denied:
    """Return the column that says whose users are meant, and its value; or the refusal of a practice."""
    if practice is None:
        return models.User.account, acting.account_id
    found = find_practice(acting, practice)
    return NO_SUCH_PRACTICE if found is None else (models.User.practice, found.id)


def _tally(group: Any, people: Any, demand: Demand) -> dict[Any, Counts]:
    """Count users by group and standing, and those whom days of grace would spare."""
    user = models.User
    is_spared = (user.standing == Standing.FREE.value) & (user.grace_from > (demand.grace_after or NEVER))
    spared = fn.SUM(Case(None, [(is_spared, 1)], 0))
    counted = people.select(group, user.standing, fn.COUNT(user.id), spared).group_by(group, user.standing)
    found: dict[Any, Counter[Standing]] = {}
    free: Counter[Any] = Counter()
    for key, value, count, of_them in counted.tuples().iterator():
        found.setdefault(key, Counter())[Standing(value)] = count
        free[key] += int(of_them)
    return {key: Counts(counts, free[key]) for key, counts in found.items()}


def _page(
    acting: Acting, practice: str | None, wanted: Any, after: str, limit: int, *also: Any
) -> list[Any] | Denied:
    """Read a page of active users by name, with their practices."""
    scope = _scope(acting, practice)
    if isinstance(scope, Denied):
        return scope
    table = models.User
    shown = (table.name, table.full_name, table.standing, table.grace_from, table.required, table.created_at)
    query = table.select(table.id, *shown, table.last_signin_at, models.Practice.name, *also)
    query = query.join(models.Practice)
    # A sum is in no index: users are read in the order of their names, and not all of them for each page.
    in_scope = scope[0] + 0 == scope[1]
    query = query.where(in_scope & table.active & wanted & (table.name > after))
    rows = list(query.order_by(table.name).limit(limit))
    return hold_for_page(acting, first=not after, last=len(rows) < limit) or rows


def _newest(acting: Acting, names: list[str]) -> dict[str, list[models.AuditEntry]]:
    """Read the newest row of each kind that tells something about these users."""
    table = models.AuditEntry
    kinds = [*_LOST_BY, *_REQUIRED_BY]
    about = (table.account == acting.account_id) & table.user.in_(names) & table.event.in_(kinds)
    ids = table.select(fn.MAX(table.id)).where(about).group_by(table.user, table.event)
    found: dict[str, list[models.AuditEntry]] = {}
    for row in table.select().where(table.id.in_(ids)).order_by(table.id.desc()):
        found.setdefault(str(row.user), []).append(row)
    return found


def _reasons(
    user: Any, rows: Iterable[models.AuditEntry], *, is_optional: bool
) -> Iterable[tuple[Exempt, datetime | None, str | None]]:
    """Yield why a user is an exception; rows about an earlier user of the same name tell nothing."""
    own = [row for row in rows if row.at >= user.created_at]
    if is_optional and user.required:
        set_by = next((row for row in own if row.event in _REQUIRED_BY), None)
        yield (Exempt.REQUIRED, *_when(set_by))
    if user.lacks:
        telling = [row for row in own if row.event in _LOST_BY]
        if not is_optional:
            telling = [row for row in telling if row.event != Event.NOT_REQUIRED.value]
        if telling:
            yield (_LOST_BY[telling[0].event], *_when(telling[0]))


def _when(row: models.AuditEntry | None) -> tuple[datetime | None, str | None]:
    return (row.at, row.actor) if row is not None else (None, None)


def _settings(acting: Acting) -> Iterable[Setting]:
    """Yield the parts of the policy."""
    policy = acting.policy
    methods = ", ".join(method.label for method in Method if method in policy.methods)
    table = models.AuditEntry
    for name, value, event in (
        ("Mode", mode_in_words(policy, acting.tx.now), Event.MODE_CHANGED),
        ("Methods", methods or "none", Event.METHODS_CHANGED),
        ("Remembered addresses", period_in_words(policy.remember_days), Event.REMEMBER_DAYS_CHANGED),
    ):
        set_by = table.event.in_([event.value, Event.ACCOUNT_CREATED.value])
        rows = table.select().where((table.account == acting.account_id) & set_by)
        yield Setting(name, value, *_when(rows.order_by(table.id.desc()).first()))
