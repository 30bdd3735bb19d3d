"""Compares a command over an open connection with `true` over one of sshd, in turns; then many at once."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKey
from bench import openssh
from bench.client import Login, connect
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import Server, cores, on_core, serve
from bench.report import Result, Row, Skipped, median, percentile

SECTION = "A command over a connection that is open"
_OURS, _THEIRS = "me --json", "true"
_CONNECTIONS = 5
_SSHD = "sshd"


@dataclass
class _Side:
    """A server, a connection to it, and what a command there took."""

    server: Server
    connection: asyncssh.SSHClientConnection
    command: str
    taken: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Run the command and keep how long it took."""
        begun = time.perf_counter()
        ended = await self.connection.run(self.command)
        self.taken.append(time.perf_counter() - begun)
        assert ended.exit_status == 0, ended.stderr


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure both servers with the same client."""
    rounds, at_once = (10, 20) if quick else (400, 100)
    enrolled = build(folder, 1 + _CONNECTIONS)
    why = openssh.missing_for_commands()
    public = enrolled.key.export_public_key("openssh").decode()
    with on_core(cores()[1]), serve(enrolled.home.path) as ours:
        if why:
            yield Skipped(SECTION, why)
            yield from asyncio.run(_in_turns(enrolled, ours, None, rounds))
        else:
            with openssh.account(), openssh.running_for_commands(public) as sshd:
                yield from asyncio.run(_in_turns(enrolled, ours, sshd, rounds))
        yield from asyncio.run(_at_once(enrolled, ours, at_once))


async def _in_turns(
    enrolled: EnrolledUsers, ours: Server, sshd: openssh.Sshd | None, rounds: int
) -> list[Result]:
    """Run one command here and one there; the first ones are to warm up."""
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(await _connected(enrolled, ours))
        sides = {"twofold": _Side(ours, mine, _OURS)}
        if sshd is not None:
            other = await stack.enter_async_context(await _connected_to(sshd, enrolled.key))
            sides[_SSHD] = _Side(sshd.server, other, _THEIRS)
        for _ in range(5):
            for side in sides.values():
                await side.run()
        used = {name: side.server.cpu() for name, side in sides.items()}
        for side in sides.values():
            side.taken.clear()
        for _ in range(rounds):
            for side in sides.values():
                await side.run()
        rows: list[Result] = []
        for name, side in sides.items():
            figures = {
                "latency": median(side.taken),
                "95th percentile": percentile(side.taken, 0.95),
                "server CPU": (side.server.cpu() - used[name]) / rounds,
            }
            rows += [
                Row(SECTION, f"{side.command}: {what}", name, 1000 * value, "ms")
                for what, value in figures.items()
            ]
        if sshd is not None:
            ratio = median(sides["twofold"].taken) / median(sides[_SSHD].taken)
            rows.append(Row(SECTION, "latency, beside true on sshd", "twofold", ratio, "times", goal="1"))
        return rows


async def _at_once(enrolled: EnrolledUsers, server: Server, count: int) -> list[Result]:
    """Run many commands at the same time, over a few connections."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(await _connected(enrolled, server)) for _ in range(_CONNECTIONS)
        ]
        begun = time.perf_counter()
        ended = await asyncio.gather(
            *(connections[number % _CONNECTIONS].run(_OURS) for number in range(count)),
            return_exceptions=True,
        )
        taken = time.perf_counter() - begun
    refused = sum(isinstance(one, BaseException) or one.exit_status != 0 for one in ended)
    what = f"{count} at once over {_CONNECTIONS} connections"
    return [
        Row(SECTION, f"{what}: refused", "twofold", refused, f"of {count}", goal="0"),
        Row(SECTION, f"{what}: all done", "twofold", 1000 * taken, "ms"),
    ]


async def _connected(enrolled: EnrolledUsers, server: Server) -> asyncssh.SSHClientConnection:
    return await connect(Login(server.port, enrolled.take(1)[0], SECRET, key=enrolled.key))


async def _connected_to(sshd: openssh.Sshd, key: SSHKey) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1", sshd.port, username=openssh.USER, client_keys=[key], known_hosts=None, config=None
    )
