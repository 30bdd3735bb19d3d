"""The database of an installation: opening it, knowing it for ours, and bringing its schema up to date.

The one seam between the two kinds: SQLite in a file, or PostgreSQL at a URL.
"""

from enum import Enum
from pathlib import Path

from playhouse.migrations import Runner

from data.storage import postgresql
from data.storage.postgresql import NotEmptyError, Postgresql, PostgresqlUrl, open_postgresql
from data.storage.sqlite import Sqlite, bears_our_mark, create_file, open_sqlite

Database = Sqlite | Postgresql
Place = Path | PostgresqlUrl
"""Where a database is."""

_MIGRATIONS = Path(__file__).parent / "migrations"


_GUARDS = {f"twofold_keeps_{number}" for number in range(8)}
_TRUNCATION_GUARDS = {
    f"twofold_keeps_{table}_whole" for table in ("audit_entry", "audit_chain", "audit_chain_key", "audit_cut")
}


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
                raise NotEmptyError("The database holds tables of something else. Give Twofold an empty one.")
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


def missing_guards(database: Database) -> set[str]:
    """Name the triggers that keep the audit log as it was written, and that are not there any more."""
    guards = _GUARDS | _TRUNCATION_GUARDS if isinstance(database, Postgresql) else _GUARDS
    return guards - database.triggers()


def migrate(database: Database) -> list[str]:
    """Apply what is pending, all or nothing, while no other process can; return the names."""
    if database.in_transaction():
        return _migrate(database)
    with database.exclusively():
        return _migrate(database)


def _migrate(database: Database) -> list[str]:
    if isinstance(database, Postgresql):
        postgresql.before_migrations(database)
    applied: list[str] = Runner(database, str(_MIGRATIONS)).up()
    if applied and isinstance(database, Postgresql):
        postgresql.after_migrations(database)
    return applied
