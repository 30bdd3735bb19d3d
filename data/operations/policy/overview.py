"""How far an account is: its users by status, its sign-ins by day, and what needs attention."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any

from peewee import fn

from data.operations.actors import Acting
from data.operations.applications.findings import check_applications
from data.operations.certificates.findings import check_certificates
from data.operations.certificates.listing import count_live_certificates
from data.operations.guards import require_permission, why_not
from data.operations.signin.password_guessing import guessed_now
from data.operations.users.queries import pending_since_before, people_in
from data.operations.users.user_counts import (
    AccountCounts,
    count_in_largest_practices,
    count_users,
)
from data.operations.users.user_search import COUNTED
from data.rules.audit_events import FAILED_DELIVERIES, REFUSED_FACTORS, Event
from data.rules.deadline import Demand, days_until, demand_of
from data.rules.doctor import Finding, Level, judge_guessed, judge_policy
from data.rules.domain_types import ADMIN_ROLES, Method, Mode, Role, Status
from data.rules.permissions import Action, SensitiveAction
from data.rules.user_status import Counts, Standing
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
        """The share of people with two-factor authentication, in thousandths rounded down: 1 is all."""
        return 1_000 * self.enabled // self.total / 1_000 if self.total else 0.0

    @property
    def percent_enabled(self) -> int:
        """The same in percent, and at least 1 unless it is nobody."""
        return max(100 * self.enabled // self.total, 1) if self.enabled else 0

    @property
    def by_status(self) -> tuple[int, int, int, int]:
        """The counts in the order in which they are shown."""
        return self.enabled, self.pending, self.no, self.locked


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

    SUSPENDED_APPLICATION = "suspended_application"
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
    check-up found it, as it does for a suspended application.
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

    `practices` are the largest of `practice_count`, the largest first; `roles` are those that someone holds.
    `deadline` is that of the mode while it is ahead, and `days_left` how many days are left until then.
    `days` are the last `DAYS`, oldest first; `attention` has the most urgent first. `certificates` counts the
    live ones. `may_add` says whether
    the actor may add people.
    """

    mode: Mode
    counts: StatusCounts
    practices: tuple[Group, ...]
    practice_count: int
    roles: tuple[Group, ...]
    days: tuple[Day, ...]
    attention: tuple[Attention, ...]
    may_add: bool
    deadline: datetime | None = None
    days_left: int | None = None
    certificates: int = 0


@require_permission(Action.SEE_PEOPLE)
def show_overview(acting: Acting) -> Overview:
    """Read how far the actor's account is; this costs the same however many users there are."""
    account = models.Account.get_by_id(acting.account_id)
    demand = demand_of(acting.policy, acting.tx.now)
    kept = count_users(acting.account_id, demand)
    practices = [
        Group(name, count_statuses(demand, counts))
        for name, counts in count_in_largest_practices(acting.account_id, PRACTICES, demand)
    ]
    roles = {role: count_statuses(demand, counts) for role, counts in kept.roles.items()}
    events = _count_events(acting)
    of_applications = check_applications(acting, account.name)
    suspended = [finding for finding in of_applications if finding.level is Level.PROBLEM]
    return Overview(
        mode=demand.mode,
        counts=count_statuses(demand, kept.users),
        practices=tuple(sorted(practices, key=lambda group: (-group.counts.total, group.name.lower()))),
        practice_count=models.Practice.select().where(models.Practice.account == account.id).count(),
        roles=tuple(Group(role.label, counts) for role, counts in roles.items() if counts.total),
        days=tuple(_days(acting, events)),
        attention=(
            *(Attention(Concern.SUSPENDED_APPLICATION, 1, finding=finding) for finding in suspended),
            *_about_people(acting, account, kept, roles),
            *_about_deliveries(acting, events),
            *(
                Attention(Concern.DOCTOR, 1, finding=finding)
                for finding in (*of_applications, *_findings(acting, account))
                if finding not in suspended
            ),
        ),
        may_add=why_not(acting, SensitiveAction.EMPOWER_PEOPLE) is None,
        deadline=demand.deadline,
        days_left=days_until(acting.policy, acting.tx.now),
        certificates=count_live_certificates(acting.tx, account.id),
    )


