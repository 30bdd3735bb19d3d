"""An import puts its users where they are to be, and one row says when they are there for all to see."""

from typing import Any

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
)
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Make the tables of imports anew; what an import had staged until now is to be started again."""

    class Account(Model):
        class Meta:
            database = db
            table_name = "account"

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class ImportBatch(Model):
        account = ForeignKeyField(Account, on_delete="CASCADE")
        begun_at = BigIntegerField()
        published_at = BigIntegerField(null=True)
        dropped = BooleanField(default=False)
        actor = CharField(max_length=40)
        application = CharField(max_length=16)
        address = CharField(max_length=64)

        class Meta:
            database = db
            table_name = "import_batch"

    class StagedUser(Model):
        user: Any = ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
        batch = ForeignKeyField(ImportBatch, on_delete="RESTRICT", index=False)
        row = IntegerField()
        required = BooleanField()
        fingerprint = CharField(max_length=64)

        class Meta:
            database = db
            table_name = "staged_user"
            indexes = ((("batch", "user"), False),)

    class OvertakenRow(Model):
        batch = ForeignKeyField(ImportBatch, on_delete="CASCADE")
        row = IntegerField()
        column = CharField(max_length=16)

        class Meta:
            database = db
            table_name = "overtaken_row"

    for table in ("staged_word", "staged_user", "import_batch"):
        migrator.database.execute_sql(f"DROP TABLE {table}")
    db.create_tables([ImportBatch, StagedUser, OvertakenRow])
