"""Periodic work, for as long as a process runs."""

import asyncio
from collections.abc import Awaitable, Callable

Report = Callable[[BaseException, str], object]
"""Called with an error and what was being done."""


async def periodically(
    act: Callable[[], Awaitable[object]], every: float, what: str, report: Report, *, first: float = 0.0
) -> None:
    """Run `act` every so many seconds until cancelled, the first time after `first` seconds.

    A failed run is tried again the next time. It is reported once, as `what`, until a run succeeds.
    """
    failing = False
    await asyncio.sleep(first)
    while True:
        try:
            await act()
        except Exception as error:  # noqa: BLE001 - it outlives whatever one round meets.
            if not failing:
                report(error, what)
            failing = True
        else:
            failing = False
        await asyncio.sleep(every)