def count_statuses(demand: Demand, counts: Counts) -> StatusCounts:
    """Count people by the status that each standing is shown as."""
    pending = counts.shown_as(demand, Status.PENDING)
    return StatusCounts(
        enabled=counts[Standing.ENROLLED],
        pending=pending,
        no=counts[Standing.OBLIGED] + counts[Standing.FREE] - pending,
        locked=counts[Standing.LOCKED],
    )


def _count_events(acting: Acting) -> dict[tuple[date, str], int]:
    """Read how often each counted event was recorded on each of the days that are shown."""
    table = models.EventCount
    today = models.day_number(acting.tx.now)
    counted: Any = (
        table.select(table.day, table.event, fn.SUM(table.count))
        .where((table.account_id == acting.account_id) & table.day.between(today - DAYS + 1, today))
        .group_by(table.day, table.event)
    )
    return {(models.day_date(day), event): int(count) for day, event, count in counted.tuples()}


def _days(acting: Acting, events: Mapping[tuple[date, str], int]) -> Iterator[Day]:
    today = models.day_number(acting.tx.now)
    for number in range(today - DAYS + 1, today + 1):
        day = models.day_date(number)
        refused = sum(events.get((day, event), 0) for event in REFUSED_FACTORS)
        yield Day(day, events.get((day, Event.SIGNED_IN), 0), refused)


def _about_people(
    acting: Acting, account: models.Account, kept: AccountCounts, roles: Mapping[Role, StatusCounts]
) -> Iterator[Attention]:
    if locked := kept.users[Standing.LOCKED]:
        yield Attention(Concern.LOCKED, locked)
    before = acting.tx.now - PENDING_FOR
    if pending := _count_pending(account, before):
        more = pending > COUNTED
        yield Attention(Concern.PENDING_LONG, min(pending, COUNTED), more, pending_before=before)
    for role in sorted(ADMIN_ROLES):
        if without := roles[role].pending + roles[role].no:
            yield Attention(Concern.ADMIN_WITHOUT_FACTOR, without, role=role)
    for role in sorted(ADMIN_ROLES):
        if roles[role].total == 1:
            yield Attention(Concern.ALONE_IN_ROLE, 1, role=role)
    if kept.few_codes:
        yield Attention(Concern.FEW_RECOVERY_CODES, kept.few_codes)


def _count_pending(account: models.Account, before: datetime) -> int:
    """Count the people who have been pending since before a moment, and no more than it takes to say so."""
    table = models.User
    found = table.select(table.id).where(pending_since_before(account, before))
    return int(found.limit(COUNTED + 1).count())


def _about_deliveries(acting: Acting, events: Mapping[tuple[date, str], int]) -> Iterator[Attention]:
    today = models.day_number(acting.tx.now)
    days = [models.day_date(today - number) for number in range(DELIVERY_DAYS)]
    for event in FAILED_DELIVERIES:
        if failed := sum(events.get((day, event), 0) for day in days):
            yield Attention(Concern.FAILED_DELIVERIES, failed, event=event)


def _findings(acting: Acting, account: models.Account) -> Iterator[Finding]:
    """Return what a check-up finds wanting at the account and, as of its last round, at the installation.

    The rest of what it finds at an account are concerns of their own.
    """
    unsendable = acting.policy.methods - {Method.APP} - acting.tx.services.sends
    listed = tuple(method for method in Method if method in unsendable)
    of_policy = judge_policy(account.name, acting.policy.mode, listed)
    user = models.User
    here = (user.account == account.id) & user.active
    guessed = people_in(user.select().where(here & user.id.in_(guessed_now(acting.tx))))
    of_people = judge_guessed(account.name, guessed)
    of_certificates = check_certificates(acting, account)
    for finding in (*of_people, *of_policy, *of_certificates, *acting.tx.services.check_up.findings):
        if finding.level is not Level.FINE:
            yield finding
