"""Triggers count how many users have each standing and what happened on each day, so that nothing forgets it.

Also kept from here on: since when users stand where they stand, who has few recovery codes left, and since
when an account's mode asks for a second factor.
"""

import json
import time
from typing import Any

from peewee import (
    BigIntegerField,
    CharField,
    CompositeKey,
    Database,
    IntegerField,
    Model,
    SqliteDatabase,
)
from playhouse.migrate import SchemaMigrator

_DAY = 86_400_000_000
_DAYS = 400
"""Days that are counted from the log; it can be longer."""
_EVENTS = (
    "('signin.admitted', 'signin.code_wrong', 'signin.code_replayed', 'code.not_sent', 'notice.abandoned')"
)
_STANDINGS = ("enrolled", "obliged", "free", "locked", "deactivated")
_CHANGES_STANDING = (
    "('two_factor.required', 'two_factor.not_required', 'two_factor.turned_off', 'two_factor.disabled', "
    "'two_factor.cleared', 'two_factor.withdrawn', 'user.roles_changed', 'user.deactivated', "
    "'user.activated', 'user.unlocked')"
)

_SINCE = """
UPDATE "user" SET standing_since = CASE standing
    WHEN 'locked' THEN COALESCE(locked_at, created_at)
    WHEN 'enrolled' THEN COALESCE(
        (SELECT MAX(confirmed_at) FROM factor WHERE factor.user_id = "user".id), created_at)
    ELSE created_at
END
"""
_SINCE_BY_LOG = f"""
UPDATE "user" SET standing_since = told.at FROM (
    SELECT account_id AS account, "user" AS name, MAX(at) AS at FROM audit_entry
    WHERE event IN {_CHANGES_STANDING} GROUP BY account_id, "user"
) AS told
WHERE told.account = "user".account_id AND told.name = "user".name AND told.at > "user".created_at
    AND "user".standing IN ('obliged', 'free', 'deactivated')
"""  # noqa: S608 - words of ours.
_FEW_CODES = """
UPDATE "user" SET few_codes = (
    SELECT COUNT(*) <= 2 FROM recovery_code
    WHERE recovery_code.user_id = "user".id AND recovery_code.used_at IS NULL
) WHERE EXISTS (SELECT 1 FROM factor WHERE factor.user_id = "user".id)
"""

_MODE_SINCE = "UPDATE account SET {} = {} WHERE id = {}"
_COLUMNS = (*_STANDINGS, "people", "few_codes")
_WATCHED = ("account_id", "practice_id", "standing", "few_codes")
_COUNT_USERS = """
INSERT INTO user_count (account_id, practice_id, role, {columns}) {rows}
ON CONFLICT (account_id, practice_id, role) DO UPDATE SET {added};
"""
_COUNT_EVENTS = f"""
INSERT INTO event_count (account_id, day, event, chain, count)
SELECT account_id, at / {_DAY}, event, COALESCE(chain, ''), COUNT(*) FROM {{rows}}
WHERE event IN {_EVENTS} AND account_id IS NOT NULL {{more}} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (account_id, day, event, chain) DO UPDATE SET count = event_count.count + excluded.count;
"""  # noqa: S608 - words of ours.


