"""SQLite: the embedded database of an installation on one host."""

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from peewee import OperationalError, SqliteDatabase

from data.storage.transaction_failure import TransactionFailure

APPLICATION_ID = 0x32464F4C
"""SQLite's `application_id` of our files: "2FOL"."""
HEADER_BYTES = 100
_LARGEST_PAGE = 65_536
_BUSY_SECONDS = 5
_SHORTEST_WAIT, _LONGEST_WAIT = 0.001, 0.02
"""Seconds between two checks whether it is this process's turn to write."""
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "cache_size": -8_000,
}


_OBJECTS = (
    "SELECT type || ' ' || name || ' on ' || tbl_name, sql FROM sqlite_master WHERE type = 'trigger'",
    "SELECT type || ' ' || name, sql FROM sqlite_master WHERE type = 'view'",
    """
SELECT 'table ' || m.name, (m.rootpage > 0) || group_concat(
    c.name || ' ' || c.type || ' ' || c."notnull" || c.pk || c.hidden || ifnull(c.dflt_value, ''), ', ')
FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' GROUP BY m.name
""",
    """
SELECT 'index ' || i.name || ' on ' || m.name, i."unique" || i.partial || group_concat(c.name, ', ')
FROM sqlite_master m JOIN pragma_index_list(m.name) i JOIN pragma_index_info(i.name) c
WHERE m.type = 'table' AND i.origin = 'c' GROUP BY m.name, i.name
""",
)
"""Statements that name and describe the parts of a schema."""
_REASONS = {
    "BUSY": "another process has locked it",
    "LOCKED": "another process has locked it",
    "FULL": "its disk is full",
    "IOERR": "its disk is full, or failing",
    "READONLY": "its file cannot be written",
    "CANTOPEN": "its file cannot be opened",
    "PERM": "its file cannot be opened",
    "CORRUPT": "its file is damaged",
    "NOTADB": "its file is damaged",
}
"""What SQLite's errors mean in words, by the second word of their names."""
_WRITE_ERRORS = {"FULL": errno.ENOSPC, "IOERR": errno.EIO}
_STAYS_OPEN = frozenset({"BUSY", "LOCKED", "CONSTRAINT", "INTERRUPT"})
"""Errors after which a connection can still be used."""
_MISSING = "its file is missing"
_MOVED = "its file was moved, replaced or removed"
_STRANGE = "its file is not a Twofold database"


class _FileError(OperationalError):
    """Something that SQLite does not notice is wrong with the file; the message says what."""


_Inode = tuple[int, int]
"""A file's device and its number there. Files are told apart by it and never by their content: opening and
closing one that SQLite has open in this process would drop SQLite's locks."""


@dataclass(frozen=True, slots=True)
class _Files:
    """Which file is the database, and which is its log, if there is one."""

    database: _Inode
    log: _Inode | None


