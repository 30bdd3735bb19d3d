"""Several workers on one port by real `ssh`: one dies, all drain, and none outlives its supervisor."""

import contextlib
import os
import signal
import sqlite3
from pathlib import Path

import pytest
from support.clinic import Clinic
from support.ssh_server import until
from support.ssh_terminal import TerminalProgram

WORKERS = 2
WITHIN = 5.0
LOADED = 10
"""How much slower than promised a busy machine may be before a test fails."""
ENOUGH = 14
"""So many connections reach both workers but once in 2^13."""


@pytest.fixture
def key(clinic: Clinic) -> Path:
    """A key of ben, who signs in without a code."""
    clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    clinic.one_time_password("user", "add", "ben", "--email", "ben@clinic.example")
    path = clinic.new_key("ben_key")
    clinic.twofold("user", "key", "add", "ben", f"{path}.pub")
    return path


def rows(clinic: Clinic, sql: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(clinic.home / "twofold.db")) as database:
        return database.execute(sql).fetchall()


def open_workers(clinic: Clinic) -> list[str]:
    """Name the worker of each open session."""
    return [worker for (worker,) in rows(clinic, "select worker from session where ended_at is null")]


def children(clinic: Clinic) -> list[int]:
    pid = clinic.server.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


async def sign_in(clinic: Clinic, key: Path) -> TerminalProgram:
    terminal = await clinic.connect("ben", key=key)
    await terminal.expect_on_screen("My profile")
    return terminal


async def sign_in_to(clinic: Clinic, key: Path, count: int) -> list[TerminalProgram]:
    """Sign in until so many workers hold a session."""
    terminals = []
    while len(set(open_workers(clinic))) < count:
        assert len(terminals) < ENOUGH, "connections do not reach every worker"
        terminals.append(await sign_in(clinic, key))
    return terminals


async def test_a_worker_that_is_killed_takes_only_its_own_sessions_with_it_and_is_replaced(clinic, key):
    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    terminals = await sign_in_to(clinic, key, WORKERS)
    before = open_workers(clinic)
    victim, other = children(clinic)
    os.kill(victim, signal.SIGKILL)
    await until(lambda: len(set(open_workers(clinic))) == 1)

    (survivor,) = set(open_workers(clinic))
    await until(
        lambda: (
            sum(t.process.returncode is not None for t in terminals) == len(before) - before.count(survivor)
        )
    )
    alive = [terminal for terminal in terminals if terminal.process.returncode is None]
    assert len(alive) == before.count(survivor)
    await until(lambda: len(children(clinic)) == WORKERS)
    assert other in children(clinic)
    await until(lambda: b"SIGKILL" in clinic.log)

    newcomers = await sign_in_to(clinic, key, WORKERS)
    assert set(open_workers(clinic)) - set(before), "nobody reached the new worker"
    for terminal in alive:
        terminal.type("q")
        assert await terminal.end() == 0
    assert await clinic.stop() == 0
    for terminal in newcomers:
        await terminal.expect("The server is shutting down.")
        assert await terminal.end() == 0
    assert open_workers(clinic) == []
    assert rows(clinic, "select * from worker") == []
    assert not is_running(other)


async def test_what_a_killed_node_left_open_is_ended_and_no_worker_outlives_its_supervisor(clinic, key):
    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    await sign_in(clinic, key)
    workers = children(clinic)
    for pid in (clinic.server.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    await clinic.server.wait()
    await until(lambda: not any(map(is_running, workers)))
    assert len(open_workers(clinic)) == 1

    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    assert open_workers(clinic) == []
    terminals = await sign_in_to(clinic, key, WORKERS)
    clinic.twofold("user", "deactivate", "ben")
    for terminal in terminals:
        await terminal.expect("This user is deactivated.", WITHIN * LOADED)
        await terminal.end()
    clinic.twofold("user", "activate", "ben")

    terminal = await sign_in(clinic, key)
    workers = children(clinic)
    clinic.server.kill()
    await terminal.expect("The server is shutting down.")
    assert await terminal.end() == 0
    await until(lambda: not any(map(is_running, workers)), 30)
    assert open_workers(clinic) == []
