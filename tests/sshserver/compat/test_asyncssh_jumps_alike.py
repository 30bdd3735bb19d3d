"""Whatever a client and the server do, a jump's channel behaves as it does where asyncssh handles all."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest
from asyncssh.encryption import GCMEncryption
from asyncssh.packet import Byte, String, UInt32
from hypothesis import given, settings
from hypothesis import strategies as st

from sshserver.compat.asyncssh_gcm import OneGCM
from sshserver.compat.asyncssh_jumps import DataReceiver, JumpChannel, send_data

IGNORE, ADJUST, DATA, EOF, CLOSE, REQUEST = 2, 93, 94, 96, 97, 98
CHANNELS = 2
WINDOW = 300
PACKET = 64
"""The largest that the client takes."""
LARGEST = 2048
"""The largest packet that the server takes."""
KEY, IV = bytes(16), bytes(12)
OPTIONS = asyncssh.SSHServerConnectionOptions(
    server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")], config=None
)

pytestmark = pytest.mark.feature("jumps-carried")


def seals(number: int = 0) -> GCMEncryption:
    return GCMEncryption(OneGCM("aes128-gcm", KEY[:-1] + bytes([number]), IV))


class Wire(asyncio.Transport):
    """The client's side of the connection: it opens what the server seals."""

    def __init__(self) -> None:
        self.opens = seals()
        self.packets: list[bytes] = []

    def write(self, data: Any) -> None:
        sealed = bytes(data)
        while sealed:
            end = 4 + int.from_bytes(sealed[:4], "big") + 16
            packet = self.opens.decrypt_packet(
                0, sealed[:16], sealed[16 : end - 16], 4, sealed[end - 16 : end]
            )
            assert packet is not None, "out of order"
            assert len(packet) % 16 == 0
            assert 4 <= packet[0] < len(packet)
            self.packets.append(packet[1 : -packet[0]])
            sealed = sealed[end:]

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass


