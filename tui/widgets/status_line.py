"""The line that confirms every change in words."""

from dataclasses import dataclass
from enum import StrEnum

from rich.text import Text
from textual.widgets import Static

from data.rules.safe_text import safe


class Tone(StrEnum):
    """How a message is meant; each has a mark of its own, so that colour adds nothing but calm."""

    DONE = "done"
    NOTE = "note"
    REFUSED = "refused"


_MARKS = {Tone.DONE: "✓ ", Tone.NOTE: "", Tone.REFUSED: "✗ "}


@dataclass(frozen=True, slots=True)
class Said:
    """A message to the person."""

    words: str = ""
    tone: Tone = Tone.NOTE


class StatusLine(Static):
    """Shows the last thing that was said; takes more lines where the words need them."""

    def __init__(self, said: Said | None = None) -> None:
        self.said = said or Said()
        super().__init__(_written(self.said), markup=False, classes=_class_of(self.said.tone))

    def show(self, said: Said) -> None:
        """Show a message in place of the last one."""
        if said == self.said:
            return
        self.remove_class(_class_of(self.said.tone))
        self.add_class(_class_of(said.tone))
        self.said = said
        self.update(_written(said))


def _class_of(tone: Tone) -> str:
    return f"-{tone.value}"


def _written(said: Said) -> Text:
    return Text(_MARKS[said.tone] + safe(said.words, 400)) if said.words else Text()
