"""What a command reads and writes, whether its caller is on the host or at the other end of a channel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TextIO


class Ask(Protocol):
    """Asks whoever gave the command; blocks the calling thread until they answer."""

    def __call__(self, prompt: str, hidden: bool = False, kept: bool = False) -> str:
        """Show a prompt and return the line that was typed.

        A hidden one is not shown; one that is `kept` comes up again with the arrow keys.

        Raises:
            EOFError: at the end of the input.
            KeyboardInterrupt: at Ctrl+C.
        """


@dataclass(frozen=True, slots=True)
class Streams:
    """The three standard streams of one command; reading and writing block the calling thread.

    `ask` is None where nobody can be asked. `size` returns the present columns and rows of the terminal;
    it is None without one. Writing to a reader that is gone raises BrokenPipeError.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    ask: Ask | None = None
    size: Callable[[], tuple[int, int]] | None = None

    @property
    def columns(self) -> int | None:
        """The present width of the terminal; None without one."""
        return self.size()[0] if self.size is not None else None

    @property
    def rows(self) -> int | None:
        """The present height of the terminal; None without one."""
        return self.size()[1] if self.size is not None else None
