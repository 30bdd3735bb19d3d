"""A one-time password has an end; one that was set before this version ends 72 hours after the upgrade."""

import time
from typing import Any

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator, migrate

_HOURS = 72
_FILL = 'UPDATE "user" SET one_time_until = {until} WHERE one_time_password'


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Put the end in the place of the mark that a password is a one-time password."""
    run: Any = db.execute_sql
    migrate(migrator.add_column("user", "one_time_until", BigIntegerField(null=True)))
    until = (int(time.time()) + _HOURS * 3600) * 1_000_000
    run(_FILL.format(until=until))
    migrate(migrator.drop_column("user", "one_time_password", cascade=False))
