"""What a terminal sends, split into text and control sequences (ECMA-48 section 5, xterm's ctlseqs).

Keys, mouse reports and the terminal's answers to queries arrive in one stream, in pieces of any size. An
answer may arrive late: this program may get the answer to a query of the program before it.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Final, cast

ESC: Final = "\x1b"
LONGEST: Final = 32
"""Longest sequence, in characters; longer ones are dropped."""
ALT_LENGTH: Final = 2
"""Characters of a key with Alt: ESC and the key."""
KEY_SECONDS: Final = 0.1
"""Time after which ESC with nothing behind it is the key Esc."""
_SEQUENCE_SECONDS: Final = 2.0
"""Time without input after which an unfinished sequence is given up."""
_STRING_PATTERN: Final = r"(?:P[ -?]|\][0-9lL]|_G)[^\x00-\x1f\x7f]*"
"""An answer as DCS, OSC or APC, without its end. Text after Alt with P, ] or _ is not an answer."""
BACKGROUND: Final = f"{ESC}]11;"
"""How the answer begins that tells the background's colour: the only string that is passed on."""
_STRING: Final = re.compile(rf"\x1b{_STRING_PATTERN}")
_WHOLE: Final = re.compile(
    r"\x1b(?:"
    r"\[\[[A-E]"  # F1 to F5 on a Linux console
    r"|\[M[^\x00-\x1f]{3}"  # a mouse report in X10's form
    r"|\[\d{1,2}\$"  # a shifted key of rxvt
    r"|\[(?![\[M])[0-?]*[ -/]*[@-~]"
    r"|O[0-?]*[@-~]"
    rf"|{_STRING_PATTERN}(?:\x07|\x1b\\)"
    r"|[^\x1b\[OP\]_]"  # a key with Alt
    r")"
)
_BEGUN: Final = re.compile(
    r"\x1b(?:"
    r"\[(?:\[|M[^\x00-\x1f]{0,2}|(?![\[M])[0-?]*[ -/]*)"
    r"|O[0-?]*"
    rf"|{_STRING_PATTERN}(?:\x1b\Z)?"
    r"|[P\]_]"
    r")?"
)


class SequenceReader:
    """Splits a stream, and holds back an unfinished sequence."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Measure time with `now`, in seconds."""
        self._now = now
        self._held = ""
        self._since = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether a sequence has started that `give_up` may have to end."""
        return bool(self._held)

    def feed(self, text: str) -> Iterator[str]:
        """Yield text without ESC, whole sequences, and ESC alone for the key.

        Dropped are strings other than the background's colour, sequences that are too long, and those that a
        control character or another sequence interrupts.
        """
        self._since = self._now()
        stream, place = self._held + text, 0
        self._held = ""
        while place < len(stream):
            if not stream.startswith(ESC, place):
                plain = stream[place:].partition(ESC)[0]
                yield plain
                place += len(plain)
            elif whole := _WHOLE.match(stream, place):
                is_known = not _STRING.match(stream, place) or whole.group().startswith(BACKGROUND)
                if len(whole.group()) <= LONGEST and is_known:
                    yield whole.group()
                place = whole.end()
            else:
                begun = cast("re.Match[str]", _BEGUN.match(stream, place))
                if begun.end() == len(stream):
                    self._hold(begun.group())
                elif len(begun.group()) <= ALT_LENGTH:
                    yield begun.group()
                place = begun.end()

    def give_up(self) -> str:
        """Return ESC if it was the key; forget a sequence that does not end."""
        waited = self._now() - self._since
        is_key = self._held == ESC and waited >= KEY_SECONDS
        if is_key or waited >= _SEQUENCE_SECONDS:
            self._held = ""
        return ESC if is_key else ""

    def _hold(self, begun: str) -> None:
        """Hold what determines how a sequence ends, and no more than shows that it is too long."""
        ends = ESC if _STRING.match(begun) and begun.endswith(ESC) else ""
        self._held = begun.removesuffix(ends)[: LONGEST + 1] + ends


def without_sequences(text: str) -> str:
    """Return a line without the answers of a terminal that arrived meanwhile."""
    return "".join(part for part in SequenceReader().feed(text) if not part.startswith(ESC))
