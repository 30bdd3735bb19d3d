"""PostgreSQL: the database of an installation that several nodes serve.

Every wait has a limit: here, at the server, and on the network.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from peewee import OperationalError, PostgresqlDatabase, Psycopg3Adapter
from psycopg.conninfo import conninfo_to_dict

from data.storage.postgresql_connection import STATEMENT_SECONDS, Connection, Repeated
from data.storage.transaction_failure import TransactionFailure

_SCHEMES = ("postgresql://", "postgres://")
_SESSION = {
    # Accepted changes survive a crash of the server, whatever its default setting.
    "synchronous_commit": "on",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    # Reading a small table in full would make any two writers to it conflict.
    "enable_seqscan": "off",
    "jit": "off",
    # To start helpers takes several times as long as to read a page of a table alone.
    "max_parallel_workers_per_gather": "0",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
}
_FIXED = "-c standard_conforming_strings=on"
"""Comes last, so that nothing else decides it: otherwise bytes are sent in a form that is not read back."""
_DEFAULTS: Mapping[str, str] = {
    "application_name": "twofold",
    "connect_timeout": "5",
    # Of several hosts, only the one that accepts writes will do, even after a switchover.
    "target_session_attrs": "read-write",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_WHOLE = Repeated("SET LOCAL enable_seqscan = on")
_LOCK = 0x32464F4C
"""The advisory lock that is held while the schema is changed."""
_CONFLICTS = frozenset({"40001", "40P01"})
"""SQLSTATE: serialization failure, deadlock detected."""
_UNIQUE_VIOLATION = "23505"
_OUTDATED = frozenset({"0A000", "26000", "42P05"})
"""SQLSTATE: what is prepared would now return other types, is gone, or is someone else's.

It is prepared again on a new connection.
"""
_REASONS: Mapping[str, str] = {
    "25006": "its server does not accept writes",
    "28": "its server no longer accepts our credentials",
    "3D": "it is no longer on its server",
    "53": "its server is full, or overloaded",
    "53100": "its disk is full",
    "55P03": "it is locked",
    "57": "its server is shutting down or starting",
    "57014": "its server is too slow",
    "58": "its disk is failing",
    "XX": "it is damaged",
}
"""What a SQLSTATE, or its class, means in words."""


_DROPPED = {
    "r": "TABLE",
    "p": "TABLE",
    "f": "FOREIGN TABLE",
    "v": "VIEW",
    "m": "MATERIALIZED VIEW",
}
"""What to drop in a schema, by PostgreSQL's kind of relation."""
_OBJECTS = (
    """
SELECT 'trigger ' || t.tgname || ' on ' || c.relname,
    concat_ws(' ', t.tgtype, t.tgenabled, t.tgqual, t.tgattr, t.tgnargs, f.proname,
        f.pronamespace = current_schema()::regnamespace)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc f ON f.oid = t.tgfoid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
""",
    """
SELECT 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    concat_ws(' ', p.prosrc, l.lanname, p.prosecdef, p.proconfig, p.prokind)
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
""",
    """
SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' ELSE 'table ' END || c.relname,
    concat_ws(' ', c.relkind, c.relrowsecurity, (
        SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid) IS NOT NULL), ', ' ORDER BY a.attnum)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
    AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')
""",
    """
SELECT 'index ' || i.relname || ' on ' || c.relname,
    concat_ws(' ', x.indisunique, x.indpred IS NULL, x.indexprs IS NULL, (
        SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = i.oid))
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE c.relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')
""",
    """
SELECT 'rule ' || r.rulename || ' on ' || c.relname, pg_get_ruledef(r.oid)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
""",
)
"""Statements that name and describe the parts of a schema, without those of extensions."""
_UNREADABLE = (
    "That is not the URL of a PostgreSQL database. Example: postgresql://user@host:5432/name. In a "
    "password, write %40 for @ and %2F for /."
)


class PostgresqlUrlError(ValueError):
    """The text is not the URL of a PostgreSQL database; the message shows no part of it."""


class NotEmptyError(Exception):
    """The database in which a new one was to be created is not empty, or is unsuitable."""


