"""Applications that ask whether their users may sign in, and what is kept of what they ask."""

from typing import Any

from peewee import (
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Create the tables."""

    class _Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Account(_Table):
        pass

    class Practice(_Table):
        pass

    class User(_Table):
        pass

    class Application(_Table):
        id = AutoField()
        account = ForeignKeyField(Account, on_delete="RESTRICT")
        name = CharField(max_length=16, unique=True)
        protocol = CharField(max_length=8)
        asks = CharField(max_length=24)
        networks = TextField()
        all_practices = BooleanField()
        accept_without_2fa = BooleanField()
        may_send = BooleanField()
        lenient = BooleanField()
        enabled = BooleanField()
        token_hash = CharField(max_length=64, unique=True, null=True)
        sealed_secret = BlobField(null=True)
        created_at = BigIntegerField()
        rotated_at = BigIntegerField()
        suspended_at = BigIntegerField(null=True)

    class ApplicationPractice(_Table):
        application: Any = ForeignKeyField(Application, on_delete="CASCADE", index=False)
        practice = ForeignKeyField(Practice, on_delete="CASCADE")

        class Meta:
            primary_key = CompositeKey("application", "practice")

    class ApplicationChallenge(_Table):
        digest = CharField(max_length=64, primary_key=True)
        application = ForeignKeyField(Application, on_delete="CASCADE")
        user = ForeignKeyField(User, on_delete="CASCADE")
        credential = CharField(max_length=80)
        at = BigIntegerField(index=True)

    class ApplicationRejects(_Table):
        application: Any = ForeignKeyField(Application, on_delete="CASCADE", index=False)
        source = CharField(max_length=64)
        bucket = IntegerField()
        user_id = IntegerField()
        minute = BigIntegerField(index=True)
        count = IntegerField()

        class Meta:
            primary_key = CompositeKey("source", "bucket", "user_id", "minute", "application")
            indexes = ((("application", "minute"), False),)

    db.create_tables([Application, ApplicationPractice, ApplicationChallenge, ApplicationRejects])
