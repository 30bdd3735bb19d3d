"""The certificate of a TLS server, read again when its files change."""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path
from typing import Final

from data.errors import ExplainedError
from data.periodic import Report, periodically
from data.rules.safe_text import safe

_log = logging.getLogger("twofold.http")
LOOK_SECONDS: Final = 5.0
"""How often the files are looked at."""

_State = tuple[tuple[int, int, int], ...]


class CertificateError(ExplainedError):
    """The certificate cannot be used; the message says why, in one line."""


class Certificate:
    """A certificate with its chain, and its key, both in PEM.

    A connection gets what was loaded last. Files that do not fit each other, as in the middle of a renewal,
    change nothing.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both files.

        Raises:
            CertificateError: when they cannot be used.
        """
        self._certificate = certificate
        self._key = key
        self._state = self._look()
        self._current = self._load()
        self.context = self._load()
        """What a server listens with. Its connections switch to the latest certificate at their first message
        (RFC 8446 section 4.1.2), whether or not they name a server."""
        self.context.sni_callback = self._switch

    def reload(self) -> bool:
        """Load the files again if they have changed; return whether a new certificate is in use.

        Raises:
            CertificateError: when they have changed and cannot be used; the former one stays.
        """
        state = self._look()
        if state == self._state:
            return False
        self._current = self._load()
        self._state = state
        return True

    async def follow(self, report: Report) -> None:
        """Look at the files again and again, until cancelled."""
        faults: set[str] = set()

        async def look() -> None:
            try:
                if await asyncio.to_thread(self.reload):
                    faults.clear()
                    _log.info("A new certificate is in use.")
            except CertificateError as error:
                if str(error) not in faults:
                    faults.add(str(error))
                    _log.error("%s The former certificate stays in use.", error)

        await periodically(look, LOOK_SECONDS, "Reading the certificate", report)

    def _look(self) -> _State:
        found = []
        for path in (self._certificate, self._key):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(found)

    def _switch(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            raise CertificateError(_words(self._certificate, self._key, error)) from None
        return context


class _EncryptedKeyError(ValueError):
    """The key is encrypted."""


def _no_password() -> str:
    raise _EncryptedKeyError


def _words(certificate: Path, key: Path, error: OSError | ValueError) -> str:
    if isinstance(error, _EncryptedKeyError):
        return f"The key {safe(key)} is encrypted. Store it without a password, readable by this user only."
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"The certificate {safe(certificate)} is not for the key {safe(key)}."
    reason = "they must be in PEM" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "")
    return f"The certificate {safe(certificate)} and key {safe(key)} cannot be read: {reason}."
