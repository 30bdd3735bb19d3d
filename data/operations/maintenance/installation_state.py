"""Whether a database is an installation in use, and the right one for this process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data.operations.maintenance import master_key
from data.storage import models
from data.storage.database import Database, SchemaState, schema_state
from data.store import Tx


@dataclass(frozen=True, slots=True)
class InstallationState:
    """Whether a database is in use: it may have been moved, be a backup, or an unfinished copy."""

    key_check: str
    moved_to: str | None
    moved_at: datetime | None
    arriving: bool
    backup_at: datetime | None


def installation_state(_tx: Tx) -> InstallationState | None:
    """Return whether this database is in use; None if nothing was installed in it."""
    return _state(models.Installation.select().first())


def installation_state_of(database: Database) -> InstallationState | None:
    """Return the same for a database of any version, which may lack columns of this version."""
    models.database.initialize(database)
    execute: Callable[..., Any] = database.execute_sql
    there = {column[0] for column in execute('SELECT * FROM "installation"').description}
    fields = models.Installation._meta.columns  # noqa: SLF001 - peewee's own name for them.
    known = [field for name, field in fields.items() if name in there]
    return _state(models.Installation.select(*known).first())


def _state(row: models.Installation | None) -> InstallationState | None:
    if row is None:
        return None
    return InstallationState(row.key_check, row.moved_to, row.moved_at, bool(row.arriving), row.backup_at)


def fault_of(tx: Tx) -> str | None:
    """Return why this database is not the right one for this process; None if it is."""
    if schema_state(tx.database) is not SchemaState.CURRENT:
        return "it belongs to another version of Twofold"
    state = installation_state(tx)
    if state is None or not master_key.fits(tx):
        return "another database is in its place, or its master key is missing"
    if state.moved_to is not None:
        return "it was moved elsewhere"
    if state.arriving or state.backup_at is not None:
        return "it is a copy that is not ready for use"
    return None
