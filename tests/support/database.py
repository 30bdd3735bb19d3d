"""A small organisation on a real database of either kind, with a clock that only moves when told to."""

import base64
import hmac
import itertools
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import psycopg
from peewee import SqliteDatabase
from psycopg.pq import TransactionStatus
from support.postgresql_server import PostgresqlServer

from data.operations import derived_user_columns
from data.operations.actors import Actor, Member, Operator
from data.operations.maintenance import setup
from data.operations.signin import (
    admission,
    enrolment,
    first_factor,
    recovery_codes,
    second_factor,
    sent_codes,
)
from data.operations.signin.admission import Session
from data.operations.users import credentials, lifecycle
from data.rules.domain_types import NEVER, Application, Method, Mode, Role
from data.rules.invitations import SshAddress
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, SignedIn
from data.rules.public_keys import PublicKey
from data.rules.source_addresses import Origin
from data.rules.user_search import words
from data.storage import models
from data.storage.database import Database, Place, PostgresqlUrl, create_database, open_database
from data.storage.password_hashing import HashCost, Hasher
from data.storage.prepared_statements import Prepared
from data.storage.vault import Vault
from data.store import Services, Store

CHEAP = HashCost(1, 8, 1)
MASTER_KEY = bytes(range(32))
PASSWORD = "correct horse battery staple"
START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
OPERATOR = Operator("root")
SSH = SshAddress("ssh.clinic.example", 2222, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
SUPPORT, SYSTEM, SECURITY = Role.SUPPORT, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN
BOTH = frozenset({SYSTEM, SECURITY})

_template: list[bytes] = []
_hasher = Hasher(CHEAP)
_password_hash = _hasher.hash(PASSWORD)


_READING = {
    table._meta.table_name: 'SELECT {} FROM "{}"'.format(
        ", ".join(f'"{field.column_name}"' for field in table._meta.sorted_fields), table._meta.table_name
    )
    for table in models.TABLES
}
"""The statement that reads each table, written once: that takes peewee longer than to run it."""


_NAMED = Prepared(models.User, 1, lambda name: models.User.select().where(models.User.name == name))


class Clock:
    """The present moment, which stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def totp(secret: str, moment: datetime, steps: int = 0) -> str:
    """Compute a code as RFC 4226 and RFC 6238 have it, by other code than the product's."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = int(moment.timestamp()) // 30 + steps
    digest = hmac.digest(key, struct.pack(">Q", counter), "sha1")
    offset = digest[-1] & 15
    return str(int.from_bytes(digest[offset : offset + 4]) % 2**31 % 10**6).zfill(6)


def services(clock: Callable[[], datetime], master_key: bytes = MASTER_KEY) -> Services:
    """Make the services with hashing that costs next to nothing."""
    return Services(
        clock=clock,
        vault=Vault(master_key),
        hasher=_hasher,
        recovery_hasher=_hasher,
        sends=frozenset({Method.SMS, Method.EMAIL}),
        ssh=SSH,
    )


_Connection = psycopg.Connection[Any]
_free: list[tuple[PostgresqlServer, str, _Connection, _Connection | None]] = []
"""Databases with our tables that no world uses now; what restores each, and a connection that is kept open.

What restores is a connection of its own, past whatever guards the tables: to turn the guards off and on
makes a connection plan all its statements again, which took half of the server's time.
"""
_rows: list[str] = []
"""What writes the rows of a world that was just installed into an empty PostgreSQL database, once one was."""


def _take_database(server: PostgresqlServer) -> tuple[str, _Connection, _Connection | None]:
    """Return a database with the present schema and `_rows`: one that was used before, or a new one."""
    for taken in _free:
        if taken[0] is server:
            _free.remove(taken)
            _, name, restoring, kept = taken
            with suppress(psycopg.OperationalError):  # A test may have cut every connection.
                restoring.execute(_restoring(), prepare=False)
                return name, restoring, kept
            break
    else:
        name = server.new_database()
        create_database(PostgresqlUrl.parse(server.local_url(name))).close()
    unguarded = "-c session_replication_role=replica"
    restoring = psycopg.connect(server.local_url(name), autocommit=True, options=unguarded)
    restoring.execute(_restoring(), prepare=False)
    return name, restoring, None


def _restoring() -> bytes:
    """Write what has `_rows` be all that a database holds."""
    names = [table._meta.table_name for table in models.TABLES]
    deletes = [f'DELETE FROM "{name}"' for name in names]
    sequences = f"SELECT setval(oid, 1, false) FROM {_SEQUENCES}"
    return "; ".join([*deletes, sequences, *_rows]).encode()


def _writing(server: PostgresqlServer, database: str) -> str:
    """Write what puts the rows of a database into an empty one."""
    statements = []
    for table in models.TABLES:
        name = f'"{table._meta.table_name}"'
        ((rows,),) = server.execute(database, f"SELECT quote_literal(json_agg(t)::text) FROM {name} t")
        if rows:
            statements.append(
                f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, {rows})"
            )
    last = f"SELECT oid::regclass::text, pg_sequence_last_value(oid) FROM {_SEQUENCES}"
    return "; ".join(
        [
            *statements,
            *(f"SELECT setval('{name}', {value})" for name, value in server.execute(database, last) if value),
        ]
    )


