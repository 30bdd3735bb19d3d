"""A server under attack, and the person who signs in meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.raw_ssh_client import ELSEWHERE
from support.ssh_server import GreetingApp, Running, connect, running_server
from support.ssh_users import SECRET, People

from data.rules import totp
from data.rules.protocol_misuse import Misuse
from data.storage import models
from sshserver.auth_backend import StoreBackend
from sshserver.limits.limit_values import Limits
from sshserver.limits.shared_counters import SharedCounters

SECONDS = 20
"""Ten times what others may have to wait."""


@dataclass
class AttackedServer:
    """A running server with two people: `mallory` has a key and a code and is hostile, `bob` wants in."""

    people: People
    workers: list[Running]
    mallory: Ed25519PrivateKey
    bob: asyncssh.SSHKey

    @property
    def running(self) -> Running:
        """The first worker."""
        return self.workers[0]

    @property
    def connection_count(self) -> int:
        return sum(worker.server.connection_count for worker in self.workers)

    @property
    def port(self) -> int:
        return self.running.port

    def code(self) -> str:
        """The code of this moment, which moves on so that each is new."""
        self.people.clock.forward(60)
        return totp.code_at(SECRET, totp.step_at(self.people.clock.now))

    async def still_serves(self) -> None:
        """Bob signs in from elsewhere, sees his screen and leaves."""
        async with asyncio.timeout(SECONDS):
            connection, _ = await connect(
                self.port, "bob", [self.code()], keys=[self.bob], local_addr=(ELSEWHERE, 0)
            )
            async with connection:
                process = await connection.create_process(term_type="xterm", term_size=(80, 24))
                seen = ""
                while "Hello bob" not in seen:
                    seen += str(await process.stdout.read(65536))
                process.stdin.write("q")
                assert (await process.wait()).exit_status == 0

    async def audits(self, what: Misuse, user: str = "mallory") -> None:
        """Wait until the audit log says what a user's connection did."""
        async with asyncio.timeout(SECONDS):
            while not any(what.value in detail for _, detail in await self.audited(user)):
                await asyncio.sleep(0.01)

    async def audited(self, user: str = "mallory") -> list[tuple[str, str]]:
        """The audit rows of a user: event and detail, in order."""
        table = models.AuditEntry
        return await self.people.store.read(
            lambda _tx: [
                (row.event, row.detail) for row in table.select().where(table.user == user).order_by(table.id)
            ]
        )


@asynccontextmanager
async def attacked_server(
    people: People, limits: Limits | None = None, app_class: type[Any] = GreetingApp, workers: int = 1
) -> AsyncIterator[AttackedServer]:
    """Serve the people of a store, into which the two are put the first time; workers share the port."""
    if "bob" not in people.keys:
        await people.add_with_key("bob")
        await people.add_with_key("mallory")
    mallory = people.keys["mallory"].pyca_key
    assert isinstance(mallory, Ed25519PrivateKey)
    backend, shared_counters = StoreBackend(people.store), SharedCounters.create(workers)
    async with AsyncExitStack() as stack:
        running: list[Running] = []
        for index in range(workers):
            port = running[0].port if running else 0
            place = (shared_counters, index) if workers > 1 else None
            worker = running_server(backend, limits, app_class, port, shared_counters=place)
            running.append(await stack.enter_async_context(worker))
        yield AttackedServer(people, running, mallory, people.keys["bob"])
    shared_counters.close()


@asynccontextmanager
async def hashing_stopped(attacked: AttackedServer) -> AsyncIterator[Callable[[], None]]:
    """Keep the thread that hashes passwords busy, at most until what this yields is called."""
    go_on = threading.Event()
    stopped = asyncio.create_task(attacked.people.store.compute(go_on.wait))
    try:
        yield go_on.set
    finally:
        go_on.set()
        await stopped
