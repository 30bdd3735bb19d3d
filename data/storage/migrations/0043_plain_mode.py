"""Whether a user wants the plain mode in every session."""

from typing import Any

from peewee import Database, SqliteDatabase
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Add the preference to every user, off."""
    # Not by the migrator, which would make the table anew while others refer to it.
    run: Any = db.execute_sql
    boolean = "INTEGER" if isinstance(db, SqliteDatabase) else "BOOLEAN"
    run(f'ALTER TABLE "user" ADD COLUMN plain {boolean} NOT NULL DEFAULT false')
