"""What a RADIUS client is told of the users that it may let in."""

from typing import Any

from peewee import Database
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Add the attributes to every application, none."""
    # Not by the migrator, which would make the table anew while others refer to it.
    run: Any = db.execute_sql
    run("ALTER TABLE application ADD COLUMN attributes TEXT NOT NULL DEFAULT '[]'")
