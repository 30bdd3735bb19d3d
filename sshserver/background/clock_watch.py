"""Noticing that the system's clock was set while the server runs."""

import asyncio
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


async def watch(
    now: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
    every: float = WATCH_SECONDS,
) -> None:
    """Warn, for as long as the server runs, whenever the clock jumps against one that cannot be set.

    Codes stay good once through any jump; who signed in while the clock was ahead may have to wait.
    """
    before, counted = now(), monotonic()
    while True:
        await asyncio.sleep(every)
        after, count = now(), monotonic()
        if moved := clock_jumps.jump(after - before, timedelta(seconds=count - counted)):
            _log.warning(
                "The clock was set %s, to %s. If codes are refused since: twofold clock show",
                clock_jumps.in_words(moved),
                after.strftime("%Y-%m-%d %H:%M:%S UTC"),
            )
        before, counted = after, count


async def compare(
    now: Callable[[], datetime],
    there: Callable[[], Awaitable[datetime | None]],
    every: float = COMPARE_SECONDS,
) -> None:
    """Warn, for as long as the server runs, while its clock and that of the database's server differ.

    Nodes are compared by it: codes of phones are judged by each node's own clock. One that tells no time,
    or does not answer, is asked again the next time.
    """
    while True:
        try:
            told = await there()
        except StoreUnavailableError:
            told = None
        ahead = timedelta(0) if told is None else now() - told
        if abs(ahead) >= clock_jumps.NOTABLE:
            _log.warning(
                "The clock here is %s s %s that of the database. Have an NTP service keep both right",
                abs(round(ahead.total_seconds())),
                "ahead of" if ahead > timedelta(0) else "behind",
            )
        await asyncio.sleep(every)


def warn_of_newer(newest: datetime | None, now: datetime) -> None:
    """Warn at the start of a server whose database knows of a later time than the clock shows."""
    if newest is not None and newest - now >= clock_jumps.NOTABLE:
        _log.warning(
            "The clock shows %s, yet something was recorded %s later. Set the clock right; if codes are "
            "refused then: twofold clock show",
            now.strftime("%Y-%m-%d %H:%M:%S UTC"),
            newest - now,
        )
