"""Hashing of passwords and recovery codes: salted argon2id (RFC 9106)."""

import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_LONGEST = 256
"""Characters that are looked at; a longer secret never verifies."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """argon2id's cost: passes, memory in KiB, lanes."""

    passes: int = 2
    memory: int = 19_456
    lanes: int = 1


RECOVERY_COST = HashCost(passes=1, memory=8_192)
"""A recovery code holds 60 random bits, so it needs no stretching beyond this."""


class Hasher:
    """Hashes at one cost; verifies hashes of any cost."""

    def __init__(self, cost: HashCost) -> None:
        self._argon2 = PasswordHasher(cost.passes, cost.memory, cost.lanes)
        self.decoy = self._argon2.hash(b"")
        """A hash to verify against where there is none, so that unknown users cost the same."""

    def hash(self, secret: str) -> str:
        """Hash a secret under a new salt."""
        return self._argon2.hash(_encode(secret))

    def verify(self, stored: str, secret: str) -> bool:
        """Compare a secret with a hash, always at the cost of one hash; a damaged hash verifies nothing."""
        try:
            return self._argon2.verify(stored, _encode(secret[:_LONGEST])) and 0 < len(secret) <= _LONGEST
        except (VerificationError, InvalidHashError):
            return False


def _encode(secret: str) -> bytes:
    """Encode in normal form KC (NIST SP 800-63B-4): the same characters, however a system composes them."""
    return unicodedata.normalize("NFKC", secret).encode("utf-8", "surrogatepass")
