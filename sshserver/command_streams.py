"""What a command reads and writes, whether its caller is on the host or at the other end of a channel."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, TextIO

from data.errors import ExplainedError


class Ask(Protocol):
    """Asks whoever gave the command; blocks the calling thread until they answer."""

    def __call__(self, prompt: str, hidden: bool = False, kept: bool = False) -> str:
        """Show a prompt and return the line that was typed.

        A hidden one is not shown; one that is `kept` comes up again with the arrow keys.

        Raises:
            EOFError: at the end of the input.
            KeyboardInterrupt: at Ctrl+C.
        """


class CommandStoppedError(ExplainedError):
    """The session of a command was ended, or has waited too long; the message says so."""


class Interruption:
    """Whether a command must stop, and why: set by its channel, asked by its thread.

    The reason is a BrokenPipeError when no one reads any more, a CommandStoppedError when the session was
    ended, and a KeyboardInterrupt at Ctrl+C. Of several, the first of these counts. A Ctrl+C on the
    host comes as a signal, in the middle of anything that its thread does here.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._reason: BaseException | None = None
        self._listeners: list[Callable[[], object]] = []

    def set(self, reason: BaseException) -> None:
        """Have the command stop."""
        with self._lock:
            if _weight(reason) > _weight(self._reason):
                self._reason = reason
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def clear(self) -> None:
        """Forget a Ctrl+C that was dealt with; nothing else is forgotten."""
        with self._lock:
            if isinstance(self._reason, KeyboardInterrupt):
                self._reason = None

    def __bool__(self) -> bool:
        return self._reason is not None

    def check(self, *, writing: bool = False) -> None:
        """Raise the reason, if there is one; what was done may still be written after a session was ended."""
        reason = self._reason
        if reason is not None and not (writing and isinstance(reason, CommandStoppedError)):
            raise type(reason)(*reason.args)

    @contextmanager
    def calling(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener` when the command must stop, at once if it must already."""
        with self._lock:
            self._listeners.append(listener)
        if self:
            listener()
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)


def _weight(reason: BaseException | None) -> int:
    """Return how much a reason counts: a Ctrl+C can be dealt with, the end of a session cannot."""
    match reason:
        case None:
            return 0
        case KeyboardInterrupt():
            return 1
        case CommandStoppedError():
            return 2
        case _:
            return 3


@dataclass(frozen=True, slots=True)
class Streams:
    """The three standard streams of one command; reading and writing block the calling thread.

    `ask` is None where nobody can be asked. `size` returns the present columns and rows of the terminal;
    it is None without one. Writing to a reader that is gone raises BrokenPipeError, and so does reading.
    `interruption` says whether the command must stop. `is_plain` asks for lines that stay as they are
    written: no bars, no cursor. `tell` shows a line at once, even in the middle of a question; it is called
    on the event loop, and is None where nobody waits for lines.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    ask: Ask | None = None
    size: Callable[[], tuple[int, int]] | None = None
    interruption: Interruption = field(default_factory=Interruption)
    is_plain: bool = False
    tell: Callable[[str], None] | None = None

    @property
    def columns(self) -> int | None:
        """The present width of the terminal; None without one."""
        return self.size()[0] if self.size is not None else None

    @property
    def rows(self) -> int | None:
        """The present height of the terminal; None without one."""
        return self.size()[1] if self.size is not None else None
