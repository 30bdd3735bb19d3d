"""What bounds sending is counted by account, and notices by address: both are found through indexes."""

from typing import Any

from peewee import Database, IntegerField
from playhouse.migrate import SchemaMigrator, migrate

_FILL = """
UPDATE sent_code SET account_id = (SELECT account_id FROM "user" WHERE "user".id = sent_code.user_id)
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the account to every sent code, and the indexes."""
    run: Any = db.execute_sql
    migrate(migrator.add_column("sent_code", "account_id", IntegerField(default=0)))
    run(_FILL)
    migrate(
        migrator.add_index("sent_code", ("account_id", "purpose")),
        migrator.add_index("notice", ("recipient", "at")),
    )
