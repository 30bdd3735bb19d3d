"""The mark of a database that was written as a backup."""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the column to the installation."""
    migrate(migrator.add_column("installation", "backup_at", BigIntegerField(null=True)))
