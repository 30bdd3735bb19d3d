"""What only a database server does: meeting others, losing the connection, hanging."""

import asyncio
import os
import shutil
import signal
import threading
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from peewee import DatabaseError, OperationalError, fn
from support.database import OPERATOR

from data import store
from data.operations.signin import second_factor, sessions
from data.operations.signin.admission import Admitted
from data.operations.users import factor_administration
from data.storage import database, models, postgresql
from data.storage.database import create_database, migrate, open_database, schema_differences
from data.storage.postgresql import PostgresqlUrl, drop_everything
from data.storage.postgresql_connection import Repeated
from data.storage.prepared_statements import Prepared, PreparedWrite
from data.store import OutcomeUnknownError, StoreUnavailableError


@pytest.fixture
def server(postgresql):
    """The server, and no files."""
    return postgresql


@pytest.fixture
def others(world):
    """A connection of someone else's, with all rights."""
    with psycopg.connect(world.where, autocommit=True) as connection:
        yield connection


def own_backend() -> int:
    return models.Account.select(fn.pg_backend_pid()).scalar()


def raise_days(_tx) -> None:
    models.Account.update(remember_days=models.Account.remember_days + 1).execute()


def days() -> int:
    return models.Account.get().remember_days


def test_two_that_meet_are_done_one_after_the_other(world):
    both_have_read = threading.Barrier(2, timeout=10)
    calls = []

    def add_one(_tx):
        seen = models.Account.get().remember_days
        calls.append(seen)
        if len(calls) <= 2:
            both_have_read.wait()
        models.Account.update(remember_days=seen + 1).execute()

    def run():
        world.run(add_one)
        world.database.close()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(run), threads.submit(run)]:
            done.result(60)
    assert days() == 2
    assert calls == [0, 0, 1]


def test_two_who_sign_in_at_one_moment_are_both_let_in(world, server):
    rounds = 20
    attempts = {}
    for name in ("anna", "bert"):
        world.enrol(world.user(name))
        attempts[name] = world.attempt(name)
    server.execute(world.database.database, "ANALYZE")
    begin, end = threading.Barrier(3, timeout=60), threading.Barrier(3, timeout=60)

    def node(name: str) -> list[str]:
        mine = store.Store(world.database, replace(world.services, chain=name))
        found = []
        for _ in range(rounds):
            begin.wait()
            result = mine.run_now(second_factor.submit_code, attempts[name], world.code(name))
            found.append(type(result).__name__)
            end.wait()
        mine.close()
        return found

    with ThreadPoolExecutor(2) as threads:
        nodes = [threads.submit(node, name) for name in attempts]
        for _ in range(rounds):
            world.clock.forward(seconds=30)
            begin.wait()
            end.wait()
        assert [done.result(60) for done in nodes] == [["Admitted"] * rounds] * 2


def overlapping():
    """Return what runs an operation beside another one, if it is their first try, and counts the tries."""
    overlap = threading.Barrier(2, timeout=60)
    tries: Counter[str] = Counter()

    def at_once(tx, what, operation, *given):
        tries[what] += 1
        result = operation(tx, *given)
        if tries[what] == 1:
            overlap.wait()
        return result

    return at_once, tries


def test_overlapping_sign_ins(world):
    """Two that overlap are each done at the first try."""
    rounds = 10
    attempts, nodes = {}, {}
    for name in ("anna", "bert"):
        world.enrol(world.user(name))
        attempts[name] = world.attempt(name)
        nodes[name] = store.Store(world.database, replace(world.services, chain=name))
        world.clock.forward(seconds=30)
        nodes[name].run_now(second_factor.submit_code, attempts[name], world.code(name))
    begin, end = threading.Barrier(3, timeout=60), threading.Barrier(3, timeout=60)
    at_once, tries = overlapping()

    def sign_in(name: str) -> None:
        mine = nodes[name]
        for number in range(rounds):
            begin.wait()
            admitted = mine.run_now(
                at_once, f"code {name} {number}", second_factor.submit_code, attempts[name], world.code(name)
            )
            mine.run_now(at_once, f"end {name} {number}", sessions.end_session, admitted.session.id)
            end.wait()
        mine.close()

    with ThreadPoolExecutor(2) as threads:
        signing_in = [threads.submit(sign_in, name) for name in attempts]
        for _ in range(rounds):
            world.clock.forward(seconds=30)
            begin.wait()
            end.wait()
        for done in signing_in:
            done.result(60)
    assert set(tries.values()) == {1}
    assert len(tries) == 2 * 2 * rounds


