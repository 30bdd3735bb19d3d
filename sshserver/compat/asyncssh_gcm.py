"""AES-GCM (RFC 5647) with fewer copies of a packet, and one cipher for all packets of a key.

asyncssh makes a cipher for each packet, and cuts off and joins the tag again, which takes as long as to
encrypt.
"""

from functools import cached_property
from typing import Any, cast

from asyncssh import encryption
from asyncssh.crypto import cipher
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class _OneGCM(cipher.GCMCipher):
    """Keeps its cipher, which belongs to one direction and one key."""

    @cached_property
    def _aead(self) -> AESGCM:
        return AESGCM(self._key)

    def encrypt_and_sign(self, header: bytes, data: bytes) -> tuple[bytes, bytes]:
        """Return the header, the ciphertext and its tag in one piece; asyncssh joins both parts anyway."""
        sealed = header + self._aead.encrypt(self._iv, data, header)
        self._update_iv()
        return sealed, b""

    def verify_and_decrypt(self, header: bytes, data: bytes, mac: bytes) -> bytes | None:
        """Return the packet; None if its tag is wrong, which ends the connection."""
        try:
            return self._aead.decrypt(self._iv, data + mac, header)
        except InvalidTag:
            return None
        finally:
            self._update_iv()


def install() -> None:
    """Use it for every connection of this process, on both sides.

    Raises:
        AttributeError: when the installed asyncssh is not the version that this was written for.
    """
    _ = cast("Any", encryption).GCMCipher, cipher.GCMCipher._update_iv  # noqa: SLF001 - What it builds on.
    cast("Any", encryption).GCMCipher = _OneGCM
