"""A person's phone: an authenticator app that is scanned into, and whose codes oathtool computes."""

import asyncio
import subprocess
import time
from urllib.parse import parse_qs, unquote, urlsplit

STEP = 30
_TYPING_SECONDS = 5
"""A code is still good this long after it was handed out."""


class Phone:
    """Holds one secret; hands out each code once, as a careful person types them."""

    def __init__(self, oathtool: str) -> None:
        self._oathtool = oathtool
        self._secret = ""
        self._spent = -1
        self.codes: list[str] = []

    @property
    def secret(self) -> str:
        return self._secret

    def scan(self, uri: str) -> str:
        """Take a secret from an `otpauth` address and return the label beside it."""
        parts = urlsplit(uri)
        assert (parts.scheme, parts.netloc) == ("otpauth", "totp"), uri
        self._secret = parse_qs(parts.query)["secret"][0]
        self._spent = -1
        return unquote(parts.path.lstrip("/"))

    async def new_code(self) -> str:
        """Return the earliest code that is good now and was not handed out before.

        The server takes the step before and the step after the present one, so that three sign-ins
        in a row need no waiting.
        """
        oldest = int(time.time() + _TYPING_SECONDS) // STEP - 1
        step = max(self._spent + 1, oldest)
        while step > int(time.time()) // STEP + 1:
            await asyncio.sleep(0.2)
        self._spent = step
        return self._code(step)

    def last_code(self) -> str:
        """Return the code that was handed out last."""
        return self._code(self._spent)

    def wrong_code(self) -> str:
        """Return six digits that are no code of this quarter of an hour."""
        now = int(time.time()) // STEP
        near = {self._code(step) for step in range(now - 3, now + 30)}
        return next(digits * 6 for digits in "0123456789" if digits * 6 not in near)

    def _code(self, step: int) -> str:
        command = [self._oathtool, "--totp", "--base32", "--now", f"@{step * STEP}", self._secret]
        code = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        self.codes.append(code)
        return code