class Taker(asyncssh.SSHTCPSession[bytes]):
    """Notes what its client sends, and when it is told to pause."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = False
        self.lost = False
        self.paused = False

    def data_received(self, data: Any, _datatype: Any) -> None:
        self.got += data

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False


class Side:
    """A connection of the server with open channels, all of whose packets one of both handles."""

    def __init__(self, *, is_ours: bool) -> None:
        self.is_ours = is_ours
        self.wire = Wire()
        self.errors: list[type[BaseException]] = []
        self.connection: Any = asyncssh.SSHServerConnection(asyncio.get_running_loop(), OPTIONS)
        self._prepare()
        self.takers = [Taker() for _ in range(CHANNELS)]
        self.channels = [self._open(taker) for taker in self.takers]

    def _prepare(self) -> None:
        connection = self.connection
        connection._transport = self.wire
        connection._auth_complete = connection._kex_complete = True
        connection._send_encryption, connection._recv_encryption = seals(), seals()
        connection._recv_blocksize = connection._recv_macsize = connection._send_blocksize = 16
        connection._send_enchdrlen = 1
        connection._max_recv_pktlen = LARGEST
        connection._rekey_time = float("inf")
        if self.is_ours:
            connection._recv_pkthdr = DataReceiver(connection)
        connection._recv_handler = connection._recv_pkthdr
        close = connection._force_close

        def noted(error: BaseException) -> None:
            self.errors.append(type(error))
            close(error)

        connection._force_close = noted

    def _open(self, taker: Taker) -> Any:
        made: Any
        if self.is_ours:
            made = JumpChannel(self.connection, WINDOW)
        else:
            made = asyncssh.SSHTCPChannel(
                self.connection, asyncio.get_running_loop(), None, "strict", WINDOW, 32768
            )
        made._send_chan, made._send_window, made._send_pktsize = made._recv_chan, WINDOW, PACKET
        made._send_state = made._recv_state = "open"
        made._session, made._recv_paused = taker, False
        made.set_write_buffer_limits(100, 50)
        return made

    def send(self, number: int, data: bytes) -> bool:
        """Send as a jump does; return whether it could."""
        channel = self.channels[number]
        if self.takers[number].lost:
            return False
        try:
            if self.is_ours:
                send_data(channel, memoryview(data))
            else:
                channel.write(data)
        except OSError:
            return False
        return True

    def receive(self, data: bytes, size: int) -> None:
        for at in range(0, len(data), size):
            if self.connection._transport is not None:
                self.connection.data_received(data[at : at + size])

    @property
    def granted(self) -> list[int]:
        """What the client may have sent on each channel until now."""
        found = [WINDOW] * CHANNELS
        for packet in self.wire.packets:
            if packet[0] == ADJUST:
                found[int.from_bytes(packet[1:5], "big")] += int.from_bytes(packet[5:9], "big")
        return found

    @property
    def told(self) -> dict[int, list[Any]]:
        """What the client is told about each channel, its data in one piece until something else comes."""
        found: dict[int, list[Any]] = defaultdict(list)
        for packet in self.wire.packets:
            if packet[0] in {IGNORE, ADJUST}:
                continue
            of = found[int.from_bytes(packet[1:5], "big")]
            if packet[0] == DATA:
                assert 0 < len(packet) - 9 <= PACKET
                if of and isinstance(of[-1], bytes):
                    of[-1] += packet[9:]
                else:
                    of.append(packet[9:])
            else:
                of.append(packet[0])
        return found

    @property
    def state(self) -> dict[str, Any]:
        return {
            "told": self.told,
            "errors": self.errors,
            "takers": [vars(taker) for taker in self.takers],
            "states": [(each._send_state, each._recv_state) for each in self.channels],
            "to send": [(each._send_window, each._send_buf_len) for each in self.channels],
            "waiting": [sum(len(data) for data, _ in each._recv_buf) for each in self.channels],
            "sequence": None if self.errors else self.connection._recv_seq,
        }


class Both:
    """Both sides, a client that does the same to each, and a server that does too."""

    def __init__(self) -> None:
        self.ours, self.theirs = Side(is_ours=True), Side(is_ours=False)
        self.both = self.ours, self.theirs
        self.seals = seals()
        self.unsent = b""
        self.sent = [0] * CHANNELS
        self.written = 0
        self.keys = 0

    def packet(self, payload: bytes, padding: int = 4) -> None:
        """Have a packet wait for the next read."""
        content = Byte(padding) + payload + bytes(padding)
        self.unsent += b"".join(self.seals.encrypt_packet(0, UInt32(len(content)), content))

    def data(self, number: int, size: int, padding: int) -> None:
        """As much of it as the window has room for."""
        size = min(size, *(side.granted[number] - self.sent[number] for side in self.both))
        self.sent[number] += size
        self.packet(Byte(DATA) + UInt32(number) + String(self._new(size)), padding)

    def adjust(self, number: int, size: int) -> None:
        self.packet(Byte(ADJUST) + UInt32(number) + UInt32(size))

    def say(self, kind: int, number: int) -> None:
        self.packet(Byte(kind) + UInt32(number))

    def request(self, number: int) -> None:
        self.packet(Byte(REQUEST) + UInt32(number) + String("keepalive@openssh.com") + Byte(1))

    def alter(self) -> None:
        self.packet(Byte(DATA) + UInt32(0) + String(b"x"))
        self.unsent = self.unsent[:-1] + bytes([self.unsent[-1] ^ 1])

    def malformed(self, number: int, more: int, size: int) -> None:
        """Data whose length is not the one that they tell."""
        self.packet(Byte(DATA) + UInt32(number) + UInt32(max(0, size + more)) + bytes(size))

    def malformed_adjust(self, number: int, size: int) -> None:
        self.packet(Byte(ADJUST) + UInt32(number) + bytes(size))

    def exceed(self, number: int, size: int) -> None:
        """One byte more than the window, of a channel that is not read."""
        self.read(5000)
        self.call(number, "pause_reading")
        left = self.ours.channels[number]._recv_window
        for at in range(0, left + 1, size):
            self.packet(Byte(DATA) + UInt32(number) + String(bytes(min(size, left + 1 - at))))

    def too_large(self, size: int) -> None:
        """The beginning of it."""
        self.unsent += UInt32(size) + bytes(16)

    def after_close(self, number: int, kind: int) -> None:
        """What comes when a channel is closed whose data still wait for the server to read them."""
        self.call(number, "pause_reading")
        self.data(number, 1, 4)
        self.say(CLOSE, number)
        self.packet(Byte(kind) + UInt32(number) + UInt32(0))

    def read(self, size: int) -> None:
        """Both sides read what waits, in pieces of some size."""
        for side in self.both:
            side.receive(self.unsent, size)
        self.unsent = b""

    def renew(self, size: int) -> None:
        """Both sides have new keys, from the client's next packet on."""
        self.read(size)
        self.keys += 1
        self.seals = seals(self.keys)
        for side in self.both:
            side.connection._recv_encryption = seals(self.keys)

    def exchange(self, over: bool) -> None:
        """Keys are being exchanged, in which the server sends nothing else, or no longer."""
        for side in self.both:
            if over and not side.connection._kex_complete:
                side.connection._kex_complete = True
                side.connection._send_deferred_packets()
            elif side.connection._transport is not None:
                side.connection._kex_complete = over

    def write(self, number: int, size: int) -> None:
        piece = self._new(size)
        assert len({side.send(number, piece) for side in self.both}) == 1

    def call(self, number: int, name: str) -> None:
        for side in self.both:
            getattr(side.channels[number], name)()

    def _new(self, size: int) -> bytes:
        self.written += size
        return bytes((self.written + at) & 255 for at in range(size))


