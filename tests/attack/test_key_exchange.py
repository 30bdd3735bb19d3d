"""What has no place in a key exchange, and what is no SSH at all."""

import asyncio
import contextlib

import pytest
from support.raw_ssh_client import (
    CHANNEL_OPEN,
    DEBUG,
    EXT_INFO,
    IGNORE,
    INFO_RESPONSE,
    KEXINIT,
    NEWKEYS,
    SERVICE_REQUEST,
    UNIMPLEMENTED,
    USERAUTH_REQUEST,
    USERAUTH_SUCCESS,
    Closed,
    flag,
    packet,
    raw_client,
    text,
    u32,
)

from data.rules.protocol_misuse import Misuse
from sshserver.limits.limit_values import Limits

CHATTER = [
    packet(IGNORE, text("x")),
    packet(DEBUG, flag(False), text("x"), text("")),
    packet(UNIMPLEMENTED, u32(0)),
    packet(EXT_INFO, u32(0)),
]
CHATTER_NAMES = ["IGNORE", "DEBUG", "UNIMPLEMENTED", "EXT_INFO"]
EARLY = [
    packet(SERVICE_REQUEST, text("ssh-userauth")),
    packet(USERAUTH_REQUEST, text("bob"), text("ssh-connection"), text("none")),
    packet(USERAUTH_SUCCESS),
    packet(INFO_RESPONSE, u32(1), text("123456")),
    packet(CHANNEL_OPEN, text("session"), u32(0), u32(1), u32(1)),
    packet(200),
]


async def refused(attacked, *before_newkeys, first=()):
    async with raw_client(attacked.port) as client:
        with contextlib.suppress(Closed):
            await client.exchange_keys(*before_newkeys, first=first)
            await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


@pytest.mark.parametrize("payload", CHATTER[:3], ids=CHATTER_NAMES[:3])
async def test_chatter_before_key_exchange(attacked, payload):
    await refused(attacked, first=[payload])


@pytest.mark.parametrize("payload", CHATTER, ids=CHATTER_NAMES)
async def test_chatter_before_new_keys(attacked, payload):
    """Chatter between the key exchange and the new keys is refused."""
    await refused(attacked, payload)


@pytest.mark.parametrize(
    "payload", EARLY, ids=["service", "sign-in", "success", "answer", "channel", "other"]
)
async def test_what_comes_before_there_are_keys_is_refused(attacked, payload):
    await refused(attacked, payload)


async def test_new_keys_that_were_not_exchanged_are_refused(attacked):
    await refused(attacked, first=[packet(NEWKEYS)])


async def test_a_damaged_packet_ends_the_connection(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.send_raw(u32(32) + bytes(48))
        assert await client.end() is not None
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


@pytest.mark.parametrize("length", [0, 1, 7, 65537, 1 << 20, 0xFFFFFFFF])
@pytest.mark.parametrize("encrypted", [False, True], ids=["before keys", "after keys"])
async def test_impossible_packet_length(attacked, encrypted, length):
    async with raw_client(attacked.port) as client:
        if encrypted:
            await client.begin()
        else:
            client.send_raw(b"SSH-2.0-raw\r\n")
            await client.reader.readline()
        client.send_raw(u32(length) + bytes(64))
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


@pytest.mark.parametrize(
    "payload",
    [
        packet(KEXINIT),
        packet(KEXINIT, bytes(16), u32(0xFFFFFFFF)),
        packet(SERVICE_REQUEST),
        packet(SERVICE_REQUEST, text("ssh-connection")),
        packet(USERAUTH_REQUEST, u32(0xFFFFFFFF)),
        packet(USERAUTH_REQUEST, text("bob"), text("other"), text("none")),
        packet(IGNORE, u32(5)),
        packet(DEBUG, flag(True), text(b"\xff"), text("")),
    ],
    ids=["kexinit", "4 GB", "service", "its name", "user of 4 GB", "other", "ignore", "debug"],
)
async def test_a_malformed_packet_ends_the_connection(attacked, payload):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.send(payload)
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


async def test_an_empty_packet_ends_the_connection(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.send(b"")
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        b"\x00",
        bytes(range(256)) * 64,
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-" + b"x" * 20_000,
        b"SSH-2.0-\xff\xff\r\n",
        b"EHLO example.org\r\n",
    ],
    ids=["HTTP", "TLS", "RDP", "NUL", "garbage", "SSH 1", "endless version", "bytes", "SMTP"],
)
async def test_other_protocols_are_hung_up_on(attacked, words):
    async with raw_client(attacked.port) as client:
        client.send_raw(words)
        async with asyncio.timeout(20):
            assert await client.reader.readline() == b"SSH-2.0-Twofold\r\n"
            # What was sent and not read makes the end a reset.
            with contextlib.suppress(ConnectionResetError):
                await client.reader.read()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


async def test_slow_version_string(attacked_with):
    """A version that drips in slowly has the time of the first factor and no more."""
    async with attacked_with(Limits(first_factor_seconds=0.5)) as attacked:
        async with raw_client(attacked.port) as client:
            for letter in b"SSH-2.0-slow":
                client.send_raw(bytes([letter]))
                await asyncio.sleep(0.03)
            assert await client.end() is None
        assert attacked.running.server.misuses == {Misuse.LATE: 1}


async def test_chatter_without_end_is_ended(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        for _ in range(20_000):
            client.send(packet(IGNORE, text(bytes(16))))
        await client.end()
    assert attacked.running.server.misuses == {Misuse.FLOOD: 1}
