"""What an administrator ends is closed on the server, whoever the client is and whatever it does."""

import asyncio
from contextlib import asynccontextmanager

import asyncssh
import pytest
from support.pseudo_terminal import TerminalProgram
from support.ssh_server import HOST, GreetingApp, connect, until
from support.ssh_users import OPERATOR, PASSWORD, People

from data.operations.signin import sessions
from data.operations.users import credentials, factor_administration, lifecycle, role_grants
from data.rules.domain_types import Role
from data.storage import models
from sshserver import hostkey
from sshserver.background.session_reaper import end_ended_sessions
from sshserver.server import serve

WITHIN = 5.0
LOADED = 10
"""How much slower than promised a busy machine may be before a test fails."""


@asynccontextmanager
async def serving(people: People, **options):
    server = await serve(people.store, hostkey.load(hostkey.generate()), GreetingApp, port=0, **options)
    try:
        yield server
    finally:
        await server.drain()


async def end_it(people: People) -> None:
    newest = await people.store.read(sessions.list_sessions, OPERATOR)
    await people.store.run(sessions.end_session_of, OPERATOR, newest.rows[0].id)


async def stay(people: People) -> None:
    people.clock.forward(12 * 3600)


async def lock(people: People, port: int) -> None:
    people.clock.forward(60)
    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
        await connect(port, "alice", [PASSWORD, *(people.wrong_code() for _ in range(5))])
    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
        await connect(port, "alice", [PASSWORD, *(people.wrong_code() for _ in range(2))])


async def remove_key(people: People, _port: int) -> None:
    fingerprint = await people.store.read(lambda _tx: models.PublicKey.get().fingerprint)
    await people.store.run(credentials.remove_key, OPERATOR, fingerprint, name="alice")


ACTS = {
    "ended": (lambda people, _port: end_it(people), "An administrator ended this session."),
    "deactivated": (
        lambda people, _port: people.store.run(lifecycle.set_active, OPERATOR, "alice", active=False),
        "This user is deactivated.",
    ),
    "demoted": (
        lambda people, _port: people.store.run(role_grants.set_roles, OPERATOR, "alice", frozenset()),
        "An administrator removed one of your roles.",
    ),
    "cleared": (
        lambda people, _port: people.store.run(factor_administration.clear_two_factor, OPERATOR, "alice"),
        "An administrator cleared your two-factor data.",
    ),
    "too old": (
        lambda people, _port: stay(people),
        "Signed out: a session lasts at most 12 hours. Sign in again.",
    ),
    "password reset": (
        lambda people, _port: people.store.run(credentials.set_one_time_password, OPERATOR, "alice", "hash"),
        "An administrator reset your password.",
    ),
    "key removed": (remove_key, "One of your SSH keys was removed."),
    "locked": (lock, "Locked after seven wrong codes."),
}


@pytest.mark.feature("session-end", "session-ended-by", "session-idle")
@pytest.mark.parametrize("act", ACTS)
async def test_session_is_closed_with_the_reason(people: People, require_program, act):
    """It happens within seconds."""
    ssh = require_program("ssh")
    key = await people.add_with_key("alice", password=PASSWORD)
    await people.store.run(role_grants.set_roles, OPERATOR, "alice", frozenset({Role.SUPPORT}))
    assert key is people.keys["alice"]
    async with serving(people) as server:
        command = [ssh, "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        command += [
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
            "-i",
            str(people.key_file("alice")),
        ]
        program = await TerminalProgram.start([*command, "-p", str(server.port), f"alice@{HOST}"])
        try:
            await program.expect("Verification code: ")
            program.type(people.code() + "\r")
            await program.expect_on_screen("Hello alice")
            do, words = ACTS[act]
            await do(people, server.port)
            await program.expect(words, WITHIN * LOADED)
            await asyncio.wait_for(program.end(), WITHIN * LOADED)
            await until(lambda: server.connection_count == 0)
        finally:
            await program.kill()


async def test_a_client_that_does_not_read_is_cut_off_too(people: People):
    await people.add("alice")

    async with serving(people, reap_seconds=0.05) as server:
        connection, _ = await connect(server.port, "alice", [PASSWORD, people.code()])
        await connection.create_process(term_type="xterm", term_size=(80, 24))
        await until(lambda: server.session_count == 1)
        transport = connection._transport
        assert transport is not None
        transport.pause_reading()
        await end_it(people)
        await until(lambda: server.connection_count == 0, WITHIN * LOADED)
        transport.abort()


@pytest.mark.parametrize("act", [end_it, stay])
async def test_a_connection_without_a_channel_is_closed_too(people: People, act):
    await people.add("alice")
    async with serving(people, reap_seconds=0.05) as server:
        connection, _ = await connect(server.port, "alice", [PASSWORD, people.code()])
        await act(people)
        await asyncio.wait_for(connection.wait_closed(), WITHIN * LOADED)
        assert server.connection_count == 0


class FakeServer:
    """Notes which sessions it was told to end."""

    def __init__(self, *session_ids: int) -> None:
        self.here = set(session_ids)
        self.ended: list[tuple[set[int], str]] = []

    def session_ids(self) -> set[int]:
        return set(self.here)

    def end_sessions(self, session_ids, reason):
        self.ended.append((set(session_ids), reason))
        return len(self.ended)


class FakeStore:
    """Answers from a list, in order."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[set[int]] = []

    async def read(self, _operation, session_ids):
        self.asked.append(set(session_ids))
        return self.answers.pop(0)


async def test_a_session_is_told_once():
    server, store, told = FakeServer(1, 2), FakeStore({1: "over"}, {}), set()
    await end_ended_sessions(server, store, told)
    await end_ended_sessions(server, store, told)
    assert server.ended == [({1}, "over")]
    assert store.asked == [{1, 2}, {2}]


async def test_nobody_on_means_nothing_to_ask():
    store = FakeStore()
    await end_ended_sessions(FakeServer(), store, set())
    assert store.asked == []


async def test_session_that_ended_itself_is_not_told(people: People):
    await people.add("alice")
    async with serving(people, reap_seconds=0.05) as server:
        connection, client = await connect(server.port, "alice", [PASSWORD, people.code()])
        connection.close()
        await connection.wait_closed()
        await until(lambda: server.connection_count == 0)
        assert client.disconnected_because is None
    row = await people.store.read(lambda _tx: models.Session.get())
    assert row.ended_because == ""
