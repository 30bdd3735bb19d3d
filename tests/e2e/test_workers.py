"""Several workers on one port by real `ssh`: one dies, all drain, and none outlives its supervisor."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.authenticator_app import Phone
from support.free_ports import free_port
from support.installed_program import Clinic
from support.jump_gate import Host
from support.processes import (
    children,
    is_running,
    listening_sockets,
    open_files,
    threads,
    with_descendants,
)
from support.pseudo_terminal import TerminalProgram
from support.ssh_server import connect, until
from support.ssh_users import SECRET, enrol_with_app

from data.storage import models
from data.storage.home import Home
from tui.cli.open_installation import opened

WORKERS = 2
WITHIN = 5.0
LOADED = 10
"""How much slower than promised a busy machine may be before a test fails."""
MOST_JUMPS = 20
ENOUGH = 30
"""So many connections reach both workers but once in 2^29."""


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


def fork_server(clinic: Clinic) -> int:
    (pid,) = children(clinic.server.pid)
    return pid


def workers(clinic: Clinic) -> list[int]:
    return children(fork_server(clinic))


def scrape(port: int) -> dict[str, dict[str, float]]:
    """Read the metrics as Prometheus does: by name and labels, of each worker."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            worker = labels.pop("worker")
            name = " ".join([sample.name, *(f"{key}={value}" for key, value in labels.items())])
            found.setdefault(name, {})[worker] = sample.value
    return found


async def sign_in(clinic: Clinic, key: Path) -> TerminalProgram:
    terminal = await clinic.connect("ben", key=key)
    await terminal.expect_on_screen("1 M")
    return terminal


async def sign_in_to(clinic: Clinic, key: Path, count: int) -> list[TerminalProgram]:
    """Sign in until so many workers hold a session."""
    terminals = []
    while len(set(open_workers(clinic))) < count:
        assert len(terminals) < ENOUGH, clinic.log.decode()
        terminals.append(await sign_in(clinic, key))
    return terminals


async def test_killed_worker(clinic, key):
    """It takes only its own sessions with it and is replaced."""
    port = free_port()
    (clinic.home / "twofold.toml").write_text(f'[log]\nformat = "json"\n[metrics]\nport = {port}\n')
    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    terminals = await sign_in_to(clinic, key, WORKERS)
    before = open_workers(clinic)
    found = await asyncio.to_thread(scrape, port)
    assert found["twofold_worker_up"] == {"1": 1, "2": 1}
    assert sum(found["twofold_sessions"].values()) == len(before)
    admitted = found["twofold_signin_outcomes_total outcome=admitted"]
    assert sum(admitted.values()) == len(before)
    assert set(admitted) == {"1", "2"}
    assert all(found["twofold_signin_seconds_count step=key"].values())
    assert all(found["twofold_store_wait_seconds_count kind=write"].values())
    assert all(found["twofold_event_loop_lag_seconds_count"].values())
    victim, other = workers(clinic)
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
    await until(lambda: len(workers(clinic)) == WORKERS)
    assert other in workers(clinic)
    await until(lambda: listening_sockets(clinic.port) == WORKERS, 60)

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
    events = [json.loads(line) for line in clinic.log.decode().splitlines()]
    opened = [event for event in events if event["event"] == "session.opened"]
    assert {event["user"] for event in opened} == {"ben"}
    assert {event["worker"] for event in opened} == {1, 2}
    (died,) = (event for event in events if event["event"] == "worker.ended")
    assert (died["level"], died["how"]) == ("error", "The worker was ended by SIGKILL.")


