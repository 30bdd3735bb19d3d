"""Compares signing in to Twofold, now and before, to a bare asyncssh server and to sshd, in turns.

The servers wait side by side on one core, and each is measured in its turn, so that what else the machine
does shows as a spread and not as a result.
"""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from asyncssh.public_key import SSHKey
from bench import before, openssh
from bench.client import Login, connect, sign_in, sign_in_all
from bench.enrolled_users import PASSWORD, SECRET, EnrolledUsers, build
from bench.processes import REPOSITORY, Server, cores, on_core, serve
from bench.report import Result, Row, Skipped, middle, percentile
from support.postgresql_server import find_binaries, running_postgresql

FACTORS = ("key", "password")
SSHD = "sshd + google-authenticator"
_OURS, _BEFORE, _BARE = "twofold", "twofold before", "bare asyncssh"
_NOTES = {
    _OURS: "counted, spent and audited durably",
    SSHD: "separates privileges, opens a PAM session",
    _BARE: "in memory, stores nothing",
}
_LOADS = {1: 100, 8: 160, 64: 320}
"""How many sign in during a turn, by how many do so at a time."""
_QUICK_LOADS = {1: 2, 8: 8, 64: 16}
_TURNS = 7
_HELD = 64
"""Connections that are held open to see what each takes of the memory."""
_SOURCES = [f"127.0.1.{number}" for number in range(1, 17)]
"""Where clients come from, because a server limits how many of one address prove themselves at a time."""
_BESIDE_BARE = {1: "1.5", 64: "1.4"}
_BESIDE_SSHD = {"key": "0.25", "password": "0.45"}

Logins = Callable[[int], list[Login]]


@dataclass
class _Contestant:
    """A server that runs, and what was measured of it in each turn, by how many signed in at a time.

    `prepare` is told that number before a turn, and before each of those who sign in alone.
    """

    server: Server
    logins: Logins
    prepare: Callable[[int], object] = lambda _together: None
    cpu: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    rate: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def turn(self, count: int, together: int) -> None:
        """Have so many sign in, so many at a time."""
        logins = [
            replace(login, source=_SOURCES[number % len(_SOURCES)])
            for number, login in enumerate(self.logins(count))
        ]
        used, begun = self.server.cpu(), time.perf_counter()
        if together == 1:
            latencies = []
            for login in logins:
                self.prepare(1)
                latencies.append(await sign_in(login))
        else:
            self.prepare(together)
            latencies = await sign_in_all(logins, together)
        wall = time.perf_counter() - begun
        await asyncio.sleep(0.2)  # What the server does after a client has gone is part of the cost.
        self.cpu[together].append(1000 * (self.server.cpu() - used) / count)
        self.rate[together].append(count / wall)
        self.late[together].append(1000 * percentile(latencies, 0.95))

    def forget(self) -> None:
        """Drop what was measured."""
        for measured in (self.cpu, self.rate, self.late):
            measured.clear()

    async def held(self) -> float:
        """Return the MB of each of several connections that have signed in and do nothing.

        More are held beside them, in the memory that the turns before have left.
        """
        self.prepare(_HELD)
        held = [await connect(login) for login in self.logins(_HELD)]
        before = self.server.memory()
        held += [await connect(login) for login in self.logins(_HELD)]
        each = (self.server.memory() - before) / _HELD
        for connection in held:
            connection.close()
        for connection in held:
            await connection.wait_closed()
        return each


def measure(folder: Path, *, quick: bool, revision: str | None, factor: str) -> Iterator[Result]:
    """Measure all servers with one kind of first factor, Twofold on SQLite."""
    section = f"Signing in with {factor} and code: connect, prove both factors, hang up"
    with ExitStack() as running, on_core(cores()[1]):
        enrolled = build(folder, _users(quick=quick))
        contestants = {_OURS: _twofold(running, enrolled, factor)}
        try:
            contestants[_BEFORE] = _before(running, folder, revision, factor, quick=quick)
        except before.NoCommitError as why:
            yield Skipped(section, f"{_BEFORE}: {why}")
        if factor == "key":
            bare = running.enter_context(Server(_bare(enrolled), b"listening"))
            contestants[_BARE] = _Contestant(bare, _one(factor, bare.port, "anyone", enrolled.key))
        if why_not := openssh.missing():
            yield Skipped(section, why_not)
        else:
            contestants[SSHD] = _sshd(running, factor, enrolled.key)
        yield from _compare(section, contestants, factor, quick=quick)


def measure_postgresql(folder: Path, *, quick: bool, revision: str | None) -> Iterator[Result]:
    """Measure Twofold on PostgreSQL, with a key."""
    section = "Signing in with key and code, on PostgreSQL (CPU without that of its server)"
    binaries = find_binaries()
    if binaries is None:
        yield Skipped(section, "there is no PostgreSQL: apt-get install postgresql")
        return
    with ExitStack() as running, on_core(cores()[1]):
        settings = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
        server = running.enter_context(running_postgresql(binaries, *settings))
        enrolled = build(folder, _users(quick=quick), database=server.url(server.new_database()))
        contestants = {_OURS: _twofold(running, enrolled, "key")}
        try:
            url = server.url(server.new_database())
            contestants[_BEFORE] = _before(running, folder, revision, "key", url, quick=quick)
        except before.NoCommitError as why:
            yield Skipped(section, f"{_BEFORE}: {why}")
        yield from _compare(section, contestants, "key", quick=quick, faster="")


