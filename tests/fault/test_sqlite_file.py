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
from support.broken_database import NO_DATABASE, STEP, Door, held_by_another_process, never_blocked, open_door
from support.ssh_server import connect, until
from support.ssh_users import open_people

from data.operations.signin import second_factor
from data.storage import models, sqlite
from data.storage.database import create_database
from data.storage.sqlite import open_sqlite
from data.storage.vault import Vault
from data.store import StoreUnavailableError

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
    (said,) = [text for text in caplog.messages if text.startswith("The database cannot write")]
    assert "another process has locked it" in said
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


def accepted_in(path: Path) -> int:
    """Count the admissions in a file, without its log."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as alone:
        return int(alone.execute(ACCEPTED).fetchone()[0])


async def loses_its_file(door: Door) -> None:
    """Refuse everybody, say so once, and have the process end."""
    lost = door.people.store.lost
    assert NO_DATABASE in await door.is_refused()
    assert NO_DATABASE in await door.is_refused()
    assert lost.done()


async def test_moved_file(people, file, away, caplog):
    """It holds all that was accepted, and is never created again."""
    async with open_door(people) as door, never_blocked():
        assert not people.store.lost.done()
        file.rename(away)
        await loses_its_file(door)
        assert not file.exists()
        assert accepted_in(away) == 1
        with pytest.raises(StoreUnavailableError, match="moved, replaced or removed"):
            await people.store.run(lambda tx: tx.now)
        away.rename(file)
        await loses_its_file(door)
        await door.starts_again()
        await door.signs_in()
        await door.has_lost_nothing()
    assert len([text for text in caplog.messages if text.startswith("The database cannot write")]) == 1
    assert "Traceback" not in caplog.text


async def test_removed_file(people, file, away):
    """The next start serves a copy of it."""
    async with open_door(people) as door, never_blocked():
        copy(file, away)
        file.unlink()
        await loses_its_file(door)
        assert not file.exists()
        away.rename(file)
        await door.starts_again()
        await door.signs_in()
        await door.has_lost_nothing()


async def test_replaced_file(people, file, away):
    """The copy is served by the next start alone."""
    """The log of the file before must not be played into it."""
    async with open_door(people) as door, never_blocked():
        await door.signs_in()
        copy(file, away)
        content = away.read_bytes()
        away.replace(file)
        await loses_its_file(door)
        assert file.read_bytes() == content
        await door.starts_again()
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
        assert "it is unknown whether this was recorded" in await door.is_refused()
        monkeypatch.undo()
        away.rename(file)
        await loses_its_file(door)
        await door.starts_again()
        await door.signs_in()


async def test_removed_log(people, file):
    """Nothing that was accepted is lost."""
    async with open_door(people) as door:
        file.with_name(file.name + "-wal").unlink()
        await loses_its_file(door)
        assert accepted_in(file) == 1
        await door.starts_again()
        await door.signs_in()
        await door.has_lost_nothing()


COMMIT = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('CREATE TABLE later (x)'); c.close()"
)


WRITE = """
import sys
from pathlib import Path
from peewee import OperationalError
from data.storage.sqlite import open_sqlite
database, writer, number = open_sqlite(Path(sys.argv[1])), sys.argv[2], 0
try:
    while True:
        number += 1
        database.ready()
        with database.atomic(database.writing):
            database.execute_sql("INSERT INTO written VALUES (?, ?)", (writer, number))
        if not database.holds():
            break
        print(number, flush=True)
except OperationalError as error:
    print(error, file=sys.stderr)
finally:
    database.close()
"""


@pytest.mark.parametrize("replaced", [False, True], ids=["moved", "replaced"])
def test_all_that_several_processes_have_acknowledged_is_in_the_file_that_was_moved(tmp_path, away, replaced):
    file, other = tmp_path / "twofold.db", tmp_path / "copy"
    database = create_database(file)
    with database.connection_context():
        database.execute_sql("CREATE TABLE written (writer TEXT, number INTEGER)")
    command = [sys.executable, "-c", WRITE, file]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = {name: subprocess.Popen([*command, name], **pipes) for name in ("one", "two")}
    acknowledged = {(name, int(writers[name].stdout.readline())) for _ in range(20) for name in writers}
    if replaced:
        away.hardlink_to(file)
        copy(file, other)
        content = other.read_bytes()
        other.replace(file)
    else:
        file.rename(away)
    for name, writer in writers.items():
        rest, said = writer.communicate(timeout=60)
        acknowledged |= {(name, int(number)) for number in rest.split()}
        assert said in ("", "its file was moved, replaced or removed\n")
    with closing(sqlite3.connect(f"file:{away}?immutable=1", uri=True)) as alone:
        assert acknowledged <= set(alone.execute("SELECT writer, number FROM written"))
        assert alone.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    assert file.exists() == replaced
    if replaced:
        copy(file, other)
        assert file.read_bytes() == content, "what was written to the file before went into the other one"


LOOK = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT x FROM later')"


def test_replaced_log_is_left_alone(tmp_path):
    file = tmp_path / "twofold.db"
    create_database(file)
    idle = open_sqlite(file)
    idle.connect()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink()
    subprocess.run([sys.executable, "-c", COMMIT, file], check=True, timeout=60)
    idle.close()
    # Another process looks: connections of one process share what they know of a log.
    subprocess.run([sys.executable, "-c", LOOK, file], check=True, timeout=60)


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
    assert refused == ["its file was moved, replaced or removed"] * 2


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
    """It is not even opened: that would put a log beside it, which another process would write to."""
    content = impostor.read_bytes()
    async with open_door(people) as door, never_blocked():
        file.rename(away)
        impostor.rename(file)
        await loses_its_file(door)
        assert file.read_bytes() == content, "somebody else's was changed"
        assert accepted_in(away) == 1
        away.replace(file)
        await loses_its_file(door)
        await door.starts_again()
        await door.signs_in()
        await door.has_lost_nothing()


async def test_no_start_on_an_impostor_file(people, file, impostor):
    async with open_door(people) as door, never_blocked():
        content = impostor.read_bytes()
        impostor.replace(file)
        await loses_its_file(door)
        with pytest.raises(StoreUnavailableError):
            await door.starts_again()
        assert sqlite.bears_our_mark(file) or file.read_bytes() == content, "somebody else's was changed"


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