Act = Callable[[Both], object]


def acts() -> st.SearchStrategy[list[Act]]:
    of, size = st.integers(0, CHANNELS - 1), st.one_of(st.integers(0, 5), st.integers(0, 150))
    reads = st.one_of(st.integers(1, 60), st.just(5000))
    server = st.sampled_from(["pause_reading", "resume_reading"])
    ends = st.sampled_from(["write_eof", "close", "abort"])

    def act(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
        return st.tuples(*values).map(lambda given: lambda both: getattr(both, name)(*given))

    data = act("data", of, size, st.one_of(st.just(4), st.integers(1, 255)))
    adjust = act("adjust", of, st.one_of(size, st.just(0xFFFFFFFF)))
    often = [data, data, data, adjust, act("read", reads), act("write", of, size), act("call", of, server)]
    seldom = [
        act("say", st.just(EOF), of),
        act("say", st.just(CLOSE), of),
        act("request", of),
        act("renew", reads),
        act("exchange", st.booleans()),
        act("call", of, ends),
    ]
    breaches = [
        act("say", st.sampled_from([DATA, ADJUST, 200]), st.integers(0, CHANNELS)),
        act("packet", st.binary(max_size=40), st.integers(0, 255)),
        act("data", of, size, st.integers(0, 3)),
        act("malformed", of, st.sampled_from([-20, -1, 1, 20]), st.integers(0, 20)),
        act("malformed_adjust", of, st.integers(0, 5)),
        act("alter"),
        act("exceed", of, st.integers(1, 150)),
        act("after_close", of, st.sampled_from([DATA, ADJUST])),
        act("too_large", st.just(LARGEST + 1)),
    ]
    usual = st.lists(st.one_of(*often, *often, *seldom), max_size=20)
    unusual = st.one_of(st.just([]), st.one_of(breaches).map(lambda breach: [breach]))
    return st.tuples(usual, unusual, usual).map(lambda parts: [act for part in parts for act in part])


@given(acts())
@settings(max_examples=250, deadline=None)
def test_it_is_the_same_as_without_us(done: list[Act]) -> None:
    """What the client gets, what the target gets, how it ends, and what of it still waits."""

    async def run() -> None:
        both = Both()
        for act in [*done, lambda both: both.read(5000)]:
            act(both)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not both.unsent:
                assert both.ours.state == both.theirs.state

    asyncio.run(run())


async def test_single_bytes_wait_in_one_piece():
    """Those of a client whose target does not read, and those of a target whose client has no room."""
    both, count = Both(), WINDOW // 2
    both.call(0, "pause_reading")
    for _ in range(count):
        both.data(0, 1, 4)
        both.read(5000)
    both.write(1, WINDOW)
    for _ in range(count):
        both.write(1, 1)
    found, theirs = both.ours.channels, both.theirs.channels
    assert [len(each._recv_buf) for each in (found[0], theirs[0])] == [1, count]
    assert [len(each._send_buf) for each in (found[1], theirs[1])] == [1, count]
    both.call(0, "resume_reading")
    both.adjust(1, count)
    both.read(5000)
    assert both.ours.state == both.theirs.state
    assert len(both.ours.takers[0].got) == count
