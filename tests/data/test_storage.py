"""The database file: made once, known for ours, brought up to date, and out of reach for a while."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from peewee import SqliteDatabase
from support.data_world import OPERATOR, PASSWORD, World

from data.operations import first_factor, people, two_factor
from data.operations.admission import Admitted
from data.storage import database, models
from data.storage.database import (
    APPLICATION_ID,
    SchemaState,
    create_sqlite,
    is_ours,
    migrate,
    open_sqlite,
    schema_state,
)
from data.store import StoreUnavailableError

MIGRATIONS = Path(database.__file__).parent / "migrations"


class WentWrongError(Exception):
    """Stands for anything that fails inside of an operation."""


def shape(path: Path) -> dict[str, object]:
    """Describe the tables of a file: columns, indexes, foreign keys."""
    connection = sqlite3.connect(path)
    tables = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith("sqlite_") and name != "schema_migration"
    ]
    described: dict[str, object] = {}
    for table in tables:
        indexes = {
            (
                unique,
                tuple(name for _, _, name in connection.execute(f"PRAGMA index_info('{index}')")),
            )
            for _, index, unique, _, _ in connection.execute(f"PRAGMA index_list('{table}')")
        }
        columns = {row[1:] for row in connection.execute(f"PRAGMA table_info('{table}')")}
        keys = {row[2:] for row in connection.execute(f"PRAGMA foreign_key_list('{table}')")}
        described[table] = (columns, indexes, keys)
    connection.close()
    return described


def test_the_migrations_make_the_tables_that_the_models_describe(tmp_path):
    create_sqlite(tmp_path / "migrated.db").close()
    plain = SqliteDatabase(str(tmp_path / "plain.db"))
    with plain.bind_ctx(models.TABLES):
        plain.create_tables(models.TABLES)
    plain.close()
    migrated = shape(tmp_path / "migrated.db")
    assert migrated == shape(tmp_path / "plain.db")
    assert set(migrated) == {table._meta.table_name for table in models.TABLES}


def test_every_table_is_listed(tmp_path):
    tables = {cls for cls in vars(models).values() if isinstance(cls, type) and issubclass(cls, models.Model)}
    assert set(models.TABLES) == tables - {models.Model, models._Table}


def test_a_new_database_is_current_ours_and_private(tmp_path):
    path = tmp_path / "new.db"
    made = create_sqlite(path)
    assert schema_state(made) is SchemaState.CURRENT
    assert is_ours(path)
    with made.connection_context():
        made.execute_sql("UPDATE user SET active = 1")
        made.execute_sql("CREATE TABLE x (y)")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes["new.db"] == 0o600
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_creating_refuses_an_existing_file_and_leaves_it_alone(tmp_path):
    path = tmp_path / "there.db"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        create_sqlite(path)
    assert path.read_bytes() == b"mine"


def test_migrating_what_is_current_does_nothing(world):
    before = world.dump()
    assert migrate(world.database) == []
    assert world.dump() == before


@pytest.fixture
def with_a_second_migration(tmp_path, monkeypatch) -> Path:
    """Give the program one migration more than the world's database knows."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    second = folder / "0002_more.py"
    second.write_text("def up(migrator, db):\n    db.execute_sql('CREATE TABLE more (id INTEGER)')\n")
    monkeypatch.setattr(database, "_MIGRATIONS", folder)
    return second


def test_an_older_schema_is_noticed_and_brought_up_to_date(world, with_a_second_migration):
    assert schema_state(world.database) is SchemaState.OLDER
    assert migrate(world.database) == ["0002_more"]
    assert schema_state(world.database) is SchemaState.CURRENT
    assert "more" in world.database.get_tables()
    assert world.row("admin").active


def test_a_newer_schema_is_noticed(world, with_a_second_migration):
    migrate(world.database)
    with_a_second_migration.unlink()
    assert schema_state(world.database) is SchemaState.NEWER


def test_a_migration_that_fails_leaves_the_schema_as_it_was(world, with_a_second_migration):
    third = with_a_second_migration.with_name("0003_bad.py")
    third.write_text(
        "def up(migrator, db):\n    db.execute_sql('DROP TABLE user')\n    raise LookupError('bad')\n"
    )
    with pytest.raises(LookupError, match="bad"):
        migrate(world.database)
    third.unlink()
    assert schema_state(world.database) is SchemaState.OLDER
    assert "more" not in world.database.get_tables()
    assert world.row("admin").active


