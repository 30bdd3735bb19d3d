"""The line that confirms every change."""

from dataclasses import dataclass
from enum import StrEnum

from rich.text import Text
from textual.reactive import var
from textual.widgets import Static

from data.rules.safe_text import safe


class Tone(StrEnum):
    """The kind of a message; each has its own mark, so that none depends on colour."""

    DONE = "done"
    NOTE = "note"
    REFUSED = "refused"


_MARKS = {Tone.DONE: "✓ ", Tone.NOTE: "", Tone.REFUSED: "✗ "}


@dataclass(frozen=True, slots=True)
class Said:
    """A message to the user."""

    words: str = ""
    tone: Tone = Tone.NOTE


class StatusLine(Static):
    """Shows the last message of the app, on as many lines as it needs."""

    said: var[Said] = var(Said())

    def __init__(self) -> None:
        super().__init__(markup=False)

    def on_mount(self) -> None:
        """Follow the messages of the app."""
        self.watch(self.app, "said", self._follow)

    def _follow(self, said: Said) -> None:
        """Show a message, and scroll to it even if it is the same as before."""
        self.said = said
        if said.words:
            self.scroll_visible(animate=False)

    def watch_said(self, before: Said, said: Said) -> None:
        """Show the words in the style of their tone."""
        self.remove_class(f"-{before.tone.value}")
        self.add_class(f"-{said.tone.value}")
        self.update(Text(_MARKS[said.tone] + safe(said.words, 400)) if said.words else Text())
