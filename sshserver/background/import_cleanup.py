"""Finishing imports that broke off, whoever had begun them."""

import asyncio
from typing import Final

from data.operations.users import import_staging
from data.store import Store
from sshserver.telemetry import crash_reports

EVERY_SECONDS: Final = 60.0


async def clean_up_imports(store: Store, every: float = EVERY_SECONDS) -> None:
    """See now and then, for as long as the server runs, whether imports have left something to do, and do it.

    What fails is tried again the next time; it is reported once until it succeeds.
    """
    failing = False
    while True:
        try:
            await import_staging.clean_up_all(store)
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever one round meets.
            if not failing:
                crash_reports.report(error, "Finishing imports")
            failing = True
        else:
            failing = False
        await asyncio.sleep(every)
