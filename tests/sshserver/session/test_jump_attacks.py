"""Jumps under attack: whoever opens too much, or reads nothing, is bounded, and others are served."""

import asyncio
import time
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32
from support.jump_gate import GCM, WITHIN, Gate, gate_of
from support.ssh_server import connect, until
from support.ssh_users import People

from data.rules.protocol_misuse import Misuse
from sshserver.limits.limit_values import Limits

GLOBAL_REQUEST, OPEN = 80, 90
"""From RFC 4254."""
MOST = 0xFFFFFFFF
MB = 1 << 20
CHANNELS = 300
SERVED = 2.0
"""Seconds of CPU within which others are served, where it takes as little as below while all is quiet.

All of it is in this process: what other processes take meanwhile does not count.
"""
QUIET = 0.25
"""Seconds of CPU for a sign-in and a jump while all is quiet; a slower machine gets more."""
WAITING = 30
"""Seconds of the clock for the same."""

pytestmark = pytest.mark.feature("jumps-attacked")


async def jump_of_ben(gate: Gate) -> float:
    """Sign in as Ben and send a byte through a jump; return how much CPU was taken until then."""
    gate.people.clock.forward(60)
    began = time.process_time()
    connection, _ = await connect(
        gate.server.port, "ben", [gate.people.code()], keys=[gate.people.keys["ben"]]
    )
    reader, writer = await connection.open_connection("db1", gate.host.port)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    took = time.process_time() - began
    connection.close()
    return took


async def beside(gate: Gate, quiet: float) -> None:
    """Have Ben served three times, while someone else attacks."""
    for _ in range(3):
        assert await asyncio.wait_for(jump_of_ben(gate), WAITING) < SERVED * max(1.0, quiet / QUIET)


async def opens(connection: asyncssh.SSHClientConnection, host: str, port: int) -> str:
    """Try to open a jump; return why it was refused, or nothing."""
    try:
        await connection.open_connection(host, port)
    except asyncssh.ChannelOpenError as refused:
        return refused.reason
    return ""


async def test_many_channels_and_a_flood_of_refused_ones(people: People):
    """As many are open as the limit says, however many are asked for at once."""
    async with gate_of(people) as gate:
        await people.add_with_key("ben")
        await gate.add("db1")
        quiet = await jump_of_ben(gate)
        connection = await gate.connect()
        flood = asyncio.gather(*(opens(connection, "db1", gate.host.port) for _ in range(CHANNELS)))
        refused = asyncio.gather(*(opens(connection, "db9", 22) for _ in range(CHANNELS)))
        await beside(gate, quiet)
        answers = await asyncio.wait_for(flood, 60)
        most = gate.server._context.limits.jumps_per_connection
        assert answers.count("") <= most
        full = f"This connection has {most} open jumps, which is the limit."
        assert {words for words in answers if words} <= {f"{full} Close one, or open another connection."}
        await asyncio.wait_for(refused, 60)
        connection.abort()
        await until(lambda: not gate.server.jump_ids())


async def test_peers_that_never_answer_or_never_read(people: People):
    """A target that takes nothing, one that sends without end to a client that does not read."""
    async with gate_of(people) as gate:
        await people.add_with_key("ben")
        await gate.add("db1")
        quiet = await jump_of_ben(gate)
        release = asyncio.Event()

        async def push_or_ignore(reader, writer):
            if await reader.read(1) == b"i":
                await release.wait()
                return
            while True:
                writer.write(bytes(65536))
                await writer.drain()

        echo, gate.host.serve = gate.host.serve, push_or_ignore
        connection = await gate.connect()
        unread = []
        for mark in (b"p", b"i") * 5:
            reader, writer = await connection.open_connection("db1", gate.host.port, window=65536)
            reader.channel.pause_reading()
            writer.write(mark)
            unread.append((reader, writer))
        await until(lambda: gate.host.connected >= 10)
        gate.host.serve = echo
        async with asyncio.timeout(60):
            stuck = [asyncio.create_task(fill(writer)) for _, writer in unread[1::2]]
            await beside(gate, quiet)
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck)
        release.set()
        connection.abort()
        await until(lambda: not gate.server.jump_ids())


async def fill(writer):
    """Send to a target that reads nothing, for as long as anything is taken."""
    while True:
        writer.write(bytes(65536))
        await writer.drain()


@pytest.mark.parametrize("cipher", [GCM, "chacha20-poly1305@openssh.com"])
async def test_a_key_exchange_that_the_client_does_not_end(people: People, cipher: str):
    """No target is read meanwhile, not even one that is reached later: asyncssh would keep all of it."""
    async with gate_of(people) as gate:
        await gate.add("db1")
        pushed = 0

        async def push(_reader, writer):
            nonlocal pushed
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                pushed += 65536

        gate.host.serve = push
        connection: Any = await gate.connect(encryption_algs=[cipher])
        await connection.open_connection("db1", gate.host.port, window=MOST)
        (served,) = gate.server._context.connections
        served_by = served.transport.ssh
        connection.process_packet = lambda *_: True
        connection._send_kexinit()
        connection._kex_complete = True  # It sends on as if nothing were.
        await until(lambda: not served_by._kex_complete, WITHIN)
        asked = String("direct-tcpip") + UInt32(1) + UInt32(MOST) + UInt32(32768) + String("db1")
        connection.send_packet(OPEN, asked, UInt32(gate.host.port), String("here"), UInt32(1))
        await until(lambda: gate.host.connected == 2, WITHIN)
        await until(lambda: len(served_by._deferred_packets) > 0, WITHIN)
        async with asyncio.timeout(WITHIN):
            last = -1
            while last != pushed:
                last = pushed
                await asyncio.sleep(0.3)
                assert pushed < 50 * MB
        assert sum(len(b"".join(args)) for _, args in served_by._deferred_packets) < MB
        connection.abort()
        await until(lambda: not gate.server.jump_ids(), WITHIN)


async def test_answers_for_a_client_that_does_not_end_a_key_exchange(people: People):
    """They wait for its end, and there are so many at most."""
    async with gate_of(people, Limits(unsent_bytes=100_000)) as gate:
        connection: Any = await gate.connect()
        connection.process_packet = lambda *_: True
        connection._send_kexinit()
        connection._kex_complete = True
        for _ in range(200):
            connection.send_packet(GLOBAL_REQUEST, String("keepalive@openssh.com"), Boolean(True))
        await until(lambda: gate.server.misuses.get(Misuse.FLOOD) == 1, WITHIN)
        await asyncio.wait_for(connection.wait_closed(), WITHIN)
