"""The embedded database: opening it, knowing it for ours, and bringing its schema up to date."""

import logging
from enum import Enum
from pathlib import Path

from peewee import DatabaseError, SqliteDatabase
from playhouse.migrations import Runner

APPLICATION_ID = 0x32464F4C
"""SQLite's `application_id` of our files: "2FOL"."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 5
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "cache_size": -8_000,
}


class SchemaState(Enum):
    """How a database's schema compares with this program's."""

    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"


class ForeignDatabaseError(Exception):
    """The file is no database of ours."""


def open_sqlite(path: Path) -> SqliteDatabase:
    """Open the file at `path`; SQLite gives its side files the modes of the file itself.

    peewee would log statements with their values at debug level, hashes and sealed secrets among them.
    """
    logging.getLogger("peewee").setLevel(logging.WARNING)
    return SqliteDatabase(str(path), pragmas=_PRAGMAS, timeout=_BUSY_SECONDS)


def create_sqlite(path: Path) -> SqliteDatabase:
    """Make a new database with the present schema.

    Raises:
        FileExistsError: when there is a file already.
    """
    path.touch(mode=0o600, exist_ok=False)
    database = open_sqlite(path)
    with database.connection_context():
        database.pragma("application_id", APPLICATION_ID)
        migrate(database)
    return database


def schema_state(database: SqliteDatabase) -> SchemaState:
    """Compare the database's schema with this program's.

    Raises:
        ForeignDatabaseError: when it is not ours at all.
    """
    try:
        ours = database.pragma("application_id") == APPLICATION_ID
    except DatabaseError:
        ours = False
    if not ours:
        raise ForeignDatabaseError
    history = Runner(database, str(_MIGRATIONS)).status()
    if any(migration.path is None for migration in history):
        return SchemaState.NEWER
    pending = any(migration.applied is None for migration in history)
    return SchemaState.OLDER if pending else SchemaState.CURRENT


def migrate(database: SqliteDatabase) -> list[str]:
    """Apply what is pending, all or nothing, while no other process can write; return the names."""
    with database.atomic("EXCLUSIVE"):
        applied: list[str] = Runner(database, str(_MIGRATIONS)).up()
    return applied
