"""Sealing under the database's current master key, and opening sealed values.

Other keys that are here seal nothing new; what was sealed under one still opens.
"""

from data.storage import models
from data.store import Tx


def present_key() -> str | None:
    """Return the check value of the key that values are now sealed under; None before there is one."""
    row = models.Installation.select(models.Installation.key_check).first()
    return row.key_check if row else None


def seal_factor(tx: Tx, secret: bytes, *, user_id: int, factor_id: int) -> bytes:
    """Seal the secret of one factor of one user."""
    return tx.services.vault.seal(secret, user_id=user_id, factor_id=factor_id, under=present_key())


def open_factor(tx: Tx, factor: models.Factor) -> bytes:
    """Open the secret of a factor."""
    return tx.services.vault.open(factor.sealed_secret, user_id=factor.user_id, factor_id=factor.id)


def seal_at(tx: Tx, place: str, secret: bytes) -> bytes:
    """Seal a secret for the one place where it is kept."""
    return tx.services.vault.seal_at(place, secret, present_key())
