"""The last failure of each carrier is kept, for those who look after delivery."""

from peewee import BigIntegerField, CharField, Database, Model
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Make the table of carriers' failures, one row for a method at most."""

    class CarrierFailure(Model):
        method = CharField(max_length=16, primary_key=True)
        at = BigIntegerField()
        reason = CharField(max_length=300)

        class Meta:
            database = db
            table_name = "carrier_failure"

    db.create_tables([CarrierFailure])
