"""Compares sessions over SSH with the same app in a process each, and key presses alone and under load."""

import asyncio
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from bench.client import Login, connect, sign_in
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import ENVIRONMENT, Server, cores, memory, on_core, serve
from bench.report import Result, Row, median, percentile

SECTION = "Sessions with the users table shown, at 80x24"
LOADED = "A key press while other sessions are open and people sign in"
_OVERVIEW = b"Needs attention"
"""Stands on the first screen, below all that it shows of the account."""
_TABLE, _LAST_ROW = b"2", b"user00015"
"""The key that leads to the users table, and what stands in the last line of its first screen."""
_QUIET = 0.3
_FIRST_SCREEN = "CPU of first screen and table"
_KEY_PRESS = "key press: CPU"


@dataclass
class Shell:
    """A session's terminal."""

    connection: asyncssh.SSHClientConnection
    process: asyncssh.SSHClientProcess[bytes]
    first_screen: float

    @classmethod
    async def open(cls, login: Login) -> "Shell":
        """Sign in, ask for a shell, wait until its screen is full, and go to the users table."""
        connection = await connect(login)
        begun = time.perf_counter()
        process = await connection.create_process(
            term_type="xterm-256color", term_size=(80, 24), encoding=None, env={"LANG": "C.UTF-8"}
        )
        shell = cls(connection, process, 0)
        await shell.shows(_OVERVIEW)
        shell.first_screen = time.perf_counter() - begun
        await shell.quiet()
        process.stdin.write(_TABLE)
        await shell.shows(_LAST_ROW)
        await shell.quiet()
        return shell

    async def shows(self, marker: bytes) -> None:
        """Read until something was shown."""
        shown = b""
        async with asyncio.timeout(60):
            while marker not in shown:
                shown += await self.process.stdout.read(65536)

    async def quiet(self) -> int:
        """Read until nothing more comes; return how many bytes there were."""
        count = 0
        while True:
            try:
                count += len(await asyncio.wait_for(self.process.stdout.read(65536), _QUIET))
            except TimeoutError:
                return count

    async def press(self, key: bytes) -> tuple[float, int]:
        """Press a key; return after how many seconds the screen answered, and with how many bytes."""
        begun = time.perf_counter()
        self.process.stdin.write(key)
        count = len(await asyncio.wait_for(self.process.stdout.read(65536), 30))
        taken = time.perf_counter() - begun
        return taken, count + await self.quiet()

    async def close(self) -> None:
        """Hang up."""
        self.connection.close()
        await self.connection.wait_closed()


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure sessions over SSH, the same app in a process each, and a key press under load."""
    opened, keys, others, seconds = (2, 4, 3, 2) if quick else (20, 40, 50, 20)
    enrolled = build(folder, 80 + 4 * opened + others + 10 * seconds, support=True)
    enrolled.take(20)  # Whoever stands in the table's first screen would have the marker in the top line.
    with on_core(cores()[1]):
        with serve(enrolled.home.path) as server:
            over_ssh = asyncio.run(_over_ssh(enrolled, server, opened, keys))
            yield from over_ssh
            yield from asyncio.run(_under_load(enrolled, server, others, seconds))
        alone = list(_alone(enrolled, opened, keys))
        yield from alone
    for what in (_FIRST_SCREEN, _KEY_PRESS):
        beside, within = (next(row for row in rows if row.what == what) for rows in (over_ssh, alone))
        ratio = beside.value / within.value if within.value else float("nan")
        yield Row(SECTION, f"{what}, beside in process", "over SSH", ratio, "times", goal="1.15")


async def _over_ssh(enrolled: EnrolledUsers, server: Server, opened: int, keys: int) -> list[Row]:
    warm = [await _open(enrolled, server) for _ in range(2)]
    used = server.cpu()
    for name in enrolled.take(opened):
        await sign_in(Login(server.port, name, SECRET, key=enrolled.key))
    signing_in = server.cpu() - used
    held, used = server.memory(), server.cpu()
    shells = [await _open(enrolled, server) for _ in range(opened)]
    cpu, grown = server.cpu() - used, server.memory() - held
    used = server.cpu()
    pressed = [await shells[0].press(b"\x1b[B") for _ in range(keys)]
    per_key = (server.cpu() - used) / keys
    for shell in (*warm, *shells):
        await shell.close()
    rows = [
        ("memory of each", grown / opened, "MB", "1"),
        ("shell request to first full screen", 1000 * median([s.first_screen for s in shells]), "ms", "60"),
        ("CPU of sign-in, first screen and table", 1000 * cpu / opened, "ms", ""),
        (_FIRST_SCREEN, 1000 * (cpu - signing_in) / opened, "ms", ""),
        ("key press: latency", 1000 * median([taken for taken, _ in pressed]), "ms", "10"),
        (_KEY_PRESS, 1000 * per_key, "ms", ""),
        ("key press: bytes", median([count for _, count in pressed]), "bytes", ""),
    ]
    return [Row(SECTION, what, "over SSH", value, unit, goal=goal) for what, value, unit, goal in rows]


async def _open(enrolled: EnrolledUsers, server: Server) -> Shell:
    return await Shell.open(Login(server.port, enrolled.take(1)[0], SECRET, key=enrolled.key))


async def _under_load(enrolled: EnrolledUsers, server: Server, others: int, seconds: int) -> list[Row]:
    """Press a key four times a second while ten people a second sign in."""
    shells = [await _open(enrolled, server) for _ in range(others)]
    arriving = asyncio.create_task(_arrivals(enrolled, server, 10 * seconds))
    taken = []
    while not arriving.done():
        taken.append((await shells[0].press(b"\x1b[B"))[0])
    failed = await arriving
    for shell in shells:
        await shell.close()
    value = 1000 * percentile(taken, 0.95)
    note = f"{others} sessions, 10 sign-ins a second, {failed} of them failed"
    return [Row(LOADED, "95th percentile", "over SSH", value, "ms", note, "100")]


async def _arrivals(enrolled: EnrolledUsers, server: Server, count: int) -> int:
    async def one() -> None:
        await sign_in(Login(server.port, enrolled.take(1)[0], SECRET, key=enrolled.key))

    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(0.1)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return sum(isinstance(result, BaseException) for result in ended)


def _alone(enrolled: EnrolledUsers, opened: int, keys: int) -> Iterator[Row]:
    """Measure a process that serves one person after the other, and what the app costs once it is warm."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    begun = time.perf_counter()
    with on_core(cores()[0]):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.one_app", str(enrolled.home.path), *enrolled.take(1 + opened)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **ENVIRONMENT, "TERM": "xterm-256color"},
            start_new_session=True,
        )
    os.close(slave)
    try:
        _read_until(master, _OVERVIEW)
        first = time.perf_counter() - begun
        _read_quiet(master)
        _go_to_table(master)
        held = memory(process.pid)
        drawn = 0.0
        for _ in range(opened):
            os.write(master, b"q")
            _read_until(master, b"again?")
            used = _cpu_of(process.pid)
            os.write(master, b"\n")
            _read_until(master, _OVERVIEW)
            _read_quiet(master)
            _go_to_table(master)
            drawn += _cpu_of(process.pid) - used
        used = _cpu_of(process.pid)
        for _ in range(keys):
            os.write(master, b"\x1b[B")
            _read_quiet(master)
        per_key = (_cpu_of(process.pid) - used) / keys
    finally:
        process.kill()
        process.wait()
        os.close(master)
    yield Row(SECTION, "memory of each", "a process each", held, "MB")
    yield Row(SECTION, "start of the process to first full screen", "a process each", 1000 * first, "ms")
    yield Row(SECTION, _FIRST_SCREEN, "in process, warm", 1000 * drawn / opened, "ms")
    yield Row(SECTION, _KEY_PRESS, "in process, warm", 1000 * per_key, "ms")


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _go_to_table(terminal: int) -> None:
    os.write(terminal, _TABLE)
    _read_until(terminal, _LAST_ROW)
    _read_quiet(terminal)


def _read_until(terminal: int, marker: bytes) -> None:
    shown = b""
    while marker not in shown:
        if not select.select([terminal], [], [], 60)[0]:
            raise RuntimeError(f"the app did not show {marker!r}")
        shown += os.read(terminal, 65536)


def _read_quiet(terminal: int) -> None:
    while select.select([terminal], [], [], _QUIET)[0]:
        os.read(terminal, 65536)
