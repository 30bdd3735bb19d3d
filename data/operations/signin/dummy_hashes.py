"""Dummy hashes to verify against if there is no hash, at the costs that users' hashes have.

An unknown name keeps its place among these costs. So its password takes the same time each time, and over
time comes to cost more, as for a user whose hash is renewed.
"""

from datetime import timedelta
from typing import Any

from peewee import SQL, fn

from data.storage import models
from data.storage.password_hashing import DIGEST_CHARACTERS
from data.store import Tx

_COUNTED_EVERY = timedelta(minutes=10)


def decoy_of(tx: Tx, bucket: int) -> str:
    """Return a hash that no password verifies, for the names of a bucket."""
    return tx.services.costs.decoy(tx.services.vault.share(bucket)) or tx.services.hasher.decoy


def count_costs(tx: Tx) -> None:
    """Count the costs in use, unless they were counted recently; this reads all users."""
    costs = tx.services.costs
    if costs.counted_at is not None and abs(tx.now - costs.counted_at) < _COUNTED_EVERY:
        return
    table = models.User
    cost = fn.SUBSTR(table.password_hash, 1, fn.LENGTH(table.password_hash) - DIGEST_CHARACTERS)
    hashed: Any = table.select(cost.alias("cost"), fn.COUNT(table.id).alias("users")).where(
        table.password_hash.is_null(False)
    )
    costs.count(sorted(hashed.group_by(SQL("cost")).tuples()), tx.now)
