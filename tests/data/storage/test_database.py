"""The database file: made once, known for ours, brought up to date, and out of reach for a while."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.database import OPERATOR, PASSWORD, World

from data.operations.signin import first_factor
from data.operations.signin.admission import Admitted
from data.operations.users import factor_administration, user_summaries
from data.operations.users.user_search import UserQuery
from data.storage import database, models, sqlite
from data.storage.database import SchemaState, create_database, open_database, schema_state
from data.storage.sqlite import APPLICATION_ID, bears_our_mark
from data.store import StoreUnavailableError

MIGRATIONS = Path(database.__file__).parent / "migrations"


@pytest.fixture
def server():
    """None: this is about files."""


def test_every_table_is_listed(tmp_path):
    tables = {cls for cls in vars(models).values() if isinstance(cls, type) and issubclass(cls, models.Model)}
    assert set(models.TABLES) == tables - {models.Model, models._Table}


def test_a_new_database_is_current_ours_and_private(tmp_path):
    path = tmp_path / "new.db"
    made = create_database(path)
    assert schema_state(made) is SchemaState.CURRENT
    assert bears_our_mark(path)
    with made.connection_context():
        made.execute_sql("UPDATE user SET active = 1")
        made.execute_sql("CREATE TABLE x (y)")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes["new.db"] == 0o600
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_creating_refuses_an_existing_file(tmp_path):
    path = tmp_path / "there.db"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        create_database(path)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("content", [b"", b"just text", b"SQLite format 3\0", bytes(5000)])
def test_a_file_that_is_no_database_is_not_ours(tmp_path, content):
    path = tmp_path / "some.file"
    path.write_bytes(content)
    assert not bears_our_mark(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mark", [0, 1, APPLICATION_ID + 1])
def test_database_of_another_program(tmp_path, mark):
    """It is refused and stays as it is."""
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA application_id = {mark}")
    other.execute("CREATE TABLE user (name)")
    other.close()
    before = path.read_bytes()
    assert not bears_our_mark(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


@pytest.fixture
def impatient(tmp_path, monkeypatch):
    """A world that waits a tenth of a second for a locked database."""
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.1)
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


async def test_locked_database(impatient):
    """The error says so, and service returns by itself."""
    world = impatient
    candidate = world.run(first_factor.find_candidate, "anna", world.origin())
    before = world.dump()
    with Locker(world.path):
        with pytest.raises(StoreUnavailableError) as failure:
            await world.store.run(first_factor.settle_password, candidate, right=True)
        with pytest.raises(StoreUnavailableError):
            world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
        read = await world.store.read(user_summaries.list_users, OPERATOR, UserQuery())
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
            world.store.run(factor_administration.set_required, OPERATOR, "anna", required=True)
        )
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
    assert (await waiting).message == "2FA required for anna."


async def test_full_disk(world):
    """The error says so, and nothing of the operation is kept."""

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
    await world.store.run(factor_administration.set_required, OPERATOR, "admin", required=True)
    assert world.row("admin").required


def test_foreign_keys_and_durable_writes(world):
    opened = open_database(world.path)
    with opened.connection_context():
        pragmas = [opened.pragma(name) for name in ("foreign_keys", "journal_mode", "synchronous")]
    assert pragmas == [1, "wal", 2]
    with pytest.raises(StoreUnavailableError):
        world.run(lambda _tx: models.UserRole.insert(user=4711, role="support").execute())
    assert not world.database.is_closed(), "a connection was closed for what is no fault of the file"
