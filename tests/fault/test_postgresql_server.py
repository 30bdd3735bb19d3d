"""The PostgreSQL server is killed, hangs, is cut off or fails over while a server serves from it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from support.broken_database import NO_DATABASE, STEP, Door, never_blocked, open_door
from support.postgresql_server import PostgresqlServer, find_binaries, running_postgresql
from support.ssh_server import HOST, AnsweringClient
from support.ssh_users import People, open_people

from data.storage import postgresql
from data.storage.database import PostgresqlUrl


@pytest.fixture(scope="module")
def binaries(require_program) -> Path:
    return find_binaries() or Path(require_program("initdb")).parent


@pytest.fixture(scope="module")
def server(binaries) -> Iterator[PostgresqlServer]:
    """A server of this module's own, which its tests may kill."""
    with running_postgresql(binaries) as running:
        yield running


class Proxy:
    """Stands between the server and its database; it can drop what it carries, or hold it back."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop all connections and take none."""
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Take connections and bytes, and hand nothing over."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
        writer.close()


@pytest.fixture
async def proxy(server) -> AsyncIterator[Proxy]:
    made = Proxy(server.port)
    await made.start()
    yield made
    made.flow()
    await made.cut()


@pytest.fixture
async def people(server, proxy, tmp_path, monkeypatch) -> AsyncIterator[People]:
    """People in a new database, reached through the proxy; what hangs is given up after a second."""
    monkeypatch.setattr(postgresql.Connection, "deadline", 1.0)
    url = server.url(server.new_database()).replace(f":{server.port}/", f":{proxy.port}/")
    place = PostgresqlUrl.parse(f"{url}?connect_timeout=2")
    found = await asyncio.to_thread(open_people, tmp_path, place=place)
    yield found
    await asyncio.to_thread(found.store.close)


async def test_killed_server(people, server):
    """The error says so, and service returns with it."""
    async with open_door(people) as door, never_blocked():
        await asyncio.to_thread(server.stop, kill=True)
        try:
            assert NO_DATABASE in await door.is_refused()
        finally:
            await asyncio.to_thread(server.start)
        await door.is_let_in_again()
        await door.has_lost_nothing()


async def test_hanging_server(people, server):
    """The error says so, and service returns with it."""
    async with open_door(people) as door, never_blocked():
        backends = [pid for (pid,) in server.execute("postgres", "SELECT pid FROM pg_stat_activity")]
        stopped = [server.process.pid, *backends]
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(str(pid)), signal.SIGSTOP)
        try:
            assert NO_DATABASE in await door.is_refused()
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(str(pid)), signal.SIGCONT)
        await door.is_let_in_again()
        await door.has_lost_nothing()


async def test_server_cut_off(people, proxy):
    """The error says so, and service returns with it."""
    async with open_door(people) as door, never_blocked():
        await proxy.cut()
        assert NO_DATABASE in await door.is_refused()
        await proxy.start()
        await door.is_let_in_again()
        await door.has_lost_nothing()


async def test_silent_network(people, proxy):
    """A network that swallows everything is reported, and service returns with it."""
    async with open_door(people) as door, never_blocked():
        proxy.stall()
        assert NO_DATABASE in await door.is_refused()
        proxy.flow()
        await door.is_let_in_again()
        await door.has_lost_nothing()


class Pausing(AnsweringClient):
    """Answers once it is told to."""

    def __init__(self, answers: list[str]) -> None:
        super().__init__(answers)
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def kbdint_challenge_received(self, *question: Any) -> Any:
        self.is_asked.set()
        await self.may_answer.wait()
        return super().kbdint_challenge_received(*question)


@pytest.fixture
async def followed(binaries, tmp_path) -> AsyncIterator[tuple[People, PostgresqlServer, PostgresqlServer]]:
    """People on a server that a standby follows: what is committed is on both."""
    with running_postgresql(binaries) as primary:
        name = primary.new_database()
        with running_postgresql(binaries, primary=primary) as standby:
            primary.execute(
                "postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
            )
            url = primary.url(name).replace(
                f"127.0.0.1:{primary.port}", f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            )
            people = await asyncio.to_thread(open_people, tmp_path, place=PostgresqlUrl.parse(url))
            yield people, primary, standby
            await asyncio.to_thread(people.store.close)


async def test_failover_between_the_factors(followed):
    """The code is taken once or refused in words."""
    people, primary, standby = followed
    async with open_door(people) as door, never_blocked():
        people.clock.forward(STEP)
        code = people.code()
        client = Pausing([code])
        signing_in = asyncio.create_task(connect_as(door, client))
        await asyncio.wait_for(client.is_asked.wait(), 20)
        await asyncio.to_thread(primary.stop, kill=True)
        await asyncio.to_thread(standby.promote)
        client.may_answer.set()
        if await signing_in:
            door.accepted.append(code)
            again = await door.is_turned_away([code])
            assert again.told[0].startswith("Code already used")
        else:
            assert "Sign-in is not possible right now" in str(client.disconnected_because)
        await door.is_let_in_again()
        await door.has_lost_nothing()


async def connect_as(door: Door, client: AnsweringClient) -> bool:
    """Say whether a client is let in."""
    try:
        connection = await asyncssh.connect(
            HOST, door.server.port, username="ben", client_factory=lambda: client, client_keys=[door.key],
            known_hosts=None, config=None, agent_path=None,
        )  # fmt: skip
    except asyncssh.Error:
        return False
    connection.close()
    await connection.wait_closed()
    return True
