"""Workers: who is there, and whose sessions end because their worker is not."""

import contextlib
import shutil
import sqlite3

from support.database import World

from data.operations.signin import first_factor, sessions, worker_sessions
from data.rules.domain_types import Application
from data.rules.source_addresses import Origin
from data.storage import database, models
from data.storage.database import create_database, migrate, open_database


def session_on(world: World, worker: str | None) -> int:
    """Sign someone in at a worker."""
    origin = Origin(Application.SSH, "192.0.2.1", worker)
    candidate = world.run(first_factor.find_candidate, "anna", origin)
    return world.run(first_factor.settle_password, candidate, right=True).session.id


def still_open(world: World, *session_ids: int) -> list[bool]:
    rows = {row.id: row.ended_at is None for row in models.Session.select()}
    return [rows[number] for number in session_ids]


def test_worker_counts_its_heartbeats(world):
    world.run(worker_sessions.beat, "one", "node")
    world.clock.forward(seconds=5)
    world.run(worker_sessions.beat, "one", "node")
    world.run(worker_sessions.beat, "two", "node")
    assert world.run(worker_sessions.beats) == {"one": 2, "two": 1}
    row = models.Worker.get_by_id("one")
    assert (row.seen_at - row.started_at).seconds == 5


def test_end_of_a_worker_ends_its_sessions(world):
    world.user("anna")
    world.run(worker_sessions.beat, "one", "node")
    mine, others, unheld = (session_on(world, worker) for worker in ("one", "two", None))
    assert world.run(worker_sessions.leave, "one") == 1
    assert still_open(world, mine, others, unheld) == [False, True, True]
    assert models.Session.get_by_id(mine).ended_at == world.clock.now
    assert world.run(worker_sessions.beats) == {}


def test_still_worker_is_presumed_dead(world):
    world.user("anna")
    world.run(worker_sessions.beat, "one", "node")
    mine = session_on(world, "one")
    assert world.run(worker_sessions.presume_dead, "one", 1) == 1
    assert world.run(sessions.ended_among, [mine]) == {mine: worker_sessions.LOST_TOUCH}
    assert world.run(worker_sessions.beats) == {}


def test_counting_worker_is_left_alone(world):
    world.user("anna")
    world.run(worker_sessions.beat, "one", "node")
    mine = session_on(world, "one")
    world.run(worker_sessions.beat, "one", "node")
    assert world.run(worker_sessions.presume_dead, "one", 1) == 0
    assert still_open(world, mine) == [True]


def test_presumed_dead_worker_returns(world):
    """It has none of its sessions."""
    world.user("anna")
    world.run(worker_sessions.beat, "one", "node")
    world.run(worker_sessions.presume_dead, "one", 1)
    late = session_on(world, "one")
    world.run(worker_sessions.beat, "one", "node")
    new = session_on(world, "one")
    world.run(worker_sessions.beat, "one", "node")
    assert still_open(world, late, new) == [False, True]
    assert world.run(worker_sessions.beats) == {"one": 2}


def test_taking_a_node_ends_its_sessions(world):
    """The sessions that its workers left open end, and those that nobody holds."""
    world.user("anna")
    world.run(worker_sessions.beat, "mine", "node")
    world.run(worker_sessions.beat, "theirs", "another")
    held = [session_on(world, worker) for worker in ("mine", "theirs", "nobody's", None)]
    assert world.run(worker_sessions.take_node, "node") == 3
    assert still_open(world, *held) == [False, True, False, False]
    assert set(world.run(worker_sessions.beats)) == {"theirs"}


def test_migration_ends_old_sessions(tmp_path, monkeypatch):
    """It ends what servers before it left open, and nothing else."""
    earlier = tmp_path / "earlier"
    shutil.copytree(database._MIGRATIONS, earlier, ignore=shutil.ignore_patterns("0004_*"))
    file = tmp_path / "twofold.db"
    with monkeypatch.context() as patched:
        patched.setattr(database, "_MIGRATIONS", earlier)
        create_database(file).close()
    with contextlib.closing(sqlite3.connect(file)) as raw:
        raw.executemany(
            "insert into session (user_id, application, address, first_factor, methods, credential,"
            " restricted, started_at, ended_at, ended_because)"
            " values (1, ?, '', 'key', '', '', 0, 7, ?, '')",
            [("ssh", None), ("ssh", 9), ("local", None)],
        )
        raw.commit()
    opened = open_database(file)
    with opened.connection_context():
        assert "0004_workers" in migrate(opened)
    with contextlib.closing(sqlite3.connect(file)) as raw:
        ended = raw.execute("select application, ended_at, worker from session order by id").fetchall()
    assert ended == [("ssh", 7, None), ("ssh", 9, None), ("local", None, None)]
