"""Restoring rows: those of a backup go into a new schema that our own migrations make.

The backup's own schema is not restored, so that no foreign trigger, view, table or index comes back with
it. It is read like any foreign data: nothing in its schema may run.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from data.storage import models
from data.storage.backup import BackupRefusedError, put_into_one_file
from data.storage.database import migrate, migration_names
from data.storage.sqlite import create_file, disk_errors_of, open_sqlite

_HISTORY = "schema_migration"
_KEPT_BY_TRIGGERS = {table._meta.table_name for table in models.KEPT_BY_TRIGGERS}  # noqa: SLF001 - peewee's own.
_KINDS = {"INTE": "integer", "VARC": "text", "TEXT": "text", "BLOB": "blob"}
"""How SQLite stores the values of our columns, by the first letters of their types."""
_SETUP = (
    # Until it is complete, the new file is useless, so it needs no protection against a crash.
    "PRAGMA main.journal_mode = OFF",
    "PRAGMA main.synchronous = OFF",
    "PRAGMA main.cache_size = -131072",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


def rebuild(backup: Path, target: Path) -> None:
    """Create a new database with the schema of a backup's version, and copy the backup's rows into it.

    Raises:
        BackupRefusedError: when it is damaged, from a newer version, or has no tables like ours.
        OSError: when the new file cannot be written.
    """
    create_file(target)
    try:
        with closing(_connect(backup, "mode=ro&immutable=1")) as reading:
            version = _version(reading)
        database = open_sqlite(target)
        with disk_errors_of(target), database.connection_context():
            migrate(database, version)
        with disk_errors_of(target), closing(_connect(target, "mode=rw")) as writing:
            for statement in _SETUP:
                writing.execute(statement)
            writing.execute("ATTACH ? AS backup", (_uri(backup, "mode=ro&immutable=1"),))
            _copy(writing)
        with disk_errors_of(target):
            put_into_one_file(target)
    except sqlite3.Error:
        raise BackupRefusedError("is damaged. Restore another backup.") from None


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path))}?{options}"


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(_uri(path, options), uri=True, isolation_level=None)


def _version(backup: sqlite3.Connection) -> str:
    """Return the name of the last migration of a backup's schema."""
    backup.execute("PRAGMA trusted_schema = OFF")
    _check_table(backup, "main", _HISTORY)
    names = [name for (name,) in backup.execute(f"SELECT name FROM {_HISTORY} ORDER BY name")]  # noqa: S608
    ours = migration_names()
    if not set(names) <= set(ours):
        raise BackupRefusedError(
            "was taken by a newer version of Twofold. Install that version to restore it."
        )
    if not names or names != ours[: len(names)]:
        raise BackupRefusedError("is not a backup of Twofold: its schema is not one of ours.")
    return str(names[-1])


def _check_table(connection: sqlite3.Connection, schema: str, name: str) -> None:
    """Refuse anything that only has a table's name: a view, or a virtual table."""
    sql = f"SELECT type, rootpage > 0 FROM {schema}.sqlite_master WHERE name = ?"  # noqa: S608 - our own words.
    if connection.execute(sql, (name,)).fetchall() != [("table", 1)]:
        raise BackupRefusedError(f"is not a backup of Twofold: it has no table {name} like ours.")


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> dict[str, bool]:
    """Return a table's columns, and whether each is stored."""
    rows = connection.execute("SELECT name, hidden = 0 FROM pragma_table_xinfo(?, ?)", (table, schema))
    return {name: bool(stored) for name, stored in rows}


def _check_values(connection: sqlite3.Connection, table: str) -> None:
    """Refuse values of a different kind than their column's: SQLite stores text in a column of numbers."""
    kinds = connection.execute("SELECT name, substr(type, 1, 4) FROM pragma_table_info(?)", (table,))
    strange = " OR ".join(
        f"typeof(\"{name}\") NOT IN ('{_KINDS[declared]}', 'null')" for name, declared in kinds
    )
    if connection.execute(f'SELECT 1 FROM main."{table}" WHERE {strange} LIMIT 1').fetchone():  # noqa: S608
        raise BackupRefusedError(f"is damaged: its table {table} contains invalid values.")


def _copy(connection: sqlite3.Connection) -> None:
    names = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
    connection.execute("BEGIN")
    for (table,) in names:
        if table == _HISTORY or table in _KEPT_BY_TRIGGERS:
            continue
        _check_table(connection, "backup", table)
        columns = _columns(connection, "main", table)
        if _columns(connection, "backup", table) != columns:
            raise BackupRefusedError(f"is not a backup of Twofold: its table {table} has other columns.")
        listed = ", ".join(f'"{column}"' for column in columns)
        # Triggers may have counted the rows of other tables in it.
        connection.execute(f'DELETE FROM main."{table}"')  # noqa: S608 - a name of ours.
        # The backup's indexes are not used: one that leaves out rows would lose them.
        connection.execute(
            f'INSERT INTO main."{table}" ({listed}) SELECT {listed} FROM backup."{table}" NOT INDEXED'  # noqa: S608
        )
        _check_values(connection, table)
    connection.execute("COMMIT")
    if connection.execute("SELECT 1 FROM pragma_foreign_key_check(NULL, 'main') LIMIT 1").fetchone():
        raise BackupRefusedError("is damaged: some rows refer to missing rows. Restore another backup.")
