"""The file of an embedded database and those that SQLite puts beside it, looked at from outside.

Files are told apart by device and number, never by their content: to open one that SQLite has open in this
process, and to close it again, would drop SQLite's locks.
"""

import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Identity = tuple[int, int]
"""A file's device and its number there."""


@dataclass(frozen=True, slots=True)
class Files:
    """Which file is the database, and which the log beside it, if there is one."""

    database: Identity
    log: Identity | None


class SideFiles:
    """The log and the index beside a database's file, and whose they are.

    They find each other by name alone: the log of a file that was moved away would be played into the one
    that has taken its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log, self._index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
        self._owner: Identity | None = None
        self._known: dict[Path, Identity | None] = {}
        self._connections: Counter[Files] = Counter()
        self._lock = threading.Lock()

    def look(self) -> Files | None:
        """Return what is at the path now.

        Raises:
            OSError: when it cannot be seen.
        """
        database = _identity_of(self._path)
        return database and Files(database, _identity_of(self._log))

    def opened(self, files: Files) -> None:
        """Note what this process has opened."""
        with self._lock:
            self._owner = files.database
            self._known = {self._log: files.log, self._index: _identity_of(self._index)}
            self._connections[files] += 1

    def closed(self, files: Files) -> None:
        """Note that a connection was closed; SQLite removes the side files after the last one."""
        with self._lock:
            self._connections[files] -= 1
            if not self._open_to(files.database) and _identity_of(self._log) is None:
                self._known = {}

    def belong_to(self, files: Files) -> bool:
        """Whether the known side files are of this file, or none are known yet."""
        with self._lock:
            return self._owner in (None, files.database)

    def make_way_for(self, files: Files) -> bool:
        """Before another file is opened, put the known one's side files out of its way.

        Say whether it is so: not while this process still has the known one open, or the same one with
        an older log: the connections of a process to one file share what they know of its log. Of several
        processes that do so at once, each leaves alone what another has made meanwhile.
        """
        with self._lock:
            if self._owner is None or files.database == self._owner:
                return self._open_to(files.database) <= {files.log}
            if self._open_to(self._owner):
                return False
            with self._alone():
                for path, known in self._known.items():
                    if known is not None and _identity_of(path) == known:
                        _put_away(path)
            self._known = {}
            return True

    def _open_to(self, database: Identity) -> set[Identity | None]:
        """Return the logs that this process's connections to a file know."""
        return {
            files.log for files, count in self._connections.items() if count and files.database == database
        }

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # This process has no connection to that file yet, so that opening and closing it drops no lock.
        file = os.open(self._path, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def _identity_of(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _put_away(path: Path) -> None:
    """Remove what holds nothing; keep a log that could not be emptied, under another name."""
    if path.name.endswith("-wal") and path.stat().st_size:
        path.rename(path.with_name(f"{path.name}.moved"))
    else:
        path.unlink()
