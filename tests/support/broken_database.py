"""Breaking a database under a running server, and what a person at its door sees of it."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from support.ssh_server import Running, connect
from support.ssh_users import People

from data.operations.maintenance import installation_state
from data.rules.policy import ATTEMPTS
from data.storage import models
from data.storage.database import open_database
from data.store import Store
from sshserver.server import serve

NO_DATABASE = "Sign-in is not possible right now because the database is unavailable."
LAG = 1.0
"""Ten times what the event loop may be held up for."""
STEP = 30


@dataclass
class Ticker:
    """Measures how long the event loop was not free."""

    longest: float = 0.0

    async def tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            self.longest = max(self.longest, loop.time() - before - 0.01)


@asynccontextmanager
async def never_blocked() -> AsyncIterator[Ticker]:
    """Fail when the event loop was held up meanwhile."""
    ticker = Ticker()
    task = asyncio.create_task(ticker.tick())
    try:
        yield ticker
    finally:
        task.cancel()
    assert ticker.longest < LAG


@dataclass
class Door:
    """A server, and `ben`, who signs in with a key and codes."""

    people: People
    server: Running
    key: asyncssh.SSHKey
    accepted: list[str] = field(default_factory=list)
    """The codes that have let somebody in."""

    async def signs_in(self) -> None:
        """Sign in with the next code: it is taken, and the session is on record."""
        self.people.clock.forward(STEP)
        code = self.people.code()
        connection, _ = await connect(self.server.port, "ben", [code], keys=[self.key])
        self.accepted.append(code)
        connection.close()
        await connection.wait_closed()

    async def is_refused(self) -> str:
        """Sign in with a good code and be refused with one clear line; the code stays good."""
        client = await self.is_turned_away([self.people.code()])
        assert not [words for words in client.told if "rong" in words]
        return str(client.disconnected_because)

    async def is_turned_away(self, answers: list[str]) -> Any:
        try:
            connection, _ = await connect(self.server.port, "ben", answers, keys=[self.key])
        except asyncssh.Error as error:
            return error.client  # type: ignore[attr-defined]
        connection.close()
        raise AssertionError("somebody was let in")

    async def is_let_in_again(self, seconds: float = 20.0) -> None:
        """Wait until service has returned by itself."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self.signs_in()
                except asyncssh.Error:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def starts_again(self) -> None:
        """End the server as its process would, and start one that knows nothing of what was before."""
        await self.server.server.drain()
        store = self.people.store
        store.close()
        self.people.store = Store(open_database(self.people.folder / "twofold.db"), store.services)
        self.server = await _serve(self.people)

    async def has_lost_nothing(self) -> None:
        """Every code that let somebody in is on record and lets nobody in again; nobody was counted."""
        user = await self.people.user("ben")
        assert user.attempts_left == ATTEMPTS
        entries = models.AuditEntry
        admitted = await self.people.store.read(
            lambda _tx: entries.select().where(entries.event == "signin.admitted").count()
        )
        assert admitted == len(self.accepted)
        client = await self.is_turned_away([self.accepted[-1]])
        assert client.told[0].startswith("Code already used")


@asynccontextmanager
async def open_door(people: People) -> AsyncIterator[Door]:
    """Serve `people`, with `ben` among them, and let him in once."""
    key = await people.add_with_key("ben")
    people.store.rest()
    door = Door(people, await _serve(people), key)
    try:
        await door.signs_in()
        yield door
    finally:
        await door.server.server.drain()


async def _serve(people: People) -> Running:
    people.store.recognise = installation_state.fault_of
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await serve(people.store, host_key, lambda *_: None, reap_seconds=0.2)  # type: ignore[arg-type,return-value]
    return Running(server, host_key)


HOLD = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
    "c.execute(sys.argv[2]); c.execute('BEGIN EXCLUSIVE'); c.execute('SELECT * FROM user').fetchall(); "
    "sys.stdout.write('held\\n'); sys.stdout.flush(); sys.stdin.read()"
)


@contextmanager
def held_by_another_process(database: Path, pragma: str = "PRAGMA cache_size") -> Iterator[None]:
    """Have another process hold the database in an exclusive transaction."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database), pragma], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
    finally:
        process.communicate(timeout=20)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as if its disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
