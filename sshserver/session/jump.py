"""One jump: what a client's channel carries to a target, and back.

Neither side is read faster than the other takes it, so that no more than a window and a piece of each wait
here. The end of one direction is passed on, and the other goes on. The jump is over when both have ended,
when either side is lost, or when nothing has passed for too long.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Protocol, cast

import asyncssh

from sshserver.compat.asyncssh_jumps import JumpChannel, send_data
from sshserver.limits.limit_values import Limits
from sshserver.session.idle import IdleWatch

CLIENT_LEFT: Final = "the client left"
TARGET_LEFT: Final = "the target closed it"
BOTH_ENDED: Final = "both sides had sent everything"


class Pieces(Protocol):
    """How much is read from a target at a time, and where it is put."""

    def buffer(self, reader: object) -> memoryview:
        """Return where the next piece of `reader` goes; it is passed on before anyone else reads."""
        ...


class Jump(asyncssh.SSHTCPSession[bytes]):
    """The client's side of a jump, which also decides when it ends."""

    def __init__(
        self,
        limits: Limits,
        pieces: Pieces,
        on_input: Callable[[int], None],
        on_end: Callable[["Jump"], None],
        on_unanswered: Callable[["Jump"], None],
        on_gone: Callable[["Jump"], None],
    ) -> None:
        """Carry nothing yet: the channel and the connection to the target come later.

        `on_input` is told how many bytes came from the client. `on_end` is called once, when nothing more is
        read from either side, `on_unanswered` if the client has not answered its close for long, and
        `on_gone` once, when nothing waits for either side any more.
        """
        self._limits = limits
        self.sent = 0
        """Bytes from the client."""
        self.received = 0
        """Bytes from the target."""
        self.ended_because = ""
        self.target = TargetSide(self, pieces)
        self._on_input = on_input
        self._on_end = on_end
        self._on_unanswered = on_unanswered
        self._on_gone = on_gone
        self._is_gone = False
        self._linger: asyncio.TimerHandle | None = None
        self._channel: JumpChannel | None = None
        self._causes: set[str] = {"starting"}
        self._client_ended = False
        self._target_ended = False
        self._idle = IdleWatch(limits.idle_minutes * 60, 0.0, lambda: None, self._expire)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self.ended_because)

    # What asyncssh calls.

    def connection_made(self, chan: "asyncssh.SSHTCPChannel[bytes]") -> None:
        """Use this channel; if the target is gone already, close it."""
        self._channel = cast("JumpChannel", chan)
        high = self._limits.write_buffer_bytes
        chan.set_write_buffer_limits(high, high // 4)
        if self.is_over:
            chan.abort()

    def session_started(self) -> None:
        """Start to read the target."""
        self.release("starting")

    def data_received(self, data: bytes | memoryview, _datatype: int | None) -> None:
        """Pass on what the client sends."""
        self.sent += len(data)
        self._on_input(len(data))
        self._idle.touch()
        self.target.write(data)

    def eof_received(self) -> bool:
        """Tell the target that the client sends no more; the target may still answer."""
        self._client_ended = True
        self.target.write_eof()
        self._end_if_both_have()
        return True

    def pause_writing(self) -> None:
        """Leave the target unread while the client's window is full."""
        self.hold("channel")

    def resume_writing(self) -> None:
        """Read the target again."""
        self.release("channel")

    def connection_lost(self, _exc: Exception | None) -> None:
        """End it: the client has closed the channel, or is gone."""
        self._channel = None
        self.end(CLIENT_LEFT)
        self._settle()

    # What its own connection calls.

    def hold(self, cause: str) -> None:
        """Leave the target unread because of `cause`."""
        self._causes.add(cause)
        self.target.pause_reading()

    def release(self, cause: str) -> None:
        """Read the target again, once the last cause is gone."""
        self._causes.discard(cause)
        if not self._causes:
            self.target.resume_reading()

    def end(self, because: str, *, at_once: bool = False) -> None:
        """End it, unless it is over; what waits is still sent to a side that takes it soon, or is dropped."""
        if self.is_over:
            return
        self.ended_because = because
        self._idle.stop()
        self._linger = asyncio.get_running_loop().call_later(self._limits.unread_seconds, self._drop)
        if at_once:
            self.target.abort()
        else:
            self.target.close()
        if self._channel is not None:
            (self._channel.abort if at_once else self._channel.close)()
        self._on_end(self)
        self._settle()

    def _drop(self) -> None:
        """Give up a target that takes nothing, and say so of a client that does not answer a close."""
        self.target.abort()
        if self._channel is not None:
            self._on_unanswered(self)

    def _settle(self) -> None:
        """Say once that it is over, when both sides are gone."""
        if self.is_over and self._channel is None and self.target.is_gone and not self._is_gone:
            self._is_gone = True
            if self._linger is not None:
                self._linger.cancel()
            self._on_gone(self)

    # What the target's side calls.

    def take(self, data: memoryview) -> None:
        """Pass on what the target sends; a client that has closed the channel gets no more of it."""
        if self._channel is None:
            return
        try:
            send_data(self._channel, data)
        except OSError:  # The target may still take what the client sent before.
            self.hold("closed")
        else:
            self.received += len(data)
            self._idle.touch()

    def target_ended(self) -> None:
        """Tell the client that the target sends no more; the client may still send."""
        self._target_ended = True
        if self._channel is not None:
            self._channel.write_eof()
        self._end_if_both_have()

    def target_lost(self) -> None:
        """End it: the target has closed the connection, or does not answer any more."""
        self.end(TARGET_LEFT)
        self._settle()

    def read_client(self, *, on: bool) -> None:
        """Read the client only while the target takes what it sends."""
        if self._channel is None:
            return
        if on:
            self._channel.resume_reading()
        else:
            self._channel.pause_reading()

    def _end_if_both_have(self) -> None:
        if self._client_ended and self._target_ended:
            self.end(BOTH_ENDED)

    def _expire(self) -> None:
        self.end(f"nothing passed for {self._limits.idle_minutes:g} minutes", at_once=True)


class TargetSide(asyncio.BufferedProtocol):
    """The target's side of a jump. It is not read before the channel is open."""

    def __init__(self, jump: Jump, pieces: Pieces) -> None:
        self._jump = jump
        self._pieces = pieces
        self._transport: asyncio.Transport | None = None
        self._piece = memoryview(b"")
        self._is_paused = False

    @property
    def is_gone(self) -> bool:
        """Whether there is no connection."""
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Use this connection, but do not read it yet."""
        self._transport = cast("asyncio.Transport", transport)
        self.pause_reading()
        if self._jump.is_over:
            self.abort()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where the next piece goes."""
        self._piece = self._pieces.buffer(self)
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """Pass a piece on."""
        self._jump.take(self._piece[:nbytes])

    def eof_received(self) -> bool:
        """Pass on that the target sends no more, and keep writing to it."""
        self._jump.target_ended()
        return True

    def pause_writing(self) -> None:
        """Leave the client unread while the target does not read."""
        self._jump.read_client(on=False)

    def resume_writing(self) -> None:
        """Read the client again."""
        self._jump.read_client(on=True)

    def connection_lost(self, _exc: Exception | None) -> None:
        """End the jump."""
        self._transport = None
        self._jump.target_lost()

    def write(self, data: bytes | memoryview) -> None:
        """Send to the target."""
        if self._transport is not None:
            self._transport.write(data)

    def write_eof(self) -> None:
        """Send the target that no more comes."""
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # It is gone, which its end will say.
                self._transport.write_eof()

    def pause_reading(self) -> None:
        """Stop reading the target."""
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read the target."""
        if self._transport is not None and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what waits, then close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
