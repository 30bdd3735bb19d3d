"""Time steps that stay spent although the clock that spent them was ahead."""

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the column to every factor."""
    migrate(migrator.add_column("factor", "barred_steps", TextField(default="")))
