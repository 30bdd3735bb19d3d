"""Backups: an installation in one file, whichever database it is served from.

A backup is an embedded database that is marked as one, so that it is served only after it was restored:
restoring counts as spent what may have been spent since. The master key is not in it.
"""

import os
import shutil
from datetime import datetime
from pathlib import Path

from data.storage.copying import Told, copy_all, new_database, write
from data.storage.database import Database, migrate
from data.storage.models import microseconds
from data.storage.postgresql import Postgresql, drop_everything
from data.storage.sqlite import Sqlite, disk_errors_of, open_sqlite

_SIDE_FILES = ("-wal", "-shm", "-journal")


def back_up(source: Database, file: Path, *, now: datetime, told: Told) -> int:
    """Write all that was committed at one moment to a new file, while others read and write on.

    The file has its name once it is whole and on the disk. Return how many rows it holds.

    Raises:
        FileExistsError: when there is a file already.
        CopyFailedError: when what arrived is not what was sent.
        OSError: when the file cannot be written.
    """
    if file.exists():
        raise FileExistsError(file)
    partial = file.with_name(f"{file.name}.partial")
    remove(partial)
    try:
        with source.connection_context(), source.atomic(source.reading), new_database(partial) as made:
            rows = copy_all(source, made, told)
            write(made, "UPDATE installation SET backup_at = {}", microseconds(now))
        with disk_errors_of(partial):
            put_into_one_file(partial)
        os.link(partial, file)
    finally:
        remove(partial)
    _sync(file.parent)
    return rows


def put_into_one_file(path: Path) -> None:
    """Bring an embedded database that nobody uses out of its side files and onto the disk."""
    database = open_sqlite(path)
    with database.connection_context():
        write(database, "PRAGMA journal_mode = DELETE")
    _sync(path)


def take_mark_away(file: Path) -> None:
    """Make a restored backup a database that can be served."""
    database = open_sqlite(file)
    with database.connection_context():
        write(database, "UPDATE installation SET backup_at = {}", None)
    put_into_one_file(file)


def copy_file(file: Path, target: Path) -> None:
    """Copy a backup, so that it stays as it is."""
    remove(target)
    target.touch(mode=0o600)
    shutil.copyfile(file, target)


def remove(path: Path) -> None:
    """Remove an embedded database with its side files, as far as they are there."""
    for suffix in ("", *_SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def replace_file(restored: Path, present: Path, kept: Path) -> None:
    """Put a restored database in the place of the present one, which is kept under another name.

    At every moment there is a whole database in that place, the one or the other.
    """
    if present.exists():
        os.link(present, kept)
        for suffix in _SIDE_FILES:
            side = present.with_name(present.name + suffix)
            if side.exists():
                side.rename(kept.with_name(kept.name + suffix))
    restored.replace(present)
    _sync(present.parent)


def replace_content(restored: Path, present: Postgresql, told: Told) -> int:
    """Replace all that is in a PostgreSQL database by a restored one, or nothing; return how many rows."""
    source: Sqlite = open_sqlite(restored)
    with (
        source.connection_context(),
        source.atomic(source.reading),
        present.connection_context(),
        present.exclusively(),
    ):
        drop_everything(present)
        migrate(present)
        return copy_all(source, present, told)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
