"""The database of an installation: opening it, recognising it, and bringing its schema up to date.

The one seam between the two kinds: SQLite in a file, or PostgreSQL at a URL.
"""

from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from peewee import ProgrammingError
from playhouse.migrations import Runner

from data.storage import postgresql
from data.storage.postgresql import NotEmptyError, Postgresql, PostgresqlUrl, open_postgresql
from data.storage.sqlite import Sqlite, bears_our_mark, create_file, open_sqlite

Database = Sqlite | Postgresql
Place = Path | PostgresqlUrl
"""Where a database is."""

_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaState(Enum):
    """How a database's schema compares with this program's."""

    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"


def open_database(place: Place) -> Database:
    """Return an object that opens connections to the database at a place, each on first use."""
    return open_sqlite(place) if isinstance(place, Path) else open_postgresql(place)


def create_database(place: Place) -> Database:
    """Create the present schema, in a new file or in an empty database.

    If several create it in one PostgreSQL database at once, one does and the others find it there.

    Raises:
        FileExistsError: when there is a file already.
        NotEmptyError: when the PostgreSQL database contains something else, or cannot store every text.
    """
    if isinstance(place, Path):
        create_file(place)
    database = open_database(place)
    with database.connection_context(), database.exclusively():
        if isinstance(database, Postgresql):
            postgresql.check_target(database)
            if not postgresql.is_empty(database) and not postgresql.is_ours(database):
                raise NotEmptyError("The database contains other tables. Give Twofold an empty one.")
        migrate(database)
    return database


def is_ours(place: Place, database: Database) -> bool:
    """Whether there is a database of ours at a place, without changing it."""
    if isinstance(place, Path):
        return bears_our_mark(place)
    with database.connection_context():
        return isinstance(database, Postgresql) and postgresql.is_ours(database)


def schema_state(database: Database) -> SchemaState:
    """Compare the schema of a database of ours with this program's."""
    history = Runner(database, str(_MIGRATIONS)).status()
    if any(migration.path is None for migration in history):
        return SchemaState.NEWER
    pending = any(migration.applied is None for migration in history)
    return SchemaState.OLDER if pending else SchemaState.CURRENT


def schema_differences(database: Database) -> tuple[str, ...] | None:
    """Return what is missing, changed or foreign in a schema, compared with the one from our migrations.

    Nothing is changed. None if a PostgreSQL role may not create a schema to compare it with.
    """
    found = database.objects()
    if isinstance(database, Postgresql):
        try:
            with database.scratch_schema():
                migrate(database)
                ours = database.objects()
        except ProgrammingError:
            return None
    else:
        with TemporaryDirectory() as folder:
            fresh = create_database(Path(folder) / "fresh.db")
            with fresh.connection_context():
                ours = fresh.objects()
    return tuple(
        f"{name} is {'foreign' if name not in ours else 'missing' if name not in found else 'changed'}"
        for name in sorted(ours.keys() | found.keys())
        if ours.get(name) != found.get(name)
    )


def migration_names() -> list[str]:
    """Return the names of all migrations, in order."""
    return sorted(path.stem for path in _MIGRATIONS.glob("[0-9]*.py"))


def migrate(database: Database, last: str | None = None) -> list[str]:
    """Apply pending migrations, all or none, while no other process can; return their names.

    With `last`, stop after the migration of this name.
    """
    if database.in_transaction():
        return _migrate(database, last)
    with database.exclusively():
        return _migrate(database, last)


def _migrate(database: Database, last: str | None) -> list[str]:
    if isinstance(database, Postgresql):
        postgresql.before_migrations(database)
    applied: list[str] = Runner(database, str(_MIGRATIONS)).up(last)
    if applied and isinstance(database, Postgresql):
        postgresql.after_migrations(database)
    return applied
