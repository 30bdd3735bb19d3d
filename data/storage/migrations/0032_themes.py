"""The theme that a user has chosen; null for as the terminal says."""

from peewee import CharField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add the theme to every user, null."""
    migrate(migrator.add_column("user", "theme", CharField(max_length=16, null=True)))
