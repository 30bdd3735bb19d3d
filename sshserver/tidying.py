"""Finishing imports that broke off, whoever had begun them."""

import asyncio
from typing import Final

from data.operations.people import staging
from data.store import Store
from sshserver import crash

TIDY_SECONDS: Final = 60.0


async def tidy(store: Store, every: float = TIDY_SECONDS) -> None:
    """See now and then, for as long as the server runs, whether imports have left something to do, and do it.

    What fails is tried again the next time; it is reported once until it succeeds.
    """
    failing = False
    while True:
        try:
            await staging.tidy_all(store)
        except Exception as error:  # noqa: BLE001 - the tidying outlives whatever one round meets.
            if not failing:
                crash.report(error, "Finishing imports")
            failing = True
        else:
            failing = False
        await asyncio.sleep(every)
