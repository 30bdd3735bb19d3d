"""The store and the migrations, the same on both kinds of database."""

import asyncio
import re
import shutil
import threading
from pathlib import Path

import pytest
from peewee import OperationalError, fn
from support.database import World

from data import store
from data.operations.maintenance.master_key import fits
from data.rules.user_fields import storable
from data.storage import database, models
from data.storage.database import Database, SchemaState, create_database, migrate, open_database, schema_state
from data.storage.postgresql import PostgresqlUrl
from data.storage.sqlite import create_file
from data.store import StoreUnavailableError

MIGRATIONS = Path(database.__file__).parent / "migrations"
DATA = Path(database.__file__).parents[1]


def shape(of: Database) -> dict[str, object]:
    """Describe the tables of a database: columns, indexes, foreign keys.

    Of a table that is kept by its primary key, SQLite names no index for that.
    """
    return {
        table: (
            {
                (column.name, column.full_type or column.data_type, column.null, column.primary_key)
                for column in of.get_columns(table)
            },
            {
                (tuple(index.columns), index.unique)
                for index in of.get_indexes(table)
                if set(index.columns) != set(of.get_primary_keys(table))
            },
            {(key.column, key.dest_table, key.on_delete) for key in of.get_foreign_keys(table)},
        )
        for table in of.get_tables()
        if table != "schema_migration"
    }


def test_migrations_equal_the_models(tmp_path, server):
    if server is None:
        migrated, plain = tmp_path / "migrated.db", tmp_path / "plain.db"
        create_file(plain)
    else:
        migrated, plain = (PostgresqlUrl.parse(server.url(server.new_database())) for _ in range(2))
    by_migrations, by_models = create_database(migrated), open_database(plain)
    with by_models.bind_ctx(models.TABLES):
        by_models.create_tables(models.TABLES)
    assert shape(by_migrations) == shape(by_models)
    assert set(shape(by_migrations)) == {table._meta.table_name for table in models.TABLES}
    by_migrations.close()
    by_models.close()


class WentWrongError(Exception):
    """Stands for anything that fails inside of an operation."""


def test_migrating_what_is_current_does_nothing(world):
    before = world.dump()
    assert migrate(world.database) == []
    assert world.dump() == before


@pytest.fixture
def with_a_later_migration(world, tmp_path, monkeypatch) -> Path:
    """Give the program one migration more than the world's database knows."""
    world.spoilt = True
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    later = folder / "9001_more.py"
    later.write_text("def up(migrator, db):\n    db.execute_sql('CREATE TABLE more (id INTEGER)')\n")
    monkeypatch.setattr(database, "_MIGRATIONS", folder)
    return later


def test_older_schema_is_upgraded(world, with_a_later_migration):
    assert schema_state(world.database) is SchemaState.OLDER
    assert migrate(world.database) == ["9001_more"]
    assert schema_state(world.database) is SchemaState.CURRENT
    assert "more" in world.database.get_tables()
    assert world.row("admin").active


def test_a_newer_schema_is_noticed(world, with_a_later_migration):
    migrate(world.database)
    with_a_later_migration.unlink()
    assert schema_state(world.database) is SchemaState.NEWER


def test_failed_migration_leaves_the_schema(world, with_a_later_migration):
    third = with_a_later_migration.with_name("9002_bad.py")
    third.write_text(
        "def up(migrator, db):\n    db.execute_sql('DROP TABLE public_key')\n    raise LookupError('bad')\n"
    )
    with pytest.raises(LookupError, match="bad"):
        migrate(world.database)
    third.unlink()
    assert schema_state(world.database) is SchemaState.OLDER
    assert "more" not in world.database.get_tables()
    assert world.row("admin").active


@pytest.mark.parametrize("error", [WentWrongError, KeyError, SystemExit])
async def test_exception_rolls_back(world, error):
    """The store goes on."""

    def failing(_tx):
        models.User.update(full_name="half done").execute()
        raise error

    with pytest.raises(error):
        world.run(failing)
    if error is not SystemExit:
        with pytest.raises(error):
            await world.store.run(failing)
    assert world.row("admin").full_name == ""
    assert await world.store.run(lambda tx: tx.now) == world.clock.now


