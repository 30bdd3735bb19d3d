"""A deadline and days of grace: triggers count, by when they were created, the users who may have such days.

Of those who were created before, none has days of grace: whether they ever had a factor is not known.
"""

from typing import Any

from peewee import BigIntegerField, CompositeKey, Database, IntegerField, Model, SqliteDatabase
from playhouse.migrate import SchemaMigrator

_ACCOUNT = (
    "deadline {moment}",
    "put_off INTEGER NOT NULL DEFAULT 0",
    "grace_days INTEGER NOT NULL DEFAULT 0",
    "seen_at {moment} NOT NULL DEFAULT 0",
    "reminded_days INTEGER",
    "reminded_user INTEGER",
)
_COUNT = """
INSERT INTO grace_count (account_id, practice_id, grace_from, free)
SELECT account_id, practice_id, grace_from, SUM(free) FROM ({rows}) AS changes
WHERE free <> 0 GROUP BY account_id, practice_id, grace_from ORDER BY account_id, practice_id, grace_from
ON CONFLICT (account_id, practice_id, grace_from) DO UPDATE SET free = grace_count.free + excluded.free;
"""
_WATCHED = ("account_id", "practice_id", "standing", "grace_from")
_NO_GRACE = """UPDATE "user" SET grace_from = 0 WHERE id = NEW.user_id AND grace_from > 0;"""


def _counted(*rows: tuple[str, str]) -> str:
    """Return the statement that adds rows to the counts, or takes them away: in all, and in a practice."""
    return _COUNT.format(
        rows=" UNION ALL ".join(
            f"SELECT account_id, {practice} AS practice_id, grace_from, "  # noqa: S608 - words of ours.
            f"{sign}(CASE WHEN standing = 'free' AND grace_from > 0 THEN 1 ELSE 0 END) AS free FROM {table}"
            for sign, table in rows
            for practice in ("0", "practice_id")
        )
    )


def _row(name: str) -> str:
    """Return one row of a trigger as a table."""
    columns = ", ".join(f"{name}.{column} AS {column}" for column in _WATCHED)
    return f"(SELECT {columns}) AS {name.lower()}_row"


def _changed(differs: str) -> str:
    changes = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in _WATCHED)
    return f"(OLD.grace_from > 0 OR NEW.grace_from > 0) AND ({changes})"


def _on_sqlite() -> dict[str, str]:
    """Return when each trigger runs, and what it does."""
    new, old = _row("NEW"), _row("OLD")
    return {
        'new AFTER INSERT ON "user" WHEN NEW.grace_from > 0': _counted(("", new)),
        f'changed AFTER UPDATE OF {", ".join(_WATCHED)} ON "user" WHEN {_changed("IS NOT")}': _counted(
            ("-", old), ("", new)
        ),
        'removed BEFORE DELETE ON "user" WHEN OLD.grace_from > 0': _counted(("-", old)),
        "factor AFTER INSERT ON factor": _NO_GRACE,
    }


def _on_postgresql() -> dict[tuple[str, str], str]:
    """Return each function's name and when it runs, and what it does.

    Changes are looked at by row: a sign-in changes one, and none of these columns. Naming the columns in the
    trigger would keep later migrations from altering them.
    """
    new, old = _row("NEW"), _row("OLD")
    many = "EXISTS (SELECT 1 FROM new_rows WHERE grace_from > 0)"
    return {
        ("new", 'AFTER INSERT ON "user" REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT'): (
            f"IF {many} THEN {_counted(('', 'new_rows'))} END IF;"
        ),
        ("changed", 'AFTER UPDATE ON "user" FOR EACH ROW'): (
            f"IF {_changed('IS DISTINCT FROM')} THEN {_counted(('-', old), ('', new))} END IF;"
        ),
        ("removed", 'BEFORE DELETE ON "user" FOR EACH ROW'): (
            f"IF OLD.grace_from > 0 THEN {_counted(('-', old))} END IF;"
        ),
        ("factor", "AFTER INSERT ON factor FOR EACH ROW"): _NO_GRACE,
    }


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the columns and the table, and have triggers keep the counts."""

    class GraceCount(Model):
        account_id = IntegerField()
        practice_id = IntegerField()
        grace_from = BigIntegerField()
        free = IntegerField()

        class Meta:
            database = db
            table_name = "grace_count"
            primary_key = CompositeKey("account_id", "practice_id", "grace_from")

    # Not by the migrator, which would make the tables anew while others refer to them.
    run: Any = db.execute_sql
    embedded = isinstance(db, SqliteDatabase)
    moment = "INTEGER" if embedded else "BIGINT"
    for column in _ACCOUNT:
        run(f"ALTER TABLE account ADD COLUMN {column.format(moment=moment)}")
    run(f'ALTER TABLE "user" ADD COLUMN grace_from {moment} NOT NULL DEFAULT 0')
    migrator.migrate(migrator.add_index("user", ["account_id", "standing", "grace_from"]))
    db.create_tables([GraceCount])
    if embedded:
        for when, body in _on_sqlite().items():
            run(f"CREATE TRIGGER twofold_grace_{when} BEGIN {body} END")
        return
    for (name, when), body in _on_postgresql().items():
        function = f"twofold_grace_{name}()"
        # What a trigger returns matters only before a row is removed: nothing would keep the row.
        run(
            f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN {body} RETURN OLD; END $$"
        )
        run(f"CREATE TRIGGER twofold_grace_{name} {when} EXECUTE FUNCTION {function}")
    run("ALTER TABLE grace_count SET (fillfactor = 50)")
