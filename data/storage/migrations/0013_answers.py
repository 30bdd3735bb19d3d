"""Answers that were judged wrong lately are not judged again, and those that are no guesses are told."""

from typing import Any

from peewee import BigIntegerField, CharField, CompositeKey, Database, ForeignKeyField, IntegerField, Model
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the column to every user, and the table of what was not counted."""

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class UncountedAnswer(Model):
        user: Any = ForeignKeyField(User, on_delete="CASCADE", index=False)
        kind = CharField(max_length=16)
        application = CharField(max_length=16)
        address = CharField(max_length=64)
        hour = BigIntegerField()
        count = IntegerField()

        class Meta:
            database = db
            table_name = "uncounted_answer"
            primary_key = CompositeKey("user", "kind", "application", "address", "hour")

    migrator.database.execute_sql("""ALTER TABLE "user" ADD COLUMN wrong_answers TEXT NOT NULL DEFAULT ''""")
    db.create_tables([UncountedAnswer])
