"""A session knows when a code was last given in it: a password given since does not count as one."""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Put the moment in the place of the mere fact; of open sessions it is the earliest that it can be."""
    migrate(migrator.add_column("session", "code_at", BigIntegerField(null=True)))
    migrator.database.execute_sql("UPDATE session SET code_at = started_at WHERE code_proven")
    migrate(migrator.drop_column("session", "code_proven"))
