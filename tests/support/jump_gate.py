"""The server with a host behind it, and Alice, who may jump there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from support.ssh_server import HOST, GreetingApp, connect
from support.ssh_users import OPERATOR, People

from data.operations.results import Done
from data.operations.targets.registry import add_target
from data.rules.targets import NewTarget
from data.storage import models
from sshserver import hostkey
from sshserver.limits.limit_values import Limits
from sshserver.server import Server, serve
from sshserver.telemetry.connection_events import Telemetry

GCM = "aes128-gcm@openssh.com"
"""What OpenSSH takes where the server prefers it."""
WITHIN = 50
"""Seconds that a slow machine gets for what is promised within five."""


@dataclass
class Host:
    """A machine behind the server: it sends back what it gets, unless it is told to do something else."""

    port: int
    connected: int = 0
    gone: int = 0
    got: bytearray = field(default_factory=bytearray)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    serve: Any = None

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        try:
            await (self.serve or self._echo)(reader, writer)
        except OSError:
            pass
        finally:
            self.gone += 1
            writer.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.got += data
            writer.write(data)
            await writer.drain()
        self.ended.set()
        writer.write(b"<end>")
        await writer.drain()


@dataclass
class Gate:
    """The server, the host behind it, and Alice, who has both factors."""

    people: People
    server: Server
    host: Host
    telemetry: Telemetry

    async def connect(
        self, name: str = "alice", *, at: Server | None = None, **options: Any
    ) -> asyncssh.SSHClientConnection:
        """Sign in with a key and a code, here or at another server."""
        self.people.clock.forward(60)
        options = {"keys": [self.people.keys[name]], "encryption_algs": [GCM], **options}
        port = (at or self.server).port
        connection, _ = await connect(port, name, [self.people.code()], **options)
        return connection

    async def add(self, name: str, host: str = HOST, port: int | None = None, **whom: Any) -> None:
        new = NewTarget(name, host, self.host.port if port is None else port, **whom)
        assert isinstance(await self.people.store.run(add_target, OPERATOR, new), Done)

    async def audited(self, event: str) -> list[str]:
        table = models.AuditEntry
        rows = table.select().where(table.event == event).order_by(table.id)
        return await self.people.store.read(lambda _tx: [row.detail for row in rows])

    async def closed(self) -> str:
        """Wait until the end of a jump is in the audit log, and return what it says."""
        async with asyncio.timeout(WITHIN):
            while not (found := await self.audited("jump.closed")):
                await asyncio.sleep(0.01)
        return found[-1]

    def metric(self, name: str) -> float:
        lines = self.telemetry.metrics.text().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@asynccontextmanager
async def gate_of(
    people: People, limits: Limits | None = None, *, reap_seconds: float = 0.2
) -> AsyncIterator[Gate]:
    host = Host(0)
    behind = await asyncio.start_server(host.take, HOST, 0)
    host.port = behind.sockets[0].getsockname()[1]
    await people.add_with_key("alice")
    told = Telemetry()
    key = hostkey.load(hostkey.generate())
    server = await serve(
        people.store, key, GreetingApp, limits=limits, reap_seconds=reap_seconds, telemetry=told
    )
    try:
        yield Gate(people, server, host, told)
    finally:
        await server.drain()
        behind.close()
