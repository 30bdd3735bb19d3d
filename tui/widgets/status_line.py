"""The line that confirms every change in words."""

from dataclasses import dataclass
from enum import StrEnum

from rich.text import Text
from textual.widgets import Static

from data.rules.text import safe


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
        super().__init__(markup=False)
        self.said = Said()
        self.show(said or Said())

    def show(self, said: Said) -> None:
        """Show a message in place of the last one."""
        self.said = said
        for tone in Tone:
            self.set_class(tone is said.tone, f"-{tone.value}")
        self.update(Text(_MARKS[said.tone] + safe(said.words, 400)) if said.words else "")
