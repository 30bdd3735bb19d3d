"""Hashing of passwords and recovery codes: salted argon2id (RFC 9106)."""

import base64
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_SALT_BYTES, _DIGEST_BYTES = 16, 32
_LONGEST = 256
"""Characters that are read; a longer secret never verifies."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """argon2id's cost: passes, memory in KiB, lanes."""

    passes: int = 2
    memory: int = 19_456
    lanes: int = 1


DIGEST_CHARACTERS = 66
"""The end of every hash, after its cost: 22 characters of salt, a dollar sign, 43 of digest."""

RECOVERY_COST = HashCost(passes=1, memory=8_192)
"""A recovery code holds 60 random bits, so it needs no more stretching than this."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a password was right; `renewed` is its new hash if the stored one has another cost."""

    right: bool
    renewed: str | None = field(default=None, repr=False)


class Hasher:
    """Hashes at one cost; verifies hashes of any cost."""

    def __init__(self, cost: HashCost) -> None:
        self._cost = cost
        self._written_cost = f"$argon2id$v=19$m={cost.memory},t={cost.passes},p={cost.lanes}$"
        # In the PHC string format, as argon2 writes it; salt and digest are random, so nothing is computed.
        self.decoy = _decoy(self._written_cost)
        """A hash to verify against if there is none, so that unknown users cost the same."""

    def hash(self, secret: str) -> str:
        """Hash a secret under a new salt."""
        argon2 = Argon2id(
            salt=secrets.token_bytes(_SALT_BYTES),
            length=_DIGEST_BYTES,
            iterations=self._cost.passes,
            lanes=self._cost.lanes,
            memory_cost=self._cost.memory,
        )
        return argon2.derive_phc_encoded(_encode(secret))

    def verify(self, stored: str, secret: str) -> bool:
        """Compare a secret with a hash, always at the cost of one hash; a damaged hash never verifies."""
        try:
            Argon2id.verify_phc_encoded(_encode(secret[:_LONGEST]), stored)
        except (InvalidKey, ValueError, MemoryError):
            return False
        return 0 < len(secret) <= _LONGEST

    def verify_and_renew(self, stored: str, secret: str) -> Verified:
        """Compare a password with a hash, and hash it again if it is right and the cost has changed."""
        if not self.verify(stored, secret):
            return Verified(right=False)
        has_cost = stored[:-DIGEST_CHARACTERS] == self._written_cost
        return Verified(right=True, renewed=None if has_cost else self.hash(secret))


class CostsInUse:
    """How many users have a hash of each cost."""

    def __init__(self) -> None:
        self.counted_at: datetime | None = None
        self._users: tuple[tuple[str, int], ...] = ()

    def count(self, users: Iterable[tuple[str, int]], at: datetime) -> None:
        """Set the number of users for each cost, in a stable order; a cost is the beginning of a hash."""
        self._users, self.counted_at = tuple(users), at

    def decoy(self, share: float) -> str | None:
        """Return a hash that no password matches, at the cost of the user at this share (0 to 1) of all."""
        left = share * sum(users for _, users in self._users)
        for cost, users in self._users:
            left -= users
            if left < 0:
                return _decoy(cost)
        return None


def decoy_like(stored: str) -> str:
    """Return a hash that no password matches, at the cost of another hash."""
    return _decoy(stored[:-DIGEST_CHARACTERS])


def _decoy(cost: str) -> str:
    return f"{cost}{_random(_SALT_BYTES)}${_random(_DIGEST_BYTES)}"


def _random(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")


def _encode(secret: str) -> bytes:
    """Encode in normal form KC (NIST SP 800-63B-4): the same characters, however a system composes them."""
    return unicodedata.normalize("NFKC", secret).encode("utf-8", "surrogatepass")
