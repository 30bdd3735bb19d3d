"""A user's standing, whatever the policy; what the policy demands turns it into the status that tables show.

It is stored with the user, so that tables are filtered by status through an index under any policy. It does
not depend on the time: a deadline or days of grace that end change how a standing is shown, and no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from data.rules.deadline import Demand, demand_of
from data.rules.domain_types import NEVER, Mode, Policy, Status, UserFacts


class Standing(StrEnum):
    """A user's standing; the first that applies."""

    DEACTIVATED = "deactivated"
    LOCKED = "locked"
    ENROLLED = "enrolled"
    OBLIGED = "obliged"
    """Not enrolled, and must enrol in any mode but `off`."""
    FREE = "free"


def standing_of(user: UserFacts) -> Standing:
    """Return a user's standing."""
    if not user.active:
        return Standing.DEACTIVATED
    if user.locked:
        return Standing.LOCKED
    if user.enrolled:
        return Standing.ENROLLED
    return Standing.OBLIGED if user.must_set_up else Standing.FREE


def status_of(demand: Demand, standing: Standing, grace_from: datetime = NEVER) -> Status:
    """Return the status that tables show for a standing."""
    if standing is Standing.DEACTIVATED:
        return Status.DEACTIVATED
    if standing is Standing.LOCKED:
        return Status.LOCKED
    if demand.mode is Mode.OFF:
        return Status.NOT_AVAILABLE
    if standing is Standing.ENROLLED:
        return Status.ENABLED
    return Status.PENDING if standing is Standing.OBLIGED or demand.is_of(grace_from) else Status.NO


def standings(demand: Demand, status: Status | None) -> list[Standing]:
    """Return the standings that are shown as a status, to all users or to some; all of them for None."""
    return [standing for standing in Standing if status is None or status in _shown(demand, standing)]


def is_split(demand: Demand, status: Status | None) -> bool:
    """Whether only some of the users with one of those standings are shown so: days of grace decide."""
    return demand.grace_after is not None and status in (Status.NO, Status.PENDING)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many users have each standing; `spared` are those of the free whom days of grace spare now."""

    standings: Mapping[Standing, int]
    spared: int = 0

    def __getitem__(self, standing: Standing) -> int:
        """Return how many users have a standing."""
        return self.standings.get(standing, 0)

    def shown_as(self, demand: Demand, status: Status) -> int:
        """Return how many users are shown with a status."""
        shown = sum(self[standing] for standing in Standing if status_of(demand, standing) is status)
        spared = self.spared if demand.grace_after is not None else 0
        return shown + {Status.NO: spared, Status.PENDING: -spared}.get(status, 0)


def pending_since_before(
    when: datetime, policy: Policy, *, on_since: datetime | None, required_since: datetime | None
) -> tuple[Demand, list[Standing]]:
    """Return the standings with which users have been pending since before a moment, if they had them then.

    Of the free, days of grace that the demand of that moment spares are left out. `on_since` is when the
    mode last left `off`, and `required_since` when it last became `required`; None is long ago.
    """
    demand = demand_of(replace(policy, seen_at=NEVER), when)
    asked_since = {Standing.OBLIGED: on_since, Standing.FREE: required_since}
    pending = [standing for standing in standings(demand, Status.PENDING) if standing in asked_since]
    return demand, [standing for standing in pending if (asked_since[standing] or when) <= when]


def _shown(demand: Demand, standing: Standing) -> set[Status]:
    shown = {status_of(demand, standing)}
    return shown | {Status.NO} if standing is Standing.FREE and demand.grace_after is not None else shown
