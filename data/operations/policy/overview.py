"""How far an account is: its users by status, its sign-ins by day, and what needs attention."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

from peewee import fn

from data.operations.actors import Acting
from data.operations.guards import require_permission
from data.operations.users.user_search import count_standings
from data.rules.audit_events import Event
from data.rules.doctor import Finding
from data.rules.domain_types import ADMIN_ROLES, Mode, Role
from data.rules.permissions import Action
from data.rules.user_status import Standing
from data.storage import models

DAYS = 30
"""Days of sign-ins that an overview shows, today included; a day is one of UTC."""
PRACTICES = 50
"""Practices that an overview shows: the largest ones."""
PENDING_FOR = timedelta(days=14)
"""How long a user may be pending before that needs attention."""
DELIVERY_DAYS = 2
"""Days of which failed deliveries need attention: today and yesterday."""


@dataclass(frozen=True, slots=True)
class StatusCounts:
    """How many people of a group have each status; deactivated ones are not counted.

    While the mode is `off`, `enabled` counts those who have set a second factor up, and nobody is pending.
    """

    enabled: int = 0
    pending: int = 0
    no: int = 0
    locked: int = 0

    @property
    def total(self) -> int:
        """How many people there are."""
        return self.enabled + self.pending + self.no + self.locked

    @property
    def share_enabled(self) -> float:
        """The share of people with two-factor authentication, from 0 to 1; 0 if there is nobody."""
        return self.enabled / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """The people of a practice, or those who hold a role, by status; `name` is the practice's or role's."""

    name: str
    counts: StatusCounts


@dataclass(frozen=True, slots=True)
class Day:
    """How many sign-ins succeeded on a day of UTC, and how many second factors were refused."""

    date: date
    successful: int = 0
    refused: int = 0


class Concern(Enum):
    """A kind of thing that needs attention, the most urgent first."""

    LOCKED = "locked"
    PENDING_LONG = "pending_long"
    ADMIN_WITHOUT_FACTOR = "administrator_without_second_factor"
    ALONE_IN_ROLE = "alone_in_role"
    FEW_RECOVERY_CODES = "few_recovery_codes"
    FAILED_DELIVERIES = "failed_deliveries"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs attention, and what finds the people or entries behind it.

    `count` is how many people or messages; if `more`, there are more than that. `role` is set where it is
    about the holders of a role, `pending_before` where it is about people pending since before then,
    `event` where the entries of the audit log with that event are behind it, and `finding` where a
    check-up found it.
    """

    concern: Concern
    count: int
    more: bool = False
    role: Role | None = None
    pending_before: datetime | None = None
    event: Event | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """How far an account is.

    `practices` are the largest ones by name, of `practice_count`; `roles` are those that someone holds.
    `days` are the last `DAYS`, oldest first; `attention` has the most urgent first.
    """

    mode: Mode
    counts: StatusCounts
    practices: tuple[Group, ...]
    practice_count: int
    roles: tuple[Group, ...]
    days: tuple[Day, ...]
    attention: tuple[Attention, ...]


@require_permission(Action.SEE_PEOPLE)
def show_overview(acting: Acting) -> Overview:
    """Read how far the actor's account is; this costs the same however many users there are."""
    mode, practice = acting.policy.mode, models.Practice
    roles = _by_role(acting)
    counts = _counts(mode, count_standings(acting.account_id))
    return Overview(
        mode=mode,
        counts=counts,
        practices=tuple(_practices(acting)),
        practice_count=practice.select().where(practice.account == acting.account_id).count(),
        roles=tuple(Group(role.label, counts) for role, counts in roles.items() if counts.total),
        days=_days(acting),
        attention=tuple(_attention(counts, roles)),
    )


def _counts(mode: Mode, standings: Mapping[Standing, int]) -> StatusCounts:
    """Count people by the status that each standing is shown as."""
    obliged, free = standings.get(Standing.OBLIGED, 0), standings.get(Standing.FREE, 0)
    pending = {Mode.OFF: 0, Mode.OPTIONAL: obliged}.get(mode, obliged + free)
    return StatusCounts(
        enabled=standings.get(Standing.ENROLLED, 0),
        pending=pending,
        no=obliged + free - pending,
        locked=standings.get(Standing.LOCKED, 0),
    )


def _practices(acting: Acting) -> Iterator[Group]:
    user, practice = models.User, models.Practice
    counted = (
        user.select(practice.name, user.standing, fn.COUNT(user.id))
        .join(practice)
        .where((user.account == acting.account_id) & (user.standing != Standing.DEACTIVATED.value))
        .group_by(practice.name, user.standing)
    )
    found = _by_group(acting.policy.mode, counted)
    largest = sorted(found, key=lambda name: (-found[name].total, name))[:PRACTICES]
    for name in sorted(largest, key=str.lower):
        yield Group(name, found[name])


def _by_role(acting: Acting) -> dict[Role, StatusCounts]:
    user, held = models.User, models.UserRole
    counted = (
        user.select(held.role, user.standing, fn.COUNT(user.id))
        .join(held)
        .where((user.account == acting.account_id) & (user.standing != Standing.DEACTIVATED.value))
        .group_by(held.role, user.standing)
    )
    found = _by_group(acting.policy.mode, counted)
    return {role: found.get(role.value, StatusCounts()) for role in Role}


def _by_group(mode: Mode, counted: Any) -> dict[str, StatusCounts]:
    rows: Iterable[tuple[str, str, int]] = counted.tuples().iterator()
    groups: dict[str, dict[Standing, int]] = {}
    for name, standing, count in rows:
        groups.setdefault(name, {})[Standing(standing)] = count
    return {name: _counts(mode, standings) for name, standings in groups.items()}


def _days(acting: Acting) -> tuple[Day, ...]:
    today = acting.tx.now.date()
    first = today - timedelta(days=DAYS - 1)
    table = models.AuditEntry
    since = datetime.combine(first, datetime.min.time(), UTC)
    refused = (Event.CODE_WRONG.value, Event.CODE_REPLAYED.value)
    successful: dict[date, int] = {}
    failed: dict[date, int] = {}
    wanted = (table.account == acting.account_id) & (table.at >= since)
    for row in table.select(table.at, table.event).where(
        wanted & table.event.in_((Event.SIGNED_IN.value, *refused))
    ):
        counted = failed if row.event in refused else successful
        counted[row.at.date()] = counted.get(row.at.date(), 0) + 1
    dates = [first + timedelta(days=number) for number in range(DAYS)]
    return tuple(Day(day, successful.get(day, 0), failed.get(day, 0)) for day in dates)


def _attention(counts: StatusCounts, roles: Mapping[Role, StatusCounts]) -> Iterator[Attention]:
    if counts.locked:
        yield Attention(Concern.LOCKED, counts.locked)
    for role in sorted(ADMIN_ROLES):
        without = roles[role].pending + roles[role].no
        if without:
            yield Attention(Concern.ADMIN_WITHOUT_FACTOR, without, role=role)
    for role in sorted(ADMIN_ROLES):
        if roles[role].total == 1:
            yield Attention(Concern.ALONE_IN_ROLE, 1, role=role)
