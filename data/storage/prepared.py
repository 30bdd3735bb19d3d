"""What every sign-in reads and writes, as SQL that is written once: to write it costs more than to run it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from peewee import Model, Value

from data.storage.models import database

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class _Place:
    """Stands in a statement for the value with this number."""

    number: int


class Prepared(Generic[M]):
    """A read of a table whose statement stays the same; only the values that it is given change.

    `make` writes it from placeholders for `values` values, which go to the database as they are given.
    """

    def __init__(self, table: type[M], values: int, make: Callable[..., Any]) -> None:
        self._table = table
        self._fields: dict[str, Any] = table._meta.columns  # noqa: SLF001 - peewee's own name for them.
        self._statement = _Statement(values, make)

    def all(self, *values: object) -> list[M]:
        """Return the rows that are found with these values."""
        sql, given = self._statement.with_values(values)
        execute: Callable[..., Any] = database.obj.execute_sql
        cursor = execute(sql, given)
        found = [self._row(cursor.description, row) for row in cursor.fetchall()]
        cursor.close()
        return found

    def one(self, *values: object) -> M | None:
        """Return the first of the rows, if there is one."""
        return next(iter(self.all(*values)), None)

    def _row(self, description: Sequence[Sequence[Any]], values: Sequence[Any]) -> M:
        """Make a row of what the database holds; columns that were not asked for have their defaults."""
        columns: dict[str, Any] = {}
        for column, value in zip(description, values, strict=True):
            field = self._fields[column[0]]
            columns[field.name] = field.python_value(value)
        return self._table(**columns)


class PreparedWrite:
    """A change whose statement stays the same; `make` writes it from placeholders for `values` values."""

    def __init__(self, values: int, make: Callable[..., Any]) -> None:
        self._statement = _Statement(values, make)

    def run(self, *values: object) -> int:
        """Make the change with these values; return how many rows it was made to."""
        sql, given = self._statement.with_values(values)
        execute: Callable[..., Any] = database.obj.execute_sql
        return int(execute(sql, given).rowcount)


class _Statement:
    """Writes a statement once for each kind of database."""

    def __init__(self, values: int, make: Callable[..., Any]) -> None:
        self._values = values
        self._make = make
        self._written: dict[type, tuple[str, tuple[Any, ...]]] = {}

    def with_values(self, values: tuple[object, ...]) -> tuple[str, list[Any]]:
        kind = type(database.obj)
        if kind not in self._written:
            places = [Value(_Place(number), converter=False) for number in range(self._values)]
            sql, parameters = self._make(*places).sql()
            self._written[kind] = sql, tuple(parameters)
        sql, parameters = self._written[kind]
        return sql, [values[each.number] if isinstance(each, _Place) else each for each in parameters]
