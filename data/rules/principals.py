"""Principals: the names that a user's certificates include, as which hosts then let the user in.

OpenSSH compares them with the name that somebody signs in as, or with the lines of a host's
`AuthorizedPrincipalsFile`.
"""

import re
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

ALWAYS_RESERVED = frozenset({"root"})
MOST_PRINCIPALS = 50
"""How many a user can be given, and as many a practice; sshd reads at most 256 in a certificate."""
LENGTH = 64
_FORM = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._@+-]{{0,{LENGTH - 1}}}\Z")
RULE = (
    f"A principal has 1 to {LENGTH} of a-z, A-Z, 0-9, dot, underscore, dash, plus and @, and starts with a "
    "letter, a digit or an underscore."
)


@dataclass(frozen=True, slots=True)
class Given:
    """A principal that was given to a user or a practice; `by_operator` says that the operator gave it."""

    principal: str
    by_operator: bool


def read_principal(typed: str) -> str | None:
    """Return a typed principal without the white space around it; None if its form is wrong.

    Its case is kept, because hosts compare with it.
    """
    stripped = typed.strip() if len(typed) <= 2 * LENGTH else ""
    return stripped if _FORM.match(stripped) else None


def reserved_names(listed: Iterable[str]) -> frozenset[str]:
    """Return the names that the operator alone gives: those listed in the settings, and always root."""
    return ALWAYS_RESERVED | {name.strip().lower() for name in listed}


def is_reserved(principal: str, reserved: AbstractSet[str]) -> bool:
    """Whether a principal is reserved in any case of its letters: some hosts ignore it."""
    return principal.lower() in reserved


def counts(given: Given, reserved: AbstractSet[str]) -> bool:
    """Whether certificates include a given principal: a reserved one only if the operator gave it."""
    return given.by_operator or not is_reserved(given.principal, reserved)


def effective(name: str, given: Iterable[Given], reserved: AbstractSet[str]) -> frozenset[str]:
    """Return the principals of a user: the name, as if given by an administrator, and those given."""
    all_of_them = (Given(name, by_operator=False), *given)
    return frozenset(each.principal for each in all_of_them if counts(each, reserved))


def why_not_more(held: Collection[object]) -> str | None:
    """Return why whoever was given these cannot be given another principal, or None."""
    full = len(held) >= MOST_PRINCIPALS
    return f"At most {MOST_PRINCIPALS} principals can be given. Remove one first." if full else None
