"""A code can expire, as a temporary code does, and a session knows whether one was given in it."""

from peewee import SQL, BigIntegerField, BooleanField, Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add both columns: no code expires, and no session has seen a temporary code."""
    temporary = BooleanField(default=False, constraints=[SQL("DEFAULT false")])
    migrator.migrate(
        migrator.add_column("recovery_code", "expires_at", BigIntegerField(null=True)),
        migrator.add_column("session", "temporary_code", temporary),
    )
