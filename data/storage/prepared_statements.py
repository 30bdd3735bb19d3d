"""SQL that is generated once, or written by hand, where generating it with peewee costs more than running it.

That is so for what every sign-in reads and writes, and for the many rows of an import.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from peewee import CharField, Field, ForeignKeyField, IntegerField, Model, PostgresqlDatabase, Value, fn

from data.storage.models import database
from data.storage.postgresql_connection import Repeated, Unanswered

M = TypeVar("M", bound=Model)
_LEFT: Any = (Field.adapt, IntegerField.adapt, CharField.adapt)
_Column = tuple[str, Callable[[Any], Any] | None]
"""A column's name, and how its values are read, if they are not taken as they are; NULL always is."""


@dataclass(frozen=True, slots=True)
class _Placeholder:
    """A placeholder in a statement for the value with this number."""

    number: int


class Prepared(Generic[M]):
    """A read of a table whose statement stays the same; only its values change.

    `make` builds it from placeholders for `values` values, which go to the database unchanged: PostgreSQL
    refuses a number that does not fit its column. If `parent` names a foreign key, the columns of its target
    follow the table's own. After them come `more` columns, which are no table's.
    """

    def __init__(
        self, table: type[M], values: int, make: Callable[..., Any], parent: str = "", more: int = 0
    ) -> None:
        self._tables: list[type[Model]] = [table]
        self._parent = parent
        self._more = more
        if parent:
            self._tables.append(getattr(table, parent).rel_model)
        self._statement = _Statement(values, make)
        self._columns: dict[type, list[list[_Column]]] = {}

    def all(self, *values: object) -> list[M]:
        """Return the rows that match these values; columns that were not selected are None."""
        return [self._row(values) for values in self._found(values)]

    def one(self, *values: object) -> M | None:
        """Return the first of the rows, if there is one."""
        return next(iter(self.all(*values)), None)

    def one_with_more(self, *values: object) -> tuple[M, Sequence[Any]] | None:
        """Return the first of the rows, if there is one, with the columns that are no table's."""
        return next(((self._row(row), row[-self._more :]) for row in self._found(values)), None)

    def _found(self, values: tuple[object, ...]) -> list[Sequence[Any]]:
        cursor = self._statement.execute(values)
        found: list[Sequence[Any]] = cursor.fetchall()
        if found and type(database.obj) not in self._columns:
            names = [each[0] for each in cursor.description]
            self._columns[type(database.obj)] = self._told_apart(names[: len(names) - self._more])
        cursor.close()
        return found

    def _told_apart(self, names: list[str]) -> list[list[_Column]]:
        """Return for each table's columns their names in its rows, and how their values are read."""
        own = len(_fields(self._tables[0])) if self._parent else len(names)
        return [
            [(_fields(table)[name].name, _reader(_fields(table)[name])) for name in of_table]
            for table, of_table in zip(self._tables, (names[:own], names[own:]), strict=False)
        ]

    def _row(self, values: Sequence[Any]) -> M:
        columns = self._columns[type(database.obj)]
        row: Any = _filled(self._tables[0], columns[0], values)
        if self._parent:
            setattr(row, self._parent, _filled(self._tables[1], columns[1], values[len(columns[0]) :]))
        found: M = row
        return found


def _fields(table: type[Model]) -> dict[str, Any]:
    """Return a table's fields by the names of their columns."""
    fields: dict[str, Any] = table._meta.columns  # noqa: SLF001 - peewee's own name for them.
    return fields


def _reader(field: Any) -> Callable[[Any], Any] | None:
    """Return what peewee reads a field's values with; None if it takes them as they are in the database."""
    own = field.rel_field if isinstance(field, ForeignKeyField) else field
    is_left = type(own).python_value is Field.python_value and type(own).adapt in _LEFT
    return None if is_left else field.python_value