async def test_overlapping_ends_and_sign_ins(world):
    """Ends of sessions that are written with sign-ins of two nodes undo neither."""
    rounds = 5
    nodes, attempts, opened = {}, {}, {}
    for name in ("anna", "bert"):
        world.enrol(world.user(name))
        attempts[name] = world.attempt(name)
        nodes[name] = store.Store(world.database, replace(world.services, chain=name))
        world.clock.forward(seconds=30)
        opened[name] = nodes[name].run_now(second_factor.submit_code, attempts[name], world.code(name))
        nodes[name].rest()
    at_once, tries = overlapping()

    async def end_and_sign_in(name: str, number: int) -> None:
        mine, before = nodes[name], opened[name].session.id
        end = mine.run_with_next(600, at_once, f"end {name} {number}", sessions.end_sessions, [before])
        ending = asyncio.create_task(end)
        await asyncio.sleep(0)
        opened[name] = await mine.run_with_others(
            at_once, f"code {name} {number}", second_factor.submit_code, attempts[name], world.code(name)
        )
        await ending

    for number in range(rounds):
        world.clock.forward(seconds=30)
        await asyncio.gather(*(end_and_sign_in(name, number) for name in nodes))
    for node in nodes.values():
        node.close()
    assert set(tries.values()) == {1}
    assert len(tries) == 2 * 2 * rounds


@pytest.fixture
def trips(monkeypatch):
    """Fill with every wait for the server."""
    found, wait = [], postgresql.Connection._wait

    def waiting(*given):
        found.append(1)
        return wait(*given)

    monkeypatch.setattr(postgresql.Connection, "_wait", waiting)
    return found


def test_trips_of_a_sign_in(world, trips):
    """What begins a transaction goes with what follows, and so does what nobody reads the answer of."""
    world.enrol(world.user("anna"))
    attempt = world.attempt("anna")
    world.clock.forward(seconds=30)
    trips.clear()
    assert isinstance(world.run(second_factor.submit_code, attempt, world.code("anna")), Admitted)
    assert len(trips) == 6
    trips.clear()
    assert world.run(lambda _tx: 1) == 1
    assert trips == []


_DAYS = Prepared(models.Account, 0, lambda: models.Account.select(models.Account.remember_days))
_SET = PreparedWrite(1, lambda number: models.Account.update(remember_days=number))
_BREAK = PreparedWrite(1, lambda number: models.User.update(practice=number))


@pytest.mark.parametrize("then", [_DAYS.one, days, lambda: None], ids=["repeated", "of a cursor", "commit"])
def test_a_change_that_fails_unanswered(world, then):
    """It fails what follows, with all of its transaction; statements go on after it."""

    def broken(_tx):
        _SET.run_unanswered(5)
        _BREAK.run_unanswered(0)
        _SET.run_unanswered(6)
        then()

    world.user("anna")
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="Nothing was changed"):
            world.run(broken)
        assert world.run(lambda _tx: _DAYS.one().remember_days) == days()
        assert world.run(lambda _tx: _SET.run(days() + 1)) == 1
    assert days() == 2


def test_an_error_that_is_not_passed_on_fails_the_commit(world):
    """PostgreSQL has undone everything then, and says so only by the name of what it did."""

    def passes_on_nothing(_tx):
        _SET.run(5)
        with suppress(DatabaseError):
            _BREAK.run(0)

    world.user("anna")
    with pytest.raises(StoreUnavailableError, match="Nothing was changed"):
        world.run(passes_on_nothing)
    assert days() == 0


def test_a_change_outside_a_transaction_waits_for_nothing(world, others):
    _SET.run_unanswered(5)
    assert others.execute("SELECT remember_days FROM account").fetchone() == (5,)


def test_statements_outlive_a_change_of_their_table(world, others):
    """So they do one by psycopg, after which it forgets what is prepared."""
    world.spoilt = True
    for kind in ("bigint", "integer"):
        for _ in range(8):
            assert world.run(lambda _tx: _DAYS.one().remember_days) == world.run(lambda _tx: days()) == 0
        others.execute(f"ALTER TABLE account ALTER COLUMN remember_days TYPE {kind}")
    world.database.ask("DROP TABLE IF EXISTS nothing")
    assert world.run(lambda _tx: _DAYS.one().remember_days) == 0


def test_statements_that_the_server_forgot_are_prepared_again(world):
    """A pooler can have it forget them."""
    assert world.run(lambda _tx: _DAYS.one().remember_days) == 0
    world.database.execute_sql(Repeated("DEALLOCATE ALL"))
    assert world.run(lambda _tx: _DAYS.one().remember_days) == 0


