"""Measures what other applications ask: codes over HTTP and RADIUS, on both databases, or on the host."""

import asyncio
import itertools
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from bench.client import code
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import TWOFOLD, Server, cores, on_any_core, on_core
from bench.report import Result, Row, Skipped, median
from support.postgresql_server import find_binaries, running_postgresql
from support.radius import ACCEPT, Client, request

from data.operations.applications import registry
from data.rules.applications import Asks, NewApplication, Protocol
from tui.cli.open_installation import installation

SECTION = "Applications: a code over {}, counted, spent and audited durably"
_GOALS = {Protocol.HTTP: "3", Protocol.RADIUS: "2"}
ON_HOST = "Applications: twofold-verify, from its start to its end"
_TOGETHER = 8
Ask = Callable[[Iterator[str]], Awaitable[list[float]]]
_VERIFY = str(Path(TWOFOLD).with_name("twofold-verify"))


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure one worker and two on SQLite and PostgreSQL."""
    count, rounds = (20, 1) if quick else (300, 5)
    users = 2 * 2 * 2 * count * (rounds + 1) + 2 * rounds
    sqlite = build(folder / "sqlite", users)
    yield from _measure(sqlite, "SQLite", count, rounds)
    binaries = find_binaries()
    if binaries is None:
        yield Skipped(SECTION.format("HTTP and RADIUS"), "there is no PostgreSQL: apt-get install postgresql")
        return
    with running_postgresql(binaries, "fsync=on", "synchronous_commit=on", "full_page_writes=on") as server:
        url = server.url(server.new_database())
        yield from _measure(build(folder / "postgresql", users, database=url), "PostgreSQL", count, rounds)


def _measure(enrolled: EnrolledUsers, subject: str, count: int, rounds: int) -> Iterator[Row]:
    for protocol, connection in ((Protocol.HTTP, _connection), (Protocol.RADIUS, _client)):
        name, section = f"by-{protocol}", SECTION.format(protocol.label)
        with installation(enrolled.home) as here:
            made = here.run(registry.add_application, NewApplication(name, protocol, Asks.CODE))
        assert isinstance(made, registry.NewSecret)
        goal = _GOALS[protocol] if subject == "SQLite" else ""
        for workers in (1, 2):
            pinned = on_core(cores()[1]) if workers == 1 else nullcontext()
            with pinned, _served(enrolled, workers, protocol) as server:
                if workers > 1:
                    on_any_core()
                ask = partial(connection, server.port, made.secret)
                cpu, latency, rate = _costs(enrolled, server, ask, count, rounds)
                named = "one worker" if workers == 1 else "two workers"
                yield Row(section, f"server CPU, {named}", subject, 1000 * cpu, "ms", goal=goal)
                if workers == 1:
                    yield Row(section, "latency", subject, 1000 * latency, "ms")
                yield Row(section, f"rate, {named}, {_TOGETHER} at a time", subject, rate, "/s")
                if subject == "SQLite" and workers == 1 and protocol is Protocol.HTTP:
                    yield from _on_host(enrolled, rounds)


def _served(enrolled: EnrolledUsers, workers: int, protocol: Protocol) -> Server:
    command = [
        *(TWOFOLD, "--home", enrolled.home.path, "serve", "--port", "0"),
        *("--workers", str(workers), f"--{protocol}", "127.0.0.1:0"),
    ]
    return Server(command, b"listening on http" if protocol is Protocol.HTTP else b"radius on")


def _costs(
    enrolled: EnrolledUsers, server: Server, ask: Ask, count: int, rounds: int
) -> tuple[float, float, float]:
    """Return the CPU and the latency of one after the other, and the rate of several at a time."""
    cpu, latency, rate = [], [], []
    for turn in range(rounds + 1):
        begun = server.cpu()
        taken = asyncio.run(_verified(ask, enrolled.take(count), 1))
        time.sleep(0.2)
        spent = (server.cpu() - begun) / count
        wall = time.perf_counter()
        asyncio.run(_verified(ask, enrolled.take(count), _TOGETHER))
        if turn:  # the first is to warm up
            cpu.append(spent)
            latency += taken
            rate.append(count / (time.perf_counter() - wall))
    return median(cpu), median(latency), median(rate)


async def _verified(ask: Ask, names: list[str], together: int) -> list[float]:
    """Have each user's code verified, by so many at a time; return how long each took."""
    left = iter(names)
    return list(itertools.chain(*await asyncio.gather(*(ask(left) for _ in range(together)))))


async def _client(port: int, secret: str, names: Iterator[str]) -> list[float]:
    client, taken = Client(port), []
    for name in names:
        sent = request(secret.encode(), a1=name.encode(), password=code(SECRET))
        begun = time.perf_counter()
        answered = await client.ask(sent)
        taken.append(time.perf_counter() - begun)
        assert answered[0] == ACCEPT, answered
    client.socket.close()
    return taken


async def _connection(port: int, token: str, names: Iterator[str]) -> list[float]:
    reading, writing = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    for name in names:
        body = json.dumps({"user": name, "pass": code(SECRET)}).encode()
        head = (
            f"POST /v1/verify HTTP/1.1\r\nHost: bench\r\nX-API-Key: {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        begun = time.perf_counter()
        writing.write(head.encode() + body)
        answered = await reading.readuntil(b"\r\n\r\n")
        await reading.readuntil(b"}")
        taken.append(time.perf_counter() - begun)
        assert b" 200 " in answered, answered
    writing.close()
    return taken


def _on_host(enrolled: EnrolledUsers, rounds: int) -> Iterator[Row]:
    taken = []
    for name in enrolled.take(2 * rounds):
        command = [_VERIFY, name, "--application", "by-http", "--home", enrolled.home.path]
        begun = time.perf_counter()
        subprocess.run(command, input=code(SECRET).encode(), check=True)
        taken.append(time.perf_counter() - begun)
    yield Row(ON_HOST, "time", "twofold-verify", 1000 * median(taken), "ms", goal="80")
