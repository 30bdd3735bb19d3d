"""The processes that serve, and which of them holds which session."""

from peewee import SQL, BigIntegerField, CharField, Database, Model, TextField
from playhouse.migrate import SchemaMigrator, migrate


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the workers and what binds sessions to them; end the sessions that nobody holds."""

    class Worker(Model):
        id = CharField(max_length=16, primary_key=True)
        node = CharField(max_length=16)
        beat = BigIntegerField()
        started_at = BigIntegerField()
        seen_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "worker"

    db.create_tables([Worker])
    migrate(
        migrator.add_column("session", "worker", CharField(max_length=16, null=True)),
        migrator.add_index("session", ("worker",), unique=False),
    )

    class Session(Model):
        application = TextField()
        started_at = BigIntegerField()
        ended_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "session"

    # No server runs while this does: what is open was left behind by one that was killed.
    left = (Session.application == "ssh") & Session.ended_at.is_null()
    Session.update(ended_at=SQL("started_at")).where(left).execute()
