"""The rows of an import wait in a table of their own until they become users."""

from peewee import (
    BigIntegerField,
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

# Of those whom the log does not tell of yet; whoever was deleted meanwhile has no name left to tell.
_PUBLISHED = """
SELECT s.batch_id, s.row, u.practice_id, u.name, u.email, s.required, s.fingerprint
FROM staged_user s JOIN import_batch b ON b.id = s.batch_id JOIN "user" u ON u.id = s.user_id
WHERE b.published_at IS NOT NULL AND u.standing <> 'deleted'
"""
_AT_ONCE = 50


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Undo the imports that are under way, which must be started again; published ones are finished later."""

    class Practice(Model):
        class Meta:
            database = db
            table_name = "practice"

    class ImportBatch(Model):
        published_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "import_batch"

    class StagedUser(Model):
        batch = ForeignKeyField(ImportBatch, on_delete="RESTRICT", index=False)
        row = IntegerField()
        practice = ForeignKeyField(Practice, on_delete="RESTRICT")
        name = CharField(max_length=32, index=True)
        email = CharField(max_length=254, index=True)
        full_name = CharField(max_length=120, default="")
        phone = CharField(max_length=16, null=True)
        required = BooleanField()
        words = TextField(default="")
        algorithm = CharField(max_length=64, default="")
        blob = TextField(default="")
        fingerprint = CharField(max_length=64, default="")
        comment = CharField(max_length=120, default="")

        class Meta:
            database = db
            table_name = "staged_user"
            primary_key = CompositeKey("batch", "row")

    migrator.database.execute_sql(
        'DELETE FROM "user" WHERE id IN (SELECT s.user_id FROM staged_user s '
        "JOIN import_batch b ON b.id = s.batch_id WHERE b.published_at IS NULL)"
    )
    columns = ("batch", "row", "practice", "name", "email", "required", "fingerprint")
    rest = [
        dict(zip(columns, row, strict=True)) for row in migrator.database.execute_sql(_PUBLISHED).fetchall()
    ]
    for table in ("staged_user", "overtaken_row"):
        migrator.database.execute_sql(f"DROP TABLE {table}")
    ImportBatch.delete().where(ImportBatch.published_at.is_null()).execute()
    db.create_tables([StagedUser])
    for start in range(0, len(rest), _AT_ONCE):
        StagedUser.insert_many(rest[start : start + _AT_ONCE]).execute()
