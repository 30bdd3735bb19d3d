"""The principals that a user's certificates bear."""

from data.storage import models
from data.store import Tx


def principals_of(tx: Tx, user: models.User) -> frozenset[str]:
    """Return the principals of a user: their name, unless it is reserved."""
    return frozenset({user.name}) - tx.services.reserved_principals