def test_values_arrive_as_they_are_whatever_is_set(world, server, monkeypatch):
    """The texts and bytes of a repeated statement do not depend on the environment, the role or the URL."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    values = (bytes(range(256)), "Zoë \N{KEY} \\x41", None, "")
    url = f"{server.url('postgres')}?client_encoding=LATIN1&options=-c%20standard_conforming_strings%3Doff"
    opened = open_database(PostgresqlUrl.parse(url))
    for statement in (str, Repeated):
        found = opened.execute_sql(statement("SELECT %s::bytea, %s::text, %s::text, %s::text"), values)
        assert found.fetchone() == values
    opened.close()


def test_a_repeated_statement_has_marks_as_others_do(world):
    for text in ("100% of %s, %%s and $1", ""):
        rows = world.database.execute_sql(Repeated("SELECT 7 %% %s, %s"), [4, text]).fetchall()
        assert rows == [(3, text)]


@pytest.mark.parametrize("state", ["40001", "40P01", "23505"])
def test_trying_again_has_an_end(world, monkeypatch, state):
    monkeypatch.setattr(store._Retries, "after_conflict", 5)
    monkeypatch.setattr(store._Retries, "otherwise", 5)
    calls = []

    def unlucky(_tx):
        calls.append(1)
        raise_days(_tx)
        world.database.ask(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(StoreUnavailableError, match="Nothing was changed"):
        world.run(unlucky)
    assert len(calls) == 6
    assert days() == 0


def test_other_errors_are_not_tried_again(world):
    calls = []

    def wrong(_tx):
        calls.append(1)
        world.database.ask("SELECT 1 / 0")

    with pytest.raises(StoreUnavailableError):
        world.run(wrong)
    assert calls == [1]


async def test_lost_connection_is_opened_again(world, others):
    await world.store.run(raise_days)
    await world.store.read(lambda _tx: days())
    others.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'twofold'"
    )
    await world.store.run(raise_days)
    assert await world.store.read(lambda _tx: days()) == 2
    assert world.run(lambda _tx: days()) == 2


def test_lost_in_the_middle_begins_again(world, others):
    """A transaction whose connection was lost in the middle begins again."""
    calls = []

    def interrupted(_tx):
        calls.append(1)
        raise_days(_tx)
        if len(calls) == 1:
            others.execute("SELECT pg_terminate_backend(%s)", [own_backend()])
        return days()

    assert world.run(interrupted) == 1
    assert len(calls) == 2


def test_a_read_lost_at_its_end_begins_again(world, others):
    """Nothing of it can have been kept."""
    calls = []

    def interrupted(_tx):
        calls.append(days())
        if len(calls) == 1:
            others.execute("SELECT pg_terminate_backend(%s)", [own_backend()])
        return len(calls)

    assert world.store.read_here(interrupted) == 2


def test_lost_while_committing_is_not_retried(world, others):
    """A transaction whose connection was lost during the commit may have happened."""
    world.spoilt = True
    others.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()"
    )
    calls = []

    def counted(tx):
        calls.append(1)
        raise_days(tx)

    with pytest.raises(OutcomeUnknownError, match="it is not known whether this was done"):
        world.run(counted)
    assert calls == [1]
    assert world.run(lambda _tx: days()) == 0


def test_hanging_server(world, monkeypatch):
    """It is given up, and service returns with it."""
    monkeypatch.setattr(postgresql.Connection, "deadline", 0.3)
    monkeypatch.setattr(store._Retries, "otherwise", 0)
    world.database.close()
    backend = world.run(lambda _tx: own_backend())
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError):
            world.run(raise_days)
    finally:
        os.kill(backend, signal.SIGCONT)
    world.run(raise_days)
    assert days() == 1


def test_row_held_by_another_program(world, others, monkeypatch):
    """The wait for it ends."""
    monkeypatch.setitem(postgresql._SESSION, "lock_timeout", "100ms")
    with others.transaction():
        others.execute("UPDATE account SET remember_days = 7")
        opened = store.Store(open_database(world.place), world.services)
        with pytest.raises(StoreUnavailableError):
            opened.run_now(raise_days)
        opened.close()
    models.database.initialize(world.database)
    assert days() == 7


def test_stopped_server(world, server):
    """The error says so, and service returns with it."""
    world.user("anna")
    server.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="not available right now"):
                world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    finally:
        server.start()
    world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    assert world.row("anna").required


def test_crash_of_a_careless_server(world, server):
    """What was accepted survives the crash of a server that does not sync by default."""
    assert server.execute("postgres", "SHOW synchronous_commit") == [("off",)]
    world.run(raise_days)
    server.stop(kill=True)
    server.start()
    assert world.run(lambda _tx: days()) == 1


async def test_a_read_writes_nothing(world):
    with pytest.raises(StoreUnavailableError):
        await world.store.read(raise_days)
    assert days() == 0


def test_two_nodes_migrate_at_once(world, tmp_path, monkeypatch):
    """One works, and the other finds it done."""
    world.spoilt = True
    folder = tmp_path / "migrations"
    shutil.copytree(Path(database.__file__).parent / "migrations", folder)
    (folder / "9001_slow.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE more (id INTEGER)')\n"
        "    db.execute_sql('SELECT pg_sleep(0.3)')\n"
    )
    monkeypatch.setattr(database, "_MIGRATIONS", folder)

    def node() -> list[str]:
        opened = open_database(world.place)
        with opened.connection_context():
            return migrate(opened)

    with ThreadPoolExecutor(2) as threads:
        found = [done.result(30) for done in [threads.submit(node), threads.submit(node)]]
    assert sorted(found) == [[], ["9001_slow"]]


def test_two_nodes_create_at_once(server):
    """Both end with the schema."""
    place = PostgresqlUrl.parse(server.url(server.new_database()))
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(create_database, place), threads.submit(create_database, place)]:
            assert "installation" in done.result(30).get_tables()


def test_statements_stay_prepared(world):
    """As many as there are: each that was driven out would be planned again each time it comes back."""
    statements = [f"SELECT {number}" for number in range(300)]
    for statement in statements * 6:
        world.database.ask(statement)
    kept = {statement for (statement,) in world.database.ask("SELECT statement FROM pg_prepared_statements")}
    assert set(statements) <= kept


async def test_reading_starts_no_helpers(world):
    def plan(_tx):
        for name in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            world.database.ask(f"SET LOCAL {name} = 0")
        return str(world.database.ask("EXPLAIN SELECT count(*) FROM generate_series(1, 9), audit_entry"))

    assert "Gather" not in await world.store.read(plan)


def test_texts_compare_by_code_point(server):
    """They do so under any locale."""
    name = server.new_database(more="ENCODING 'UTF8' ICU_LOCALE 'sv-SE' LOCALE_PROVIDER icu")
    made = create_database(PostgresqlUrl.parse(server.url(name)))
    made.close()
    rest = server.execute(
        name,
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_collation l ON l.oid = a.attcollation WHERE c.relkind = 'r' AND a.attnum > 0 "
        "AND c.relnamespace = 'public'::regnamespace AND l.collname <> 'C'",
    )
    assert rest == []


def test_foreign_objects_in_the_schema(server):
    """They are found, and gone when the schema is made again."""
    made = create_database(PostgresqlUrl.parse(server.url(server.new_database())))
    with made.connection_context():
        for statement in (
            "CREATE SCHEMA twofold_scratch",
            "ALTER TABLE lease RENAME TO other",
            "CREATE VIEW lease AS SELECT * FROM other",
            "CREATE MATERIALIZED VIEW copied AS SELECT * FROM lease",
            "CREATE TABLE parts (id int) PARTITION BY LIST (id)",
        ):
            made.execute_sql(statement)
        foreign = {name for name in schema_differences(made) if name.endswith("foreign")}
        assert {f"{name} is foreign" for name in ("view lease", "view copied", "table parts")} <= foreign
        with made.exclusively():
            drop_everything(made)
            migrate(made)
        assert schema_differences(made) == ()


def test_the_password_is_in_no_text_of_what_knows_it(world, server):
    wrong = PostgresqlUrl.parse(server.url(world.database.database, "wr0ng-secret"))
    opened = open_database(wrong)
    assert "wr0ng-secret" not in f"{wrong} {wrong!r} {opened!r}"
    try:
        opened.connect()
    except OperationalError as error:
        told = "".join(traceback.format_exception(error)) + repr(error) + wrong.reason(error)
        assert "wr0ng-secret" not in told
        assert "password authentication failed" in told
    else:
        pytest.fail("a wrong password opened the database")
    failing = store.Store(opened, world.services)
    with pytest.raises(StoreUnavailableError) as failure:
        failing.run_now(raise_days)
    assert "wr0ng-secret" not in "".join(traceback.format_exception(failure.value))
    failing.close()
    models.database.initialize(world.database)
