"""The data of jumps past asyncssh: whole and in order, and nothing that asyncssh would not take."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32
from support.jump_gate import GCM, WITHIN, Gate, gate_of
from support.ssh_server import until
from support.ssh_users import People

from data.rules.protocol_misuse import Misuse
from sshserver.limits.limit_values import Limits

ADJUST, DATA = 93, 94
SMALL_WINDOW = 1000

pytestmark = pytest.mark.feature("jumps-carried")


@pytest.fixture
async def gate(people: People) -> AsyncIterator[Gate]:
    async with gate_of(people) as found:
        await found.add("db1")
        yield found


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What asyncssh itself does on the server with the data of channels."""
    done: list[str] = []
    write, handlers = asyncssh.SSHTCPChannel.write, asyncssh.SSHTCPChannel._packet_handlers
    process: Any = handlers[DATA]

    def noted(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def method(channel: Any, *rest: Any) -> Any:
            if channel.get_connection().is_server():
                done.append(name)
            return act(channel, *rest)

        return method

    monkeypatch.setattr(asyncssh.SSHTCPChannel, "write", noted("sent", write))
    monkeypatch.setitem(handlers, DATA, noted("received", process))  # type: ignore[arg-type]
    return done


@pytest.mark.parametrize(
    ("cipher", "options", "by_asyncssh"),
    [
        (GCM, {}, set()),
        ("aes256-gcm@openssh.com", {"max_pktsize": 4096}, set()),
        (GCM, {"window": 5000, "max_pktsize": 4096}, {"sent"}),
        ("chacha20-poly1305@openssh.com", {}, {"sent", "received"}),
    ],
    ids=["gcm", "small packets", "small window", "chacha20"],
)
async def test_what_two_jumps_carry_is_whole(gate, packets, cipher, options, by_asyncssh):
    """In pieces of all sizes, both ways at once; asyncssh is needed for what the window has no room for."""
    connection = await gate.connect(encryption_algs=[cipher])
    await asyncio.gather(*(_echoed(gate, connection, seed, **options) for seed in range(2)))
    assert set(packets) == by_asyncssh
    connection.close()


async def test_keys_are_exchanged_meanwhile(gate, packets):
    """Both sides ask for it again and again, and neither sends data until it is over."""
    connection = await gate.connect(rekey_bytes=300_000)
    (served,) = gate.server._context.connections
    served.transport.ssh._rekey_bytes = 200_000
    exchanged: list[bytes] = []
    send_newkeys = served.transport.ssh.send_newkeys

    def noted(*secrets: bytes) -> None:
        exchanged.append(secrets[-1])
        send_newkeys(*secrets)

    served.transport.ssh.send_newkeys = noted
    await _echoed(gate, connection, 1)
    assert len(set(exchanged)) > 2
    assert "sent" in packets, "what came meanwhile waited"
    connection.close()


Breach = Callable[[Any, Any], object]
BREACHES: dict[str, Breach] = {
    "more than the window": lambda _, channel: channel.send_packet(DATA, String(b"x" * (SMALL_WINDOW + 1))),
    "more than its length": lambda _, channel: channel.send_packet(DATA, String(b"x"), b"x"),
    "less than its length": lambda _, channel: channel.send_packet(DATA, UInt32(2), b"x"),
    "no length": lambda _, channel: channel.send_packet(DATA),
    "after the end": lambda _, channel: (channel.write_eof(), channel.send_packet(DATA, String(b"x"))),
    "no such channel": lambda connection, _: connection.send_packet(DATA, UInt32(77), String(b"x")),
    "half a number": lambda _, channel: channel.send_packet(ADJUST, b"\0\0"),
    "two numbers": lambda _, channel: channel.send_packet(ADJUST, UInt32(1), UInt32(1)),
    "altered": lambda connection, channel: (_alter_next(connection), channel.write(b"x")),
    "too large": lambda connection, _: connection._send(b"\0\2\0\0" + bytes(12)),
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
async def test_what_breaks_the_protocol_ends_the_connection(people: People, breach: Breach):
    """The target gets what came before it, and nothing of it."""
    async with gate_of(people, Limits(jump_window=SMALL_WINDOW)) as gate:
        await gate.add("db1")
        connection = await gate.connect()
        reader, writer = await connection.open_connection("db1", gate.host.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        breach(connection, writer.channel)
        await asyncio.wait_for(connection.wait_closed(), WITHIN)
        await gate.closed()
        assert gate.server.misuses == {Misuse.PROTOCOL: 1}
        await until(lambda: gate.host.gone == 1, WITHIN)
        assert gate.host.got == b"before"


async def _echoed(gate: Gate, connection: asyncssh.SSHClientConnection, seed: int, **options: Any) -> None:
    """Send a jump's target a megabyte, and expect it back."""
    chance = random.Random(seed)
    sent = chance.randbytes(1_000_000)
    reader, writer = await connection.open_connection("db1", gate.host.port, **options)
    reading = asyncio.ensure_future(reader.read())
    at = 0
    while at < len(sent):
        size = chance.choice([1, 7, 4096, 32_768, 100_000])
        writer.write(sent[at : at + size])
        await writer.drain()
        at += size
    writer.write_eof()
    assert await asyncio.wait_for(reading, WITHIN) == sent + b"<end>"
    writer.close()


def _alter_next(connection: Any) -> None:
    send = connection._send

    def altered(packet: bytes) -> None:
        send(packet[:-1] + bytes([packet[-1] ^ 1]))

    connection._send = altered
