"""Forgetting certificates that have ended, and the authorities that only they were signed by."""

from datetime import timedelta

from data.storage import models
from data.store import Tx

KEPT = timedelta(days=7)
"""How long certificates are listed after they have ended."""


def forget_ended(tx: Tx) -> None:
    """Remove certificates that ended long ago, and former authorities of which none is left."""
    table, authorities = models.Certificate, models.CertificateAuthority
    table.delete().where(table.until < tx.now - KEPT).execute()
    in_use = table.select(table.authority)
    authorities.delete().where(
        authorities.retired_at.is_null(False) & authorities.id.not_in(in_use)
    ).execute()
