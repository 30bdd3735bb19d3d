"""The outbox of notices: a frozen copy, which later changes to the tables leave as it is."""

from peewee import BigIntegerField, CharField, Database, ForeignKeyField, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Create the table."""

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class Notice(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        recipient = CharField(max_length=254)
        event = CharField(max_length=40)
        actor = CharField(max_length=40)
        application = CharField(max_length=16)
        address = CharField(max_length=64)
        detail = TextField()
        at = BigIntegerField()
        next_try_at = BigIntegerField(null=True)
        tries = IntegerField(default=0)
        done_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "notice"
            indexes = ((("next_try_at",), False), (("done_at",), False))

    db.create_tables([Notice])
