"""A worker's beats, and how the others find that they have stopped."""

import asyncio

import pytest
from support.ssh_server import GreetingApp, connect, until
from support.ssh_users import PASSWORD, People

from data.operations.signin import worker_sessions
from data.storage import models
from data.store import StoreUnavailableError
from sshserver import hostkey
from sshserver.server import serve
from sshserver.workers.heartbeat import Watch, WorkerIdentity, keep_present


def test_alive_and_dead_workers():
    """A worker that counts on is alive; one that stands still for the lease is not."""
    watch = Watch(30.0)
    for second in range(0, 30, 5):
        assert watch.look({"still": 7, "alive": second}, second) == {}
    assert watch.look({"still": 7, "alive": 30}, 30) == {"still": 7}


def test_a_worker_that_is_new_has_a_whole_lease():
    watch = Watch(30.0)
    for second in range(0, 25, 5):
        watch.look({}, second)
    for second in range(25, 55, 5):
        assert watch.look({"new": 1}, second) == {}
    assert watch.look({"new": 1}, 55) == {"new": 1}


@pytest.mark.parametrize("failed", [True, False], ids=["a look failed", "nobody looked"])
def test_who_could_not_look_begins_anew(failed):
    watch = Watch(30.0)
    for second in range(0, 30, 5):
        watch.look({"still": 7}, second)
    if failed:
        watch.forget()
    after = 30 if failed else 130
    for second in range(after, after + 30, 5):
        assert watch.look({"still": 7}, second) == {}
    assert watch.look({"still": 7}, after + 30) == {"still": 7}


async def test_worker_without_heartbeats(people: People):
    """It loses its sessions while another serves on."""
    await people.add("alice")
    key = hostkey.load(hostkey.generate())
    dead = await serve(people.store, key, GreetingApp, port=0, identity=WorkerIdentity("dead", "one node"))
    connection, _ = await connect(dead.port, "alice", [PASSWORD, people.code()])
    row = await people.store.read(lambda _tx: models.Session.get())
    assert row.worker == "dead"
    for task in dead._background:
        if task.get_name() == "Heartbeat":
            task.cancel()
    other = asyncio.create_task(
        keep_present(people.store, WorkerIdentity("alive", "another"), every=0.02, lease=0.4),
        name="the other's beats",
    )
    # The moment stands still here, so it is the count that tells.
    await until(connection.is_closed, 50)
    row = await people.store.read(lambda _tx: models.Session.get())
    assert row.ended_because == worker_sessions.LOST_TOUCH
    assert set(await people.store.read(worker_sessions.beats)) == {"alive"}
    other.cancel()
    await dead.drain()


class Flaky:
    """A store that fails at first."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.beats = 0

    async def run(self, operation, *_arguments):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError
        assert operation is worker_sessions.beat
        self.beats += 1

    async def read(self, _operation):
        return {}


async def test_failing_database_is_reported_once(caplog):
    """The heartbeat goes on."""
    store = Flaky(3)
    task = asyncio.create_task(keep_present(store, WorkerIdentity("me", "here"), every=0.001))
    await until(lambda: store.beats > 1)
    task.cancel()
    assert len([record for record in caplog.records if "StoreUnavailable" in record.getMessage()]) == 1


async def test_a_server_that_drains_is_no_worker_any_more(people: People):
    key = hostkey.load(hostkey.generate())
    server = await serve(people.store, key, GreetingApp, port=0, identity=WorkerIdentity("one", "node"))
    assert await people.store.read(worker_sessions.beats) == {"one": 1}
    await server.drain()
    assert await people.store.read(worker_sessions.beats) == {}


async def test_a_worker_that_cannot_listen_is_none(people: People):
    key = hostkey.load(hostkey.generate())
    server = await serve(people.store, key, GreetingApp, port=0)
    with pytest.raises(OSError, match="in use"):
        await serve(people.store, key, GreetingApp, port=server.port, identity=WorkerIdentity("one", "node"))
    assert await people.store.read(worker_sessions.beats) == {}
    await server.drain()
