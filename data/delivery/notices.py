"""Sending notices: whatever stands in the outbox is handed to the mail server, beside all other work."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from data.delivery.carriers import Carriers, UndeliveredError
from data.operations.audit import notice_outbox
from data.operations.audit.notice_outbox import Claimed
from data.operations.users import invitations
from data.operations.users.invitations import Prepared
from data.periodic import periodically
from data.store import Store

_log = logging.getLogger("twofold.delivery")
R = TypeVar("R")

ROUND_SECONDS: Final = 2.0
COMMAND_SECONDS: Final = 5.0
"""How long a command waits at most for its notices to be taken."""


async def send_due(store: Store, carriers: Carriers) -> None:
    """Hand over all notices that are due."""
    while await store.read(notice_outbox.is_due):
        await _to_its_end(_send_batch(store, carriers))


async def send_own(store: Store, carriers: Carriers, since: datetime) -> bool:
    """Hand over, within `COMMAND_SECONDS`, what was written since then; say whether nothing is left."""
    # Half of the time is for beginning, and half for the batch that was begun last.
    half = COMMAND_SECONDS / 2
    hasty = replace(carriers, limit_seconds=half)
    until = asyncio.get_running_loop().time() + half
    all_taken = True
    while await store.read(notice_outbox.is_due, since):
        if asyncio.get_running_loop().time() > until:
            return False
        all_taken = all(await _send_batch(store, hasty, since)) and all_taken
    return all_taken


async def send_all_own(
    store: Store, carriers: Carriers, since: datetime, told: Callable[[int], None]
) -> None:
    """Hand over what was written since then, however long that takes; `told` is how many more were tried."""
    while await store.read(notice_outbox.is_due, since):
        told(len(await _to_its_end(_send_batch(store, carriers, since))))


async def keep_sending(store: Store, carriers: Carriers, every: float = ROUND_SECONDS) -> None:
    """Send notices for as long as the process runs; a database that does not answer is asked again."""
    if carriers.smtp is None:
        return
    await periodically(partial(send_due, store, carriers), every, "Sending notices", _report)


def _report(error: BaseException, what: str) -> None:
    _log.error("%s failed: %s", what, type(error).__name__)


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


async def _send_batch(store: Store, carriers: Carriers, since: datetime | None = None) -> list[bool]:
    """Claim, hand over and settle; say of each whether it was taken.

    What is prepared is prepared one by one: the hashes of passwords do not keep those who sign in waiting.
    """
    batch = await store.run(notice_outbox.claim, since)
    prepared = [(claimed, await invitations.prepare(store, claimed)) for claimed in batch]
    faults = await asyncio.gather(*(_carry(store, carriers, *each) for each in prepared))
    failed = {claimed.id: fault for claimed, fault in zip(batch, faults, strict=True) if fault is not None}
    await store.run(notice_outbox.settle, batch, failed)
    return [claimed.id not in failed for claimed in batch]


async def _carry(store: Store, carriers: Carriers, claimed: Claimed, prepared: Prepared | None) -> str | None:
    """Hand a message over; return why it was not taken, or None. A password in it takes effect then.

    What was dropped counts as taken.
    """
    if prepared is None:
        return None
    try:
        await carriers.carry(prepared.envelope)
    except UndeliveredError as error:
        return str(error)
    if prepared.password_hash is not None:
        await store.run(invitations.take_effect, claimed, prepared)
    return None
