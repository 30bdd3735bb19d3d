"""The audit rows are chained, and triggers keep them from being changed or removed."""

from typing import Any

from peewee import (
    BigIntegerField,
    BlobField,
    CharField,
    CompositeKey,
    Database,
    IntegerField,
    Model,
    SqliteDatabase,
)
from playhouse.migrate import SchemaMigrator

_NEVER = "audit rows are never changed"
_CUT_FIRST = "audit rows are removed by archiving only"
_HEADS_STAY = "the head of an audit chain only moves on"
_KEYS_STAY = "audit keys and cuts stay"
_REMOVABLE = "SELECT 1 FROM audit_cut c WHERE c.chain = OLD.chain AND c.seq >= OLD.seq"
_SAME_KEY = (
    "NEW.chain = OLD.chain AND NEW.epoch = OLD.epoch "
    "AND NEW.after_seq = OLD.after_seq AND NEW.after_mac = OLD.after_mac"
)
_SAME_CUT = "NEW.chain = OLD.chain AND NEW.seq = OLD.seq AND NEW.mac = OLD.mac"
_RULES: tuple[tuple[str, str, str, str], ...] = (
    ("audit_entry", "UPDATE", "OLD.mac IS NOT NULL", _NEVER),
    ("audit_entry", "DELETE", f"NOT EXISTS ({_REMOVABLE})", _CUT_FIRST),
    ("audit_chain", "UPDATE", "NEW.seq < OLD.seq OR NEW.name <> OLD.name", _HEADS_STAY),
    ("audit_chain", "DELETE", "1 = 1", _HEADS_STAY),
    ("audit_chain_key", "UPDATE", f"NOT ({_SAME_KEY})", _KEYS_STAY),
    ("audit_chain_key", "DELETE", "1 = 1", _KEYS_STAY),
    ("audit_cut", "UPDATE", f"NOT ({_SAME_CUT})", _KEYS_STAY),
    ("audit_cut", "DELETE", "1 = 1", _KEYS_STAY),
)
"""A table, a statement on it, when it is refused, and in which words."""


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the columns, the tables and the triggers."""

    class AuditChain(Model):
        name = CharField(max_length=40, primary_key=True)
        seq = BigIntegerField()
        mac = CharField(max_length=64)
        epoch = IntegerField()

        class Meta:
            database = db
            table_name = "audit_chain"

    class AuditChainKey(Model):
        chain = CharField(max_length=40)
        epoch = IntegerField()
        after_seq = BigIntegerField()
        after_mac = CharField(max_length=64)
        sealed_key = BlobField()

        class Meta:
            database = db
            table_name = "audit_chain_key"
            primary_key = CompositeKey("chain", "epoch")

    class AuditCut(Model):
        chain = CharField(max_length=40)
        seq = BigIntegerField()
        mac = CharField(max_length=64)
        made_at = BigIntegerField()
        seal = BlobField()

        class Meta:
            database = db
            table_name = "audit_cut"
            primary_key = CompositeKey("chain", "seq")

    migrator.migrate(
        migrator.add_column("audit_entry", "chain", CharField(max_length=40, null=True)),
        migrator.add_column("audit_entry", "seq", BigIntegerField(null=True)),
        migrator.add_column("audit_entry", "mac", CharField(max_length=64, null=True)),
        migrator.add_index("audit_entry", ("chain", "seq"), unique=True),
    )
    db.create_tables([AuditChain, AuditChainKey, AuditCut])
    run: Any = db.execute_sql
    make = _sqlite_trigger if isinstance(db, SqliteDatabase) else _postgresql_trigger
    for number, rule in enumerate(_RULES):
        for statement in make(f"twofold_keeps_{number}", *rule):
            run(statement)
    if not isinstance(db, SqliteDatabase):
        for table in ("audit_entry", "audit_chain", "audit_chain_key", "audit_cut"):
            for statement in _postgresql_truncation(table):
                run(statement)


def _sqlite_trigger(name: str, table: str, statement: str, when: str, words: str) -> list[str]:
    begin = f"CREATE TRIGGER {name} BEFORE {statement} ON {table} WHEN {when} "
    return [begin + f"BEGIN SELECT RAISE(ABORT, '{words}'); END"]


def _postgresql_trigger(name: str, table: str, statement: str, when: str, words: str) -> list[str]:
    kept = "OLD" if statement == "DELETE" else "NEW"
    body = f"IF {when} THEN RAISE EXCEPTION '{words}'; END IF; RETURN {kept};"
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER {name} BEFORE {statement} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _postgresql_truncation(table: str) -> list[str]:
    name = f"twofold_keeps_{table}_whole"
    body = f"RAISE EXCEPTION '{_NEVER}';"
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    ]
