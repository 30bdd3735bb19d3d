"""Sending notices: whatever stands in the outbox is handed to the mail server, beside all other work."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from data.delivery.carriers import Carriers, UndeliveredError
from data.operations.record import outbox
from data.operations.record.outbox import Claimed
from data.store import Store

_log = logging.getLogger("twofold.delivery")
R = TypeVar("R")

ROUND_SECONDS: Final = 2.0
COMMAND_SECONDS: Final = 5.0
"""How long a command waits at most for its notices to be taken."""


async def send_due(store: Store, carriers: Carriers) -> None:
    """Hand over all notices that are due."""
    while await store.read(outbox.is_due):
        await _to_its_end(_send_batch(store, carriers))


async def send_own(store: Store, carriers: Carriers, since: datetime) -> bool:
    """Hand over, within `COMMAND_SECONDS`, what was written since then; say whether nothing is left."""
    # Half of the time is for beginning, and half for the batch that was begun last.
    half = COMMAND_SECONDS / 2
    hasty = replace(carriers, limit_seconds=half)
    until = asyncio.get_running_loop().time() + half
    all_taken = True
    while await store.read(outbox.is_due, since):
        if asyncio.get_running_loop().time() > until:
            return False
        all_taken = await _send_batch(store, hasty, since) and all_taken
    return all_taken


async def keep_sending(store: Store, carriers: Carriers, every: float = ROUND_SECONDS) -> None:
    """Send notices for as long as the process runs; a database that does not answer is asked again."""
    if carriers.smtp is None:
        return
    failing = False
    while True:
        try:
            await send_due(store, carriers)
        except Exception as error:  # noqa: BLE001 - it outlives whatever one round meets.
            if not failing:
                _log.error("Sending notices failed: %s", type(error).__name__)
            failing = True
        else:
            failing = False
        await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def sending(store: Store, carriers: Carriers) -> AsyncIterator[None]:
    """Send notices in the background; at the end, what is being handed over is settled first."""
    task = asyncio.get_running_loop().create_task(keep_sending(store, carriers), name="notices")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _to_its_end(work: Coroutine[Any, Any, R]) -> R:
    """Let work that was begun end, and only then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _send_batch(store: Store, carriers: Carriers, since: datetime | None = None) -> bool:
    """Claim, hand over and settle; say whether all of it was taken."""
    batch = await store.run(outbox.claim, since)
    taken = await asyncio.gather(*(_carry(carriers, claimed) for claimed in batch))
    delivered = [claimed.id for claimed, done in zip(batch, taken, strict=True) if done]
    await store.run(outbox.settle, batch, delivered)
    return all(taken)


async def _carry(carriers: Carriers, claimed: Claimed) -> bool:
    try:
        await carriers.carry(claimed.envelope)
    except UndeliveredError:
        return False
    return True
