"""Detecting that the system's clock was set while the server runs."""

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from data.rules import clock_jumps
from data.store import StoreUnavailableError

_log = logging.getLogger("twofold.clock")
WATCH_SECONDS: Final = 5.0
COMPARE_SECONDS: Final = 300.0


class ClockWatch:
    """Compares the system's clock with one that cannot be set.

    No jump makes a used code valid again. People who signed in while the clock was ahead may have to wait.
    """

    def __init__(self, now: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start with what both clocks show now."""
        self._now, self._monotonic = now, monotonic
        self._before, self._counted = now(), monotonic()

    async def look(self) -> None:
        """Warn when the clock has jumped since the last look."""
        after, count = self._now(), self._monotonic()
        if moved := clock_jumps.jump(after - self._before, timedelta(seconds=count - self._counted)):
            _log.warning(
                "The clock was set %s, to %s. If codes are refused now, run: twofold clock show",
                clock_jumps.in_words(moved),
                after.strftime("%Y-%m-%d %H:%M:%S UTC"),
            )
        self._before, self._counted = after, count


async def compare(now: Callable[[], datetime], there: Callable[[], Awaitable[datetime | None]]) -> None:
    """Warn while the clock here differs from that of the database's server.

    This compares nodes, because each judges phones' codes by its own clock. A database that has no clock, or
    does not answer, is asked again the next time.
    """
    try:
        told = await there()
    except StoreUnavailableError:
        told = None
    ahead = timedelta(0) if told is None else now() - told
    if abs(ahead) >= clock_jumps.NOTABLE:
        _log.warning(
            "The clock here is %s s %s that of the database. Set up an NTP service on both",
            abs(round(ahead.total_seconds())),
            "ahead of" if ahead > timedelta(0) else "behind",
        )


def warn_of_newer(newest: datetime | None, now: datetime) -> None:
    """Warn when a server starts and its database holds a later time than the clock shows."""
    if newest is not None and newest - now >= clock_jumps.NOTABLE:
        _log.warning(
            "The clock shows %s, but the latest record is %s ahead. Correct the clock. If codes are refused "
            "then, run: twofold clock show",
            now.strftime("%Y-%m-%d %H:%M:%S UTC"),
            newest - now,
        )