def test_moments_are_stored_to_the_microsecond_in_utc(world):
    world.clock.forward(microseconds=123456)
    world.user("anna")
    assert world.row("anna").created_at == world.clock.now
    assert world.row("anna").created_at.tzinfo is not None


def test_what_another_store_closed_is_opened_again(tmp_path, server):
    world = World(tmp_path, server)
    world.user("anna")
    world.close()
    again = open_database(world.place)
    models.database.initialize(again)
    assert world.row("anna").email == "anna@clinic.example"
    again.close()


async def test_threads_leave_no_connection_behind(tmp_path, postgresql):
    world = World(tmp_path, postgresql)
    name = world.database.database
    await asyncio.gather(*(world.store.run(fits) for _ in range(20)))
    await world.store.read(fits)
    mine = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND application_name = 'twofold'"
    assert postgresql.execute("postgres", mine)
    world.database.close()
    world.close()
    async with asyncio.timeout(10):
        while postgresql.execute("postgres", mine):
            await asyncio.sleep(0.01)


async def test_read_until_the_mark(world, monkeypatch):
    """It returns at the mark, even if it was done early."""
    mark, slept, sleep = asyncio.Event(), [], asyncio.sleep

    async def until_the_mark(seconds):
        slept.append(seconds)
        await mark.wait()

    monkeypatch.setattr("data.store.asyncio.sleep", until_the_mark)
    done = threading.Event()
    reading = asyncio.create_task(world.store.read_until_mark(lambda _tx: done.set() or "read"))
    while not done.is_set():
        await sleep(0)
    for _ in range(1000):
        await sleep(0)
    assert not reading.done()
    mark.set()
    assert await reading == "read"
    assert set(slept) == {store.MARK_SECONDS}


def test_letters_are_folded_by_one_rule(world):
    """SQLite's own lower() knows ASCII alone, and PostgreSQL's follows the locale."""
    texts = ["ÄÖÜ", "ΑΣ", "İstanbul", "STRASSE", "ẞ", "ЖЁ", "ǅ", "", "a%_\\"]
    for text in texts:
        models.User.update(full_name=text).execute()
        folded = models.User.select(fn.FOLD(models.User.full_name)).scalar()
        assert folded == text.lower()
    world.catch_up()


def test_no_operation_folds_by_the_databases_own_rule():
    found = [
        path for path in DATA.rglob("*.py") if re.search(r"fn\.(LOWER|lower|UPPER|upper)\b", path.read_text())
    ]
    assert found == []


def test_texts_are_ordered_by_code_point(world):
    names = ["Zoe", "anna", "Ärzte", "a-b", "a b", "ab", "B", "é", "z"]
    account = models.Account.get()
    for name in names:
        models.Practice.insert(account=account.id, name=name).execute()
    found = [row.name for row in models.Practice.select().order_by(models.Practice.name)]
    assert found == sorted([*names, "Main"])
    world.catch_up()


NASTY = ["a\0b", "\ud800", "\0", "é\udfff\0"]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_texts_are_made_to_fit(world, text):
    """Texts that a database does not take are changed until it does."""
    stored = models.Practice.insert(account=models.Account.get().id, name=storable(text)).execute()
    assert models.Practice.get_by_id(stored).name == storable(text)
    world.catch_up()


async def test_waiting_behind_a_failure(world, monkeypatch):
    """What waited long behind one is refused without a wait of its own."""
    monkeypatch.setattr(store, "_QUEUED_SECONDS", 0.0)
    failing, begun = threading.Event(), []

    def fail(_tx):
        failing.wait(20)
        raise OperationalError("gone")

    def late(_tx):
        begun.append(1)

    first = asyncio.create_task(world.store.run(fail))
    second = asyncio.create_task(world.store.run(late))
    await asyncio.sleep(0)
    failing.set()
    for waiting in (first, second):
        with pytest.raises(StoreUnavailableError):
            await waiting
    assert begun == []
