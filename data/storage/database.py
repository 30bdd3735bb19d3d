"""The embedded database: opening it, knowing it for ours, and bringing its schema up to date."""

import logging
import sqlite3
from contextlib import closing
from enum import Enum
from pathlib import Path

from peewee import SqliteDatabase
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


def open_sqlite(path: Path) -> SqliteDatabase:
    """Open the file at `path`; SQLite gives its side files the modes of the file itself.

    peewee would log statements with their values at debug level, hashes and sealed secrets among them.
    """
    logging.getLogger("peewee").setLevel(logging.WARNING)
    database = SqliteDatabase(str(path), pragmas=_PRAGMAS, timeout=_BUSY_SECONDS)
    # SQLite's own lower() leaves letters outside of ASCII as they are.
    database.register_function(_lower, "lower", 1)
    return database


def _lower(text: str | None) -> str | None:
    return None if text is None else str(text).lower()


def create_sqlite(path: Path) -> SqliteDatabase:
    """Make a new database with the present schema.

    Raises:
        FileExistsError: when there is a file already.
    """
    path.touch(mode=0o600, exist_ok=False)
    # The mark goes into the file itself, before the write-ahead log stands beside it.
    with closing(sqlite3.connect(path)) as marking:
        marking.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        marking.commit()
    database = open_sqlite(path)
    with database.connection_context():
        migrate(database)
    return database


def is_ours(path: Path) -> bool:
    """Whether a file bears our mark; it is looked at without opening it, so another's stays as it is.

    Source: the SQLite file format, section 1.3: the magic string, and the application id at byte 68.
    """
    with path.open("rb") as file:
        header = file.read(100)
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION_ID.to_bytes(4)


def schema_state(database: SqliteDatabase) -> SchemaState:
    """Compare the schema of a database of ours with this program's."""
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
