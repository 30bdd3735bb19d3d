"""An SSH client that sends whatever it is told: the wire as an attacker has it.

It speaks one key exchange (curve25519-sha256) and one cipher (aes128-gcm), and shares no code with the
server's library.
"""

import asyncio
import hashlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HOST = "127.0.0.1"
ELSEWHERE = "127.0.0.2"
"""Another source address of the loopback interface."""

DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO = 1, 2, 3, 4, 5, 6, 7
KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 20, 21, 30, 31
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER = 50, 51, 52, 53
PK_OK = INFO_REQUEST = 60
INFO_RESPONSE = 61
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
CHANNEL_OPEN, OPEN_CONFIRMATION, OPEN_FAILURE, WINDOW_ADJUST = 90, 91, 92, 93
CHANNEL_DATA, CHANNEL_EOF, CHANNEL_CLOSE, CHANNEL_REQUEST = 94, 96, 97, 98
CHANNEL_SUCCESS, CHANNEL_FAILURE = 99, 100

_VERSION = b"SSH-2.0-raw"
_NEWS = (IGNORE, DEBUG, EXT_INFO, USERAUTH_BANNER, GLOBAL_REQUEST)
_NEWS += (WINDOW_ADJUST, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_REQUEST)
_STRICT = "kex-strict-c-v00@openssh.com"


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return u32(len(data)) + data


def flag(value: bool) -> bytes:
    return bytes([value])


def packet(kind: int, *parts: bytes) -> bytes:
    return bytes([kind]) + b"".join(parts)


def strings(data: bytes, count: int) -> list[bytes]:
    """Read so many strings from the beginning of `data`."""
    found = []
    for _ in range(count):
        length = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def _mpint(data: bytes) -> bytes:
    data = data.lstrip(b"\0")
    return text(b"\0" + data if data and data[0] & 0x80 else data)


