"""The line that confirms every change in words."""

from dataclasses import dataclass
from enum import StrEnum

from rich.text import Text
from textual.reactive import var
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
    """Shows what the app said last; takes more lines where the words need them."""

    said: var[Said] = var(Said())

    def __init__(self) -> None:
        super().__init__(markup=False)

    def on_mount(self) -> None:
        """Follow what is said."""
        self.watch(self.app, "said", self._follow)

    def _follow(self, said: Said) -> None:
        """Show what was said; what is said again comes into sight again."""
        self.said = said
        if said.words:
            self.scroll_visible(animate=False)

    def watch_said(self, before: Said, said: Said) -> None:
        """Write the words, in the look of their tone."""
        self.remove_class(f"-{before.tone.value}")
        self.add_class(f"-{said.tone.value}")
        self.update(Text(_MARKS[said.tone] + safe(said.words, 400)) if said.words else Text())