class Sqlite(SqliteDatabase):
    """A database file, written by one thread of a process at a time.

    A connection goes on writing to the file that it has open, even after that was moved or removed. So
    each transaction begins and ends with a check that it is still the one at the path. Once it is not,
    this process does nothing more with the database.
    """

    writing = recording = "IMMEDIATE"
    reading = "DEFERRED"
    writers = 1
    readers = 1

    def __init__(self, path: Path, **options: Any) -> None:
        # Opening never creates it: with an empty database in place of a lost one, no one could sign in.
        super().__init__(_uri(path, "rw"), uri=True, **options)
        self._path, self._log = path, path.with_name(f"{path.name}-wal")
        self._files: _Files | None = None
        """What the connections have open: the log stays the same while any of them is open."""
        self._connections = 0
        self._lost = False

    def ready(self) -> bool:
        """Connect this thread to the file at the path; return whether the connection is new.

        Raises:
            OperationalError: when there is none, it cannot be opened, or it is a different file than before.
        """
        if self.is_closed():
            return bool(self.connect())
        self._at_path(log=True)
        return False

    def holds(self) -> bool:
        """Whether what was just committed is in the file at the path."""
        with suppress(_FileError):
            self._at_path(log=True)
            return True
        return False

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction; while the turn to write may be near, check for it often.

        SQLite's own waits grow to a tenth of a second, in which others take the lock again and again.
        """
        begin: Callable[[str | None], None] = super().begin
        if lock_type != self.writing:
            begin(lock_type)
            return
        began = time.monotonic()
        self._wait_for(0)
        try:
            while not self._begins(begin, lock_type, time.monotonic() - began):
                pass
        finally:
            self._wait_for(_BUSY_SECONDS)

    def _begins(self, begin: Callable[[str | None], None], lock_type: str, waited: float) -> bool:
        try:
            begin(lock_type)
        except OperationalError as error:
            if _kind_of(_cause_of(error)) != "BUSY" or waited > _BUSY_SECONDS:
                raise
            time.sleep(min(_SHORTEST_WAIT + waited / 10, _LONGEST_WAIT))
            return False
        return True

    def _wait_for(self, seconds: float) -> None:
        connection: Callable[[], sqlite3.Connection] = self.connection
        connection().execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")

    def verdict(self, error: Exception, *, committing: bool) -> TransactionFailure:  # noqa: ARG002 - a failed commit was none.
        """Decide what happens after a failed transaction: SQLite has already waited.

        A connection that may be damaged by it is dropped.
        """
        cause = _cause_of(error)
        if self._lost or (not isinstance(cause, _FileError) and _kind_of(cause) not in _STAYS_OPEN):
            self.close()
        return TransactionFailure.LOST if self._lost else TransactionFailure.FAILED

    def reason(self, error: Exception) -> str | None:
        """Return what is wrong with the database in words, if that is known."""
        return reason_of(error)

    def _look(self) -> _Files | None:
        try:
            database = _inode_of(self._path)
            return database and _Files(database, _inode_of(self._log))
        except OSError:
            raise _FileError(_REASONS["CANTOPEN"]) from None

    def _at_path(self, *, log: bool) -> _Files:
        """Return the file at the path; with `log`, the log must be the one that the connections have open.

        Raises:
            OperationalError: when it is missing, or is not what this process had open.
        """
        found, known = self._look(), self._files
        if known is not None:
            moved = found is None or found.database != known.database or (log and found.log != known.log)
            self._lost = self._lost or moved
        if self._lost:
            raise _FileError(_MOVED)
        if found is None:
            raise _FileError(_MISSING)
        return found

    # peewee connects and closes one thread at a time.
    def _connect(self) -> sqlite3.Connection:
        others = self._connections > 0
        self._files = self._at_path(log=others)
        opened: sqlite3.Connection = super()._connect()  # type: ignore[misc]  # peewee's own seam.
        try:
            self._files = self._at_path(log=others)
        except _FileError:
            opened.close()
            raise
        self._connections += 1
        return opened

    def _close(self, conn: sqlite3.Connection) -> None:
        """Close a connection; accepted changes go into its file, wherever that now is.

        If another log has taken the log's place, that one belongs to the new file and must stay. The last
        connection to a file removes the log by its name, even if that is now another log, unless it can
        only read. So a read-only connection is opened to be the last.
        """
        known, found = self._files, None
        with suppress(_FileError):
            found = self._look()
        if known and found and found.database == known.database and found.log not in (None, known.log):
            with closing(sqlite3.connect(_uri(self._path, "ro"), uri=True)) as last:
                with suppress(sqlite3.Error):
                    last.execute("SELECT 1 FROM sqlite_master").fetchone()
                conn.close()
        else:
            if found != known:  # SQLite itself does not empty the log of a moved file.
                with suppress(sqlite3.Error):
                    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            conn.close()
        self._connections -= 1

    def _add_conn_hooks(self, conn: sqlite3.Connection) -> None:
        """Set up a connection; files of another program stay as they are."""
        if conn.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise _FileError(_STRANGE)
        super()._add_conn_hooks(conn)  # type: ignore[misc]
        conn.execute("SELECT 1 FROM sqlite_master").fetchone()  # From here on, the log exists.

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold a transaction during which no other process writes."""
        with self.atomic("EXCLUSIVE"):
            yield

    def faults(self) -> list[str]:
        """Read the whole file and return what is damaged in it, if anything."""
        execute: Callable[[str], Any] = self.execute_sql
        broken = [row[0] for row in execute("PRAGMA quick_check(5)").fetchall() if row[0] != "ok"]
        strays = execute("PRAGMA foreign_key_check").fetchall()
        return broken + [f"a row of {table} refers to a missing row" for table in {row[0] for row in strays}]

    def objects(self) -> dict[str, str]:
        """Return all parts of the schema, each with its definition: columns, or the SQL that created it."""
        execute: Callable[[str], Any] = self.execute_sql
        return {str(name): str(made) for sql in _OBJECTS for name, made in execute(sql).fetchall()}

    def clock(self) -> datetime | None:
        """There is no other clock than this host's."""
        return None


