"""Jumps on several nodes and workers: what ends on all of them, and what they count together."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from support.database_process import place_of
from support.jump_gate import WITHIN, Gate, gate_of
from support.ssh_server import GreetingApp, connect
from support.ssh_users import OPERATOR, People, open_people

from data.operations.results import Done
from data.operations.signin import sessions
from data.operations.targets.registry import remove_target
from data.operations.users import role_grants
from data.rules.domain_types import Role
from data.rules.policy import Refusal
from data.storage import models
from data.store import Store
from sshserver import hostkey
from sshserver.background.jump_reaper import end_ended_jumps
from sshserver.background.session_reaper import EVERY_SECONDS
from sshserver.limits.limit_values import Limits
from sshserver.limits.shared_counters import SharedCounters
from sshserver.server import Server, serve
from sshserver.workers.heartbeat import WorkerIdentity

PROMISED = 5
"""Seconds within which the jumps of those who may no longer have them are closed on every node."""
NEVER = 3600.0
"""Seconds between rounds of a server that makes none in a test but those that the test asks for."""


@asynccontextmanager
async def another_node(people: People, **options: Any) -> AsyncIterator[tuple[Server, Store]]:
    """Serve the same database from another store, as another node does."""
    store = Store(people.store._database, replace(people.store.services, chain="another"))
    key = hostkey.load(hostkey.generate())
    server = await serve(store, key, GreetingApp, reap_seconds=NEVER, **options)
    try:
        yield server, store
    finally:
        await server.drain()
        store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gate]:
    """A node on a database of either kind."""
    place = None
    if request.param == "postgresql":
        postgresql = request.getfixturevalue("postgresql")
        place = place_of(postgresql.url(postgresql.new_database()))
    people = open_people(tmp_path, place=place)
    async with gate_of(people, reap_seconds=NEVER) as found:
        yield found
    people.store.close()


async def lock(gate: Gate) -> None:
    """Give seven wrong codes as Ben, over SSH."""
    while (await gate.people.user("ben")).attempts_left:
        wrong = [gate.people.wrong_code() for _ in range(7)]
        with pytest.raises(asyncssh.Error):
            await connect(gate.server.port, "ben", wrong, keys=[gate.people.keys["ben"]])


async def end_session(gate: Gate) -> None:
    """End Kim's session as an administrator does."""
    page = await gate.people.store.read(sessions.list_sessions, OPERATOR)
    (of_kim,) = (row.id for row in page.rows if row.user == "kim")
    assert isinstance(await gate.people.store.run(sessions.end_session_of, OPERATOR, of_kim), Done)


@pytest.mark.feature("jumps-kept")
async def test_what_one_node_takes_away_another_closes_in_its_next_round(gate):
    """A lock, a role, a target and a session: the reason is audited, and who may stay is not disturbed."""
    store = gate.people.store
    for name in ("ben", "kim", "sue"):
        await gate.people.add_with_key(name)
    await store.run(role_grants.set_roles, OPERATOR, "sue", frozenset({Role.SUPPORT}))
    await gate.add("db1")
    await gate.add("old")
    await gate.add("help", roles=frozenset({Role.SUPPORT}))
    async with another_node(gate.people) as (other, its_store):
        wanted = [("alice", "db1"), ("alice", "old"), ("ben", "db1"), ("kim", "db1"), ("sue", "help")]
        clients = {name: await gate.connect(name, at=other) for name in ("alice", "ben", "kim", "sue")}
        opened = {jump: await clients[jump[0]].open_connection(jump[1], gate.host.port) for jump in wanted}
        await end_ended_jumps(other, its_store)
        for reader, writer in opened.values():
            writer.write(b"x")
            assert await reader.read(1) == b"x"

        await lock(gate)
        await end_session(gate)
        assert isinstance(await store.run(role_grants.set_roles, OPERATOR, "sue", frozenset()), Done)
        assert isinstance(await store.run(remove_target, OPERATOR, "old"), Done)
        assert gate.host.gone == 0, "the test asks for the round that ends them"
        await end_ended_jumps(other, its_store)

        stays, writer = opened.pop(wanted[0])
        closed: list[str] = []
        async with asyncio.timeout(WITHIN):
            for reader, _ in opened.values():
                assert await reader.read() == b""
            while len(closed) < len(opened) or gate.host.gone < len(opened):
                closed = await gate.audited("jump.closed")
        writer.write(b"x")
        assert await stays.read(1) == b"x"
        assert gate.host.gone == len(opened)
        assert await store.read(lambda _tx: [row.name for row in models.Jump.select()]) == ["db1"]
        assert {json.loads(detail)["reason"] for detail in closed} == {
            "old is no longer among your targets.",
            Refusal.LOCKED.value,
            "An administrator removed one of your roles. Sign in again.",
            sessions.ENDED_BY_ADMIN,
        }
        for client in clients.values():
            client.abort()


def test_the_next_round_is_soon_enough():
    """The rest of the time is left to what a round reads, and to closing."""
    assert inspect.signature(serve).parameters["reap_seconds"].default == EVERY_SECONDS <= PROMISED / 2


async def opens(gate: Gate, connection: asyncssh.SSHClientConnection) -> bool:
    """Open one more jump; return whether the user may have it."""
    try:
        await connection.open_connection("db1", gate.host.port)
    except asyncssh.ChannelOpenError as refused:
        return not refused.reason.startswith("You have too many open jumps")
    return True


@pytest.mark.feature("jumps-limits")
async def test_workers_count_the_jumps_of_a_user_together_and_nodes_each_for_itself(people):
    """What a node can carry is what is limited. The places of a worker that died are free again."""
    shared = SharedCounters.create(2)
    options = [
        {"limits": Limits(jumps_per_user=3), "identity": WorkerIdentity(name, "node", index, shared)}
        for index, name in enumerate(("first", "second"))
    ]
    async with (
        gate_of(people, Limits(jumps_per_user=2), reap_seconds=NEVER) as gate,
        another_node(people, **options[0]) as (first, _),
        another_node(people, **options[1]) as (second, _),
    ):
        await gate.add("db1")
        here, there, elsewhere = [await gate.connect(at=at) for at in (first, second, gate.server)]

        assert [await opens(gate, each) for each in (here, here, there, there, here)] == [True] * 3 + [
            False
        ] * 2
        assert [await opens(gate, elsewhere) for _ in range(3)] == [True, True, False]
        shared.wipe(0)  # As a supervisor does for a worker that died.
        assert [await opens(gate, there) for _ in range(3)] == [True, True, False]
        for client in (here, there, elsewhere):
            client.abort()
    shared.close()
