"""The parts of sentences: times, roles, modes and counts; and the question before an action."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from data.rules.deadline import Demand, days_in_words
from data.rules.domain_types import Mode, Role

_SHORT_ROLES = {Role.SUPPORT: "support", Role.SYSTEM_ADMIN: "system", Role.SECURITY_ADMIN: "security"}

NAMED = 8
"""How many names a text lists; it counts the others."""

SET_UP_TITLE = "Set up Two-Factor Authentication"
SIGNED_OUT = "Signed out."
WRONG_NAME_OR_PASSWORD = "Wrong user name or password."  # noqa: S105 - no password.
"""The same for an unknown user, a wrong password and a deactivated user."""

END_WARNING = timedelta(minutes=5)
"""How long before a session ends its user is warned, active or not."""

HOW_IT_WORKS = (
    "In addition to your password or SSH key, you enter a code from your phone.",
    "Each code works once, for about a minute.",
    "Seven wrong codes in a row lock you out; ask a system administrator.",
    "Lost your phone? Enter a recovery code, or ask an administrator.",
)
"""What everyone should know about two-factor authentication, one point a line."""

MODE_WORDS = {
    Mode.OFF: "Off: no one is asked for a code.",
    Mode.OPTIONAL: "Optional: people choose; required for administrators and selected users.",
    Mode.REQUIRED: "Required: everyone sets it up at their next sign-in.",
    Mode.PERMANENT: "Permanent: required for everyone. This cannot be undone.",
}


def mode_words(demand: Demand) -> str:
    """Return what a mode means, and until when it asks for nothing if its deadline is ahead."""
    if demand.deadline is None:
        return MODE_WORDS[demand.mode]
    return f"Required from {day(demand.deadline)}: everyone must set it up by then."


def days_left(days: int) -> str:
    """Tell users how long they can put off setting up two-factor authentication."""
    return f"{days_in_words(days)}."


def left_in_brackets(days: int | None) -> str:
    """Return what to add to a user's status about the days left; empty if there is no limit."""
    return "" if days is None else f" ({counted(days, 'day')} left to set it up)"


def moment(at: datetime | None, otherwise: str = "never") -> str:
    """Return a time to the minute, marked as UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else otherwise


def day(at: datetime | None, otherwise: str = "never") -> str:
    """Return the UTC date of a time."""
    return f"{at:%Y-%m-%d}" if at else otherwise


def roles_in_short(roles: AbstractSet[Role]) -> str:
    """Return one word for each role, in the order of their definition."""
    return " ".join(_SHORT_ROLES[role] for role in Role if role in roles)


def roles_in_words(roles: AbstractSet[Role]) -> str:
    """Return the full names of roles, or "none"."""
    return ", ".join(role.label for role in Role if role in roles) or "none"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """Return the first names of a list and the number of the others."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


@dataclass(frozen=True, slots=True)
class Question:
    """What will happen, and the labels of the buttons that confirm it and leave it."""

    title: str
    body: str
    yes: str
    no: str = "Cancel"


def ends_soon(left: timedelta) -> str:
    """Warn that a session ends after this time, of which the warning comes `END_WARNING` before."""
    minutes = counted(ceil(min(left, END_WARNING) / timedelta(minutes=1)), "minute")
    return f"This session ends in {minutes}. To avoid an interruption, sign out and sign in again."