@dataclass(frozen=True, slots=True)
class PostgresqlUrl:
    """Where a database is, and how to connect to it; shown without the password."""

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str, password: str | None = None) -> "PostgresqlUrl":
        """Read a URL as libpq does; a separate password replaces its own.

        Raises:
            PostgresqlUrlError: when it is not one.
        """
        if not text.startswith(_SCHEMES):
            raise PostgresqlUrlError("A database URL begins with postgresql://.")
        try:
            parameters = {key: str(value) for key, value in conninfo_to_dict(text).items()}
        except (psycopg.Error, UnicodeError):
            raise PostgresqlUrlError(_UNREADABLE) from None
        # An unescaped @ or / in a password would make a part of it look like something that is shown.
        elsewhere = parameters.get("host", "") + parameters.get("dbname", "")
        if "@" in elsewhere or not parameters.get("port", "0").replace(",", "").isdigit():
            raise PostgresqlUrlError(_UNREADABLE)
        if not parameters.get("dbname"):
            raise PostgresqlUrlError(
                "The URL does not name a database. Example: postgresql://user@host/name."
            )
        if password is not None:
            parameters["password"] = password
        return cls(parameters)

    def reason(self, error: Exception) -> str:
        """Return in one line why the database failed, without the password."""
        text = " ".join(str(error).split())
        password = self.parameters.get("password")
        return text.replace(password, "***") if password else text

    def __str__(self) -> str:
        given = self.parameters
        user = f"{given['user']}@" if "user" in given else ""
        port = f":{given['port']}" if "port" in given else ""
        return f"postgresql://{user}{given.get('host', '')}{port}/{given['dbname']}"


class _Adapter(Psycopg3Adapter):
    def connect(self, db: Any, **parameters: Any) -> Connection:
        return Connection.connect(dbname=db.database, **parameters)


