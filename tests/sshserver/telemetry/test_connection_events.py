"""What is told of connections: every step, tied together, and nothing that anybody typed."""

import asyncio
import io
import json
import logging
from contextlib import asynccontextmanager

import asyncssh
import pytest
from support.fake_backend import FakeBackend
from support.ssh_server import HOST, GreetingApp, connect, running_server, until
from support.ssh_users import PASSWORD, People

from data.rules.protocol_misuse import Misuse
from sshserver import hostkey
from sshserver.limits.limit_values import Limits
from sshserver.server import listen, serve
from sshserver.telemetry import connection_events
from sshserver.telemetry.connection_events import ConnectionTelemetry, LogRateLimiter, Telemetry
from tui.cli import logging_setup

WRONG_PASSWORD = "a mistyped secret"
STRANGER = "hunter2-typed-as-a-name"


@pytest.fixture
def lines():
    """The log of debug level and above, as it would be written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging_setup.JsonLines({}))
    logger = logging.getLogger("twofold")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lambda: stream.getvalue().splitlines()
    logger.removeHandler(handler)
    logger.setLevel(before)


@asynccontextmanager
async def serving(people: People, told: Telemetry):
    server = await serve(people.store, hostkey.load(hostkey.generate()), GreetingApp, port=0, telemetry=told)
    try:
        yield server
    finally:
        await server.drain()


async def test_sign_in_step_by_step(people: People, lines):
    """It is told under one id and without any secret."""
    await people.add("alice")
    wrong, right = people.wrong_code(), people.code()
    told = Telemetry()
    async with serving(people, told) as server:
        connection, _ = await connect(server.port, "alice", [WRONG_PASSWORD, PASSWORD, wrong, right])
        process = await connection.create_process(term_type="xterm", term_size=(80, 24))
        await until(lambda: server.session_count == 1)
        process.stdin.write("q")
        await process.wait_closed()
        connection.close()
        with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
            await connect(server.port, STRANGER, [WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD])
        await until(lambda: server.connection_count == 0)
    events = [json.loads(line) for line in lines()]
    first = [event for event in events if event.get("connection") == events[0]["connection"]]
    assert [event["event"] for event in first] == [
        "connection.opened",
        "signin.first_factor_rejected",
        "signin.first_factor_passed",
        "signin.code_wrong",
        "signin.admitted",
        "session.opened",
        "session.ended",
        "connection.closed",
    ]
    assert [event.get("user") for event in first[1:4]] == [None, "alice", "alice"]
    assert first[3]["left"] == 6
    assert first[4]["session"] == first[5]["session"] == 1
    assert {event["address"] for event in events} == {HOST}
    second = [event for event in events if event["connection"] != first[0]["connection"]]
    assert len({event["connection"] for event in second}) == 1
    assert {event["event"] for event in second} >= {"connection.opened", "signin.first_factor_rejected"}
    everything = "\n".join(lines())
    for secret in (WRONG_PASSWORD, PASSWORD, wrong, right, STRANGER):
        assert secret not in everything
    found = told.metrics.text()
    assert 'twofold_signin_outcomes_total{outcome="code_wrong"} 1.0' in found
    assert 'twofold_signin_seconds_count{step="password"} 5.0' in found
    assert "twofold_sessions 0.0" in found
    assert "twofold_connections 0.0" in found


async def test_the_self_test_is_told_to_nobody(people: People, lines):
    told = Telemetry()
    async with serving(people, told):
        pass
    assert lines() == []
    assert "signin_outcomes_total{" not in told.metrics.text()


async def test_refusal_and_limit(lines):
    """They are told with their reason."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    backend = FakeBackend([key], without_code={"alice"})
    told = Telemetry()
    server = await listen(backend, key, GreetingApp, HOST, 0, Limits(sessions_per_user=1), telemetry=told)
    connection, _ = await connect(server.port, "alice", [], keys=[key])
    one = await connection.create_process(term_type="xterm", term_size=(80, 24))
    await until(lambda: any("session.opened" in line for line in lines()))
    two = await connection.create_process(term_type="xterm", term_size=(80, 24))
    await two.wait_closed()
    with pytest.raises(asyncssh.ChannelListenError):
        await connection.forward_remote_port("", 0, HOST, 1)
    one.close()
    connection.close()
    await server.drain()
    events = [json.loads(line) for line in lines()]
    (limit,) = (event for event in events if event["event"] == "limit.reached")
    assert (limit["limit"], limit["user"], limit["level"]) == ("sessions_per_user", "alice", "warning")
    (refused,) = (event for event in events if event["event"] == "connection.refused")
    assert (refused["reason"], refused["user"]) == (Misuse.FORWARDING.value, "alice")
    assert 'twofold_refusals_total{reason="forwarding"} 1.0' in told.metrics.text()


async def test_failing_database(lines):
    """It is told with the reference that the trace has."""

    class Failing(FakeBackend):
        async def prove_password(self, candidate, password, gone):
            raise OSError(f"the password was {password}")

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await listen(Failing(), key, GreetingApp, HOST, 0, Limits(), telemetry=Telemetry())
    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
        await connect(server.port, "alice", [PASSWORD])
    await server.drain()
    events = [json.loads(line) for line in lines()]
    (broken,) = (event for event in events if event["event"] == "signin.broken_off")
    (crash,) = (event for event in events if event.get("logger") == "twofold.crash")
    assert broken["reference"] in crash["message"]
    assert PASSWORD not in "\n".join(lines())


async def test_another_name_in_one_connection(lines):
    """It is not logged under the first."""
    one = ConnectionTelemetry(Telemetry())
    one._user = "alice"
    one.restarted()
    one.refused(Misuse.LATE)
    assert "user" not in json.loads(lines()[0])


def test_flood_of_refusals(lines, monkeypatch):
    """It is told in few lines and counted whole."""
    now = 0.0
    monkeypatch.setattr(connection_events.time, "monotonic", lambda: now)
    told = Telemetry()
    for _ in range(1_000):
        told.connection().refused(Misuse.CROWD)
    told.connection().refused(Misuse.LATE)
    now = 60.0
    told.connection().refused(Misuse.CROWD)
    events = [json.loads(line) for line in lines()]
    assert [event["reason"] for event in events].count(Misuse.CROWD.value) == 21
    assert [event["reason"] for event in events].count(Misuse.LATE.value) == 1
    assert [event.get("not_shown") for event in events] == [None] * 21 + [980]
    assert 'twofold_refusals_total{reason="crowd"} 1001.0' in told.metrics.text()


def test_refused_connection(lines):
    told = Telemetry()
    for _ in range(30):
        told.hung_up(Misuse.PACE, "192.0.2.1")
    assert len(lines()) == 20
    assert json.loads(lines()[0])["address"] == "192.0.2.1"
    assert 'twofold_refusals_total{reason="pace"} 30.0' in told.metrics.text()


def test_a_sieve_lets_so_many_through_in_each_window():
    condition = LogRateLimiter(burst=2, seconds=10)
    assert [condition.let_through("a", at) for at in (0, 1, 2, 3)] == [0, 0, None, None]
    assert condition.let_through("b", 3) == 0
    assert [condition.let_through("a", at) for at in (10, 11, 12, 30)] == [2, 0, None, 1]


async def test_a_server_without_telemetry_tells_nothing(lines):
    async with running_server(FakeBackend(without_code={"alice"})) as running:
        connection, _ = await connect(running.port, "alice", ["the right password"])
        connection.close()
        await asyncio.sleep(0)
    assert lines() == []
