"""The outbox of notices: a sender claims them, then settles them; there is no actor and no account.

A claim postpones a row and counts its try, provided that no one else did: only one of several senders
holds it. It lasts for `LEASE`, so that a killed sender leaves nothing behind. If a sender is killed
between delivery and settling, its message is sent again: at least once, not exactly once.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from data.operations.audit import lock_notices, trail
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.notices import GIVEN_UP_AFTER, TOLD, Act, envelope, wait_after
from data.rules.sent_codes import Envelope
from data.rules.source_addresses import ON_HOST
from data.storage import models
from data.storage.models import CARRIER_REASON_LENGTH
from data.store import Tx

LEASE = timedelta(minutes=2)
"""How long a claim holds; many times what delivering a batch can take."""
BATCH = 10
KEPT = timedelta(days=7)
"""How long a settled row is kept."""
ACTOR = "system:notices"
LOOKED_UP_AGAIN = frozenset({Event.INVITED, Event.REMINDED, Event.DEADLINE_NEAR})
"""Messages that are worded when they are delivered, by what is true then."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that only this sender delivers; `tries` counts this try, and `to` is an e-mail address."""

    id: int
    tries: int
    user_id: int
    account_id: int
    act: Act
    to: str
    issuer: str

    @property
    def envelope(self) -> Envelope:
        """The notice in words; an event in `LOOKED_UP_AGAIN` has none yet."""
        return envelope(self.act, self.to, self.issuer)


def is_due(tx: Tx, since: datetime | None = None) -> bool:
    """Whether there is a notice to deliver; `since` leaves out earlier acts."""
    table = models.Notice
    return table.select().where(_due(tx, since)).exists()


def claim(tx: Tx, since: datetime | None = None) -> tuple[Claimed, ...]:
    """Claim notices that are due; one that is too old or from a newer version is given up instead.

    Notices of acts go before invitations and reminders, because there may be very many of those.
    """
    table = models.Notice
    table.delete().where(table.done_at < tx.now - KEPT).execute()
    to_many = table.event.in_([event.value for event in LOOKED_UP_AGAIN])
    due = table.select().where(_due(tx, since)).order_by(to_many, table.next_try_at, table.id).limit(BATCH)
    claimed: list[Claimed] = []
    for row in list(due):
        if tx.now - row.at >= GIVEN_UP_AFTER or row.event not in TOLD | LOOKED_UP_AGAIN:
            _abandon(tx, row)
        elif not lock_notices.is_held_back(tx, row) and _take(tx, row):
            claimed.append(_claimed(tx, row))
    return tuple(claimed)


def settle(tx: Tx, batch: Collection[Claimed], failed: Mapping[int, str]) -> None:
    """Record which claimed notices were not accepted, and why; they are tried again later."""
    table = models.Notice
    delivered = [claimed.id for claimed in batch if claimed.id not in failed]
    table.update(next_try_at=None, done_at=tx.now).where(table.id.in_(delivered)).execute()
    for claimed in batch:
        if claimed.id in failed:
            again = table.update(next_try_at=tx.now + wait_after(claimed.tries))
            again.where(_still(claimed.id, claimed.tries)).execute()
            record_carrier_failure(tx, Method.EMAIL, failed[claimed.id])


def is_held(claimed: Claimed) -> bool:
    """Whether a claimed row is still this sender's, and not settled."""
    return bool(models.Notice.select().where(_still(claimed.id, claimed.tries)).exists())


def drop(tx: Tx, claimed: Claimed) -> bool:
    """Settle a claimed row that does not need delivery; return whether it was still this sender's."""
    dropped = models.Notice.update(next_try_at=None, done_at=tx.now)
    return bool(dropped.where(_still(claimed.id, claimed.tries)).execute())


def is_waiting_invitation(user_id: Any) -> Any:
    """Return, as SQL, whether a row is an undelivered invitation of this user."""
    table = models.Notice
    return (table.user == user_id) & (table.event == Event.INVITED.value) & table.done_at.is_null()


def invited_since(user_id: int) -> datetime | None:
    """Return when a user's undelivered invitation was queued, if there is one."""
    table = models.Notice
    row = table.select().where(is_waiting_invitation(user_id)).order_by(table.id.desc()).first()
    return row.at if row else None


def take_back_invitations(tx: Tx, user_id: int) -> None:
    """Settle the undelivered invitations of a user who was given another password."""
    taken_back = models.Notice.update(next_try_at=None, done_at=tx.now)
    taken_back.where(is_waiting_invitation(user_id)).execute()


def count_waiting(_tx: Tx, event: Event, since: datetime) -> int:
    """Count the messages of a kind since then that are not settled yet."""
    table = models.Notice
    return int(
        table.select()
        .where((table.event == event.value) & (table.at >= since) & table.done_at.is_null())
        .count()
    )


def record_carrier_failure(tx: Tx, method: Method, reason: str) -> None:
    """Keep why a method's carrier last refused a message, and nothing about the message itself."""
    table = models.CarrierFailure
    row = table.insert(method=method.value, at=tx.now, reason=reason[:CARRIER_REASON_LENGTH])
    row.on_conflict(conflict_target=[table.method], preserve=[table.at, table.reason]).execute()


def last_carrier_failure(method: Method) -> models.CarrierFailure | None:
    """Read the last failure of a method's carrier, in any account."""
    table = models.CarrierFailure
    found: models.CarrierFailure | None = table.get_or_none(table.method == method.value)
    return found


def _due(tx: Tx, since: datetime | None) -> Any:
    table = models.Notice
    due = table.next_try_at <= tx.now
    return due if since is None else due & (table.at >= since)


def _still(row_id: int, tries: int) -> Any:
    """Match the row as it was read, unless someone else has since claimed or settled it."""
    table = models.Notice
    return (table.id == row_id) & (table.tries == tries) & table.done_at.is_null()


def _take(tx: Tx, row: models.Notice) -> bool:
    taken = models.Notice.update(next_try_at=tx.now + LEASE, tries=row.tries + 1)
    return bool(taken.where(_still(row.id, row.tries)).execute())


def _abandon(tx: Tx, row: models.Notice) -> None:
    given_up = models.Notice.update(next_try_at=None, done_at=tx.now)
    if not given_up.where(_still(row.id, row.tries)).execute():
        return
    trail.write(
        tx,
        Event.NOTICE_ABANDONED,
        ON_HOST,
        account_id=row.user.account_id,
        actor=ACTOR,
        user=row.user.name,
        about=row.event,
    )


def _claimed(tx: Tx, row: models.Notice) -> Claimed:
    act = Act(
        event=Event(row.event),
        at=row.at,
        user=row.user.name,
        account=row.user.account.name,
        actor=row.actor,
        application=row.application,
        address=row.address,
        detail=json.loads(row.detail),
    )
    return Claimed(
        row.id, row.tries + 1, row.user_id, row.user.account_id, act, row.recipient, tx.services.issuer
    )
