"""Failures of the first factor say whose name they were for, and are summed for a name over all sources."""

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, Database, IntegerField, Model
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Make the table again: what it counted is of a day at most, and its key has another column."""

    class FirstFactorFailures(Model):
        source = CharField(max_length=64)
        bucket = IntegerField()
        user_id = IntegerField()
        minute = BigIntegerField()
        count = IntegerField()
        told = BooleanField(default=False)

        class Meta:
            database = db
            table_name = "first_factor_failures"
            primary_key = CompositeKey("source", "bucket", "user_id", "minute")
            indexes = ((("minute",), False), (("bucket", "minute"), False))

    db.drop_tables([FirstFactorFailures])
    db.create_tables([FirstFactorFailures])