_SEQUENCES = (
    "pg_class c WHERE c.relkind = 'S' AND c.relnamespace = current_schema()::regnamespace "
    "AND c.relname NOT LIKE 'schema_migration%'"
)


def code_in(made: Any) -> str:
    """Return the code of a message that was made to be sent."""
    assert isinstance(made, sent_codes.CodeToSend), made
    found = re.search(r"[0-9]{6}", made.envelope.text)
    assert found, "no code in the message"
    return found.group()


class World:
    """An installation with the account `Clinic` and its first administrator `admin`.

    Everybody's password is PASSWORD, and none is a one-time password unless a test asks for it.
    It is on a file in `folder`, with `like` on a copy of that closed world, or in a database of `server`.
    """

    def __init__(
        self, folder: Path, server: PostgresqlServer | None = None, like: "World | None" = None
    ) -> None:
        self.path = folder / "twofold.db"
        self.clock = Clock()
        self.spoilt = False
        """Whether the test has changed the schema, so that the database is of no use to another."""
        self._server = server
        self.place, self.database = self._open(like)
        self.services = services(self.clock)
        self.store = Store(self.database, self.services)
        self._numbers = itertools.count()
        self.secrets: dict[str, str] = {}
        self.recovery: dict[str, tuple[str, ...]] = {}
        if like is not None:
            self.clock.now = like.clock.now
            self.secrets, self.recovery = dict(like.secrets), dict(like.recovery)
        if not (_template if server is None else _rows):
            self._install()

    def _open(self, like: "World | None") -> tuple[Place, Database]:
        if self._server is not None:
            self._name, self._restoring, kept = _take_database(self._server)
            place = PostgresqlUrl.parse(self._server.local_url(self._name))
            database = open_database(place)
            # By the connection that the test goes on with: each costs the server as much as this.
            if kept is not None:
                with suppress(psycopg.OperationalError):  # A test may have cut this one alone.
                    kept.execute("SELECT 1", prepare=False)
                    database._state.set_connection(kept)
                    database._set_server_version(kept)
            return place, database
        if like is not None or _template:
            self.path.write_bytes(like.path.read_bytes() if like else _template[0])
            database = open_database(self.path)
        else:
            database = create_database(self.path)
        # Its connections do not wait for the disk: no test takes the machine's power away.
        database._pragmas = [*database._pragmas, ("synchronous", "off")]
        return self.path, database

    def _install(self) -> None:
        admin = lifecycle.NewUser(
            "admin",
            "admin@clinic.example",
            roles=BOTH,
            password_hash=_password_hash,
            one_time_password=False,
        )
        self.run(setup.install, OPERATOR, "Clinic", admin)
        if self._server is None:
            self.database.close()
            _template.append(self.path.read_bytes())
        else:
            _rows.append(_writing(self._server, self._name))

    @property
    def where(self) -> str:
        """The place in a form that another process is given."""
        return str(self.path) if self._server is None else self._server.local_url(self._name)

    def close(self) -> None:
        kept = None
        if self._server is not None and not self.spoilt and not self.database.is_closed():
            kept = self.database.connection()
            if kept.closed or kept.info.transaction_status != TransactionStatus.IDLE:
                kept = None
            else:
                self.database.dispose()
        self.store.close()
        if self._server is not None:
            if self.spoilt:
                self._restoring.close()
                self._server.drop_database(self._name)
            else:
                _free.append((self._server, self._name, self._restoring, kept))

    def run(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.store.run_now(operation, *args, **kwargs)

    # People

    def user(
        self,
        name: str,
        *roles: Role,
        required: bool = False,
        one_time: bool = False,
        password: str | None = PASSWORD,
        key: PublicKey | None = None,
    ) -> str:
        """Create a user and return the name."""
        hashed = _password_hash if password == PASSWORD else password and _hasher.hash(password)
        new = lifecycle.NewUser(
            name,
            f"{name}@clinic.example",
            roles=frozenset(roles),
            required=required,
            password_hash=hashed,
            one_time_password=one_time,
            key=key,
        )
        done = self.run(lifecycle.create_user, OPERATOR, new)
        assert done.message.startswith(f"User {name} created.")
        return name

    def row(self, name: str) -> models.User:
        found = _NAMED.one(name)
        assert found is not None, name
        return found

    def mode(self, mode: Mode) -> None:
        """Set the mode directly, whatever would be asked of an administrator."""
        models.Account.update(mode=mode.value).execute()

    def methods(self, *methods: Method) -> None:
        """Switch on exactly these methods, directly."""
        models.Account.update(
            app_on=Method.APP in methods, sms_on=Method.SMS in methods, email_on=Method.EMAIL in methods
        ).execute()
        self.catch_up()

    def enrol_email(self, name: str, member: Member | None = None) -> Member:
        """Set e-mail up for a user, in a session of theirs."""
        actor = member or self.session(name)
        pending = self.run(enrolment.begin_email, actor)
        assert isinstance(pending, enrolment.PendingDestination), pending
        self.confirm_destination(actor, pending)
        return actor

    def confirm_destination(self, actor: Actor, pending: enrolment.PendingDestination) -> Any:
        """Have a code sent to what is being set up, and type it."""
        made = self.run(enrolment.send_enrolment_code, actor, pending)
        enrolled = self.run(enrolment.confirm_sent, actor, pending, code_in(made))
        assert isinstance(enrolled, enrolment.Enrolled), enrolled
        if enrolled.recovery_codes:
            self.recovery[self._name_of(actor)] = enrolled.recovery_codes
        return enrolled

    def _name_of(self, actor: Actor) -> str:
        assert isinstance(actor, Member)
        return models.Session.get_by_id(actor.session_id).user.name

    def sent(self, attempt: admission.Attempt, method: Method = Method.EMAIL) -> str:
        """Have a code made for someone who signs in, and return it."""
        return code_in(self.run(second_factor.send_code, attempt, method))

    def set(self, name: str, **columns: Any) -> None:
        models.User.update(columns).where(models.User.name == name).execute()
        self.catch_up()

    def catch_up(self) -> None:
        catch_up()

    def lags(self) -> list[object]:
        return lags()

    # Signing in

    def origin(self, application: Application = Application.SSH, address: str = "192.0.2.1") -> Origin:
        return Origin(application, address)

    def first(self, name: str, password: str = PASSWORD, **origin: Any) -> Any:
        """Pass, or fail, the first factor with a password."""
        candidate = self.run(first_factor.find_candidate, name, self.origin(**origin))
        right = _hasher.verify(candidate.password_hash, password)
        return self.run(first_factor.settle_password, candidate, right=right)

    def first_by_key(self, name: str, fingerprint: str, **origin: Any) -> Any:
        candidate = self.run(first_factor.find_candidate, name, self.origin(**origin))
        return self.run(first_factor.prove_key, candidate, fingerprint)

    def attempt(self, name: str, **origin: Any) -> admission.Attempt:
        """Return a passed first factor of an enrolled user."""
        needed = self.first(name, **origin)
        assert isinstance(needed, first_factor.CodeNeeded), needed
        return needed.attempt

    def submit(self, attempt: admission.Attempt, answer: str) -> Any:
        return self.run(second_factor.submit_code, attempt, answer)

    def code(self, name: str, steps: int = 0) -> str:
        """Return what the user's phone shows now, or some steps away from now."""
        return totp(self.secrets[name], self.clock.now, steps)

    def live_code(self, name: str) -> str:
        """Return a code that is good, letting time pass if the present one is spent."""
        last = models.Factor.get(models.Factor.user == self.row(name).id).last_step
        while int(self.clock.now.timestamp()) // 30 <= last:
            self.clock.forward(seconds=30)
        return self.code(name)

    def wrong_code(self, name: str) -> str:
        """Return six digits that are right for no step near the present one, other ones each time."""
        near = {self.code(name, steps) for steps in range(-25, 26)}
        return next(code for number in self._numbers if (code := f"{number:06}") not in near)

    def session(self, name: str, **origin: Any) -> Member:
        """Open a full session for a user, by whatever the rules ask of them."""
        result = self.first(name, **origin)
        if isinstance(result, first_factor.CodeNeeded):
            result = self.submit(result.attempt, self.live_code(name))
        assert isinstance(result, admission.Admitted), result
        if isinstance(result.session.step, MustEnrol):
            self.wizard(name, Member(result.session.id))
            result = self.run(admission.advance, result.session.id)
        assert isinstance(result.session.step, SignedIn), result
        return Member(result.session.id)

    def restricted(self, name: str, step: type[MustEnrol | MustChangePassword | NeedCode]) -> Session:
        """Open a restricted session by password alone."""
        result = self.first(name)
        assert isinstance(result, admission.Admitted), result
        assert isinstance(result.session.step, step), result
        return result.session

    def wizard(self, name: str, actor: Actor) -> enrolment.Enrolled:
        """Go through the enrolment wizard, which a test sees to be open for this actor."""
        pending = self.run(enrolment.begin_app, actor)
        assert isinstance(pending, enrolment.PendingApp), pending
        enrolled = self.run(enrolment.confirm_app, actor, pending, totp(pending.secret, self.clock.now))
        assert isinstance(enrolled, enrolment.Enrolled), enrolled
        self.secrets[name] = pending.secret
        if enrolled.recovery_codes:
            self.recovery[name] = enrolled.recovery_codes
        return enrolled

    def enrol(self, name: str) -> Member:
        """Enrol a user and have the recovery codes saved; return their full session."""
        member = self.session(name)
        if not models.Factor.select().where(models.Factor.user == self.row(name).id).exists():
            self.wizard(name, member)
        self.run(recovery_codes.confirm_saved, member)
        return member

    def person(self, name: str, *roles: Role, **options: Any) -> Member:
        """Create a user and return an open session of theirs; administrators enrol on the way."""
        return self.session(self.user(name, *roles, **options))

    def lock(self, name: str) -> None:
        """Lock an enrolled user by seven wrong codes."""
        attempt = self.attempt(name)
        for _ in range(7):
            self.submit(attempt, self.wrong_code(name))
        assert self.row(name).locked_at is not None

    def one_time_password(self, name: str, actor: Actor = OPERATOR, password: str = PASSWORD) -> Any:
        return self.run(credentials.set_one_time_password, actor, name, _hasher.hash(password))

    def has_hash_of(self, name: str, password: str) -> bool:
        return _hasher.verify(self.row(name).password_hash or "", password)

    # Looking

    def events(self, *, user: str | None = None, last: int | None = None) -> list[str]:
        """Return the kinds of the audit rows, oldest first."""
        query = models.AuditEntry.select().order_by(models.AuditEntry.id)
        rows = [row.event for row in query if user is None or row.user == user]
        return rows if last is None else rows[-last:]

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table, as the database holds it."""
        return {
            name: sorted(models.database.execute_sql(statement).fetchall(), key=repr)
            for name, statement in _READING.items()
        }

    def file_bytes(self) -> bytes:
        """Return all that is stored: the file and its side files, or every byte of every column."""
        if self._server is not None:
            return self._server.contents(self._name)
        return b"".join(path.read_bytes() for path in sorted(self.path.parent.glob(self.path.name + "*")))


class PassingWorld(World):
    """A world in a folder of its own: for Hypothesis, which shares fixtures between examples."""

    def __init__(self, server: PostgresqlServer | None = None) -> None:
        self._folder = TemporaryDirectory(prefix="twofold-test-", ignore_cleanup_errors=True)
        super().__init__(Path(self._folder.name), server)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def catch_up() -> None:
    """Bring what is kept for the users table up to what a test wrote past the operations."""
    database = models.database.obj
    with database.atomic(database.writing):
        derived_user_columns.refresh_standing(models.User.id > 0, START)
        user, few = models.User, derived_user_columns.few_codes_column()
        wrong = (user.standing != models.TOMBSTONE) & (user.few_codes != few)
        user.update(few_codes=few).where(wrong).execute()
        users, practices = _rows_of(models.User), _rows_of(models.Practice)
        for user_id in {row[0] for row in _wrong_words(models.UserWord, users)}:
            derived_user_columns.reindex_user(user_id)
        renamed = {row[0] for row in _wrong_words(models.PracticeWord, practices)}
        for row in practices:
            if row["id"] in renamed:
                derived_user_columns.reindex_practice(row["id"], row["account_id"], row["name"])


def counted_users() -> set[tuple[object, ...]]:
    """Count the users of every account, practice and role from their rows, as `UserCount` has it."""
    roles: dict[int, list[str]] = {}
    for held in _rows_of(models.UserRole):
        roles.setdefault(held["user_id"], []).append(held["role"])
    groups: dict[tuple[int, int, str], Counter[str]] = {}
    for user in _rows_of(models.User):
        for group in [(0, ""), (user["practice_id"], ""), *((0, role) for role in roles.get(user["id"], ()))]:
            counts = groups.setdefault((user["account_id"], *group), Counter())
            counts[user["standing"]] += 1
            counts["people"] += user["standing"] != "deactivated"
            counts["few codes"] += bool(user["few_codes"]) and user["standing"] == "enrolled"
    order = ("enrolled", "obliged", "free", "locked", "deactivated", "people", "few codes")
    return {(*group, *(counts[name] for name in order)) for group, counts in groups.items()}


def counted_grace() -> set[tuple[object, ...]]:
    """Count the free users of every account and practice by when their grace begins, in microseconds."""
    groups: Counter[tuple[int, int, int]] = Counter()
    for user in _rows_of(models.User):
        if user["standing"] == "free" and user["grace_from"] > models.microseconds(NEVER):
            for practice in (0, user["practice_id"]):
                groups[user["account_id"], practice, user["grace_from"]] += 1
    return {(*group, count) for group, count in groups.items()}


def lags() -> list[object]:
    """Return what is kept for the users table and is not what it would be if it were made now."""
    users = _rows_of(models.User)
    wrong: list[object] = list(_against_the_rules())
    order = ("id", "account_id", "practice_id", "standing", "last_signin_at")
    orders = {tuple(user[column] for column in order) for user in users}
    wrong += orders ^ {tuple(row.values()) for row in _rows_of(models.LastSignin)}
    counts = {tuple(row.values()) for row in _rows_of(models.UserCount)}
    wrong += counted_users() ^ {row for row in counts if any(row[3:])}
    spared = {tuple(row.values()) for row in _rows_of(models.GraceCount)}
    wrong += counted_grace() ^ {row for row in spared if row[3]}
    wrong += _wrong_words(models.UserWord, users)
    wrong += _wrong_words(models.PracticeWord, _rows_of(models.Practice))
    return wrong


def _rows_of(table: type[models.Model]) -> list[dict[str, Any]]:
    """Return the rows of a table as the database holds them, by column, without tombstones."""
    names = [field.column_name for field in table._meta.sorted_fields]
    read = models.database.execute_sql(_READING[table._meta.table_name])
    rows = [dict(zip(names, row, strict=True)) for row in read]
    return [row for row in rows if row.get("standing") != models.TOMBSTONE]


def _against_the_rules() -> list[object]:
    """Return the users whose standing, or whether they have few codes, is not what the rules say."""
    database = models.database.obj
    if type(database) not in _judging:
        user = models.User
        standing, few = derived_user_columns.standing_column(), derived_user_columns.few_codes_column()
        query = user.select(user.name, standing, few).where(
            (user.standing != standing) | (user.few_codes != few)
        )
        _judging[type(database)] = query.sql()
    return list(database.execute_sql(*_judging[type(database)]))


_judging: dict[type[Database], tuple[str, list[object]]] = {}
"""The statement that finds such users in each kind of database, written once, as above."""


def _wrong_words(kept: type[models.Model], rows: list[dict[str, Any]]) -> set[tuple[object, ...]]:
    """Return the words that rows are to be found by and are not, and those that they are found by wrongly."""
    texts = ("name", "email", "full_name") if kept is models.UserWord else ("name",)
    expected = {
        (row["id"], word.encode(), row["account_id"])
        for row in rows
        for word in words(*(row[text] for text in texts), phone=row.get("phone"))
    }
    return expected ^ {(of, bytes(word), account) for of, word, account in map(dict.values, _rows_of(kept))}


@contextmanager
def undone(world: World) -> Iterator[None]:
    """Undo at its end whatever is done inside by this thread, so that the next act finds the same world."""
    before, now = world.store.services, world.clock.now
    with world.database.atomic(world.database.writing) as outer:
        yield
        outer.rollback()
    world.store.services, world.clock.now = before, now


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect the SQL that operations run in this thread, without its values."""
    seen: list[str] = []
    execute = world.database.execute_sql

    def recording(sql: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args, **kwargs)

    world.database.execute_sql = recording
    try:
        yield seen
    finally:
        del world.database.execute_sql


@contextmanager
def unguarded(world: World) -> Iterator[None]:
    """Let the audit tables be changed, as whoever owns the database could."""
    execute = world.database.execute_sql
    if isinstance(world.database, SqliteDatabase):
        guards = execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            execute(f"DROP TRIGGER {name}")
        execute("PRAGMA foreign_keys = 0")
        yield
        execute("PRAGMA foreign_keys = 1")
        for _, made in guards:
            execute(made)
    else:
        execute("SET session_replication_role = replica")
        yield
        execute("SET session_replication_role = origin")


def clipped(value: object) -> str:
    """Name a parameter of a test by its beginning."""
    return repr(value)[:12]
