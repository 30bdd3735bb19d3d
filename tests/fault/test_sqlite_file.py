"""The file of the embedded database is locked, missing, replaced or damaged while a server serves it."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from peewee import OperationalError
from support.broken_database import NO_DATABASE, STEP, held_by_another_process, never_blocked, open_door
from support.ssh_server import connect, until
from support.ssh_users import open_people

from data.operations.signin import second_factor
from data.storage import models, sqlite
from data.storage.database import create_database
from data.storage.sqlite import open_sqlite
from data.storage.vault import Vault

ACCEPTED = "select count(*) from audit_entry where event = 'signin.admitted'"


@pytest.fixture
def file(people) -> Path:
    return people.folder / "twofold.db"


@pytest.fixture
def away(tmp_path) -> Path:
    return tmp_path / "moved.away"


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


async def test_locked_database(people, file, caplog):
    """A lock beyond the timeout is reported, and service returns."""
    async with open_door(people) as door, never_blocked():
        with held_by_another_process(file):
            assert NO_DATABASE in await door.is_refused()
            assert NO_DATABASE in await door.is_refused()
        await door.signs_in()
        await door.has_lost_nothing()
    (said,) = [text for text in caplog.messages if text.startswith("The database fails to write")]
    assert "another process keeps it locked" in said
    assert "Traceback" not in caplog.text


async def test_end_of_session_is_recorded_later(people, file):
    """It is recorded once the database is back."""
    async with open_door(people) as door, never_blocked():
        people.clock.forward(STEP)
        connection, _ = await connect(door.server.port, "ben", [people.code()], keys=[door.key])
        await until_open(people, 1)
        with held_by_another_process(file):
            connection.close()
            await connection.wait_closed()
            await until(lambda: "write" in people.store._faults)
        await until_open(people, 0)


async def until_open(people, sessions: int) -> None:
    async with asyncio.timeout(30):
        while await people.open_sessions() != sessions:
            await asyncio.sleep(0.02)


async def test_missing_file(people, file, away):
    """It is never created again, and it is served when it is back."""
    async with open_door(people) as door, never_blocked():
        file.rename(away)
        assert NO_DATABASE in await door.is_refused()
        assert not file.exists()
        with closing(sqlite3.connect(f"file:{away}?immutable=1", uri=True)) as alone:
            assert alone.execute(ACCEPTED).fetchone() == (1,), "what was accepted is not in the file itself"
        away.rename(file)
        await door.signs_in()
        await door.has_lost_nothing()


async def test_a_removed_file_is_served_again_from_a_copy(people, file, away):
    async with open_door(people) as door, never_blocked():
        copy(file, away)
        file.unlink()
        assert NO_DATABASE in await door.is_refused()
        assert not file.exists()
        away.rename(file)
        await door.signs_in()
        await door.has_lost_nothing()


async def test_copy_renamed_over_the_file(people, file, away):
    """It is served and keeps what comes."""
    async with open_door(people) as door, never_blocked():
        await door.signs_in()
        copy(file, away)
        away.replace(file)
        await door.signs_in()
        await door.signs_in()
        await door.has_lost_nothing()
    assert people.store.run_now(lambda _tx: models.database.obj.faults()) == []


async def test_code_taken_into_a_lost_file(people, file, away, monkeypatch):
    """It is called neither good nor wrong."""
    judge = second_factor.submit_code

    def judge_and_lose(*given):
        result = judge(*given)
        file.rename(away)
        return result

    async with open_door(people) as door:
        people.clock.forward(STEP)
        monkeypatch.setattr(second_factor, "submit_code", judge_and_lose)
        assert "it is not known whether this was recorded" in await door.is_refused()
        monkeypatch.undo()
        away.rename(file)
        await door.signs_in()


COMMIT = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('CREATE TABLE later (x)'); c.close()"
)


def test_replaced_log_is_left_alone(tmp_path):
    """A connection whose log was replaced takes nothing of the new one when it closes."""
    file = tmp_path / "twofold.db"
    create_database(file)
    idle = open_sqlite(file)
    idle.connect()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink()
    subprocess.run([sys.executable, "-c", COMMIT, file], check=True, timeout=60)
    idle.close()
    with closing(sqlite3.connect(file)) as found:
        assert found.execute("SELECT name FROM sqlite_master WHERE name = 'later'").fetchall() == [("later",)]


def test_no_new_log_beside_an_old_one(tmp_path):
    """No connection opens a new log while another one here knows the old one."""
    file = tmp_path / "twofold.db"
    create_database(file)
    database = open_sqlite(file)
    database.connect()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink()
    refused = []

    def connect():
        try:
            database.connect()
        except OperationalError as error:
            refused.append(str(error))
        finally:
            database.close()

    for _ in range(2):
        other = threading.Thread(target=connect)
        other.start()
        other.join()
        database.close()
    assert refused == ["its file was moved"]


@pytest.fixture(params=["another installation", "empty", "garbage", "another program", "no installation"])
def impostor(request, tmp_path, people) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = folder / "twofold.db"
    match request.param:
        case "another installation":
            open_people(folder, Vault(bytes([1] * 32))).store.close()
            models.database.initialize(people.store._database)
            with closing(sqlite3.connect(path)) as other:
                other.execute("update installation set created_at = created_at + 1")
                other.commit()
        case "empty":
            path.touch()
        case "garbage":
            path.write_bytes(bytes(range(256)) * 64)
        case "another program":
            with closing(sqlite3.connect(path)) as other:
                other.execute("create table user (name)")
        case "no installation":
            sqlite.create_file(path)
    return path


async def test_impostor_file_decides_nothing(people, file, away, impostor):
    """Nothing is decided by what took the place of the file."""
    content = impostor.read_bytes()
    async with open_door(people) as door, never_blocked():
        file.rename(away)
        impostor.rename(file)
        assert NO_DATABASE in await door.is_refused()
        assert NO_DATABASE in await door.is_refused()
        assert sqlite.bears_our_mark(file) or file.read_bytes() == content, "somebody else's was changed"
        away.replace(file)
        await door.signs_in()
        await door.has_lost_nothing()


async def test_foreign_file_gets_no_log(people, file, away, impostor, monkeypatch):
    """Another process, which finds the file back, would write to that log."""
    opened: list[object] = []
    async with open_door(people) as door:
        file.rename(away)
        impostor.rename(file)
        monkeypatch.setattr(people.store, "recognise", lambda tx: opened.append(tx) or "it is another one")
        assert NO_DATABASE in await door.is_refused()
        assert not opened
        monkeypatch.undo()
        away.replace(file)
        await door.signs_in()
        await door.has_lost_nothing()


@pytest.mark.parametrize("spoilt", [100, 4096], ids=["header", "page"])
async def test_damaged_file(people, file, spoilt):
    """The error says so, and it is served again when it is whole."""
    async with open_door(people) as door, never_blocked():
        with file.open("r+b") as raw:
            whole = raw.read(spoilt)
            raw.seek(0)
            raw.write(b"\xff" * spoilt)
            raw.flush()
            assert NO_DATABASE in await door.is_refused()
            raw.seek(0)
            raw.write(whole)
            raw.flush()
            await door.signs_in()
        await door.has_lost_nothing()
