"""More connections than anyone needs, and clients that take or give more than they should."""

import asyncio
import contextlib
import os
import socket
import sys
import textwrap

import pytest
from support.attacked_server import SECONDS, hashing_stopped
from support.raw_ssh_client import (
    CHANNEL_CLOSE,
    CHANNEL_DATA,
    CHANNEL_SUCCESS,
    ELSEWHERE,
    HOST,
    INFO_REQUEST,
    USERAUTH_SUCCESS,
    WINDOW_ADJUST,
    packet,
    raw_client,
    text,
    u32,
)
from support.ssh_server import GreetingApp, until
from support.ssh_users import PASSWORD

from data.fair_queue import SOURCES
from data.operations.signin.first_factor import NotJudged
from data.rules.protocol_misuse import Misuse
from data.storage import models
from data.storage.password_hashing import Hasher
from sshserver.limits.limit_values import Limits

FLOOD = """
    import collections, socket, sys, time

    port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    held, begun, opened = collections.deque(), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        while opened < rate * passed:
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            held.append(one)
            opened += 1
            if len(held) > 200:
                held.popleft().close()
        time.sleep(0.001)
    print(opened)
"""
"""Opens connections at a given rate and holds the last 200."""


async def judging(attacked, count):
    """Wait until so many connections have handed a password over."""
    known = attacked.running.server._context.connections
    await until(lambda: sum(one.userauth._busy for one in known) == count, SECONDS)


async def send_password(client, name, password="a wrong password"):
    await client.begin()
    client.ask_questions(name)
    assert await client.question() == "Password: "
    client.answer(password)


async def counted_failures(attacked):
    table = models.FirstFactorFailures
    return await attacked.people.store.read(lambda _tx: sum(row.count for row in table.select()))


@pytest.mark.parametrize("sources", [60, pytest.param(400, marks=pytest.mark.soak)])
async def test_passwords_of_clients_that_hang_up(attacked, sources, monkeypatch):
    """Their hashes are never computed, and they count as failures."""
    await attacked.people.add("dora", enrolled=False)
    hashed, verify = [], Hasher.verify
    monkeypatch.setattr(Hasher, "verify", lambda *given: hashed.append(1) or verify(*given))
    async with raw_client(attacked.port, ELSEWHERE) as honest, hashing_stopped(attacked) as go_on:
        for number in range(sources):
            async with raw_client(attacked.port, f"127.0.{2 + number // 250}.{1 + number % 250}") as client:
                await send_password(client, f"name{number}")
                await judging(attacked, 1)
            await until(lambda: attacked.running.server.connection_count == 1)
        await send_password(honest, "dora", PASSWORD)
        go_on()
        await honest.expect(USERAUTH_SUCCESS)
    async with asyncio.timeout(SECONDS):
        while await counted_failures(attacked) < sources:
            await asyncio.sleep(0.01)
    assert len(hashed) <= 2  # The one that had begun, and the honest one.


async def test_password_while_too_many_wait(attacked):
    """The client is told so, and nothing is counted."""
    await attacked.people.add("dora", enrolled=False)
    async with (
        contextlib.AsyncExitStack() as crowd,
        raw_client(attacked.port, ELSEWHERE) as honest,
        hashing_stopped(attacked) as go_on,
    ):
        for number in range(SOURCES + 1):
            client = await crowd.enter_async_context(raw_client(attacked.port, f"127.0.2.{1 + number}"))
            await send_password(client, "dora")
        await judging(attacked, SOURCES + 1)
        await send_password(honest, "dora", PASSWORD)
        told = await honest.expect(INFO_REQUEST)
        assert NotJudged.message.encode() in told
        go_on()
        async with asyncio.timeout(SECONDS):
            while await counted_failures(attacked) < SOURCES + 1:
                await asyncio.sleep(0.01)
        honest.answer(PASSWORD)
        await honest.expect(USERAUTH_SUCCESS)


async def terminal(attacked, client):
    await client.begin()
    await client.sign_in("mallory", attacked.mallory, attacked.code())
    channel = await client.channel()
    size = [u32(80), u32(24), u32(0), u32(0)]
    client.channel_request(channel, "pty-req", text("xterm"), *size, text(""))
    client.channel_request(channel, "shell")
    for _ in range(2):
        await client.expect(CHANNEL_SUCCESS)
    return channel


def idle_connections(port, count, sources):
    """Connect so many times from so many addresses and say nothing."""
    found = []
    for number in range(count):
        one = socket.socket()
        one.bind((f"127.0.1.{1 + number % sources}", 0))
        one.setblocking(False)
        one.connect_ex((HOST, port))
        found.append(one)
    return found


