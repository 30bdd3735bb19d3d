"""Doing something again and again, for as long as a process runs."""

import asyncio
from collections.abc import Awaitable, Callable

Report = Callable[[BaseException, str], object]
"""Tells of an error, and of what was being done."""


async def periodically(
    act: Callable[[], Awaitable[object]], every: float, what: str, report: Report, *, first: float = 0.0
) -> None:
    """Do `act` every so many seconds until cancelled, for the first time in `first` seconds.

    What fails is tried again the next time. It is reported once, as `what`, until it succeeds.
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
