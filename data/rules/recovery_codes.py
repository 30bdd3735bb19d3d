"""Recovery and temporary codes, of four groups of four characters from Crockford's base32.

The first group is the selector, which finds the stored code without hashing; the other three,
60 random bits, are the secret.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: without I, L, O and U."""
CODES = 5
"""Recovery codes of a set."""
TEMPORARY_HOURS = 24
"""How long a temporary code is good by default."""
MAX_TEMPORARY_HOURS = 72
SETS_PER_HOUR = 10
"""Sets of codes that a user can get within an hour."""
GROUPS = 4
GROUP_LENGTH = 4
LENGTH = GROUPS * GROUP_LENGTH
FEW_LEFT = 2
"""At this number or fewer, a sign-in says how many are left."""

_FOLD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """The parts of a recovery code."""

    selector: str
    secret: str = field(repr=False)


def from_random(raw: bytes) -> str:
    """Turn at least 16 random bytes into a code of four groups joined by dashes."""
    symbols = "".join(ALPHABET[byte % 32] for byte in raw[:LENGTH])
    return "-".join(symbols[start : start + GROUP_LENGTH] for start in range(0, LENGTH, GROUP_LENGTH))


def temporary_end(now: datetime, hours: int) -> datetime:
    """Return when a temporary code that is made now expires.

    `hours` beyond 1 and `MAX_TEMPORARY_HOURS` count as these.
    """
    return now + timedelta(hours=min(max(hours, 1), MAX_TEMPORARY_HOURS))


def parse(typed: str) -> RecoveryCode | None:
    """Read a typed code: any case, with or without dashes and spaces, O read as 0, I and L as 1."""
    folded = typed.strip().upper().translate(_FOLD)
    if len(folded) != LENGTH or any(symbol not in ALPHABET for symbol in folded):
        return None
    return RecoveryCode(folded[:GROUP_LENGTH], folded[GROUP_LENGTH:])
