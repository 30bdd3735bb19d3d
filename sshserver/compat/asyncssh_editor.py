"""asyncssh's line editor, for one question, on terminals of every kind."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, Final

from asyncssh.editor import SSHLineEditor

from sshserver.terminal.sequences import ESC

LONGEST_LINE: Final = 4096
"""Characters of one line; what is typed beyond them is refused with a bell, as by the kernel's terminals."""
_ENDLESS: Final = 1 << 30
_WORD: Final = "\x17"
_MOVES: Final = frozenset("\x01\x02\x05\x06\x0b\x12\x19")
"""Keys that move the cursor or erase to its right, and Ctrl+Y."""


class LineEditor(SSHLineEditor):
    """Edits the answer to one question, so that nothing of it can come up in another.

    Where the terminal cannot place its cursor, typing echoes, erasing sends backspaces, and there are no
    other keys: no escape sequence is sent. asyncssh would redraw the line at each key there.
    """

    _printable_of: ClassVar[Any] = None

    def __init__(
        self,
        write: Callable[[str], None],
        prompt: str,
        *,
        hidden: bool,
        places_cursor: bool,
        columns: int,
        history: Sequence[str] = (),
    ) -> None:
        """Show `prompt`. Earlier lines, the last at the end, come up with the arrow keys."""
        self.answer: str | None = None
        """The line, once it has ended."""
        self.is_over = self.is_interrupted = False
        """Whether Ctrl+D ended the input, and whether Ctrl+C was pressed."""
        self._write_out = write
        self._prompt = prompt
        self._places_cursor = places_cursor
        width = columns if places_cursor else _ENDLESS
        channel: Any = self
        super().__init__(channel, channel, True, 0, LONGEST_LINE, "", width)
        self._wrap = True
        self._echo = not hidden
        self._history = [] if hidden else list(history)
        self._history_index = len(self._history)
        self.register_key(_WORD, _without_last_word)
        self.process_output(prompt)

    @property
    def is_done(self) -> bool:
        """Whether nothing more is taken for this question."""
        return self.answer is not None or self.is_over or self.is_interrupted

    def type(self, part: str) -> None:
        """Take text without ESC, or one whole sequence."""
        is_key = part.startswith(ESC) or part in _MOVES
        if is_key and not (self._places_cursor and _is_known(part)):
            return
        self.process_input(part, None)

    def interject(self, line: str) -> None:
        """Show a line, then the question again with what was typed so far."""
        self._outbuf.append(f"\n{line}\n".replace("\n", "\r\n"))
        self._cursor = self._start_column = self._end_column = 0
        self.process_output(self._prompt)

    def follow(self, columns: int) -> None:
        """Follow the terminal to another width."""
        if self._places_cursor:
            self._width = columns

    # What asyncssh's editor calls of its channel and its session.

    def write(self, data: str) -> None:
        """Show something."""
        self._write_out(data)

    def data_received(self, line: str, _datatype: object) -> None:
        """Take the line that was ended."""
        self.answer = line.removesuffix("\n")

    def soft_eof_received(self) -> None:
        """End the input."""
        self.is_over = True
        self._outbuf.append("\r\n")

    def break_received(self, _msec: int) -> bool:
        """Stop asking."""
        self.is_interrupted = True
        self._outbuf.append("^C\r\n")
        return True

    # What asyncssh's editor does otherwise.

    def _build_printable(self) -> None:
        """Build the expression once: it takes ten milliseconds."""
        if LineEditor._printable_of is None:
            super()._build_printable()
            LineEditor._printable_of = self._printable
        self._printable = LineEditor._printable_of

    def _move_cursor(self, column: int) -> None:
        if self._places_cursor:
            super()._move_cursor(column)
            return
        self._outbuf.append("\b" * (self._cursor - column))
        self._cursor = column


def _without_last_word(line: str, place: int) -> tuple[str, int]:
    kept = line[:place].rstrip()
    kept = kept[: kept.rfind(" ") + 1]
    return kept + line[place:], len(kept)


@cache
def _is_known(key: str) -> bool:
    """Whether the editor has a key; it would type the end of one that it lacks."""
    return any(key in keys for _, keys in SSHLineEditor._keylist)  # noqa: SLF001
