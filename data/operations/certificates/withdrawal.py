"""Withdrawing certificates, so that hosts refuse them before they end."""

from typing import Any

from data.storage import models
from data.store import Tx


def withdraw(tx: Tx, user_id: int, because: str, which: Any = True) -> int:
    """Withdraw the certificates of a user that have not ended, and meet a condition; return how many.

    Any operation that takes away what a certificate relies on calls this in its own transaction.
    """
    table = models.Certificate
    live = (table.user == user_id) & (table.until > tx.now) & table.withdrawn_at.is_null()
    found = table.update(withdrawn_at=tx.now, withdrawn_because=because).where(live, which)
    return int(found.execute())
