"""Sealing of secrets at rest: AES-256-GCM under the master key."""

import hmac
import secrets
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class SealBrokenError(Exception):
    """A sealed value does not open: another master key, another owner, or damage."""


class Vault:
    """Seals and opens secrets; each is bound to its owner and its place by the associated data."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError("A master key has 32 bytes.")
        self._cipher = AESGCM(master_key)
        self._bucket_key = hmac.digest(master_key, b"twofold first-factor buckets", sha256)
        self._code_key = hmac.digest(master_key, b"twofold sent codes", sha256)
        self.check_value = hmac.digest(master_key, b"twofold key check", sha256)[:16].hex()

    def seal(self, secret: bytes, *, user_id: int, factor_id: int) -> bytes:
        """Encrypt a secret for one factor of one user."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, _binding(user_id, factor_id))

    def open(self, sealed: bytes, *, user_id: int, factor_id: int) -> bytes:
        """Decrypt a factor's secret.

        Raises:
            SealBrokenError: when it was not sealed under this key for this factor of this user.
        """
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise SealBrokenError("unknown seal version")
            return self._cipher.decrypt(nonce, ciphertext, _binding(user_id, factor_id))
        except (InvalidTag, ValueError):
            raise SealBrokenError("a sealed secret does not open under this master key") from None

    def digest_code(self, code: str, *, user_id: int, purpose: str) -> str:
        """Hash a sent code under a key: six digits would not withstand a hash without one."""
        bound = f"{user_id}:{purpose}:{code}".encode("utf-8", "replace")
        return hmac.digest(self._code_key, bound, sha256).hex()

    def digest_authorisation(self, code: str) -> str:
        """Hash an authorisation code under a key: it is looked up by what is stored of it."""
        return hmac.digest(self._code_key, f"authorisation:{code}".encode(), sha256).hex()

    def bucket(self, username: str) -> int:
        """Return one of 4096 buckets for a typed name.

        Failures are counted per bucket, which cannot be read back: people type passwords where a
        name belongs, so an unknown name is stored nowhere.
        """
        digest = hmac.digest(self._bucket_key, username.encode("utf-8", "replace"), sha256)
        return int.from_bytes(digest[:2]) % 4096


def _binding(user_id: int, factor_id: int) -> bytes:
    return f"twofold:user:{user_id}:factor:{factor_id}".encode()