def open_sqlite(path: Path) -> Sqlite:
    """Open the file at `path`; SQLite gives its side files the modes of the file itself.

    peewee would log statements with their values at debug level, including hashes and sealed secrets.
    """
    logging.getLogger("peewee").setLevel(logging.WARNING)
    database = Sqlite(path, pragmas=_PRAGMAS, timeout=_BUSY_SECONDS)
    # SQLite's own lower() does not change letters outside ASCII.
    database.register_function(_fold, "fold", 1)
    return database


def reason_of(error: Exception) -> str | None:
    """Return what is wrong with a file in words, if that is known."""
    cause = _cause_of(error)
    return str(cause) if isinstance(cause, _FileError) else _REASONS.get(_kind_of(cause))


def _cause_of(error: BaseException) -> BaseException:
    """Return SQLite's first error: it may have rolled back already, and then the rollback fails too."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _FileError) or _kind_of(seen) in _REASONS.keys() | _STAYS_OPEN:
            return seen
        seen = getattr(seen, "orig", None) or seen.__context__
    return error


def _kind_of(error: BaseException) -> str:
    """Return the second word of the name that SQLite gives an error, such as FULL."""
    return str(getattr(error, "sqlite_errorname", "SQLITE_UNKNOWN")).split("_")[1]


def _inode_of(path: Path) -> _Inode | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"


def _fold(text: str | None) -> str | None:
    return None if text is None else str(text).lower()


def create_file(path: Path) -> None:
    """Create a new file with our mark, or none.

    Raises:
        FileExistsError: when there is a file already.
        OSError: when it cannot be written.
    """
    path.touch(mode=0o600, exist_ok=False)
    # The mark goes into the file itself, before there is a write-ahead log.
    try:
        with disk_errors_of(path), closing(sqlite3.connect(path)) as marking:
            marking.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            marking.commit()
    except BaseException:
        path.unlink()
        raise


@contextmanager
def disk_errors_of(path: Path) -> Iterator[None]:
    """Raise SQLite's error about a full or failing disk as the system would, with the file's name.

    Raises:
        OSError: when a file could not be written.
    """
    try:
        yield
    except (sqlite3.OperationalError, OperationalError) as error:
        number = _WRITE_ERRORS.get(_kind_of(_cause_of(error)))
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from None


def bears_our_mark(path: Path) -> bool:
    """Whether a file is ours; SQLite does not open it, so a foreign file is not changed."""
    with path.open("rb") as file:
        return _is_ours(file.read(HEADER_BYTES))


def length_in_header(header: bytes) -> int | None:
    """Read the size of our database from the first bytes of a file; None if it is not one.

    Source: the SQLite file format, section 1.3: the size of a page at byte 16, their number at byte 28.
    """
    if len(header) != HEADER_BYTES or not _is_ours(header):
        return None
    page, count = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    return (_LARGEST_PAGE if page == 1 else page) * count or None


def _is_ours(header: bytes) -> bool:
    """Source: the SQLite file format, section 1.3: the magic string, and the application id at byte 68."""
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION_ID.to_bytes(4)
