"""What marks an installation as moved elsewhere, and a copy as not finished."""

from peewee import BigIntegerField, BooleanField, CharField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the columns."""
    migrate(
        migrator.add_column("installation", "moved_to", CharField(max_length=500, null=True)),
        migrator.add_column("installation", "moved_at", BigIntegerField(null=True)),
        migrator.add_column("installation", "arriving", BooleanField(default=False)),
    )
