"""A user's standing, whatever the mode; the mode turns it into the status that tables show.

It is stored with the user, so that tables are filtered by status through an index in any mode.
"""

from datetime import datetime
from enum import StrEnum

from data.rules.domain_types import Mode, Status, UserFacts


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


def status_of(mode: Mode, standing: Standing) -> Status:
    """Return the status that tables show for a standing."""
    if standing is Standing.DEACTIVATED:
        return Status.DEACTIVATED
    if standing is Standing.LOCKED:
        return Status.LOCKED
    if mode is Mode.OFF:
        return Status.NOT_AVAILABLE
    if standing is Standing.ENROLLED:
        return Status.ENABLED
    everyone = mode in (Mode.REQUIRED, Mode.PERMANENT)
    return Status.PENDING if everyone or standing is Standing.OBLIGED else Status.NO


def standings(mode: Mode, status: Status | None) -> list[Standing]:
    """Return the standings that are shown as a status; all of them for None."""
    return [standing for standing in Standing if status in {None, status_of(mode, standing)}]


def pending_since_before(
    when: datetime, mode: Mode, *, on_since: datetime | None, required_since: datetime | None
) -> list[Standing]:
    """Return the standings with which users have been pending since before a moment, if they had them then.

    `on_since` is when the mode last left `off`, and `required_since` when it last began to require two-factor
    authentication of everyone; None is long ago.
    """
    asked_since = {Standing.OBLIGED: on_since, Standing.FREE: required_since}
    pending = [standing for standing in standings(mode, Status.PENDING) if standing in asked_since]
    return [standing for standing in pending if (asked_since[standing] or when) <= when]
