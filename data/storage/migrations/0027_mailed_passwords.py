"""When a user's password was sent by e-mail: from then on, e-mail alone is no second factor of theirs."""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the moment to every user, null."""
    migrate(migrator.add_column("user", "password_mailed_at", BigIntegerField(null=True)))
