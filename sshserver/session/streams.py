"""What a command reads and writes, whether its caller is on the host or at the other end of a channel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TextIO

Ask = Callable[[str, bool], str]
"""Shows a prompt and returns the line that was typed, which is not shown where the second argument is true.

Raises EOFError at the end of the input, and KeyboardInterrupt at Ctrl+C.
"""


@dataclass(frozen=True, slots=True)
class Streams:
    """The three standard streams of one command; reading and writing block the calling thread.

    `ask` is None where nobody can be asked. `columns` is the width of the terminal; None without one.
    Writing to a reader that is gone raises BrokenPipeError.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    ask: Ask | None = None
    columns: int | None = None
