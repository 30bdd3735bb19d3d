"""Sending notices: messages in the outbox go to the mail server, in parallel with all other work."""

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
from data.operations.policy import deadline_reminders
from data.operations.users import invitations
from data.operations.users.invitations import Prepared
from data.periodic import periodically
from data.rules.audit_events import Event
from data.store import Store

_log = logging.getLogger("twofold.delivery")
R = TypeVar("R")

ROUND_SECONDS: Final = 2.0
COMMAND_SECONDS: Final = 5.0
"""How long a command waits at most for its notices to be accepted."""


async def send_due(store: Store, carriers: Carriers) -> None:
    """Deliver all notices that are due, with the reminders of a deadline."""
    while await store.read(deadline_reminders.is_due):
        await store.run(deadline_reminders.remind)
    while await store.read(notice_outbox.is_due):
        await _to_its_end(_send_batch(store, carriers))


async def send_own(store: Store, carriers: Carriers, since: datetime) -> bool:
    """Deliver, within `COMMAND_SECONDS`, the notices written since then; return whether none are left."""
    # Half of the time is for starting batches, and half for the last batch.
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
    """Deliver the notices written since then, however long it takes; `told` gets how many more were tried."""
    while await store.read(notice_outbox.is_due, since):
        told(len(await _to_its_end(_send_batch(store, carriers, since))))


async def keep_sending(store: Store, carriers: Carriers, every: float = ROUND_SECONDS) -> None:
    """Send notices for as long as the process runs; a database that does not answer is tried again."""
    if carriers.smtp is None:
        return
    await periodically(partial(send_due, store, carriers), every, "Sending notices", _report)


def _report(error: BaseException, what: str) -> None:
    _log.error("%s failed: %s", what, type(error).__name__)


@contextlib.asynccontextmanager
async def sending(store: Store, carriers: Carriers) -> AsyncIterator[None]:
    """Send notices in the background; at the end, current deliveries are settled first."""
    task = asyncio.get_running_loop().create_task(keep_sending(store, carriers), name="notices")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _to_its_end(work: Coroutine[Any, Any, R]) -> R:
    """Let work that has started finish before it is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _send_batch(store: Store, carriers: Carriers, since: datetime | None = None) -> list[bool]:
    """Claim, deliver and settle a batch; return for each whether it was accepted.

    Messages are prepared one by one, so that password hashes do not delay sign-ins.
    """
    batch = await store.run(notice_outbox.claim, since)
    prepared = [(claimed, await _prepare(store, claimed)) for claimed in batch]
    faults = await asyncio.gather(*(_carry(store, carriers, *each) for each in prepared))
    failed = {claimed.id: fault for claimed, fault in zip(batch, faults, strict=True) if fault is not None}
    await store.run(notice_outbox.settle, batch, failed)
    return [claimed.id not in failed for claimed in batch]


async def _prepare(store: Store, claimed: Claimed) -> Prepared | None:
    """Word a message; None if it is no longer needed."""
    if claimed.act.event is not Event.DEADLINE_NEAR:
        return await invitations.prepare(store, claimed)
    envelope = await store.run(deadline_reminders.word, claimed)
    return None if envelope is None else Prepared(envelope)


async def _carry(store: Store, carriers: Carriers, claimed: Claimed, prepared: Prepared | None) -> str | None:
    """Deliver a message; return why it was not accepted, or None. A password in it then takes effect.

    A dropped message counts as accepted.
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
