"""How often a user did what is bounded, and what of them is under way and may be so only once."""

from typing import Any

from peewee import BigIntegerField, CharField, CompositeKey, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator

_COUNTS = ("signin_minute", "signin_count", "renewal_hour", "renewal_count")


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the counts to every user, and the table of leases."""

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class Session(Model):
        class Meta:
            database = db
            table_name = "session"

    class Lease(Model):
        user: Any = ForeignKeyField(User, on_delete="CASCADE", index=False)
        kind = CharField(max_length=16)
        session = ForeignKeyField(Session, on_delete="CASCADE")
        until = BigIntegerField()

        class Meta:
            database = db
            table_name = "lease"
            primary_key = CompositeKey("user", "kind")

    for column in _COUNTS:
        migrator.database.execute_sql(f'ALTER TABLE "user" ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0')
    db.create_tables([Lease])
