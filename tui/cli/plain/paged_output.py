"""Standard output at a prompt: what is longer than the terminal is shown a screen at a time."""

from collections.abc import Iterable

import click
import wcwidth

from sshserver.command_streams import Ask, Streams
from tui.cli.confirmation import YesOption

_QUESTION = "More? [Y/n] "


class PagedOutput:
    """Writes to the terminal of `streams` until a screen is full, then asks whether to go on.

    A command that only reads ends at a no. One that changes something goes on, unheard: what it does must not
    depend on how much of it was read.
    """

    def __init__(self, streams: Streams, ask: Ask) -> None:
        """Ask at `ask`, which must be that of the terminal."""
        self._streams = streams
        self.encoding = getattr(streams.stdout, "encoding", None) or "utf-8"
        self._ask = ask
        self._rows = 0
        self.is_left = False
        """Whether the answer was no."""

    def isatty(self) -> bool:
        """Return true."""
        return True

    def flush(self) -> None:
        """Show what was written."""
        self._streams.stdout.flush()

    def write(self, text: str, /) -> int:
        """Write; at a full screen, ask first.

        Raises:
            BrokenPipeError: when the answer was no, unless the command changes something.
        """
        for line in text.splitlines(keepends=True):
            self._write_line(line)
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:
        """Write each of several texts, as `write` does."""
        for line in lines:
            self.write(line)

    def begin_screen(self) -> None:
        """Count anew: something was asked, so what is above it was read."""
        self._rows = 0

    def _write_line(self, line: str) -> None:
        rows = self._rows_of(line)
        if not self.is_left and self._rows and self._rows + rows >= (self._streams.rows or 0):
            self.flush()
            self.is_left = self._is_enough()
            self._rows = 0
        if self.is_left:
            if _only_reads():
                raise BrokenPipeError
            return
        self._rows += rows
        self._streams.stdout.write(line)

    def _is_enough(self) -> bool:
        try:
            return self._ask(_QUESTION).strip().lower() in ("n", "no", "q")
        except EOFError:
            return True

    def _rows_of(self, line: str) -> int:
        width = max(wcwidth.wcswidth(line.rstrip("\n")), len(line.rstrip("\n")) // 2)
        return max(1, -(-width // (self._streams.columns or 1)))


def _only_reads() -> bool:
    context = click.get_current_context(silent=True)
    return context is None or not any(isinstance(each, YesOption) for each in context.command.params)
