"""A user's known places are kept, and an account says whether sign-ins from others, and locks, are told."""

from typing import Any

from peewee import Database, SqliteDatabase, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the columns: only locks are not told, and the sessions tell the places known before."""
    # Not by the migrator, which would make the table anew while others refer to it.
    run: Any = db.execute_sql
    boolean = "INTEGER" if isinstance(db, SqliteDatabase) else "BOOLEAN"
    run(f"ALTER TABLE account ADD COLUMN notify_new_places {boolean} NOT NULL DEFAULT true")
    run(f"ALTER TABLE account ADD COLUMN notify_locks {boolean} NOT NULL DEFAULT false")
    migrator.migrate(migrator.add_column("user", "known_places", TextField(null=True)))
