"""The streams of a command whose caller is at the other end of a channel.

The command reads and writes in a thread of its own, which waits while nothing has arrived or the client does
not read. The event loop, which owns the channel, never waits for it.
"""

import asyncio
import codecs
import io
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from sshserver.command_streams import Interruption

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_READ_AHEAD: Final = 65536
"""Bytes kept for a command that does not read, above which the channel is not read either."""
_WRITTEN_AHEAD: Final = 65536
"""Bytes that a command may write before the channel takes them."""
_PIECE: Final = 16384
_LOCALES: Final = ("LC_ALL", "LC_CTYPE", "LANG")
_ENCODINGS: Final = frozenset(
    {"ascii", "utf-8", "koi8-r", "koi8-u", "gbk", "gb18030", "big5", "euc_jp", "euc_kr", "shift_jis"}
    | {f"iso8859-{part}" for part in range(1, 17)}
    | {f"cp125{page}" for page in range(9)}
)


class CommandChannel(Protocol):
    """The channel as the streams of its command see it; used on the event loop only."""

    def write(self, data: bytes, *, error: bool) -> None:
        """Send to standard output or standard error, or drop the data if the channel is closed."""
        ...

    def pause_reading(self) -> None:
        """Stop reading what the client sends."""
        ...

    def resume_reading(self) -> None:
        """Start reading again."""
        ...


def encoding_of(environment: Mapping[str, str]) -> str:
    """Return the encoding that a client's locale names; UTF-8 if it names none that is known (POSIX, 8.2)."""
    locale = next((environment[name] for name in _LOCALES if environment.get(name)), "")
    if locale in ("C", "POSIX"):
        return "ascii"
    named = locale.partition(".")[2].partition("@")[0]
    try:
        found = codecs.lookup(named or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return found if found in _ENCODINGS else "utf-8"


class ChannelInput(io.RawIOBase):
    """What the client sends, of which little is read ahead of the command."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wire: CommandChannel, interruption: Interruption
    ) -> None:
        """Read what `wire` brings."""
        self._loop = loop
        self._wire = wire
        self._interruption = interruption
        self._arrived = threading.Condition()
        self._waiting = bytearray()
        self._ended = False
        self._is_paused = False
        self.is_waited_for = False
        """Whether the command waits for input now."""

    # On the event loop.

    def feed(self, data: bytes) -> None:
        """Keep what the client sent."""
        with self._arrived:
            self._waiting += data
            if len(self._waiting) > _READ_AHEAD and not self._is_paused:
                self._is_paused = True
                self._wire.pause_reading()
            self._arrived.notify_all()

    def feed_end(self) -> None:
        """Note that the client sends no more."""
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def wake(self) -> None:
        """Have the command look whether it must stop."""
        with self._arrived:
            self._arrived.notify_all()

    # In the command's thread.

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read what there is; wait while there is nothing."""
        view = memoryview(buffer).cast("B")
        with self._arrived:
            self.is_waited_for = True
            try:
                while True:
                    self._interruption.check()
                    if self._waiting or self._ended:
                        break
                    self._arrived.wait()
            finally:
                self.is_waited_for = False
            part = self._waiting[: len(view)]
            view[: len(part)] = part
            del self._waiting[: len(part)]
            self._resume()
            return len(part)

    def _resume(self) -> None:
        if self._is_paused and len(self._waiting) <= _READ_AHEAD // 2:
            self._is_paused = False
            _soon(self._loop, self._wire.resume_reading)


class TypedInput(io.RawIOBase):
    """Standard input at a terminal: lines that can be edited until Enter is pressed; Ctrl+D ends it."""

    def __init__(self, read_line: Callable[[], str]) -> None:
        """Read from `read_line`, which raises EOFError at the end."""
        self._read_line = read_line
        self._rest = b""

    def readable(self) -> bool:
        """Return true."""
        return True

    def isatty(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read the rest of a line, or the next one."""
        view = memoryview(buffer).cast("B")
        if not self._rest:
            try:
                self._rest = f"{self._read_line()}\n".encode()
            except EOFError:
                return 0
        part, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(part)] = part
        return len(part)


class OutputQueue:
    """What a command has written and the channel has not taken yet, in order."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wire: CommandChannel, interruption: Interruption
    ) -> None:
        self._loop = loop
        self._wire = wire
        self._interruption = interruption
        self._room = threading.Condition()
        self._waiting: deque[tuple[bytearray, bool]] = deque()
        self._size = 0
        self._is_sending = False
        self._is_paused = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def is_stuck(self) -> bool:
        """Whether the client does not read."""
        return self._is_paused

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._size >= _WRITTEN_AHEAD

    # On the event loop.

    def pause(self) -> None:
        """Keep what is written from now on."""
        self._is_paused = True
        self._empty.clear()

    def resume(self) -> None:
        """Send on."""
        self._is_paused = False
        if self._is_sending:
            self._send()
        else:
            self._empty.set()

    def wake(self) -> None:
        """Have the command look whether it must stop."""
        with self._room:
            self._room.notify_all()

    async def sent(self) -> None:
        """Wait until the channel has taken everything; the command has ended."""
        await self._empty.wait()

    def _send(self) -> None:
        """Send a piece, and leave the rest until others have had a turn."""
        if self._is_paused:
            return
        with self._room:
            if not self._waiting:
                self._is_sending = False
                self._empty.set()
                return
            data, error = self._waiting.popleft()
            self._size -= len(data)
            self._room.notify_all()
        self._wire.write(bytes(data), error=error)
        self._loop.call_soon(self._send)

    def drop(self) -> None:
        """Forget everything: no one reads any more."""
        with self._room:
            self._waiting.clear()
            self._size = 0
            self._room.notify_all()
        self._empty.set()

    # In the command's thread, or on the event loop, where nothing waits.

    def put(self, data: bytes, *, error: bool) -> None:
        """Have bytes sent; wait while too many are."""
        with self._room:
            while True:
                self._interruption.check(writing=True)
                if not self.is_full or _is_on_loop():
                    break
                self._room.wait()
        self.append(data, error=error)

    def append(self, data: bytes, *, error: bool) -> None:
        """Have bytes sent, however many wait."""
        with self._room:
            if self._waiting and self._waiting[-1][1] is error and len(self._waiting[-1][0]) < _PIECE:
                self._waiting[-1][0].extend(data)
            else:
                self._waiting.append((bytearray(data), error))
            self._size += len(data)
            if self._is_sending:
                return
            self._is_sending = True
        _soon(self._loop, self._start)

    def _start(self) -> None:
        if not self._is_paused:
            self._empty.clear()
            self._send()


class ChannelOutput(io.RawIOBase):
    """Standard output or standard error of a command."""

    def __init__(self, queue: OutputQueue, *, error: bool, terminal: bool) -> None:
        """Write to `queue`."""
        self._queue = queue
        self._error = error
        self._terminal = terminal

    def writable(self) -> bool:
        """Return true."""
        return True

    def isatty(self) -> bool:
        """Return whether a terminal is at the other end."""
        return self._terminal

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write the first bytes of `data`, and return how many."""
        piece = bytes(memoryview(data).cast("B")[:_PIECE])
        self._queue.put(piece, error=self._error)
        return len(piece)


def text_output(raw: ChannelOutput, encoding: str) -> io.TextIOWrapper:
    """Return a text stream; a terminal needs both characters of a line's end, which no tty adds.

    What the encoding lacks becomes an escape.
    """
    newline = "\r\n" if raw.isatty() else "\n"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", newline)


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _soon(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(act)
    except RuntimeError:
        raise BrokenPipeError from None  # The server has ended.
