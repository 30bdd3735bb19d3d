"""Reading what a person types, or a script sends, line by line, as answers to questions."""

import asyncio
import re
import textwrap
import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from sshserver.compat.asyncssh_editor import LONGEST_LINE, LineEditor
from sshserver.terminal.capabilities import is_usable
from sshserver.terminal.sequences import ESC, SequenceReader

_INTERRUPT: Final = "\x03"
_TYPED_AHEAD: Final = 65536
"""Characters that may wait for a question to ask for them; above, nothing more is read, not even Ctrl+C."""
_TURN_SECONDS: Final = 0.005
"""How long keys are edited before others have a turn: one that redraws a long line takes two milliseconds."""
_FULL_SECONDS: Final = 0.05
"""How often it is looked whether the terminal reads again."""
_HISTORY: Final = 200
_PIECE: Final = re.compile(r"[\x01-\x1f\x7f]|[^\x00-\x1f\x7f]+")
"""A key, or text; what keeps a connection alive (NUL) is neither."""
_LINE_TOO_LONG: Final = f"A line of the input is longer than {LONGEST_LINE} characters."


@dataclass(slots=True)
class _Question:
    prompt: str
    hidden: bool
    kept: bool
    answer: "Future[str]"
    editor: LineEditor | None = None


class LineReader:
    """Asks questions for a command that runs in a thread of its own.

    On a terminal, the answer is edited and echoed here. Without one, each line of the input is an answer.
    All methods but `ask` are called on the event loop.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        term: str | None,
        columns: int,
        interrupt: Callable[[], None],
        pause: Callable[[bool], None],
        charge: Callable[[float], float],
        is_full: Callable[[], bool],
    ) -> None:
        """Write to a terminal of type `term`, or to none if that is None.

        `interrupt` is called when Ctrl+C is pressed while nothing is asked. `pause` is called with whether
        to stop reading input, because more of it waits than may. `charge` is called with the seconds that
        editing took, and returns for how many to rest; `is_full` returns whether the terminal does not read.
        """
        self._loop = asyncio.get_running_loop()
        self._write = write
        self._has_terminal = term is not None
        self._places_cursor = term is not None and is_usable(term)
        self._columns = columns
        self._interrupt = interrupt
        self._pause = pause
        self._paused = False
        self._charge = charge
        self._is_full = is_full
        self._rest: asyncio.TimerHandle | None = None
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._sequences = SequenceReader()
        self._waiting: deque[str] = deque()
        """On a terminal the pieces that were typed ahead; without one a single text."""
        self._ahead = 0
        """How many characters wait."""
        self._after_return = False
        self._over = False
        self._question: _Question | None = None
        self._history: list[str] = []

    @property
    def is_asking(self) -> bool:
        """Whether a question waits for its answer."""
        return self._question is not None

    # In the command's thread.

    def ask(self, prompt: str, hidden: bool = False, kept: bool = False) -> str:
        """Show a prompt and return the line that is typed.

        A hidden one is not shown; one that is `kept` comes up again with the arrow keys.

        Raises:
            EOFError: at the end of the input.
            KeyboardInterrupt: at Ctrl+C.
        """
        question = _Question(prompt, hidden, kept, Future())
        try:
            self._loop.call_soon_threadsafe(self._begin, question)
        except RuntimeError:  # The loop is closed.
            raise EOFError from None
        return question.answer.result()

    # On the event loop.

    def feed(self, data: bytes) -> None:
        """Take what was typed or sent; bytes that are not UTF-8 become replacement characters."""
        text = self._decode(data)
        if self._has_terminal:
            self._type(text)
        elif text and not self._over:
            self._put("".join([*self._taken(), text]))
        self._go_on()

    def end(self) -> None:
        """End the input; what was read before it is still given."""
        self._over = True
        self._go_on()

    def stop(self) -> None:
        """End the input at once: the session is over. What is said then begins a line of its own."""
        self._taken()
        if self._question is not None:
            self._show("\n")
        self.end()

    def resize(self, columns: int) -> None:
        """Follow the terminal to another width."""
        self._columns = columns
        if self._question is not None and self._question.editor is not None:
            self._question.editor.follow(columns)

    def tell(self, line: str) -> None:
        """Show a line, even in the middle of a question."""
        if self._has_terminal:
            line = textwrap.fill(line, self._columns)
        if self._question is not None and self._question.editor is not None:
            self._question.editor.interject(line)
        else:
            self._show(f"{line}\n")

    def _show(self, text: str) -> None:
        self._write((text.replace("\n", "\r\n") if self._has_terminal else text).encode("utf-8", "replace"))

    def _begin(self, question: _Question) -> None:
        self._question = question
        if self._has_terminal:
            question.editor = LineEditor(
                lambda text: self._write(text.encode("utf-8", "replace")),
                question.prompt,
                hidden=question.hidden,
                places_cursor=self._places_cursor,
                columns=self._columns,
                history=self._history if question.kept else (),
            )
        else:
            self._show(question.prompt)
        self._go_on()

    def _type(self, text: str) -> None:
        self._sequences.give_up()
        for part in self._sequences.feed(text):
            pieces = [part] if part.startswith(ESC) else _PIECE.findall(part)
            for piece in pieces:
                self._take_piece(piece)

    def _take_piece(self, piece: str) -> None:
        is_second_half, self._after_return = piece == "\n" and self._after_return, piece == "\r"
        if is_second_half:
            return
        if piece == _INTERRUPT and self._question is None:
            self._taken()
            self._show("^C\n")
            self._interrupt()
        else:
            self._put(piece)

    def _put(self, text: str) -> None:
        self._waiting.append(text)
        self._ahead += len(text)

    def _taken(self) -> list[str]:
        """Take all that waits."""
        taken = [*self._waiting]
        self._waiting.clear()
        self._ahead = 0
        return taken

    def _go_on(self) -> None:
        """Answer the present question with what waits, as far as that goes in one turn."""
        question = self._question
        if question is not None:
            line = self._edited(question) if question.editor is not None else self._next_line(question)
            if line is not None or (self._over and not self._ahead):
                self._answer(question, EOFError() if line is None else line)
        self._pause_if_full()

    def _edited(self, question: _Question) -> str | BaseException | None:
        editor, begun = question.editor, time.perf_counter()
        while editor is not None and self._waiting and not editor.is_done and self._rest is None:
            spent = time.perf_counter() - begun
            if spent > _TURN_SECONDS or self._is_full():
                self._rest_after(spent)
                break
            piece = self._waiting.popleft()
            self._ahead -= len(piece)
            editor.type(piece)
        if editor is None or not editor.is_done:
            return None
        if editor.answer is None:
            return KeyboardInterrupt() if editor.is_interrupted else EOFError()
        if question.kept and editor.answer.strip() and self._history[-1:] != [editor.answer]:
            self._history = [*self._history, editor.answer][-_HISTORY:]
        return editor.answer

    def _rest_after(self, spent: float) -> None:
        """Edit no more for a while, so that others have a turn and the terminal can read what was shown."""
        seconds = max(self._charge(spent), _FULL_SECONDS if self._is_full() else 0)
        self._rest = self._loop.call_later(seconds, self._end_rest)

    def _end_rest(self) -> None:
        self._rest = None
        self._go_on()

    def _next_line(self, question: _Question) -> str | BaseException | None:
        """Take a line from the input; its last one may have no end."""
        text = "".join(self._taken())
        line, end, rest = text.partition("\n")
        if len(line) > LONGEST_LINE:
            self._show(f"\n{_LINE_TOO_LONG}\n")
            self._over = True
            return EOFError()
        if not end and not (self._over and line):
            self._put(text)
            return None
        self._put(rest)
        if question.prompt:
            self._show("\n")
        return line.removesuffix("\r")

    def _answer(self, question: _Question, line: str | BaseException) -> None:
        self._question = None
        if isinstance(line, str):
            question.answer.set_result(line)
        else:
            question.answer.set_exception(line)

    def _pause_if_full(self) -> None:
        is_full = self._ahead > _TYPED_AHEAD and not self._over
        if is_full is not self._paused:
            self._paused = is_full
            self._pause(is_full)
