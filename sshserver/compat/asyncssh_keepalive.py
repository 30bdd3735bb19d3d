"""Keep-alive requests without a new timer for each piece of input.

asyncssh cancels its timer and makes another one whenever something arrives, which takes a tenth of the time
of a jump whose client sends at full speed.
"""

import time
from collections.abc import Callable
from typing import Any, Final, cast

import asyncssh

_EARLY: Final = 0.1
"""By which part of its interval a request may come early."""


def rarely_reset(connection: asyncssh.SSHServerConnection, interval: float) -> Callable[[], None]:
    """Return what resets the timer of a connection, unless it did so lately; `interval` is in seconds."""
    reset: Callable[[], None] = cast("Any", connection)._reset_keepalive_timer  # noqa: SLF001
    due = 0.0

    def reset_if_due() -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + interval * _EARLY
            reset()

    return reset_if_due