class _Counting:
    """Statements that count rows, for one kind of database; `number` turns a truth into a number there."""

    def __init__(self, number: str) -> None:
        self._number = number

    def users(self, table: str, sign: str = "") -> str:
        """Select what each user of a table adds to `user_count`: in all, in a practice and with each role."""
        values = self._values("u", sign)
        return (
            f"SELECT u.account_id, 0 AS practice_id, '' AS role, {values} FROM {table} u "  # noqa: S608
            f"UNION ALL SELECT u.account_id, u.practice_id, '', {values} FROM {table} u "
            f"UNION ALL SELECT u.account_id, 0, r.role, {values} FROM {table} u "
            "JOIN user_role r ON r.user_id = u.id"
        )

    def user(self, row: str, sign: str = "") -> str:
        """Select the same of one row in a trigger."""
        return self.users(f"(SELECT {', '.join(f'{row}.{name}' for name in ('id', *_WATCHED))})", sign)

    def roles(self, table: str, sign: str = "") -> str:
        """Select what each role of a table adds to `user_count`."""
        return (
            f"SELECT u.account_id, 0 AS practice_id, r.role, {self._values('u', sign)} "  # noqa: S608
            f'FROM {table} r JOIN "user" u ON u.id = r.user_id'
        )

    def _values(self, row: str, sign: str) -> str:
        truths = {name: f"{row}.standing = '{name}'" for name in _STANDINGS}
        truths["people"] = f"{row}.standing IN ('enrolled', 'obliged', 'free', 'locked')"
        truths["few_codes"] = f"{row}.few_codes AND {row}.standing = 'enrolled'"
        return ", ".join(f"{sign}{self._number.format(truths[name])} AS {name}" for name in _COLUMNS)


def _counted(rows: str) -> str:
    """Return the statement that adds what is selected to `user_count`, always in the same order of rows."""
    key = "account_id, practice_id, role"
    sums = ", ".join(f"SUM({name})" for name in _COLUMNS)
    return _COUNT_USERS.format(
        columns=", ".join(_COLUMNS),
        rows=f"SELECT {key}, {sums} FROM ({rows}) AS changes GROUP BY {key} ORDER BY {key}",  # noqa: S608
        added=", ".join(f"{name} = user_count.{name} + excluded.{name}" for name in _COLUMNS),
    )


def _on_sqlite() -> dict[str, str]:
    """Return when each trigger runs, and what it does."""
    counting = _Counting("({})")
    new, old = _counted(counting.user("NEW")), _counted(counting.user("OLD", "-"))
    role = "(SELECT {0}.user_id, {0}.role)"
    changed = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in _WATCHED)
    event = "(SELECT NEW.account_id, NEW.at, NEW.event, NEW.chain)"
    return {
        'new_user AFTER INSERT ON "user"': new,
        f'changed_user AFTER UPDATE OF {", ".join(_WATCHED)} ON "user" WHEN {changed}': old + new,
        # Before, because afterwards the roles are gone too.
        'removed_user BEFORE DELETE ON "user"': old,
        "new_role AFTER INSERT ON user_role": _counted(counting.roles(role.format("NEW"))),
        "removed_role AFTER DELETE ON user_role": _counted(counting.roles(role.format("OLD"), "-")),
        f"event AFTER INSERT ON audit_entry WHEN NEW.event IN {_EVENTS}": _COUNT_EVENTS.format(
            rows=event, more=""
        ),
    }


