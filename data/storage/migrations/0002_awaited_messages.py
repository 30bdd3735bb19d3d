"""Codes that are sent in by text message: a table for those that a wizard waits for."""

from peewee import BigIntegerField, BooleanField, CharField, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Create the table; of those it refers to, only the keys are named here."""

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class Session(Model):
        class Meta:
            database = db
            table_name = "session"

    class AwaitedMessage(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        session = ForeignKeyField(Session, on_delete="CASCADE")
        digest = CharField(unique=True, max_length=64)
        shown_at = BigIntegerField()
        refused = BooleanField(default=False)
        number = CharField(null=True, max_length=16)

        class Meta:
            database = db
            table_name = "awaited_message"

    db.create_tables([AwaitedMessage])