class Postgresql(PostgresqlDatabase):
    """A database that many processes write to; each thread has its own connection.

    A process writes on one thread, because everything goes to one chain of audit rows: two writers would
    only undo each other's work.

    Writers of other processes undo what has read where they write, down to the page of an index. That is so
    for the ends of sessions beside new ones; so what changes each row that it decides by is `recording`, in
    which only changes of the same row meet.
    """

    psycopg3_adapter = _Adapter
    writing = "SERIALIZABLE"
    recording = "REPEATABLE READ"
    reading = "REPEATABLE READ READ ONLY"
    writers = 1
    readers = 2

    def begin(self, isolation_level: Any = None) -> None:
        """Have a transaction begun with its first statement.

        One that only reads may read tables in full, because it conflicts with no one.
        """
        whole = (_WHOLE,) if isolation_level == self.reading else ()
        level = isolation_level or "READ COMMITTED"
        self._connected().begin(Repeated(f"BEGIN TRANSACTION ISOLATION LEVEL {level}"), *whole)

    def commit(self) -> None:
        """Commit; what waits to be sent goes with it."""
        self._connected().commit()

    def rollback(self) -> None:
        """Undo everything since the transaction began."""
        self._connected().rollback()

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Run a statement; a `Repeated` one without a cursor."""
        if isinstance(sql, Repeated):
            return self._connected().run(sql, params or ())
        execute: Callable[..., Any] = super().execute_sql
        return execute(sql, params)

    def _connected(self) -> Connection:
        connect: Callable[[], Connection] = self.connection
        return connect()

    def verdict(self, error: Exception, *, committing: bool) -> TransactionFailure:
        """Decide what happens after a failed transaction; a lost connection is dropped."""
        if self.is_closed():
            return TransactionFailure.FAILED
        if not self.is_connection_usable():
            self.close()
            return TransactionFailure.UNKNOWN if committing else TransactionFailure.ONCE_MORE
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if state in _CONFLICTS:
            return TransactionFailure.CONFLICT
        if state in _OUTDATED:
            self.close()
            return TransactionFailure.ONCE_MORE
        # Two that create the same thing at once: the second finds it there when it looks again.
        return TransactionFailure.ONCE_MORE if state == _UNIQUE_VIOLATION else TransactionFailure.FAILED

    def ready(self) -> bool:
        """Connect this thread; return whether the connection is new.

        Raises:
            OperationalError: when the server cannot be reached.
        """
        return bool(self.connect(reuse_if_open=True))

    def holds(self) -> bool:
        """Whether what was just committed is in the database: the server has confirmed it."""
        return True

    def reason(self, error: Exception) -> str | None:
        """Return what is wrong with the database in words, if that is known."""
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if state is None:
            return "its server does not answer" if isinstance(error, OperationalError) else None
        return _REASONS.get(state) or _REASONS.get(state[:2])

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement of PostgreSQL's own and return its rows."""
        execute: Callable[..., Any] = self.execute_sql
        cursor = execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []

    def faults(self) -> list[str]:
        """Return the indexes that PostgreSQL itself knows to be unusable."""
        rows = self.ask("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        return [f"the index {name} is invalid" for (name,) in rows]

    def objects(self) -> dict[str, str]:
        """Return all parts of the schema, each with its definition: columns, or the SQL that created it."""
        return {str(name): str(made) for sql in _OBJECTS for name, made in self.ask(sql)}

    @contextmanager
    def scratch_schema(self) -> Iterator[None]:
        """Use a new schema in place of the present one, and remove it at the end.

        Raises:
            ProgrammingError: when the role may not create one.
        """
        with self.atomic() as undone:
            name = f"twofold_scratch_{secrets.token_hex(8)}"
            self.ask(f"CREATE SCHEMA {name}")
            self.ask(f"SET LOCAL search_path = {name}")
            yield
            undone.rollback()

    def clock(self) -> datetime | None:
        """Read the clock of the database's server."""
        ((now,),) = self.ask("SELECT clock_timestamp()")
        return now.astimezone(UTC) if isinstance(now, datetime) else None

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold a transaction that waits for everyone else who changes the schema, and keeps them out."""
        connection = self._connected()
        connection.deadline = None
        try:
            with self.atomic("READ COMMITTED"):
                self.ask("SET LOCAL statement_timeout = 0")
                self.ask("SET LOCAL lock_timeout = 0")
                self.ask("SELECT pg_advisory_xact_lock(%s)", _LOCK)
                yield
        finally:
            connection.deadline = Connection.deadline


def open_postgresql(url: PostgresqlUrl) -> Postgresql:
    """Return an object that opens connections on first use; peewee and psycopg log no statements."""
    for name in ("peewee", "psycopg"):
        logging.getLogger(name).setLevel(logging.WARNING)
    given: dict[str, Any] = {**_DEFAULTS, **url.parameters}
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    options = " ".join(part for part in (session, given.pop("options", ""), _FIXED) if part)
    given["client_encoding"] = "UTF8"
    name = given.pop("dbname")
    return Postgresql(name, prefer_psycopg3=True, options=options, **given)


def before_migrations(database: Postgresql) -> None:
    """Create what the schema needs: letters folded by Unicode's rules, as SQLite's `fold` does here."""
    database.ask(
        "CREATE OR REPLACE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE "
        """AS 'SELECT lower($1 COLLATE "und-x-icu")'"""
    )


def after_migrations(database: Postgresql) -> None:
    """Have every text compared and ordered by code point, as SQLite does, whatever the database's locale."""
    columns = database.ask(
        "SELECT quote_ident(c.relname), quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_collation l ON l.oid = a.attcollation "
        "WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace "
        "AND a.attnum > 0 AND NOT a.attisdropped AND l.collname <> 'C'"
    )
    for table, column, kind in columns:
        database.ask(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} COLLATE "C"')


def drop_everything(database: Postgresql) -> None:
    """Drop everything in our schema, and anything in its place, so that it can be created again.

    Objects of extensions stay.
    """
    relations = (
        "SELECT oid, relkind::text FROM pg_class c WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind IN ('r', 'p', 'f', 'v', 'm') "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
    )
    for number, kind in database.ask(relations):
        # A dependent object is gone with the one it depends on.
        for (name,) in database.ask("SELECT oid::regclass::text FROM pg_class WHERE oid = %s", number):
            database.ask(f"DROP {_DROPPED[kind]} {name} CASCADE")
    functions = (
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
        "AND proowner = current_user::regrole AND prokind = 'f' "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = pg_proc.oid AND d.deptype = 'e')"
    )
    for (function,) in database.ask(functions):
        database.ask(f"DROP FUNCTION {function} CASCADE")


def is_empty(database: Postgresql) -> bool:
    """Whether the schema that our tables would go to is empty."""
    return not database.get_tables() and not database.get_views()


def is_ours(database: Postgresql) -> bool:
    """Whether the tables that every version of ours has exist."""
    return {"installation", "schema_migration"} <= set(database.get_tables())


def check_target(database: Postgresql) -> None:
    """Refuse a database that cannot store every text.

    Raises:
        NotEmptyError: with what to do.
    """
    if database.ask("SHOW server_encoding") != [("UTF8",)]:
        raise NotEmptyError(
            "The database's encoding is not UTF8. Create one with: CREATE DATABASE twofold ENCODING 'UTF8' "
            "TEMPLATE template0"
        )
