"""The master key can be rotated: the database knows the former one, and keeps the keys of its digests."""

from peewee import BlobField, CharField, Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the columns."""
    migrator.migrate(
        migrator.add_column("installation", "former_key_check", CharField(max_length=32, null=True)),
        migrator.add_column("installation", "sealed_digest_keys", BlobField(null=True)),
    )
