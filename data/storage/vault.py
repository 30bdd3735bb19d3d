"""Sealing of secrets at rest: AES-256-GCM under the master key."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_ID_BYTES = 8
_UNNAMED = b"\x01"
"""The first byte of a sealed value that does not name its key, as the first versions wrote all of them."""
_NAMED = b"\x02"
"""The first byte of a sealed value that names its key."""

_BUCKETS = 4096
_BACKUP_LABEL = b"twofold backups"
_DIGEST_LABELS = (b"twofold first-factor buckets", b"twofold sent codes")

Ring = tuple[bytes, ...]
"""The valid master keys, oldest first: one, or two during a rotation."""


class SealBrokenError(Exception):
    """A sealed value cannot be opened: another master key, another owner, or damage."""


class UnknownKeyError(SealBrokenError):
    """A value is sealed, or must be sealed, under a master key that is not in the ring."""


@dataclass(frozen=True, slots=True)
class _MasterKey:
    raw: bytes = field(repr=False)
    id: bytes
    check: str
    cipher: AESGCM = field(repr=False)


class Vault:
    """Seals and opens secrets; each is bound to its owner and its place by the associated data.

    `reread` fetches the ring again when a value names a key that is not in it, or returns nothing if it
    cannot be read: so a running process follows a rotation.
    """

    def __init__(self, *ring: bytes, reread: Callable[[], Ring] | None = None) -> None:
        self._keys = _keys_of(ring)
        self._reread = reread
        self.use_digest_keys(self.digest_keys_of(self._keys[0].check))

    @property
    def check_value(self) -> str:
        """The check value of the newest key; it reveals nothing about the key."""
        return self._keys[-1].check

    def holds(self, check: str) -> bool:
        """Whether the key with this check value is in the ring, as it was read or as it is now."""
        try:
            self._key(lambda key: key.check == check)
        except UnknownKeyError:
            return False
        return True

    def seal(self, secret: bytes, *, user_id: int, factor_id: int, under: str | None = None) -> bytes:
        """Encrypt a secret for one factor of one user, under the key with this check value."""
        return self.seal_at(_place(user_id, factor_id), secret, under)

    def open(self, sealed: bytes, *, user_id: int, factor_id: int) -> bytes:
        """Decrypt a factor's secret.

        Raises:
            SealBrokenError: when it was not sealed for this factor of this user.
        """
        return self.open_at(_place(user_id, factor_id), sealed)

    def seal_at(self, place: str, secret: bytes, under: str | None = None) -> bytes:
        """Encrypt a secret for the one place where it is kept.

        Raises:
            UnknownKeyError: when the key to seal it under is not in the ring.
        """
        key = self._keys[-1] if under is None else self._key(lambda key: key.check == under)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _NAMED + key.id + nonce + key.cipher.encrypt(nonce, secret, _binding(place))

    def open_at(self, place: str, sealed: bytes) -> bytes:
        """Decrypt a value that was sealed for a place.

        Raises:
            UnknownKeyError: when it names a key that is not in the ring.
            SealBrokenError: when it was not sealed for this place, or is damaged.
        """
        form, named = sealed[:1], sealed[1:]
        if form == _NAMED:
            key = self._key(lambda key: key.id == named[:_ID_BYTES])
            return _opened(key, place, named[_ID_BYTES:])
        if form != _UNNAMED:
            raise SealBrokenError("unknown seal version")
        for key in self._keys[:-1]:
            try:
                return _opened(key, place, named)
            except SealBrokenError:
                continue
        return _opened(self._keys[-1], place, named)

    def digest_code(self, code: str, *, user_id: int, purpose: str) -> str:
        """Hash a sent code with a key: without one, six digits could be guessed from the hash."""
        bound = f"{user_id}:{purpose}:{code}".encode("utf-8", "replace")
        return hmac.digest(self._code_key, bound, sha256).hex()

    def digest_authorisation(self, code: str) -> str:
        """Hash an authorisation code with a key; the stored hash is used to look it up."""
        return hmac.digest(self._code_key, f"authorisation:{code}".encode(), sha256).hex()

    def bucket(self, username: str) -> int:
        """Return one of 4096 buckets for a typed name.

        Failures are counted per bucket, from which the name cannot be recovered: people type passwords
        where a name belongs, so an unknown name is never stored.
        """
        digest = hmac.digest(self._bucket_key, username.encode("utf-8", "replace"), sha256)
        return int.from_bytes(digest[:2]) % _BUCKETS

    def share(self, bucket: int) -> float:
        """Return what share of all buckets comes before this one, from 0 to less than 1."""
        return bucket / _BUCKETS

    def is_under(self, sealed: bytes, check: str) -> bool:
        """Whether a value names the key with this check value as the one that it is sealed under."""
        key = self._key(lambda key: key.check == check)
        return sealed.startswith(_NAMED + key.id)

    def digest_keys_of(self, check: str) -> bytes:
        """Return the digest keys that an installation derives from its first master key."""
        raw = self._key(lambda key: key.check == check).raw
        return b"".join(hmac.digest(raw, label, sha256) for label in _DIGEST_LABELS)

    def backup_hash(self, check: str) -> hmac.HMAC:
        """Begin the keyed hash over a backup, under the key with this check value.

        Raises:
            UnknownKeyError: when that key is not in the ring.
        """
        raw = self._key(lambda key: key.check == check).raw
        return hmac.new(hmac.digest(raw, _BACKUP_LABEL, sha256), digestmod=sha256)

    def use_digest_keys(self, keys: bytes) -> None:
        """Use these digest keys from now on: they stay the same whatever the master key is."""
        self._bucket_key, self._code_key = keys[:KEY_BYTES], keys[KEY_BYTES:]

    def _key(self, wanted: Callable[[_MasterKey], bool]) -> _MasterKey:
        """Find a key in the ring, as it was read or as it is now."""
        found = next(filter(wanted, self._keys), None)
        if found is None and self._reread is not None and (ring := self._reread()):
            self._keys = _keys_of(ring)
            found = next(filter(wanted, self._keys), None)
        if found is None:
            raise UnknownKeyError("sealed under a master key that is not here")
        return found


def check_value_of(key: bytes) -> str:
    """Return the check value of a master key; it reveals nothing about the key."""
    return hmac.digest(key, b"twofold key check", sha256)[:16].hex()


def _keys_of(ring: Ring) -> tuple[_MasterKey, ...]:
    if not ring or any(len(key) != KEY_BYTES for key in ring):
        raise ValueError("A master key has 32 bytes.")
    return tuple(
        _MasterKey(
            key,
            hmac.digest(key, b"twofold key id", sha256)[:_ID_BYTES],
            check_value_of(key),
            AESGCM(key),
        )
        for key in ring
    )


def _opened(key: _MasterKey, place: str, sealed: bytes) -> bytes:
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return key.cipher.decrypt(nonce, ciphertext, _binding(place))
    except (InvalidTag, ValueError):
        raise SealBrokenError("a sealed secret does not open under this master key") from None


def _place(user_id: int, factor_id: int) -> str:
    return f"user:{user_id}:factor:{factor_id}"


def _binding(place: str) -> bytes:
    return f"twofold:{place}".encode()
