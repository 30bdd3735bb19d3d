"""AES-GCM (RFC 5647) with fewer copies of a packet, and one cipher for all packets of a key.

asyncssh makes a cipher for each packet, and cuts off and joins the tag again, which takes as long as to
encrypt.
"""

from functools import cached_property
from struct import Struct
from typing import Any, Final, cast

from asyncssh import encryption
from asyncssh.crypto import cipher
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_BYTES: Final = 16
_NONCE: Final = Struct(">4sQ")
_INVOCATIONS: Final = 1 << 64


class OneGCM(cipher.GCMCipher):
    """Keeps its cipher, which belongs to one direction and one key."""

    @cached_property
    def _aead(self) -> AESGCM:
        return AESGCM(self._key)

    def _update_iv(self) -> None:
        fixed, invocation = _NONCE.unpack(self._iv)
        self._iv = _NONCE.pack(fixed, (invocation + 1) % _INVOCATIONS)

    def encrypt_and_sign(self, header: bytes, data: bytes) -> tuple[bytes, bytes]:
        """Return the header, the ciphertext and its tag in one piece; asyncssh joins both parts anyway."""
        sealed = header + self._aead.encrypt(self._iv, data, header)
        self._update_iv()
        return sealed, b""

    def seal_into(self, header: bytes, data: bytes, sealed: memoryview) -> None:
        """Write the ciphertext and its tag to `sealed`, which is as long as both."""
        self._aead.encrypt_into(self._iv, data, header, sealed)
        self._update_iv()

    def verify_and_decrypt(self, header: bytes, data: bytes, mac: bytes) -> bytes | None:
        """Return the packet; None if its tag is wrong, which ends the connection."""
        packet = self.look_at(header, data + mac)
        self.go_on()
        return packet

    def look_at(self, header: bytes | memoryview, sealed: bytes | memoryview) -> bytes | None:
        """Return the packet that comes next; None if its tag is wrong."""
        try:
            return self._aead.decrypt(self._iv, sealed, header)
        except InvalidTag:
            return None

    def go_on(self) -> None:
        """Have the packet after it come next."""
        self._update_iv()


def cipher_of(direction: object) -> OneGCM | None:
    """Return the cipher of one direction of a connection, if it is AES-GCM."""
    found = getattr(direction, "_cipher", None)
    return found if isinstance(found, OneGCM) else None


def install() -> None:
    """Use it for every connection of this process, on both sides.

    Raises:
        AttributeError: when the installed asyncssh is not the version that this was written for.
    """
    _ = cast("Any", encryption).GCMCipher, cipher.GCMCipher._update_iv  # noqa: SLF001 - What it builds on.
    cast("Any", encryption).GCMCipher = OneGCM
