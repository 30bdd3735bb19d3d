"""The users table is filtered by role and by method through indexes."""

from peewee import Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the indexes."""
    migrator.migrate(
        migrator.add_index("user_role", ["role", "user_id"]),
        migrator.add_index("factor", ["kind", "id", "user_id"]),
    )
