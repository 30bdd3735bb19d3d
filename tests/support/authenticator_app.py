"""A person's phone: an authenticator app that is scanned into, and whose codes oathtool computes."""

import asyncio
import itertools
import subprocess
import time
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

STEP = 30


class Phone:
    """Holds one secret; hands out each code once, as a careful person types them.

    A code is still good `typing_seconds` after it was handed out; the fewer, the more codes in a row.
    """

    def __init__(self, oathtool: str, typing_seconds: int = 10) -> None:
        self._oathtool = oathtool
        self._typing_seconds = typing_seconds
        self._secret = ""
        self._spent = -1
        self._ahead = 0.0
        self._numbers = itertools.count()
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

    def type_in(self, secret: str) -> None:
        """Take a secret that is typed in by hand."""
        self._secret = secret
        self._spent = -1

    def go_ahead(self, by: timedelta) -> None:
        """Go forward with a server whose clock is ahead by so much."""
        self._ahead = by.total_seconds()

    async def new_code(self) -> str:
        """Return the earliest code that is good now and was not handed out before.

        The server takes the step before and the step after the present one, so that three sign-ins
        in a row need no waiting.
        """
        oldest = int(self._now() + self._typing_seconds) // STEP - 1
        step = max(self._spent + 1, oldest)
        while step > int(self._now()) // STEP + 1:
            await asyncio.sleep(0.2)
        self._spent = step
        return self._code(step)

    def last_code(self) -> str:
        """Return the code that was handed out last."""
        return self._code(self._spent)

    def wrong_code(self) -> str:
        """Return six digits that are no code of this quarter of an hour, other ones each time."""
        now = int(self._now()) // STEP
        near = {self._code(step) for step in range(now - 3, now + 30)}
        return next(code for number in self._numbers if (code := f"{number:06}") not in near)

    def _now(self) -> float:
        return time.time() + self._ahead

    def _code(self, step: int) -> str:
        command = [self._oathtool, "--totp", "--base32", "--now", f"@{step * STEP}", self._secret]
        code = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        self.codes.append(code)
        return code
