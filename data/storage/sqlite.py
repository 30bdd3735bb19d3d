"""SQLite: the embedded database of an installation on one host."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from peewee import SqliteDatabase

from data.storage.verdict import Verdict

APPLICATION_ID = 0x32464F4C
"""SQLite's `application_id` of our files: "2FOL"."""
_BUSY_SECONDS = 5
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "cache_size": -8_000,
}


class Sqlite(SqliteDatabase):
    """A file, written by one thread of a process at a time."""

    writing = "IMMEDIATE"
    reading = "DEFERRED"
    writers = 1
    readers = 1

    def verdict(self, _error: Exception, *, committing: bool) -> Verdict:  # noqa: ARG002 - a failed commit was none.
        """Say what becomes of a transaction that failed: SQLite has waited already."""
        return Verdict.FAILED

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold a transaction beside which no other process writes."""
        with self.atomic("EXCLUSIVE"):
            yield

    def faults(self) -> list[str]:
        """Read the whole file and name what is damaged in it, if anything is."""
        execute: Callable[[str], Any] = self.execute_sql
        broken = [row[0] for row in execute("PRAGMA quick_check(5)").fetchall() if row[0] != "ok"]
        strays = execute("PRAGMA foreign_key_check").fetchall()
        return broken + [f"a row of {table} belongs to nothing" for table in {row[0] for row in strays}]

    def clock(self) -> datetime | None:
        """There is no other clock than the one here."""
        return None


def open_sqlite(path: Path) -> Sqlite:
    """Open the file at `path`; SQLite gives its side files the modes of the file itself.

    peewee would log statements with their values at debug level, hashes and sealed secrets among them.
    """
    logging.getLogger("peewee").setLevel(logging.WARNING)
    database = Sqlite(str(path), pragmas=_PRAGMAS, timeout=_BUSY_SECONDS)
    # SQLite's own lower() leaves letters outside of ASCII as they are.
    database.register_function(_fold, "fold", 1)
    return database


def _fold(text: str | None) -> str | None:
    return None if text is None else str(text).lower()


def create_file(path: Path) -> None:
    """Make a new file that bears our mark.

    Raises:
        FileExistsError: when there is a file already.
    """
    path.touch(mode=0o600, exist_ok=False)
    # The mark goes into the file itself, before the write-ahead log stands beside it.
    with closing(sqlite3.connect(path)) as marking:
        marking.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        marking.commit()


def bears_our_mark(path: Path) -> bool:
    """Whether a file is ours; it is looked at without opening it, so another's stays as it is.

    Source: the SQLite file format, section 1.3: the magic string, and the application id at byte 68.
    """
    with path.open("rb") as file:
        header = file.read(100)
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION_ID.to_bytes(4)
