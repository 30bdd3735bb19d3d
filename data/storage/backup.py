"""Backups: an installation in one file, whichever database it is served from.

A backup is an embedded database that is marked as a backup, so that it is served only after a restore:
restoring counts as spent whatever may have been spent since. The master key is not in it. After its end
is a keyed hash over every byte of it, under a key derived from the master key.
"""

import hmac
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from data.rules.safe_text import safe
from data.storage.database import Database, migrate
from data.storage.database_move import Told, copy_all, new_database, write
from data.storage.files import open_plain
from data.storage.models import microseconds
from data.storage.postgresql import Postgresql, drop_everything
from data.storage.sqlite import (
    HEADER_BYTES,
    Sqlite,
    disk_errors_of,
    length_in_header,
    open_sqlite,
)
from data.storage.vault import UnknownKeyError, Vault

_SIDE_FILES = ("-wal", "-shm", "-journal")
_CHUNK_BYTES = 2**20
_SEAL = struct.Struct("16s32s32s")
"""What follows a backup's end: a mark, the master key's check value, the hash over everything before it."""
_SEAL_MARK = b"twofold backup 1"


class BackupRefusedError(Exception):
    """A file cannot be restored; the message continues after the file's name, and ends with what to do."""


def back_up(source: Database, file: Path, vault: Vault, *, now: datetime, told: Told) -> int:
    """Write everything that was committed at one moment to a new file, while others still read and write.

    The file gets its name once it is complete and on the disk. Return how many rows it holds.

    Raises:
        FileExistsError: when there is a file already.
        CopyFailedError: when the copy differs from the original.
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
        _append_seal(partial, vault)
        os.link(partial, file)
    finally:
        remove(partial)
    _sync(file.parent)
    return rows


def put_into_one_file(path: Path) -> None:
    """Merge the side files of an embedded database that no one uses into it, and write it to the disk."""
    database = open_sqlite(path)
    with database.connection_context():
        write(database, "PRAGMA journal_mode = DELETE")
    _sync(path)


def take_mark_away(file: Path) -> None:
    """Turn a restored backup into a database that can be served."""
    database = open_sqlite(file)
    with database.connection_context():
        write(database, "UPDATE installation SET backup_at = {}", None)
    put_into_one_file(file)


def copy_checked(file: Path, target: Path, vault: Vault, *, unverified: bool = False) -> bool:
    """Copy the database in a backup to a private file; return whether it has a valid keyed hash.

    Nothing is written before the file is recognised as a backup and its hash is verified. One without a
    hash is copied only on request.

    Raises:
        BackupRefusedError: when it is not a backup, is incomplete, was changed, or needs another master key.
        OSError: when a file cannot be read or written.
    """
    remove(target)
    with open_plain(file) as source:
        length, seal = _measured(source)
        if seal is None and not unverified:
            raise BackupRefusedError(
                "has no keyed hash: an older version made it, or someone removed the hash, so it is not "
                "known whether it was changed. Restore a newer one, or see: twofold restore --unverified"
            )
        if seal is not None:
            _check_seal(source, length, seal, vault)
        source.seek(0)
        hashed = None if seal is None else vault.backup_hash(seal.check)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            for chunk in _chunks(source, length):
                copy.write(chunk)
                if hashed is not None:
                    hashed.update(chunk)
    if seal is not None and hashed is not None:
        seal.check_against(hashed)
    return seal is not None


@dataclass(frozen=True, slots=True)
class _Seal:
    """The check value of the master key that a backup was made under, and the keyed hash over it."""

    check: str
    hash: bytes

    def check_against(self, found: hmac.HMAC) -> None:
        found.update(_seal_head(self.check))
        if not hmac.compare_digest(found.digest(), self.hash):
            raise BackupRefusedError(
                "was changed after it was made, or is damaged: its keyed hash does not match. Nothing was "
                "changed. Restore another backup."
            )


def check_keys(database: Sqlite, vault: Vault) -> None:
    """Check that the master keys that the secrets in a backup are sealed under are here.

    Raises:
        BackupRefusedError: when one is missing; it says which.
    """
    execute: Callable[[str], Any] = database.execute_sql
    for checks in execute("SELECT key_check, former_key_check FROM installation").fetchall():
        for check in checks:
            if check is not None and not vault.holds(check):
                raise _other_key(check, vault)


def _other_key(check: str, vault: Vault) -> BackupRefusedError:
    return BackupRefusedError(
        f"needs the master key with the check value {safe(check)}, but the one here has "
        f"{vault.check_value}. A key that was rotated away here is in master.key.{safe(check)}. Choose "
        "the right one with: "
        "twofold --master-key FILE restore"
    )


def _append_seal(path: Path, vault: Vault) -> None:
    """Append the keyed hash to a finished backup, and write all of it to the disk."""
    database = open_sqlite(path)
    with database.connection_context():
        execute: Callable[[str], Any] = database.execute_sql
        ((check,),) = execute("SELECT key_check FROM installation").fetchall()
    found = vault.backup_hash(check)
    with path.open("r+b") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
        found.update(_seal_head(check))
        file.write(_SEAL.pack(_SEAL_MARK, check.encode(), found.digest()))
        file.flush()
        os.fsync(file.fileno())


def _seal_head(check: str) -> bytes:
    return _SEAL_MARK + check.encode()


def _measured(file: BinaryIO) -> tuple[int, _Seal | None]:
    """Read an open file: how many bytes of it are the database, and the seal after them."""
    length = length_in_header(file.read(HEADER_BYTES))
    if length is None:
        raise BackupRefusedError("is not a backup of Twofold.")
    size = os.fstat(file.fileno()).st_size
    if size < length:
        raise BackupRefusedError(f"is cut off: it has {size} of {length} bytes. Restore another backup.")
    file.seek(length)
    behind = file.read(_SEAL.size + 1)
    if not behind:
        return length, None
    if len(behind) != _SEAL.size or not behind.startswith(_SEAL_MARK):
        raise BackupRefusedError("is not a backup of Twofold: there is other data after its end.")
    _mark, check, digest = _SEAL.unpack(behind)
    return length, _Seal(check.decode("ascii", "replace"), digest)


def _check_seal(file: BinaryIO, length: int, seal: _Seal, vault: Vault) -> None:
    try:
        found = vault.backup_hash(seal.check)
    except UnknownKeyError:
        raise _other_key(seal.check, vault) from None
    file.seek(0)
    for chunk in _chunks(file, length):
        found.update(chunk)
    seal.check_against(found)


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Read this many bytes, in chunks."""
    while length:
        chunk = file.read(min(length, _CHUNK_BYTES))
        if not chunk:
            raise BackupRefusedError("became shorter while it was read. Try again.")
        length -= len(chunk)
        yield chunk


def remove(path: Path) -> None:
    """Remove an embedded database and its side files, if they exist."""
    for suffix in ("", *_SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def replace_file(restored: Path, present: Path, kept: Path) -> None:
    """Replace the present database with a restored one; the present one is kept under another name.

    At every moment there is a complete database in that place, either the one or the other.
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
    """Replace all content of a PostgreSQL database with a restored one, or nothing; return how many rows."""
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