class Closed(Exception):  # noqa: N818 - it is what happened, and most tests want it.
    """The server ended the connection; `reason` is what it said, or None."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


class _Cipher:
    """One direction under aes128-gcm@openssh.com (RFC 5647)."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._gcm = AESGCM(key)
        self._fixed, self._counter = nonce[:4], int.from_bytes(nonce[4:], "big")

    def _next(self) -> bytes:
        nonce = self._fixed + (self._counter & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
        self._counter += 1
        return nonce

    def seal(self, length: bytes, data: bytes) -> bytes:
        return length + self._gcm.encrypt(self._next(), data, length)

    def open(self, length: bytes, data: bytes) -> bytes:
        return self._gcm.decrypt(self._next(), data, length)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.session_id = b""
        self.prompts: list[str] = []
        self.told: list[str] = []
        """The instruction of each question."""
        self._sending: _Cipher | None = None
        self._receiving: _Cipher | None = None

    # Packets.

    def send(self, payload: bytes) -> None:
        """Send a packet, encrypted once keys are in use."""
        block = 16 if self._sending else 8
        head = 1 if self._sending else 5
        padding = block - (len(payload) + head) % block
        padding += block if padding < 4 else 0
        length = u32(1 + len(payload) + padding)
        data = bytes([padding]) + payload + bytes(padding)
        self.writer.write(self._sending.seal(length, data) if self._sending else length + data)

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are no packet."""
        self.writer.write(data)

    async def read(self, seconds: float = 20) -> bytes:
        """Return the next packet's payload.

        Raises:
            Closed: when the server has ended the connection.
        """
        try:
            async with asyncio.timeout(seconds):
                length = await self.reader.readexactly(4)
                rest = int.from_bytes(length, "big") + (16 if self._receiving else 0)
                data = await self.reader.readexactly(rest)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Closed(None) from None
        if self._receiving:
            data = self._receiving.open(length, data)
        payload = data[1 : len(data) - data[0]]
        if payload[0] == DISCONNECT:
            raise Closed(strings(payload[5:], 1)[0].decode())
        return payload

    async def expect(self, *kinds: int) -> bytes:
        """Return the next packet that is of one of these kinds, passing over news that answer nothing."""
        while True:
            payload = await self.read()
            if payload[0] in kinds:
                return payload
            assert payload[0] in _NEWS, f"packet {payload[0]} came, {kinds} were expected"

    async def end(self, seconds: float = 20) -> str | None:
        """Read to the end of the connection and return what the server said last."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self.read(seconds)
                except Closed as closed:
                    return closed.reason

    # Key exchange.

    async def exchange_versions(self) -> bytes:
        """Send a version line and return the server's.

        Raises:
            Closed: when the server has ended the connection.
        """
        self.send_raw(_VERSION + b"\r\n")
        try:
            return (await self.reader.readuntil(b"\n")).strip()
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Closed(None) from None

    async def exchange_keys(
        self,
        *before_newkeys: bytes,
        first: Sequence[bytes] = (),
        compare: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """Exchange keys, with packets that have no place there before ours or before NEWKEYS.

        `compare` is called where a person compares the host key's fingerprint.
        """
        server_version = await self.exchange_versions()
        for payload in first:
            self.send(payload)
        ours = _kexinit()
        self.send(ours)
        theirs = await self.expect(KEXINIT)
        private = X25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        self.send(packet(KEX_INIT, text(public)))
        for payload in before_newkeys:
            self.send(payload)
        host_key, their_public, _signature = strings((await self.expect(KEX_REPLY))[1:], 3)
        secret = _mpint(private.exchange(X25519PublicKey.from_public_bytes(their_public)))
        parts = [_VERSION, server_version, ours, theirs, host_key, public, their_public]
        digest = hashlib.sha256(b"".join(map(text, parts)) + secret).digest()
        self.session_id = self.session_id or digest

        def derive(letter: bytes, size: int) -> bytes:
            return hashlib.sha256(secret + digest + letter + self.session_id).digest()[:size]

        await self.expect(NEWKEYS)
        if compare is not None:
            await compare()
        self.send(packet(NEWKEYS))
        self._sending = _Cipher(derive(b"C", 16), derive(b"A", 12))
        self._receiving = _Cipher(derive(b"D", 16), derive(b"B", 12))

    # Sign-in.

    async def begin(self, compare: Callable[[], Awaitable[object]] | None = None) -> None:
        """Exchange keys and ask for the sign-in service."""
        await self.exchange_keys(compare=compare)
        self.send(packet(SERVICE_REQUEST, text("ssh-userauth")))
        await self.expect(SERVICE_ACCEPT)

    def request(self, user: str | bytes, method: str, *fields: bytes) -> None:
        """Send a sign-in request."""
        self.send(packet(USERAUTH_REQUEST, text(user), text("ssh-connection"), text(method), *fields))

    def ask_questions(self, user: str | bytes) -> None:
        """Ask to be asked."""
        self.request(user, "keyboard-interactive", text(""), text(""))

    def answer(self, *answers: str | bytes) -> None:
        """Answer the questions."""
        self.send(packet(INFO_RESPONSE, u32(len(answers)), *map(text, answers)))

    async def question(self) -> str:
        """Wait for a question and return its first prompt."""
        payload = await self.expect(INFO_REQUEST)
        _, _, _ = strings(payload[1:], 3)
        name, told, lang = strings(payload[1:], 3)
        rest = payload[1 + 12 + len(name) + len(told) + len(lang) :]
        prompt = strings(rest[4:], 1)[0].decode() if int.from_bytes(rest[:4], "big") else told.decode()
        self.prompts.append(prompt)
        self.told.append(told.decode())
        return prompt

    def probe_key(self, user: str, key: Ed25519PrivateKey) -> None:
        """Ask whether a key would do, without a signature."""
        self.request(user, "publickey", flag(False), text("ssh-ed25519"), text(public_blob(key)))

    def sign_with(self, user: str | bytes, key: Ed25519PrivateKey) -> None:
        """Prove a key."""
        fields = [flag(True), text("ssh-ed25519"), text(public_blob(key))]
        signed = packet(USERAUTH_REQUEST, text(user), text("ssh-connection"), text("publickey"), *fields)
        signature = key.sign(text(self.session_id) + signed)
        self.send(signed + text(text("ssh-ed25519") + text(signature)))

    async def pass_key(self, user: str, key: Ed25519PrivateKey) -> None:
        """Prove a key and see that it was partial success."""
        self.sign_with(user, key)
        failure = await self.expect(USERAUTH_FAILURE)
        assert failure[-1] == 1, "the key was no partial success"

    async def sign_in(self, user: str, key: Ed25519PrivateKey, code: str) -> None:
        """Prove both factors."""
        await self.pass_key(user, key)
        self.ask_questions(user)
        await self.question()
        self.answer(code)
        await self.expect(USERAUTH_SUCCESS)

    # Channels.

    def open_channel(
        self,
        kind: str = "session",
        number: int = 0,
        *fields: bytes,
        window: int = 1 << 20,
        packet_bytes: int = 1 << 15,
    ) -> None:
        """Ask for a channel; `window` and `packet_bytes` are what this side takes, in all and at a time."""
        sizes = [u32(window), u32(packet_bytes)]
        self.send(packet(CHANNEL_OPEN, text(kind), u32(number), *sizes, *fields))

    def channel_request(self, channel: int, name: str, *fields: bytes, reply: bool = True) -> None:
        """Ask something of a channel."""
        self.send(packet(CHANNEL_REQUEST, u32(channel), text(name), flag(reply), *fields))

    async def channel(self, number: int = 0, window: int = 1 << 20) -> int:
        """Open a session channel and return the server's number of it."""
        self.open_channel(number=number, window=window)
        return int.from_bytes((await self.expect(OPEN_CONFIRMATION))[5:9], "big")

    async def terminal(
        self, columns: int = 80, rows: int = 24, number: int = 0, window: int = 1 << 20
    ) -> int:
        """Open a session channel with a terminal and a shell; return the server's number of it."""
        channel = await self.channel(number, window)
        size = [u32(columns), u32(rows), u32(0), u32(0)]
        self.channel_request(channel, "pty-req", text("xterm"), *size, text(""))
        self.channel_request(channel, "shell")
        for _ in range(2):
            await self.expect(CHANNEL_SUCCESS)
        return channel

    def resize(self, channel: int, columns: int, rows: int) -> None:
        """Tell the size of a channel's terminal."""
        sizes = [u32(columns), u32(rows), u32(0), u32(0)]
        self.channel_request(channel, "window-change", *sizes, reply=False)


def public_blob(key: Ed25519PrivateKey) -> bytes:
    """The public key as it stands on the wire."""
    return text("ssh-ed25519") + text(key.public_key().public_bytes_raw())


@asynccontextmanager
async def raw_client(
    port: int, source: str = HOST, receive_buffer: int | None = None
) -> AsyncIterator[RawClient]:
    """Connect over TCP, and no further."""
    client = await raw_connect(port, source, receive_buffer)
    try:
        yield client
    finally:
        client.writer.transport.abort()


async def raw_connect(port: int, source: str = HOST, receive_buffer: int | None = None) -> RawClient:
    """Connect over TCP; the caller closes."""
    connecting = socket.socket()
    connecting.setblocking(False)
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if receive_buffer is not None:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connecting.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(connecting, (HOST, port))
    reader, writer = await asyncio.open_connection(sock=connecting)
    return RawClient(reader, writer)


def _kexinit() -> bytes:
    lists = [f"curve25519-sha256,{_STRICT}", "ssh-ed25519"]
    lists += ["aes128-gcm@openssh.com"] * 2 + ["hmac-sha2-256-etm@openssh.com"] * 2 + ["none"] * 2 + [""] * 2
    return packet(KEXINIT, os.urandom(16), *map(text, lists), flag(False), u32(0))
