"""Targets that users may reach through the server, who may, and the channels that are open to them."""

from typing import Any

from peewee import (
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
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

    class Session(_Table):
        pass

    class Target(_Table):
        id = AutoField()
        account: Any = ForeignKeyField(Account, on_delete="RESTRICT", index=False)
        name = CharField(max_length=32)
        host = CharField(max_length=253)
        port = IntegerField()
        by_operator = BooleanField()
        everyone = BooleanField()
        created_at = BigIntegerField()

        class Meta:
            indexes = ((("account", "name"), True), (("account", "host"), False))

    class TargetGrant(_Table):
        id = AutoField()
        target = ForeignKeyField(Target, on_delete="CASCADE")
        practice = ForeignKeyField(Practice, null=True, on_delete="CASCADE")
        user = ForeignKeyField(User, null=True, on_delete="CASCADE")
        role = CharField(max_length=20, null=True)

    class Jump(_Table):
        id = AutoField()
        session = ForeignKeyField(Session, on_delete="CASCADE")
        target = ForeignKeyField(Target, null=True, on_delete="SET NULL")
        name = CharField(max_length=32)
        address = CharField(max_length=64)
        port = IntegerField()
        opened_at = BigIntegerField()
        sent = BigIntegerField(default=0)
        received = BigIntegerField(default=0)

    db.create_tables([Target, TargetGrant, Jump])
