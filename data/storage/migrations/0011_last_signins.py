"""The order of last sign-ins stands in a table of its own, so that sign-ins change no index that others read.

PostgreSQL sets two transactions at odds when one changes a page of an index that the other has read. A
new value in an indexed column changes a page of every index of its table.
"""

from typing import Any

from peewee import BigIntegerField, CharField, Database, ForeignKeyField, IntegerField, Model, SqliteDatabase
from playhouse.migrate import SchemaMigrator

_FILL = """
INSERT INTO last_signin (user_id, account_id, practice_id, standing, at)
SELECT id, account_id, practice_id, standing, last_signin_at FROM "user"
"""
_ON_SQLITE = (
    """
CREATE TRIGGER twofold_orders_new AFTER INSERT ON "user" BEGIN
    INSERT INTO last_signin (user_id, account_id, practice_id, standing, at)
    VALUES (NEW.id, NEW.account_id, NEW.practice_id, NEW.standing, NEW.last_signin_at);
END
""",
    """
CREATE TRIGGER twofold_orders_changed
AFTER UPDATE OF account_id, practice_id, standing, last_signin_at ON "user" BEGIN
    UPDATE last_signin SET account_id = NEW.account_id, practice_id = NEW.practice_id,
        standing = NEW.standing, at = NEW.last_signin_at
    WHERE user_id = NEW.id;
END
""",
)
# Naming the columns in the trigger would keep later migrations from altering them. Unlike an UPDATE,
# ON CONFLICT finds its row without leaving a mark on the page of the index that it is found through.
_ON_POSTGRESQL = (
    """
CREATE FUNCTION twofold_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR (NEW.account_id, NEW.practice_id, NEW.standing, NEW.last_signin_at)
        IS DISTINCT FROM (OLD.account_id, OLD.practice_id, OLD.standing, OLD.last_signin_at)
    THEN
        INSERT INTO last_signin (user_id, account_id, practice_id, standing, at)
        VALUES (NEW.id, NEW.account_id, NEW.practice_id, NEW.standing, NEW.last_signin_at)
        ON CONFLICT (user_id) DO UPDATE SET account_id = EXCLUDED.account_id,
            practice_id = EXCLUDED.practice_id, standing = EXCLUDED.standing, at = EXCLUDED.at;
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER twofold_orders AFTER INSERT OR UPDATE ON "user"
FOR EACH ROW EXECUTE FUNCTION twofold_orders()
""",
)
_ROOM = {'"user"': 80, "factor": 80, "public_key": 80, "session": 80, "audit_chain": 20}
"""How full PostgreSQL makes the pages of tables whose rows change at sign-ins, in percent.

A row whose new version finds room on its page, and whose indexed columns stay, changes no index.
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Make the table, fill it, and have triggers keep it."""

    class User(Model):
        class Meta:
            database = db
            table_name = "user"

    class LastSignin(Model):
        user = ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
        account_id = IntegerField()
        practice_id = IntegerField()
        standing = CharField(max_length=12)
        at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "last_signin"
            indexes = (
                (("account_id", "standing", "at", "user"), False),
                (("practice_id", "standing", "at", "user"), False),
            )

    embedded = isinstance(db, SqliteDatabase)
    run: Any = db.execute_sql
    db.create_tables([LastSignin])
    run(_FILL)
    for statement in _ON_SQLITE if embedded else _ON_POSTGRESQL:
        run(statement)
    for scope in ("account", "practice"):
        migrator.migrate(migrator.drop_index("user", f"user_{scope}_id_standing_last_signin_at_id"))
    if not embedded:
        for table, percent in _ROOM.items():
            run(f"ALTER TABLE {table} SET (fillfactor = {percent})")