@asynccontextmanager
async def clients_with_jumps(clinic: Clinic, key: Path, port: int) -> AsyncIterator[list[Any]]:
    """Sign Ben in, after a code from a remembered address, until each worker carries a jump of his."""
    with opened(Home(clinic.home)) as found:
        found.store.run_now(enrol_with_app, "ben")
        found.store.run_now(lambda _tx: models.Account.update(remember_days=1).execute())
    clinic.twofold("target", "add", "db1", "--host", "127.0.0.1", "--port", str(port))
    await clinic.serve("--workers", str(WORKERS))
    phone, keys, clients = Phone(clinic.oathtool), [asyncssh.read_private_key(key)], []
    phone.type_in(SECRET)
    answers = [await phone.new_code()]
    while len({worker for worker, *_ in open_jumps(clinic)}) < WORKERS:
        assert len(clients) < ENOUGH, clinic.log.decode()
        connection, _ = await connect(clinic.port, "ben", answers, keys=keys)
        clients.append((connection, *await connection.open_connection("db1", port)))
        answers = []
    yield clients
    for connection, *_ in clients:
        connection.abort()


def open_jumps(clinic: Clinic) -> list[tuple]:
    """Return the worker, the session and the number of each open jump."""
    return rows(
        clinic, "select worker, session_id, jump.id from jump join session on session.id = session_id"
    )


async def fill(connection: asyncssh.SSHClientConnection, port: int) -> int:
    """Open jumps until the user has too many; return how many were opened."""
    number = 0
    try:
        while number <= MOST_JUMPS:
            await connection.open_connection("db1", port)
            number += 1
    except asyncssh.ChannelOpenError as refused:
        if "You have too many open jumps" not in refused.reason:
            raise
    return number


@pytest.mark.feature("jumps-kept", "jumps-limits")
async def test_jumps_of_a_killed_worker(clinic, key):
    """They are closed and audited, those of the other go on, and their user may have as many again."""
    host = Host(0)
    behind = await asyncio.start_server(host.take, "127.0.0.1", 0)
    port = behind.sockets[0].getsockname()[1]
    limits = f"[limits]\njumps_per_user = {MOST_JUMPS}\njumps_per_connection = {MOST_JUMPS + 1}\n"
    (clinic.home / "twofold.toml").write_text(limits)
    async with clients_with_jumps(clinic, key, port) as clients:
        assert await fill(clients[0][0], port) + len(clients) == MOST_JUMPS
        before = open_jumps(clinic)
        assert len(before) == MOST_JUMPS, "one of all workers together"
        os.kill(workers(clinic)[0], signal.SIGKILL)
        await until(lambda: len({worker for worker, *_ in open_jumps(clinic)}) == 1, 60)

        left = open_jumps(clinic)
        assert set(left) < set(before)
        closed = rows(clinic, "select detail from audit_entry where event = 'jump.closed'")
        told = [json.loads(detail) for (detail,) in closed]
        assert {each["jump"] for each in told} == {jump for *_, jump in set(before) - set(left)}
        assert {each["reason"] for each in told} == {"the server that held it is gone"}
        await until(lambda: host.gone == len(told))
        sessions = len({session for _, session, _ in left})
        await until(lambda: sum(not connection.is_closed() for connection, *_ in clients) == sessions)
        alive = [each for each in clients if not each[0].is_closed()]
        for _, reader, writer in alive:
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        assert await fill(alive[0][0], port) == len(told)
    behind.close()
    assert await clinic.stop() == 0
    assert open_jumps(clinic) == []


async def test_hanging_worker(clinic, key):
    """It is replaced, and the sessions of the other go on."""
    (clinic.home / "twofold.toml").write_text('[limits]\nsilence_seconds = 1\n[log]\nformat = "json"\n')
    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    terminals = await sign_in_to(clinic, key, WORKERS)
    before = workers(clinic)
    os.kill(before[0], signal.SIGSTOP)
    await until(lambda: before[0] not in workers(clinic) and len(workers(clinic)) == WORKERS, 60)
    assert before[1] in workers(clinic)
    await until(lambda: len(set(open_workers(clinic))) == 1)
    assert any(terminal.process.returncode is None for terminal in terminals)
    await until(lambda: listening_sockets(clinic.port) == WORKERS, 60)
    await sign_in_to(clinic, key, WORKERS)
    assert await clinic.stop() == 0
    events = [json.loads(line) for line in clinic.log.decode().splitlines()]
    assert [event["pid"] for event in events if event["event"] == "worker.silent"] == [before[0]]


