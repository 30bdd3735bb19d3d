"""Where a user stands, whatever the mode; the mode turns it into the status that tables show.

It is stored beside the user, so that a table is filtered by status through an index, whatever the
account's mode.
"""

from enum import StrEnum

from data.rules.domain_types import Mode, Status, UserFacts


class Standing(StrEnum):
    """Where a user stands; the first that applies."""

    DEACTIVATED = "deactivated"
    LOCKED = "locked"
    ENROLLED = "enrolled"
    OBLIGED = "obliged"
    """Not enrolled, and must be in any mode but `off`."""
    FREE = "free"


def standing_of(user: UserFacts) -> Standing:
    """Say where a user stands."""
    if not user.active:
        return Standing.DEACTIVATED
    if user.locked:
        return Standing.LOCKED
    if user.enrolled:
        return Standing.ENROLLED
    return Standing.OBLIGED if user.must_set_up else Standing.FREE


def status_of(mode: Mode, standing: Standing) -> Status:
    """Name the status that tables show for someone who stands so."""
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
    """Name the standings that are shown as a status; all of them for None."""
    return [standing for standing in Standing if status in {None, status_of(mode, standing)}]