def _on_postgresql() -> dict[tuple[str, str], str]:
    """Return each function's name and when it runs, and what it does.

    By statement: a row that one transaction changes again and again takes the longer the more often.
    """
    counting = _Counting("({})::int")
    # Not by a join: its plan, made for one row, would compare each of a million rows with each.
    watched = ", ".join(("id", *_WATCHED))
    changed = f"SELECT {watched} FROM new_rows EXCEPT SELECT {watched} FROM old_rows"  # noqa: S608
    minus, plus = counting.users("old_rows", "-"), counting.users("new_rows")
    old, new = "OLD TABLE AS old_rows", "NEW TABLE AS new_rows"
    by_statement = "AFTER {} FOR EACH STATEMENT".format
    return {
        ("new_user", by_statement(f'INSERT ON "user" REFERENCING {new}')): _counted(
            counting.users("new_rows")
        ),
        ("changed_user", by_statement(f'UPDATE ON "user" REFERENCING {old} {new}')): (
            f"IF EXISTS ({changed}) THEN {_counted(f'{minus} UNION ALL {plus}')} END IF;"
        ),
        # Before, because afterwards the roles are gone too.
        ("removed_user", 'BEFORE DELETE ON "user" FOR EACH ROW'): _counted(counting.user("OLD", "-")),
        ("new_role", by_statement(f"INSERT ON user_role REFERENCING {new}")): _counted(
            counting.roles("new_rows")
        ),
        ("removed_role", by_statement(f"DELETE ON user_role REFERENCING {old}")): _counted(
            counting.roles("old_rows", "-")
        ),
        ("event", by_statement(f"INSERT ON audit_entry REFERENCING {new}")): _COUNT_EVENTS.format(
            rows="new_rows", more=""
        ),
    }


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the columns and the tables, fill them, and have triggers keep the counts."""

    class UserCount(Model):
        account_id = IntegerField()
        practice_id = IntegerField()
        role = CharField(max_length=20)
        enrolled = IntegerField()
        obliged = IntegerField()
        free = IntegerField()
        locked = IntegerField()
        deactivated = IntegerField()
        people = IntegerField()
        few_codes = IntegerField()

        class Meta:
            database = db
            table_name = "user_count"
            primary_key = CompositeKey("account_id", "practice_id", "role")
            indexes = ((("account_id", "role", "people"), False),)

    class EventCount(Model):
        account_id = IntegerField()
        day = IntegerField()
        event = CharField(max_length=40)
        chain = CharField(max_length=40)
        count = IntegerField()

        class Meta:
            database = db
            table_name = "event_count"
            primary_key = CompositeKey("account_id", "day", "event", "chain")

    embedded = isinstance(db, SqliteDatabase)
    run: Any = db.execute_sql
    integer, boolean = ("INTEGER", "INTEGER") if embedded else ("BIGINT", "BOOLEAN")
    run(f'ALTER TABLE "user" ADD COLUMN standing_since {integer} NOT NULL DEFAULT 0')
    run(f'ALTER TABLE "user" ADD COLUMN few_codes {boolean} NOT NULL DEFAULT false')
    migrator.migrate(
        migrator.add_column("account", "on_since", BigIntegerField(null=True)),
        migrator.add_column("account", "required_since", BigIntegerField(null=True)),
    )
    for statement in (_SINCE, _SINCE_BY_LOG, _FEW_CODES):
        run(statement)
    _fill_modes(run)
    migrator.migrate(migrator.add_index("user", ["account_id", "standing", "standing_since"]))
    run('CREATE INDEX user_few_codes ON "user" (account_id, standing, name) WHERE few_codes')
    db.create_tables([UserCount, EventCount])
    run(_counted(_Counting("({})" if embedded else "({})::int").users('"user"')))
    since = (int(time.time() * 1_000_000) // _DAY - _DAYS) * _DAY
    run(_COUNT_EVENTS.format(rows="audit_entry", more=f"AND at >= {since}"))
    if embedded:
        for when, body in _on_sqlite().items():
            run(f"CREATE TRIGGER twofold_counts_{when} BEGIN {body} END")
        return
    for (name, when), body in _on_postgresql().items():
        function = f"twofold_counts_{name}()"
        # What a trigger returns matters only before a row is removed: nothing would keep the row.
        run(
            f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN {body} RETURN OLD; END $$"
        )
        run(f"CREATE TRIGGER twofold_counts_{name} {when} EXECUTE FUNCTION {function}")
    for table in ("user_count", "event_count"):
        run(f"ALTER TABLE {table} SET (fillfactor = 50)")


def _fill_modes(run: Any) -> None:
    """Read from the log since when each account's mode asks for a second factor."""
    strict = ("required", "permanent")
    changed = "SELECT account_id, at, detail FROM audit_entry WHERE event = 'policy.mode_changed' ORDER BY id"
    for account_id, at, detail in run(changed).fetchall():
        told = json.loads(detail)
        before, after = told.get("before"), told.get("after")
        if before == "off":
            run(_MODE_SINCE.format("on_since", int(at), int(account_id)))
        if after in strict and before not in strict:
            run(_MODE_SINCE.format("required_since", int(at), int(account_id)))
