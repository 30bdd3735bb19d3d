"""Telling users about acts on their account: a row in the outbox, written in the act's transaction.

Any process can deliver the rows afterwards: no act waits for a mail server.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.notices import PER_HOUR, is_told
from data.rules.sent_codes import HOUR
from data.rules.source_addresses import Origin
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

_NAMED = Prepared(models.User, 1, lambda name: models.User.select().where(models.User.name == name))


def tell_if_due(
    tx: Tx,
    event: Event,
    origin: Origin,
    *,
    user: str,
    actor: str,
    detail: Mapping[str, object],
) -> None:
    """Tell a user about an act, if users are told about this kind.

    A user who was just created by the same act is told nothing: nothing of theirs was changed.
    """
    if not is_told(event, detail):
        return
    row = _NAMED.one(user)
    if row is not None and row.created_at != tx.now:
        tell(tx, event, row, [row.email], actor=actor, origin=origin, detail=detail)


def tell(
    tx: Tx,
    event: Event,
    user: models.User,
    recipients: Sequence[str],
    *,
    actor: str,
    origin: Origin,
    detail: Mapping[str, object],
) -> bool:
    """Tell a user about an act through these addresses; return whether anything was written.

    Nothing is written where no e-mail can be sent.

    A user, and an address, is told about one kind of act at most `PER_HOUR` times an hour. So no one can
    fill a stranger's mailbox by repeating an act with their address.
    """
    if Method.EMAIL not in tx.services.sends:
        return False
    rows = [
        {
            "user": user.id,
            "recipient": recipient,
            "event": event.value,
            "actor": actor,
            "application": origin.application,
            "address": origin.address,
            "detail": json.dumps(detail, default=str),
            "at": tx.now,
            "next_try_at": tx.now,
        }
        for recipient in _still_told(tx, event, user, recipients)
    ]
    if rows:
        models.Notice.insert_many(rows).execute()
    return bool(rows)


def _still_told(tx: Tx, event: Event, user: models.User, recipients: Sequence[str]) -> list[str]:
    """Leave out addresses that were told often enough about such acts, and all if the user was.

    Each address is counted separately: notices to a new address never silence an old one.
    """
    table = models.Notice
    same = (table.user == user.id) | table.recipient.in_(recipients)
    alike = (table.event == event.value) & (table.at > tx.now - HOUR) & same
    lately = list(table.select().where(alike))
    if sum(row.user_id == user.id for row in lately) >= PER_HOUR:
        return []
    told = Counter(row.recipient for row in lately)
    return [address for address in dict.fromkeys(recipients) if told[address] < PER_HOUR]
