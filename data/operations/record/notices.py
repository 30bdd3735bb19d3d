"""Telling users of acts on their account: a row in the outbox, written in the transaction of the act.

The rows are handed over afterwards, by whichever process comes to it: no act waits for a mail server.
"""

import json
from collections.abc import Iterable, Mapping

from data.rules.events import Event
from data.rules.facts import Application, Method
from data.rules.notices import is_told
from data.storage import models
from data.store import Tx


def tell_if_due(
    tx: Tx,
    event: Event,
    *,
    user: str,
    actor: str,
    application: Application,
    address: str,
    detail: Mapping[str, object],
) -> None:
    """Tell a user of an act, if it is one that users are told of.

    Who was created by the same act, in this very moment, is told nothing: nothing of theirs was changed.
    """
    if not is_told(event, detail):
        return
    row = models.User.get_or_none(models.User.name == user)
    if row is not None and row.created_at != tx.now:
        tell(
            tx,
            event,
            row,
            [row.email],
            actor=actor,
            application=application,
            address=address,
            detail=detail,
        )


def tell(
    tx: Tx,
    event: Event,
    user: models.User,
    recipients: Iterable[str],
    *,
    actor: str,
    application: Application,
    address: str,
    detail: Mapping[str, object],
) -> None:
    """Tell a user of an act through these addresses; nothing is written where no e-mail can be sent."""
    if Method.EMAIL not in tx.services.sends:
        return
    rows = [
        {
            "user": user.id,
            "recipient": recipient,
            "event": event.value,
            "actor": actor,
            "application": application.value,
            "address": address,
            "detail": json.dumps(detail, default=str),
            "at": tx.now,
            "next_try_at": tx.now,
        }
        for recipient in dict.fromkeys(recipients)
    ]
    models.Notice.insert_many(rows).execute()
