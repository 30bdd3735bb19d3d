"""Those who are signed in and cost much: others are served all the same."""

import asyncio
import contextlib
import itertools
import socket
import statistics
import struct

import pytest
from support.raw_ssh_client import (
    CHANNEL_DATA,
    GLOBAL_REQUEST,
    WINDOW_ADJUST,
    flag,
    packet,
    raw_client,
    text,
    u32,
)
from support.ssh_server import GreetingApp, until
from textual.app import ComposeResult
from textual.widgets import Static

TIMES_AS_LONG = 25
"""What a sign-in and its screen may take at most beside the attack, as a multiple of what they take alone."""
CHANNELS = 10
"""The sessions of one connection."""


class Heavy(GreetingApp):
    """A screen whose layout is work."""

    def compose(self) -> ComposeResult:
        yield from super().compose()
        for number in range(60):
            yield Static(f"[b]Line[/b] {number}: " + "words that are wrapped " * 8)


@contextlib.asynccontextmanager
async def hostile(attacked, connections):
    """Mallory's terminals, as many as a connection carries, whose screens are thrown away as they come."""
    async with contextlib.AsyncExitStack() as held, asyncio.TaskGroup() as reading:
        found, tasks = [], []
        for _ in range(connections):
            client = await held.enter_async_context(raw_client(attacked.port))
            await client.begin()
            await client.sign_in("mallory", attacked.mallory, attacked.code())
            found.append((client, [await client.terminal(number=number) for number in range(CHANNELS)]))
            tasks.append(reading.create_task(throw_away(client)))
        yield found
        for task in tasks:
            task.cancel()


async def throw_away(client):
    while await client.reader.read(1 << 16):
        pass


def resize(client, channels, number):
    for channel in channels:
        client.send(packet(WINDOW_ADJUST, u32(channel), u32(1 << 16)))
        client.resize(channel, 70 + number % 60, 24 + number % 20)


def open_byte_by_byte(client, channels, number):
    """The windows are filled by what the resizes draw, and then opened by as little as can be."""
    for channel in channels:
        client.resize(channel, 70 + number % 60, 24 + number % 20)
        client.send(packet(WINDOW_ADJUST, u32(channel), u32(1)))


ATTACKS = [resize, open_byte_by_byte]


async def without_pause(act, clients):
    for number in itertools.count():
        for client, channels in clients:
            act(client, channels, number)
        await asyncio.sleep(0.005)


async def seconds_to_serve(attacked, times):
    """The median of what a sign-in, a screen and its end take."""
    loop = asyncio.get_running_loop()
    found = []
    for _ in range(times):
        begun = loop.time()
        await attacked.still_serves()
        found.append(loop.time() - begun)
    return statistics.median(found)


async def others_are_served(attacked_with, attack, connections, times):
    async with attacked_with(None, Heavy) as attacked:
        quiet = await seconds_to_serve(attacked, 3)
        async with hostile(attacked, connections) as clients:
            attacking = asyncio.create_task(without_pause(attack, clients))
            await asyncio.sleep(0.5)
            beside = await seconds_to_serve(attacked, times)
            assert not attacking.done()
            attacking.cancel()
        assert beside < TIMES_AS_LONG * quiet


@pytest.mark.parametrize("attack", ATTACKS)
async def test_ten_busy_sessions(attacked_with, attack):
    """Ten sessions that never pause keep nobody waiting."""
    await others_are_served(attacked_with, attack, 1, 3)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("attack", ATTACKS)
async def test_twenty_busy_sessions(attacked_with, attack):
    """Twenty sessions that never pause keep nobody waiting for long."""
    await others_are_served(attacked_with, attack, 2, 30)


async def test_flood_of_small_requests(attacked):
    """It is read only as far as its user has a share."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())
        served = next(iter(attacked.running.server._context.connections)).transport.ssh._transport
        async with asyncio.timeout(30):
            while served.is_reading():
                for _ in range(1000):
                    client.send(packet(GLOBAL_REQUEST, text("keepalive@example.org"), flag(True)))
                await asyncio.sleep(0)
        await attacked.still_serves()
        await until(served.is_reading)


async def test_nothing_written_after_hang_up(attacked_with, caplog):
    """Nothing is written to a client that hung up while its screen was drawn."""
    hang_up = []

    class Overflowing(GreetingApp):
        def on_key(self, event):
            if event.key == "w":
                hang_up.pop()()
                # The client's socket is reset by a callback of the loop, and this one follows it at once.
                asyncio.get_running_loop().call_soon(self._driver.write, "x" * 500_000)

    async with attacked_with(None, Overflowing) as attacked, raw_client(attacked.port) as client:
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())
        channel = await client.terminal()
        await client.expect(CHANNEL_DATA)

        lingering = client.writer.get_extra_info("socket")
        lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        hang_up.append(client.writer.transport.abort)
        client.send(packet(CHANNEL_DATA, u32(channel), text("w")))
        async with asyncio.timeout(20):
            while attacked.running.server.connection_count:
                await asyncio.sleep(0.01)
        assert hang_up == []
        assert "socket.send() raised exception" not in caplog.text
        await attacked.still_serves()