def _twofold(
    running: ExitStack, enrolled: EnrolledUsers, factor: str, tree: Path = REPOSITORY
) -> _Contestant:
    """Serve users of whom each signs in once, since a code is good once."""
    server = running.enter_context(serve(enrolled.home.path, tree))
    return _Contestant(
        server,
        lambda count: [login_by(factor, server.port, name, enrolled.key) for name in enrolled.take(count)],
    )


def _before(
    running: ExitStack,
    folder: Path,
    revision: str | None,
    factor: str,
    database: str | None = None,
    *,
    quick: bool,
) -> _Contestant:
    tree = running.enter_context(before.worktree(folder / "tree", before.commit(revision)))
    enrolled = before.build(tree, folder / "before", _users(quick=quick), database)
    return _twofold(running, enrolled, factor, tree)


def _bare(enrolled: EnrolledUsers) -> list[str | Path]:
    return [sys.executable, "-m", "bench.bare_server", enrolled.key_file, SECRET]


def _sshd(running: ExitStack, factor: str, key: SSHKey) -> _Contestant:
    running.enter_context(openssh.account())
    public = key.export_public_key("openssh").decode()
    sshd = running.enter_context(openssh.running(factor, public))
    # Whoever comes alone finds an unused code; of several at a time, all but one would be refused.
    return _Contestant(
        sshd.server,
        _one(factor, sshd.port, openssh.USER, key),
        lambda together: sshd.refill(once=together == 1),
    )


def _users(*, quick: bool) -> int:
    loads, turns = _extent(quick=quick)
    return (turns + 1) * sum(loads.values()) + 2 * _HELD


def _extent(*, quick: bool) -> tuple[dict[int, int], int]:
    return (_QUICK_LOADS, 1) if quick else (_LOADS, _TURNS)


def login_by(factor: str, port: int, name: str, key: SSHKey) -> Login:
    """Return who signs in with that kind of first factor."""
    if factor == "key":
        return Login(port, name, SECRET, key=key)
    return Login(port, name, SECRET, password=PASSWORD)


def _one(factor: str, port: int, name: str, key: SSHKey) -> Logins:
    return lambda count: [login_by(factor, port, name, key)] * count


def _compare(
    section: str,
    contestants: dict[str, _Contestant],
    factor: str,
    *,
    quick: bool,
    faster: str = "1.6 or more",
) -> Iterator[Result]:
    loads, turns = _extent(quick=quick)
    everyone = list(contestants.values())
    for turn in range(turns + 1):
        for together, count in loads.items():
            for contestant in everyone[turn % len(everyone) :] + everyone[: turn % len(everyone)]:
                asyncio.run(contestant.turn(count, together))
        if turn == 0:  # The first is to warm up.
            for contestant in everyone:
                contestant.forget()
    for together in loads:
        yield from _rows(section, contestants, factor, together, faster)
    for subject, contestant in contestants.items():
        goal = "1" if subject == _OURS else ""
        yield Row(
            section, "memory of each connection", subject, asyncio.run(contestant.held()), "MB", goal=goal
        )


def _rows(
    section: str, contestants: dict[str, _Contestant], factor: str, together: int, faster: str
) -> Iterator[Result]:
    ours = contestants[_OURS]
    row = partial(middle, section)
    for subject, one in contestants.items():
        note = _NOTES.get(subject, "")
        yield row(f"{together} at once: server CPU", subject, one.cpu[together], "ms", note=note)
    for subject, one in contestants.items():
        yield row(f"{together} at once: rate", subject, one.rate[together], "/s")
    for subject, one in contestants.items():
        yield row(f"{together} at once: latency, 95th percentile", subject, one.late[together], "ms")
    for subject, one in contestants.items():
        if one is not ours:
            goal = _goal(subject, factor, together)
            beside = [mine / its for mine, its in zip(ours.cpu[together], one.cpu[together], strict=True)]
            yield row(f"{together} at once: server CPU, beside it", subject, beside, "times", goal=goal)
    if earlier := contestants.get(_BEFORE):
        for what, mine, its, goal in (
            ("rate", ours.rate, earlier.rate, faster if (factor, together) == ("key", 64) else ""),
            ("95th percentile", ours.late, earlier.late, "1" if together == 64 else ""),
        ):
            beside = [now / then for now, then in zip(mine[together], its[together], strict=True)]
            yield row(f"{together} at once: {what}, beside it", _BEFORE, beside, "times", goal=goal)


def _goal(subject: str, factor: str, together: int) -> str:
    if subject == SSHD:
        return _BESIDE_SSHD[factor]
    return _BESIDE_BARE.get(together, "") if subject == _BARE else ""
