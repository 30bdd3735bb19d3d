"""The database of an installation: opening it, knowing it for ours, and bringing its schema up to date.

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
    """Make what opens connections to the database at a place, each on first use."""
    return open_sqlite(place) if isinstance(place, Path) else open_postgresql(place)


def create_database(place: Place) -> Database:
    """Make the present schema, in a new file or in an empty database.

    Of several who create in one PostgreSQL database at once, one makes it and the others find it made.

    Raises:
        FileExistsError: when there is a file already.
        NotEmptyError: when the PostgreSQL database holds something else, or cannot hold every text.
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
    """Whether what is at a place is a database of ours; it is left as it is."""
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
    """Name what is missing, changed or foreign in a schema, beside the one that our migrations make.

    Nothing of it is changed. None where a PostgreSQL role may not make a schema to compare it with.
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
    """Name all migrations, in their order."""
    return sorted(path.stem for path in _MIGRATIONS.glob("[0-9]*.py"))


def migrate(database: Database, last: str | None = None) -> list[str]:
    """Apply what is pending, all or nothing, while no other process can; return the names.

    With `last`, stop behind the migration of this name.
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
