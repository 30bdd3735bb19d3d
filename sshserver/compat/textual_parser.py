"""Textual's input parser, changed so that it does not type what it does not understand."""

import re
from collections.abc import Iterable

from textual._parser import ParseTimeout
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.message import Message

from sshserver.terminal.capabilities import is_light
from sshserver.terminal.sequences import ALT_LENGTH, BACKGROUND, ESC, SequenceReader

_OTHER_KEY = re.compile(r"\x1b\[27;(\d+);(\d+)~")
_SHIFT = 2
"""xterm's number for Shift alone; greater numbers include other modifiers."""


class BackgroundTold(Message):
    """The terminal told the colour of its background."""

    def __init__(self, *, is_light: bool) -> None:
        super().__init__()
        self.is_light = is_light


class InputParser(XTermParser):
    """Textual's parser, given only complete sequences that may be keys; it would type anything else.

    It has no cache, because Textual's keeps every parser, and so every app, alive. A line feed is Enter.
    """

    _parse_extended_key = XTermParser._parse_extended_key.__wrapped__  # type: ignore[assignment]  # noqa: SLF001

    def __init__(self) -> None:
        super().__init__()
        self._sequences = SequenceReader()
        self._is_after_return = False
        self.is_pasting = False
        """Whether a bracketed paste has started."""

    @property
    def is_pending(self) -> bool:
        """Whether a sequence has started that `tick` may have to give up."""
        return self._sequences.is_pending

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the messages for what was typed."""
        for part in self._sequences.feed(data):
            if part.startswith(ESC):
                yield from self._take(part)
            elif text := part if self.is_pasting else self._with_returns(part):
                yield from super().feed(text)

    def tick(self) -> Iterable[Message]:
        """Yield the key Esc if nothing followed it."""
        if key := self._sequences.give_up():
            yield from self._take(key)

    def keep_cells(self) -> None:
        """Measure mouse positions in cells, whatever the terminal announced."""
        self.mouse_pixels = False

    def _with_returns(self, text: str) -> str:
        if self._is_after_return:
            text = text.removeprefix("\n")
        self._is_after_return = text.endswith("\r")
        return text.replace("\r\n", "\r").replace("\n", "\r")

    def _take(self, sequence: str) -> Iterable[Message]:
        """Yield the messages for a sequence, if it is known."""
        self._is_after_return = False
        if self.is_pasting and sequence != BRACKETED_PASTE_END:
            return
        self.is_pasting = sequence == BRACKETED_PASTE_START
        if sequence.startswith(BACKGROUND):
            if (told := is_light(sequence)) is not None:
                yield BackgroundTold(is_light=told)
            return
        try:
            yield from super().feed(_in_kitty_form(sequence))
            if self._timeout_time is None:
                return
            if len(sequence) <= ALT_LENGTH:  # Esc, or a key with Alt: Textual waits for more.
                self._gen.throw(ParseTimeout())
                yield from tuple(self._tokens)
        except (ArithmeticError, ValueError):
            pass  # It contains a number that Textual cannot read.
        self._tokens.clear()
        self._gen = self.parse(self._tokens.append)
        self._awaiting = next(self._gen)
        self._timeout_time = None


def _in_kitty_form(sequence: str) -> str:
    """Rewrite a key of xterm's modifyOtherKeys with more than Shift, so that Textual does not type it."""
    key = _OTHER_KEY.fullmatch(sequence)
    return f"\x1b[{key[2]};{key[1]}u" if key and int(key[1]) > _SHIFT else sequence