@pytest.mark.parametrize("content", [b"", b"just text", b"SQLite format 3\0", bytes(5000)])
def test_a_file_that_is_no_database_is_not_ours(tmp_path, content):
    path = tmp_path / "some.file"
    path.write_bytes(content)
    assert not is_ours(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mark", [0, 1, APPLICATION_ID + 1])
def test_a_database_of_another_program_is_not_ours_and_stays_as_it_is(tmp_path, mark):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA application_id = {mark}")
    other.execute("CREATE TABLE user (name)")
    other.close()
    before = path.read_bytes()
    assert not is_ours(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


@pytest.fixture
def impatient(tmp_path, monkeypatch):
    """A world that waits a tenth of a second for a locked database."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    opened = World(tmp_path)
    opened.user("anna")
    yield opened
    opened.close()


class Locker:
    """Another process that holds the write lock until it is told to let go."""

    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); sys.stdout.write('held\\n'); sys.stdout.flush(); sys.stdin.read()"
    )

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=20)


async def test_a_database_locked_beyond_the_wait_is_said_and_service_returns_by_itself(impatient):
    world = impatient
    candidate = world.run(first_factor.find_candidate, "anna", world.origin())
    before = world.dump()
    with Locker(world.path):
        with pytest.raises(StoreUnavailableError) as failure:
            await world.store.run(first_factor.settle_password, candidate, right=True)
        with pytest.raises(StoreUnavailableError):
            world.run(two_factor.set_required, OPERATOR, "anna", required=True)
        read = await world.store.read(people.list_users, OPERATOR, people.UserQuery())
        assert read.total == 2
    assert "try again shortly" in str(failure.value)
    assert failure.value.__cause__ is None
    assert world.dump() == before
    assert isinstance(await world.store.run(first_factor.settle_password, candidate, right=True), Admitted)
    assert isinstance(await first_factor.prove_password(world.store, candidate, PASSWORD), Admitted)


async def test_a_short_lock_is_waited_for(world):
    world.user("anna")
    with Locker(world.path):
        waiting = asyncio.create_task(
            world.store.run(two_factor.set_required, OPERATOR, "anna", required=True)
        )
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
    assert (await waiting).message == "Two-factor authentication is required of anna."


async def test_a_full_disk_is_said_and_nothing_of_the_operation_is_kept(world):
    def count() -> int:
        return models.User.select().count()

    def many(_tx):
        pages = world.database.pragma("page_count")
        world.database.pragma("max_page_count", pages)
        models.User.update(full_name="x").execute()
        models.Account.update(name="y" * 10**6).execute()

    with pytest.raises(StoreUnavailableError):
        await world.store.run(many)
    assert world.row("admin").full_name == ""
    assert count() == 1
    await world.store.run(lambda _tx: world.database.pragma("max_page_count", 10**6))
    await world.store.run(two_factor.set_required, OPERATOR, "admin", required=True)
    assert world.row("admin").required


@pytest.mark.parametrize("error", [WentWrongError, KeyError, SystemExit])
async def test_an_exception_rolls_everything_back_and_the_store_goes_on(world, error):
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


def test_foreign_keys_are_enforced_and_writes_are_durable(world):
    def pragmas(_tx):
        return [world.database.pragma(name) for name in ("foreign_keys", "journal_mode", "synchronous")]

    assert world.run(pragmas) == [1, "wal", 2]
    with pytest.raises(StoreUnavailableError):
        world.run(lambda _tx: models.UserRole.insert(user=4711, role="support").execute())


def test_moments_are_stored_to_the_microsecond_in_utc(world):
    world.clock.forward(microseconds=123456)
    world.user("anna")
    assert world.row("anna").created_at == world.clock.now
    assert world.row("anna").created_at.tzinfo is not None


def test_the_store_opens_what_another_store_closed(tmp_path):
    world = World(tmp_path)
    world.user("anna")
    world.close()
    again = open_sqlite(world.path)
    models.database.initialize(again)
    assert world.row("anna").email == "anna@clinic.example"
    again.close()
