"""The data of jumps (RFC 4254 section 5.2) under AES-GCM, past what asyncssh does with each packet.

asyncssh copies a packet eight times and calls some thirty functions for it, which takes longer than
encrypting it. Here the packets of one read or write are handled together. What is not plainly data of an
open jump, or a larger window, is left to asyncssh, which has not seen it then. There is no compression.
"""

import time
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, cast

import asyncssh
from asyncssh.session import DataType

from sshserver.compat.asyncssh_gcm import TAG_BYTES, OneGCM, cipher_of

_WINDOW_ADJUST: Final = 93
_DATA: Final = 94
_LENGTH: Final = Struct(">I")
_HEAD: Final = Struct(">BBII")
"""Length of the padding, type, channel, and length of the data or of what is added to the window."""
_BLOCK: Final = 16
_LEAST_PADDING: Final = 4
"""From RFC 4253 section 6."""
_PADDING: Final = bytes(_BLOCK + _LEAST_PADDING)
"""It hides nothing, since the cipher needs none and the length of a packet is not secret (RFC 5647)."""
_OPEN: Final = frozenset({"open", "eof_pending", "eof"})
"""In these states of a channel its client may add to the window."""
_PACKET_BYTES: Final = 32768
"""The largest packet that a jump's client may send; asyncssh says the same of every channel."""
_GATHERED_BYTES: Final = 65536
"""Up to which size small pieces are gathered into one."""


class JumpChannel(asyncssh.SSHTCPChannel[bytes]):
    """The channel of a jump. What waits in it is kept in large pieces, however small those that come are.

    asyncssh keeps each by itself, which takes hundreds of times their size; and a second of the loop for
    fifty thousand of them, once they are read.
    """

    def __init__(self, connection: asyncssh.SSHServerConnection, window: int) -> None:
        """Let the client of `connection` send as much as `window` before it is read."""
        super().__init__(connection, cast("Any", connection)._loop, None, "strict", window, _PACKET_BYTES)

    def _accept_data(self, data: bytes | memoryview, datatype: DataType = None) -> None:
        if not self._recv_paused:
            super()._accept_data(cast("bytes", data), datatype)
            return
        waiting = cast("list[tuple[bytearray, DataType]]", self._recv_buf)
        if waiting and len(waiting[-1][0]) + len(data) <= _GATHERED_BYTES:
            waiting[-1][0].extend(data)
            self._recv_window -= len(data)
        else:
            super()._accept_data(cast("bytes", bytearray(data)), datatype)


def send_data(channel: JumpChannel, data: memoryview) -> None:
    """Send what the client's window has room for; asyncssh keeps the rest until there is more room.

    Raises:
        OSError: when the channel is closing.
    """
    private = cast("Any", channel)
    connection = private.get_connection()
    if private._send_buf and private._send_state == "open":  # There is no room.
        private._send_buf[-1][0].extend(data)
        private._send_buf_len += len(data)
        private._flush_send_buf()
        return
    cipher = cipher_of(connection._send_encryption)
    if cipher is None or private._send_state != "open" or _exchanges_keys(connection):
        channel.write(bytes(data))
        return
    room = private._send_window
    if room:
        _send_packets(connection, private, cipher, data[:room])
    if len(data) > room:
        channel.write(bytes(data[room:]))


def _exchanges_keys(connection: Any) -> bool:
    """Return whether a key exchange is under way or due, for which asyncssh holds packets back."""
    return (
        not connection._kex_complete
        or connection._rekey_bytes_sent >= connection._rekey_bytes
        or time.monotonic() >= connection._rekey_time
    )


def _send_packets(connection: Any, channel: Any, cipher: OneGCM, data: memoryview) -> None:
    """Send data in one write, in packets as large as the client takes them."""
    most = channel._send_pktsize
    count = -(-len(data) // most)
    added = _LENGTH.size + _HEAD.size + len(_PADDING) + TAG_BYTES
    # asyncio may keep it, so that it is not used again.
    sealed = memoryview(bytearray(len(data) + count * added))
    end = 0
    for at in range(0, len(data), most):
        piece = data[at : at + most]
        padding = _LEAST_PADDING + -(_HEAD.size + len(piece) + _LEAST_PADDING) % _BLOCK
        head = _HEAD.pack(padding, _DATA, channel._send_chan, len(piece))
        packet = b"".join((head, piece, _PADDING[:padding]))
        length = _LENGTH.pack(len(packet))
        begin, end = end, end + _LENGTH.size + len(packet) + TAG_BYTES
        sealed[begin : begin + _LENGTH.size] = length
        cipher.seal_into(length, packet, sealed[begin + _LENGTH.size : end])
    channel._send_window -= len(data)
    connection._send_seq = (connection._send_seq + count) & 0xFFFFFFFF
    connection._rekey_bytes_sent += end
    connection._send(sealed[:end])


class DataReceiver:
    """Takes what jumps carry out of the input of one connection, before asyncssh looks at it."""

    def __init__(self, connection: asyncssh.SSHServerConnection) -> None:
        """Leave everything else to the connection's own method for the next packet."""
        self._connection = cast("Any", connection)
        self._receive: Callable[[], bool] = self._connection._recv_pkthdr

    def __call__(self) -> bool:
        """Return whether asyncssh got on with the packet after those that were taken."""
        private = self._connection
        cipher = cipher_of(private._recv_encryption)
        if cipher is None or not private._channels:
            return self._receive()
        data, at = private._inpbuf, 0
        carried: dict[Any, list[memoryview]] = {}
        view = memoryview(data)
        while (end := self._end_of_packet(data, at)) and self._take(cipher, view[at:end], carried):
            at = end
        private._inpbuf = rest = data[at:]
        for channel, pieces in carried.items():
            joined = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            channel._recv_window += len(joined)  # Which it takes off again.
            channel._accept_data(joined)
        if private._inpbuf is not rest:  # The connection has ended.
            return False
        return end is not None and self._receive()

    def _end_of_packet(self, data: bytes, at: int) -> int | None:
        """Return where the packet that begins `at` ends; 0 if it is too large, None if more must come."""
        if len(data) - at < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(data, at)
        if length > self._connection._max_recv_pktlen:
            return 0
        end = at + _LENGTH.size + int(length) + TAG_BYTES
        return end if end <= len(data) else None

    def _take(self, cipher: OneGCM, sealed: memoryview, carried: dict[Any, list[memoryview]]) -> bool:
        """Take a packet that a jump carries: add its data to `carried`, or enlarge the client's window."""
        packet = cipher.look_at(sealed[: _LENGTH.size], sealed[_LENGTH.size :])
        if packet is None or len(packet) < _HEAD.size + _LEAST_PADDING:
            return False
        padding, kind, number, count = _HEAD.unpack_from(packet)
        channel = self._connection._channels.get(number)
        data_bytes = len(packet) - _HEAD.size - padding
        if type(channel) is not JumpChannel or padding < _LEAST_PADDING:
            return False
        private = cast("Any", channel)
        if kind == _DATA and private._recv_state == "open" and data_bytes == count <= private._recv_window:
            private._recv_window -= count
            carried.setdefault(channel, []).append(memoryview(packet)[_HEAD.size : _HEAD.size + count])
        elif kind == _WINDOW_ADJUST and private._recv_state in _OPEN and data_bytes == 0:
            private._send_window += count
            private._flush_send_buf()
        else:
            return False
        cipher.go_on()
        self._connection._recv_seq = (self._connection._recv_seq + 1) & 0xFFFFFFFF
        return True
