"""The outbox of notices: claimed by a sender, then settled; done by no actor, and of no account.

A claim moves a row on and counts its try, under the condition that nobody else did: of several
senders one holds it. It lasts for `LEASE`, so that a sender that was killed leaves nothing behind. One
that was killed between handing over and settling has its message sent again: at least once, not once.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from data.operations.record import audit
from data.rules.events import Event
from data.rules.facts import Application
from data.rules.notices import GIVEN_UP_AFTER, TOLD, Act, envelope, wait_after
from data.rules.sending import Envelope
from data.storage import models
from data.store import Tx

LEASE = timedelta(minutes=2)
"""How long a claim holds; many times what handing a batch over can take."""
BATCH = 10
KEPT = timedelta(days=7)
"""How long a settled row is kept."""
_ACTOR = "system:notices"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this sender alone is to hand over; `tries` counts this try."""

    id: int
    tries: int
    envelope: Envelope


def is_due(tx: Tx, since: datetime | None = None) -> bool:
    """Whether there is a notice to hand over; `since` leaves out acts before it."""
    table = models.Notice
    return table.select().where(_due(tx, since)).exists()


def claim(tx: Tx, since: datetime | None = None) -> tuple[Claimed, ...]:
    """Claim notices that are due; what is too old by now, or of a newer version, is given up instead."""
    table = models.Notice
    table.delete().where(table.done_at < tx.now - KEPT).execute()
    due = table.select().where(_due(tx, since)).order_by(table.next_try_at, table.id).limit(BATCH)
    claimed: list[Claimed] = []
    for row in list(due):
        if tx.now - row.at >= GIVEN_UP_AFTER or row.event not in TOLD:
            _abandon(tx, row)
        elif _take(tx, row):
            claimed.append(Claimed(row.id, row.tries + 1, _envelope(tx, row)))
    return tuple(claimed)


def settle(tx: Tx, batch: Collection[Claimed], delivered: Collection[int]) -> None:
    """Record which of the claimed notices were handed over; the others are tried again later."""
    table = models.Notice
    table.update(next_try_at=None, done_at=tx.now).where(table.id.in_(list(delivered))).execute()
    for failed in batch:
        if failed.id not in delivered:
            again = table.update(next_try_at=tx.now + wait_after(failed.tries))
            again.where(_still(failed.id, failed.tries)).execute()


def _due(tx: Tx, since: datetime | None) -> Any:
    table = models.Notice
    due = table.next_try_at <= tx.now
    return due if since is None else due & (table.at >= since)


def _still(row_id: int, tries: int) -> Any:
    """Match the row as it was read, unless someone else claimed or settled it since."""
    table = models.Notice
    return (table.id == row_id) & (table.tries == tries) & table.done_at.is_null()


def _take(tx: Tx, row: models.Notice) -> bool:
    taken = models.Notice.update(next_try_at=tx.now + LEASE, tries=row.tries + 1)
    return bool(taken.where(_still(row.id, row.tries)).execute())


def _abandon(tx: Tx, row: models.Notice) -> None:
    given_up = models.Notice.update(next_try_at=None, done_at=tx.now)
    if not given_up.where(_still(row.id, row.tries)).execute():
        return
    audit.write(
        tx,
        Event.NOTICE_ABANDONED,
        account_id=row.user.account_id,
        actor=_ACTOR,
        user=row.user.name,
        application=Application.HOST,
        address="host",
        about=row.event,
    )


def _envelope(tx: Tx, row: models.Notice) -> Envelope:
    act = Act(
        event=Event(row.event),
        at=row.at,
        user=row.user.name,
        account=row.user.account.name,
        actor=row.actor,
        application=Application(row.application),
        address=row.address,
        detail=json.loads(row.detail),
    )
    return envelope(act, row.recipient, tx.services.issuer)