@pytest.mark.parametrize("sources", [1, 90])
async def test_nine_hundred_idle_connections_keep_nobody_out(attacked, sources):
    limits = Limits()
    most = min(limits.connections_per_source * sources, limits.unauthenticated_connections)
    idle = []
    try:
        for _ in range(9):
            idle += idle_connections(attacked.port, 100, sources)
            await asyncio.sleep(0.05)
        await attacked.still_serves()
        assert attacked.running.server.connection_count <= most + 1  # Bob may still be leaving.
        refused = attacked.running.server.misuses
        assert refused[Misuse.CROWD] + refused.get(Misuse.PACE, 0) >= 900 - most
    finally:
        for one in idle:
            one.close()


async def flooded(attacked, seconds):
    """Flood from one address and let Bob in as often as he can be."""
    flood = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(FLOOD), str(attacked.port), "1600", str(seconds),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    while not attacked.running.server.misuses:
        await asyncio.sleep(0.01)
    while flood.returncode is None:
        await attacked.still_serves()
    opened, _ = await flood.communicate()
    return int(opened)


async def test_flood_from_one_address(attacked):
    """A flood of connections from one address keeps nobody out."""
    opened = await flooded(attacked, 1)
    assert opened >= 1000
    assert attacked.running.server.misuses[Misuse.PACE] >= 300


@pytest.mark.soak
async def test_1600_connections_a_second(attacked):
    """Ten seconds of 1600 connections a second keep nobody out."""
    opened = await flooded(attacked, 10)
    assert opened >= 15_000
    assert attacked.running.server.misuses[Misuse.PACE] >= 10_000


async def test_stolen_key_without_code(attacked_with):
    """It neither fills the server nor keeps its owner out."""
    async with (
        attacked_with(Limits(code_connections_per_user=5)) as attacked,
        contextlib.AsyncExitStack() as held,
    ):
        for _ in range(8):
            client = await held.enter_async_context(raw_client(attacked.port))
            await client.begin()
            await client.pass_key("mallory", attacked.mallory)
        async with asyncio.timeout(SECONDS):
            while attacked.running.server.connection_count > 5:
                await asyncio.sleep(0.01)
        await attacked.audits(Misuse.CROWD)
        async with raw_client(attacked.port) as owner:
            await owner.begin()
            await owner.sign_in("mallory", attacked.mallory, attacked.code())
        await attacked.still_serves()


class Chatterbox(GreetingApp):
    """Draws something new all the time for Mallory."""

    def on_mount(self):
        if self.session.username == "mallory":
            self.set_interval(0.01, lambda: self.query_one("#greeting").update(os.urandom(600).hex()))


async def test_client_that_never_reads_its_screen(attacked_with):
    """A client that never reads its screen loses its session."""
    limits = Limits(unread_seconds=0.5, write_buffer_bytes=8192)
    async with (
        attacked_with(limits, Chatterbox) as attacked,
        raw_client(attacked.port, receive_buffer=4096) as client,
    ):
        await terminal(attacked, client)
        client.writer.transport.pause_reading()
        served = next(iter(attacked.running.server._context.connections)).transport.ssh
        assert served is not None
        served.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await attacked.audits(Misuse.UNREAD)
        await attacked.still_serves()
        async with asyncio.timeout(SECONDS):
            while attacked.running.server.session_count:
                await asyncio.sleep(0.01)


async def test_typing_a_megabyte(attacked):
    """It is read no faster than the app takes it."""
    async with raw_client(attacked.port) as client:
        channel = await terminal(attacked, client)
        window, sent = Limits().early_input_bytes, 0
        typing = asyncio.get_running_loop().time() + 1
        while sent < 1 << 20 and asyncio.get_running_loop().time() < typing:
            if window >= 32_000:
                client.send(packet(CHANNEL_DATA, u32(channel), text(b"a" * 32_000)))
                window, sent = window - 32_000, sent + 32_000
            with contextlib.suppress(TimeoutError):
                payload = await client.read(0.05)
                if payload[0] == WINDOW_ADJUST:
                    window += int.from_bytes(payload[5:9], "big")
        await attacked.still_serves()
        (server_side,) = (
            one for one in attacked.running.server._context.connections if one.channels.sessions
        )
        (session,) = server_side.channels.sessions
        assert session._driver is not None
        assert session._driver.backlog <= Limits().input_backlog + 600
        assert sent < 1 << 20


async def test_pasting_a_megabyte(attacked):
    """It arrives nowhere and harms nobody."""
    async with raw_client(attacked.port) as client:
        channel = await terminal(attacked, client)
        window = Limits().early_input_bytes
        text_left = b"\x1b[200~" + b"x" * (1 << 20) + b"\x1b[201~q"
        while text_left:
            if window >= 16_000:
                part, text_left = text_left[:16_000], text_left[16_000:]
                client.send(packet(CHANNEL_DATA, u32(channel), text(part)))
                window -= len(part)
                continue
            payload = await client.read()
            if payload[0] == WINDOW_ADJUST:
                window += int.from_bytes(payload[5:9], "big")
        await client.expect(CHANNEL_CLOSE)
        assert attacked.running.apps[0].keys == ["q"]
