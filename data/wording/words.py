"""What sentences are made of: moments, roles, modes, numbers of things; and a question before an act."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from data.rules.domain_types import Mode, Role
from data.rules.policy import ATTEMPTS

_SHORT_ROLES = {Role.SUPPORT: "support", Role.SYSTEM_ADMIN: "system", Role.SECURITY_ADMIN: "security"}

NAMED = 8
"""How many users a text about many names; the others are counted."""

SET_UP_TITLE = "Set up Two-Factor Authentication"

HOW_IT_WORKS = (
    "Beside your password or SSH key: a code that only your phone shows.",
    "Asked when you sign in. A code is good once, for about a minute.",
    f"{ATTEMPTS} wrong codes in a row lock you. A system administrator unlocks.",
    "Phone lost? Type a recovery code instead, or ask an administrator.",
)
"""What everyone should know of two-factor authentication here, one sentence a line."""

MODE_WORDS = {
    Mode.OFF: "Off: nobody is asked for a code, enrolled or not.",
    Mode.OPTIONAL: "Optional: people choose, unless they hold a role or it is required of them.",
    Mode.REQUIRED: "Required: everyone sets it up at their next sign-in.",
    Mode.PERMANENT: "Permanent: required of everyone, and never to be left again.",
}


def moment(at: datetime | None, otherwise: str = "never") -> str:
    """Write a moment to the minute, in UTC and saying so."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else otherwise


def day(at: datetime | None, otherwise: str = "never") -> str:
    """Write the day of a moment in UTC."""
    return f"{at:%Y-%m-%d}" if at else otherwise


def roles_in_short(roles: AbstractSet[Role]) -> str:
    """Name roles by one word each, in the order of their definition."""
    return " ".join(_SHORT_ROLES[role] for role in Role if role in roles)


def roles_in_words(roles: AbstractSet[Role]) -> str:
    """Name roles in full."""
    return ", ".join(role.label for role in Role if role in roles) or "none"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """Name the first of many and count the others."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


@dataclass(frozen=True, slots=True)
class Question:
    """What will happen, in words, and the word that does it."""

    title: str
    body: str
    yes: str
