"""Whoever holds a role, support too, must use two-factor authentication: where they stand follows."""

from peewee import Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Write anew where users stand who hold a role and were free to choose."""
    migrator.database.execute_sql(
        """UPDATE "user" SET standing = 'obliged' WHERE standing = 'free' AND EXISTS (
            SELECT 1 FROM user_role WHERE user_role.user_id = "user".id)"""
    )