def _filled(table: type[Model], columns: Sequence[_Column], values: Sequence[Any]) -> Model:
    """Build a row as peewee does for its own reads, but without its check of each column."""
    row = table(__no_default__=1)
    row.__data__ = {
        name: read(value) if read and value is not None else value
        for (name, read), value in zip(columns, values, strict=False)
    }
    return row


def joined(column: Any, which: Any) -> Any:
    """Return as SQL a column's values in the rows that fulfil a condition, with commas between them."""
    is_postgresql = isinstance(database.obj, PostgresqlDatabase)
    join = fn.STRING_AGG if is_postgresql else fn.GROUP_CONCAT
    return column.model.select(join(column, ",")).where(which)


def parted(values: str | None) -> frozenset[str]:
    """Return the values of `joined`, none of which has a comma."""
    return frozenset(values.split(",")) if values else frozenset()


class PreparedWrite:
    """A change whose statement stays the same; `make` builds it from placeholders for `values` values."""

    def __init__(self, values: int, make: Callable[..., Any]) -> None:
        self._statement = _Statement(values, make)

    def run(self, *values: object) -> int:
        """Run the change with these values; return how many rows it changed."""
        return int(self._statement.execute(values).rowcount)

    def run_unanswered(self, *values: object) -> None:
        """Run the change with these values before anything that follows; if it fails, that does."""
        self._statement.execute(values, answered=False)


class PreparedInsert:
    """An insert whose statement stays the same, built from placeholders for `values` values."""

    def __init__(self, values: int, make: Callable[..., Any]) -> None:
        self._statement = _Statement(values, make)

    def run(self, *values: object) -> int:
        """Insert the row with these values; return its ID."""
        cursor = self._statement.execute(values)
        return int(cursor.fetchone()[0] if cursor.description else cursor.lastrowid)


class _Statement:
    """Builds a statement once for each kind of database."""

    def __init__(self, values: int, make: Callable[..., Any]) -> None:
        self._values = values
        self._make = make
        self._written: dict[type, tuple[Repeated, Unanswered, tuple[Any, ...]]] = {}

    def execute(self, values: tuple[object, ...], *, answered: bool = True) -> Any:
        """Run the statement with these values; return the cursor if an answer is wanted."""
        kind = type(database.obj)
        if kind not in self._written:
            placeholders = [Value(_Placeholder(number), converter=False) for number in range(self._values)]
            sql, parameters = self._make(*placeholders).sql()
            self._written[kind] = Repeated(sql), Unanswered(sql), tuple(parameters)
        repeated, unanswered, parameters = self._written[kind]
        run: Callable[..., Any] = database.obj.execute_sql
        return run(
            repeated if answered else unanswered,
            [values[each.number] if isinstance(each, _Placeholder) else each for each in parameters],
        )


def insert_rows(
    table: type[Model], rows: Sequence[Mapping[str, object]], *, returning: Sequence[str] = ()
) -> list[Any]:
    """Insert rows with one statement; each has the same columns, with values in the database's form.

    Return the resulting values of the columns `returning`, in no particular order, if any are given.
    """
    if not rows:
        return []
    columns = ", ".join(f'"{column}"' for column in rows[0])
    marks = ", ".join([f"({_marks(len(rows[0]))})"] * len(rows))
    name = table._meta.table_name  # noqa: SLF001 - peewee's own name for it.
    after = " RETURNING " + ", ".join(f'"{column}"' for column in returning) if returning else ""
    values = [value for row in rows for value in row.values()]
    cursor = _execute(f'INSERT INTO "{name}" ({columns}) VALUES {marks}{after}', values)  # noqa: S608 - names of ours.
    return list(cursor.fetchall()) if returning else []


def _marks(count: int) -> str:
    return ", ".join([database.obj.param] * count)


def _execute(statement: str, values: Sequence[object]) -> Any:
    execute: Callable[..., Any] = database.obj.execute_sql
    return execute(statement, values)