async def test_killed_node(clinic, key, monkeypatch):
    """What it left open is ended, and no worker outlives its supervisor."""
    apart = clinic.folder / "kept_apart.key"
    (clinic.home / "master.key").rename(apart)
    monkeypatch.setenv("TWOFOLD_MASTER_KEY", str(apart))
    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    await sign_in(clinic, key)
    serving = workers(clinic)
    for pid in with_descendants(clinic.server.pid):
        os.kill(pid, signal.SIGKILL)
    await clinic.server.wait()
    await until(lambda: not any(map(is_running, serving)))
    assert len(open_workers(clinic)) == 1

    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    assert open_workers(clinic) == []
    terminals = await sign_in_to(clinic, key, WORKERS)
    clinic.twofold("user", "deactivate", "--yes", "ben")
    for terminal in terminals:
        await terminal.expect("This user is deactivated.", WITHIN * LOADED)
        await terminal.end()
    clinic.twofold("user", "activate", "ben")

    terminal = await sign_in(clinic, key)
    serving = workers(clinic)
    clinic.server.kill()
    await terminal.expect("The server is shutting down.")
    assert await terminal.end() == 0
    await until(lambda: not any(map(is_running, serving)), 30)
    assert open_workers(clinic) == []


async def test_the_fork_server_holds_nothing_and_when_it_is_killed_other_workers_take_over(clinic, key):
    await clinic.serve("--workers", str(WORKERS))
    clinic.known_hosts()
    first, before = fork_server(clinic), workers(clinic)
    assert threads(first) == 1, "a process with threads must not be forked"
    assert not any(path.is_relative_to(clinic.home.resolve()) for path in open_files(first))
    terminal = await sign_in(clinic, key)
    os.kill(first, signal.SIGKILL)
    await terminal.end()
    await until(lambda: not any(map(is_running, before)), 30)
    await until(lambda: children(clinic.server.pid) not in ([], [first]), 60)
    await until(lambda: len(workers(clinic)) == listening_sockets(clinic.port) == WORKERS, 60)
    assert open_workers(clinic) == []
    await sign_in_to(clinic, key, WORKERS)
    assert await clinic.stop() == 0
    assert open_workers(clinic) == []


@pytest.mark.parametrize("workers", [1, WORKERS])
async def test_moved_database_file(clinic, key, workers):
    await clinic.serve("--workers", str(workers))
    clinic.known_hosts()
    terminals = await sign_in_to(clinic, key, workers)
    there, away = clinic.home / "twofold.db", clinic.home / "moved.away"
    there.rename(away)
    refused = await clinic.connect("ben", key=key)
    assert await refused.end() == 255

    assert await asyncio.wait_for(clinic.server.wait(), WITHIN * LOADED) == 1
    await clinic._reading
    for terminal in terminals:
        await terminal.end()
    *_, last = clinic.log.decode().splitlines()
    assert last.startswith(f"twofold: {there} was moved, replaced or removed while it was in use.")
    assert b"worker.ended" not in clinic.log
    assert b"Traceback" not in clinic.log
    assert not there.exists()
    with contextlib.closing(sqlite3.connect(f"file:{away}?immutable=1", uri=True)) as alone:
        admitted = alone.execute(
            "select count(*) from audit_entry where event = 'signin.admitted'"
        ).fetchone()
    assert admitted == (len(terminals),), "what was accepted is not in the file itself"

    with pytest.raises(AssertionError, match=r"twofold\.db is missing"):
        clinic.twofold("user", "list")
    away.rename(there)
    await clinic.serve("--workers", str(workers))
    assert open_workers(clinic) == []
    assert await clinic.stop() == 0
