"""Channels before their time, too many of them, and what they may not carry."""

import asyncio
import socket

import pytest
from support.raw_ssh_client import (
    CHANNEL_CLOSE,
    CHANNEL_DATA,
    CHANNEL_FAILURE,
    CHANNEL_OPEN,
    CHANNEL_REQUEST,
    CHANNEL_SUCCESS,
    GLOBAL_REQUEST,
    OPEN_CONFIRMATION,
    OPEN_FAILURE,
    REQUEST_FAILURE,
    Closed,
    flag,
    packet,
    raw_client,
    strings,
    text,
    u32,
)

from data.rules.protocol_misuse import Misuse
from sshserver.limits.limit_values import Limits

SIZE = (80, 24)
ADMINISTRATIVELY_PROHIBITED = 1
"""Of RFC 4254 section 5.1."""


@pytest.fixture
async def inside(attacked):
    """Mallory's connection, signed in."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())
        yield client


async def terminal(client, columns=80, rows=24):
    """Open a channel with a terminal and a shell; return its number once it draws."""
    channel = await client.channel()
    client.channel_request(channel, "pty-req", text("xterm"), *size(columns, rows), text(""))
    client.channel_request(channel, "shell")
    for _ in range(2):
        await client.expect(CHANNEL_SUCCESS)
    return channel


def size(columns, rows):
    return [u32(columns), u32(rows), u32(0), u32(0)]


@pytest.mark.parametrize("proven", [False, True], ids=["before the key", "after the key"])
async def test_channel_before_both_factors(attacked, proven):
    async with raw_client(attacked.port) as client:
        await client.begin()
        if proven:
            await client.pass_key("mallory", attacked.mallory)
        client.open_channel()
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}
    assert attacked.running.apps == []
    if proven:
        await attacked.audits(Misuse.PROTOCOL)


@pytest.mark.parametrize("packet_bytes", [1, 16, 4095])
async def test_a_channel_of_tiny_packets_is_refused_in_words(attacked, inside, packet_bytes):
    inside.open_channel(packet_bytes=packet_bytes)
    refusal = await inside.expect(OPEN_FAILURE)
    assert int.from_bytes(refusal[5:9], "big") == ADMINISTRATIVELY_PROHIBITED
    assert strings(refusal[9:], 1) == [b"The maximum packet size must be at least 4096 bytes."]
    assert attacked.running.server.session_count == 0
    inside.open_channel(packet_bytes=4096)
    await inside.expect(OPEN_CONFIRMATION)


async def test_requests_on_unknown_channel(attacked, inside):
    inside.channel_request(77, "shell")
    await inside.end()
    await attacked.audits(Misuse.PROTOCOL)


@pytest.mark.parametrize(
    "payload",
    [
        packet(CHANNEL_OPEN, text("session")),
        packet(CHANNEL_OPEN, text(b"\xff\xff"), u32(0), u32(1), u32(1)),
        packet(CHANNEL_OPEN, text("session"), u32(0), u32(1), u32(0)),
        packet(CHANNEL_REQUEST, u32(0), text("pty-req"), flag(True), text("xterm")),
        packet(CHANNEL_REQUEST, u32(0), text("env"), flag(True), text("LANG"), u32(0xFFFFFFFF)),
        packet(CHANNEL_DATA, u32(0), u32(0xFFFFFFFF)),
        packet(CHANNEL_DATA, u32(0), text(bytes(70_000))),
        packet(GLOBAL_REQUEST, text(b"\xff"), flag(True)),
    ],
    ids=["open", "type", "no room", "terminal", "variable", "data of 4 GB", "beyond the window", "request"],
)
async def test_malformed_channel_message(attacked, inside, payload):
    await inside.channel()
    inside.send(payload)
    await inside.end()
    await attacked.audits(Misuse.PROTOCOL)


async def test_of_three_hundred_channels_a_bounded_number_is_opened(attacked, inside):
    for number in range(300):
        inside.open_channel(number=number)
    answers = [(await inside.expect(OPEN_CONFIRMATION, OPEN_FAILURE))[0] for _ in range(300)]
    assert answers.count(OPEN_CONFIRMATION) == Limits().sessions_per_connection
    assert attacked.running.server.misuses == {Misuse.CHANNELS: 300 - Limits().sessions_per_connection}
    await attacked.audits(Misuse.CHANNELS)
    events = [event for event, _ in await attacked.audited()]
    assert events.count("connection.misused") == 1


async def test_channels_of_all_connections_are_bounded(attacked, inside):
    """Each keeps what was sent before it is read: many connections may not multiply that."""
    most = Limits().channels_per_user
    async with raw_client(attacked.port) as other, raw_client(attacked.port) as third:
        opened = 0
        for client in (inside, other, third):
            if client is not inside:
                await client.begin()
                attacked.people.clock.forward(30)
                await client.sign_in("mallory", attacked.mallory, attacked.code())
            for number in range(Limits().sessions_per_connection):
                client.open_channel(number=number)
                opened += (await client.expect(OPEN_CONFIRMATION, OPEN_FAILURE))[0] == OPEN_CONFIRMATION
        assert opened == most < 3 * Limits().sessions_per_connection
    await attacked.audits(Misuse.CHANNELS)


async def test_300_channels_leave_nothing_behind(attacked, inside):
    for _ in range(300):
        channel = await inside.channel()
        inside.send(packet(CHANNEL_CLOSE, u32(channel)))
        await inside.expect(CHANNEL_CLOSE)
    assert attacked.running.server.session_count == 0


async def test_three_thousand_variables_end_the_connection(attacked, inside):
    channel = await inside.channel()
    for number in range(3000):
        inside.channel_request(channel, "env", text(f"LC_{number}"), text("x"), reply=False)
    await inside.end()
    assert attacked.running.server.misuses == {Misuse.FLOOD: 1}
    await attacked.audits(Misuse.FLOOD)


async def test_second_terminal_or_shell_refused(attacked, inside):
    channel = await terminal(inside)
    for name, fields in (
        ("pty-req", [text("xterm"), *size(90, 30), text("")]),
        ("shell", []),
        ("exec", [text("x")]),
    ):
        inside.channel_request(channel, name, *fields)
        await inside.expect(CHANNEL_FAILURE)
    assert len(attacked.running.apps) == 1


async def test_storm_of_resizes(attacked, inside):
    """A storm of resizes is followed to its end and delays nobody."""
    channel = await terminal(inside)
    for number in range(5000):
        wanted = size(40 + number % 100, 10 + number % 50)
        inside.channel_request(channel, "window-change", *wanted, reply=False)
    await attacked.still_serves()
    async with asyncio.timeout(20):
        while attacked.running.apps[0].size != (40 + 4999 % 100, 10 + 4999 % 50):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("columns", "rows"), [(0xFFFFFFFF, 0xFFFFFFFF), (0, 0), (1, 0xFFFFFFFF)])
async def test_impossible_terminal_is_bounded(attacked, inside, columns, rows):
    await terminal(inside, columns, rows)
    await inside.expect(CHANNEL_DATA)
    limits = Limits()
    found = attacked.running.apps[0].size
    assert limits.min_columns <= found.width <= limits.max_columns
    assert limits.min_rows <= found.height <= limits.max_rows


@pytest.mark.parametrize("modes", [bytes([1, 0]), b"\x01" * 60_000, b"\xa0" * 100])
async def test_odd_terminal_modes(attacked, inside, modes):
    """Odd terminal modes are ignored, or they end the connection."""
    channel = await inside.channel()
    inside.channel_request(channel, "pty-req", text("xterm"), *size(80, 24), text(modes))
    try:
        await inside.expect(CHANNEL_SUCCESS)
    except Closed:
        await attacked.audits(Misuse.PROTOCOL)


DESTINATION = [text("127.0.0.1"), u32(22), text("127.0.0.1"), u32(1)]
CHANNELS = {
    "direct-tcpip": DESTINATION,
    "forwarded-tcpip": DESTINATION,
    "direct-streamlocal@openssh.com": [text("/var/run/docker.sock"), text(""), u32(0)],
    "tun@openssh.com": [u32(1), u32(0)],
    "tun@openssh.com of frames": [u32(2), u32(0)],
    "x11": [text("127.0.0.1"), u32(6000)],
    "auth-agent@openssh.com": [],
    "no-such-channel": [],
}


@pytest.mark.parametrize("kind", CHANNELS)
async def test_a_channel_that_forwards_is_not_opened(attacked, inside, kind):
    inside.open_channel(kind.partition(" ")[0], 0, *CHANNELS[kind])
    try:
        await inside.expect(OPEN_FAILURE)
    except Closed:
        await attacked.audits(Misuse.PROTOCOL)
    if kind.startswith(("direct-streamlocal", "tun")):
        await attacked.audits(Misuse.FORWARDING)


GLOBALS = {
    "tcpip-forward": [text("0.0.0.0"), u32(0)],
    "streamlocal-forward@openssh.com": [text("/tmp/twofold-test.sock")],
    "no-such-request": [],
}


@pytest.mark.parametrize("name", GLOBALS)
async def test_a_request_to_listen_is_refused(attacked, inside, name):
    inside.send(packet(GLOBAL_REQUEST, text(name), flag(True), *GLOBALS[name]))
    await inside.expect(REQUEST_FAILURE)
    if "-forward" in name:
        await attacked.audits(Misuse.FORWARDING)


async def test_cancelling_an_unknown_listener(attacked, inside):
    inside.send(packet(GLOBAL_REQUEST, text("cancel-tcpip-forward"), flag(True), text("0.0.0.0"), u32(1)))
    await inside.end()
    await attacked.audits(Misuse.PROTOCOL)


REQUESTS = {
    "auth-agent-req@openssh.com": [],
    "x11-req": [flag(False), text("MIT-MAGIC-COOKIE-1"), text("00"), u32(0)],
    "no-such-request": [text("x")],
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_agent_and_x11_forwarding_refused(attacked, inside, name):
    channel = await inside.channel()
    inside.channel_request(channel, name, *REQUESTS[name])
    await inside.expect(CHANNEL_FAILURE)


async def test_a_client_that_asks_and_never_reads_is_cut_off(attacked_with):
    limits = Limits(unsent_bytes=20_000)
    async with attacked_with(limits) as attacked, raw_client(attacked.port, receive_buffer=4096) as client:
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())
        client.writer.transport.pause_reading()
        served = next(iter(attacked.running.server._context.connections)).transport.ssh.get_extra_info(
            "socket"
        )
        served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(20_000):
            client.send(packet(8))
        async with asyncio.timeout(20):
            while attacked.running.server.connection_count:
                await asyncio.sleep(0.01)
        assert attacked.running.server.misuses == {Misuse.FLOOD: 1}
        await attacked.audits(Misuse.FLOOD)
        await attacked.still_serves()
