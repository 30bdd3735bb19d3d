"""Knowing a database again: whether what a new connection leads to is the one that may be decided by."""

from data.operations.maintenance import master_key
from data.operations.maintenance.setup import installation_state
from data.storage.database import SchemaState, schema_state
from data.store import Tx


def fault_of(tx: Tx) -> str | None:
    """Say why this database is not the one that this process may decide by; None when it is."""
    if schema_state(tx.database) is not SchemaState.CURRENT:
        return "it is of another version of Twofold"
    state = installation_state(tx)
    if state is None or not master_key.fits(tx):
        return "another one is in its place, or its master key is not here"
    if state.moved_to is not None:
        return "it was moved elsewhere"
    if state.arriving or state.backup_at is not None:
        return "it is a copy that is not ready"
    return None
