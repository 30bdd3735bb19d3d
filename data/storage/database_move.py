"""Moving an installation to another database: all of it or nothing, and the old one accepts no more writes.

The copy is completed and marked as not in use, then the old database is closed for good, then the mark on
the copy is removed. If this breaks off between two steps, at most one database can be served.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from peewee import AutoField, BooleanField, Model

from data.rules.user_fields import storable
from data.storage import models
from data.storage.database import Database, Place, is_ours, migrate, open_database
from data.storage.models import microseconds
from data.storage.postgresql import NotEmptyError, Postgresql, check_target, is_empty
from data.storage.sqlite import create_file, disk_errors_of

Told = Callable[[int], None]
"""Called with how many more rows have been copied."""

_BATCH = 1_000
"""Rows that one statement writes: well below the number of values that a database accepts."""


class CopyFailedError(Exception):
    """The copy differs from its original; it was discarded."""


def copy_database(source: Database, target: Place, *, moved_to: str, now: datetime, told: Told) -> int:
    """Move everything to an empty place; return how many rows there were.

    Raises:
        FileExistsError: when there is a file already.
        NotEmptyError: when the PostgreSQL database is not empty.
        CopyFailedError: when the copy differs from the original.
        OSError: when a file cannot be written.
    """
    with source.connection_context(), _closed_to_writers(source):
        with new_database(target) as arriving:
            rows = copy_all(source, arriving, told)
            write(arriving, 'UPDATE "installation" SET arriving = {}', True)
        _close_for_good(source, moved_to, now)
    finish(target)
    return rows


def can_finish(target: Place, key_check: str) -> bool:
    """Whether a copy of this installation at a place is waiting for its mark to be removed."""
    if isinstance(target, Path) and not target.is_file():
        return False
    database = open_database(target)
    if not is_ours(target, database):
        return False
    with database.connection_context():
        rows = _rows(database, 'SELECT key_check, arriving FROM "installation"')
    return [(check, bool(arriving)) for check, arriving in rows] == [(key_check, True)]


def finish(target: Place) -> None:
    """Remove the mark of a completed copy."""
    database = open_database(target)
    with database.connection_context():
        write(database, 'UPDATE "installation" SET arriving = {}', False)


@contextmanager
def _closed_to_writers(source: Database) -> Iterator[None]:
    """Hold a transaction during which no one else writes and which sees everything committed before."""
    with source.exclusively():
        if isinstance(source, Postgresql):
            names = ", ".join(f'"{_name(table)}"' for table in models.TABLES)
            source.ask(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        yield


@contextmanager
def new_database(target: Place) -> Iterator[Database]:
    """Create a database in one transaction; if that fails, nothing is left.

    Raises:
        OSError: when a file cannot be written.
    """
    if isinstance(target, Path):
        create_file(target)
    database = open_database(target)
    disk = disk_errors_of(target) if isinstance(target, Path) else nullcontext()
    try:
        with disk, database.connection_context(), database.exclusively():
            if isinstance(database, Postgresql):
                _check_empty(database)
            migrate(database)
            yield database
    except BaseException:
        if isinstance(target, Path):
            for suffix in ("", "-wal", "-shm", "-journal"):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
        raise


def _check_empty(database: Postgresql) -> None:
    check_target(database)
    if not is_empty(database):
        raise NotEmptyError("The database is not empty.")


def count_rows(source: Database) -> int:
    """Count all rows of all tables."""
    return sum(_count(source, table) for table in models.TABLES)


def copy_all(source: Database, target: Database, told: Told) -> int:
    """Copy every row of every table within the open transactions of both; return how many there were.

    Raises:
        CopyFailedError: when the copy differs from the original.
    """
    total = 0
    for table in models.TABLES:
        copied = table not in models.KEPT_BY_TRIGGERS
        if copied:  # Triggers may have counted the rows of other tables in it.
            write(target, f'DELETE FROM "{_name(table)}"')  # noqa: S608 - a name of ours.
        for rows in _batches(source, table):
            if copied:
                _insert(target, table, rows)
            told(len(rows))
            total += len(rows)
        # Of groups that nobody is in any more, no counts arrive.
        if table is not models.UserCount and _count(source, table) != _count(target, table):
            raise CopyFailedError(f"Not every row of the table {_name(table)} arrived.")
        if isinstance(target, Postgresql) and isinstance(table._meta.primary_key, AutoField):  # noqa: SLF001
            _count_on(target, _name(table))
    return total


def _batches(source: Database, table: type[Model]) -> Iterator[list[tuple[Any, ...]]]:
    """Read a table by its key, in batches."""
    columns, keys = _columns(table), _keys(table)
    key = ", ".join(f'"{name}"' for name in keys)
    at = [columns.index(name) for name in keys]
    listed = ", ".join(f'"{name}"' for name in columns)
    after: tuple[Any, ...] = ()
    while True:
        marks = ", ".join([source.param] * len(after))
        where = f"WHERE ({key}) > ({marks})" if after else ""
        sql = f'SELECT {listed} FROM "{_name(table)}" {where} ORDER BY {key} LIMIT {_BATCH}'  # noqa: S608
        rows = _rows(source, sql, *after)
        if not rows:
            return
        yield rows
        after = tuple(rows[-1][index] for index in at)


def _insert(target: Database, table: type[Model], rows: list[tuple[Any, ...]]) -> None:
    columns = _columns(table)
    listed, marks = ", ".join(f'"{name}"' for name in columns), ", ".join([target.param] * len(columns))
    # SQLite stores truth values as numbers, and accepts texts that PostgreSQL does not.
    truths = {columns.index(f.column_name) for f in _fields(table) if isinstance(f, BooleanField)}
    fit = [tuple(_fit(value, truth=index in truths) for index, value in enumerate(row)) for row in rows]
    row_marks = ", ".join([f"({marks})"] * len(fit))
    execute: Callable[..., Any] = target.execute_sql
    execute(
        f'INSERT INTO "{_name(table)}" ({listed}) VALUES {row_marks}',  # noqa: S608 - names of ours.
        [value for row in fit for value in row],
    )


def _fit(value: Any, *, truth: bool) -> Any:
    if isinstance(value, str):
        return storable(value)
    return bool(value) if truth and value is not None else value


def _count_on(target: Postgresql, name: str) -> None:
    """Have new rows numbered after the copied ones."""
    last = _rows(target, f'SELECT max(id) FROM "{name}"')[0][0]  # noqa: S608 - a name of ours.
    if last is not None:
        target.ask("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", f'"{name}"', last)


def _close_for_good(source: Database, moved_to: str, now: datetime) -> None:
    """Mark a database as moved and have it refuse every write from now on, even from running servers."""
    write(source, 'UPDATE "installation" SET moved_to = {}, moved_at = {}', moved_to, microseconds(now))
    if isinstance(source, Postgresql):
        source.ask(
            "CREATE OR REPLACE FUNCTION refuse_moved() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RAISE EXCEPTION ''this installation was moved''; END'"
        )
    for table in models.TABLES:
        for act in ("INSERT", "UPDATE", "DELETE"):
            write(source, _refusal(source, _name(table), act))


def _refusal(source: Database, table: str, act: str) -> str:
    trigger = f'CREATE TRIGGER "moved_{table}_{act.lower()}" BEFORE {act} ON "{table}" '
    if isinstance(source, Postgresql):
        return trigger + "FOR EACH STATEMENT EXECUTE FUNCTION refuse_moved()"
    return trigger + "BEGIN SELECT RAISE(ABORT, 'this installation was moved'); END"


def write(database: Database, sql: str, *values: object) -> None:
    """Run a statement in which each `{}` marks a value, whatever the database's own syntax."""
    execute: Callable[..., Any] = database.execute_sql
    execute(sql.format(*[database.param] * len(values)) if values else sql, values)


def _rows(database: Database, sql: str, *values: object) -> list[tuple[Any, ...]]:
    execute: Callable[..., Any] = database.execute_sql
    return list(execute(sql, values).fetchall())


def _count(database: Database, table: type[Model]) -> int:
    return int(_rows(database, f'SELECT count(*) FROM "{_name(table)}"')[0][0])  # noqa: S608 - a name of ours.


def _name(table: type[Model]) -> str:
    return str(table._meta.table_name)  # noqa: SLF001 - peewee's own name for a table's description.


def _fields(table: type[Model]) -> list[Any]:
    return list(table._meta.sorted_fields)  # noqa: SLF001 - as above.


def _columns(table: type[Model]) -> list[str]:
    return [field.column_name for field in _fields(table)]


def _keys(table: type[Model]) -> list[str]:
    primary_keys: Callable[[], tuple[Any, ...]] = table._meta.get_primary_keys  # noqa: SLF001 - as above.
    return [field.column_name for field in primary_keys()]
