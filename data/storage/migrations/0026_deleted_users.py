"""Of a user who is deleted a row stays, so that the number is never given again; their name is kept apart."""

from typing import Any

from peewee import BigIntegerField, CharField, Database, ForeignKeyField, Model
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Make the table of the names of deleted users."""

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class DeletedUser(Model):
        user: Any = ForeignKeyField(User, primary_key=True, on_delete="RESTRICT")
        name = CharField(max_length=32, index=True)
        at = BigIntegerField()

        class Meta:
            database = db
            table_name = "deleted_user"

    db.create_tables([DeletedUser])
