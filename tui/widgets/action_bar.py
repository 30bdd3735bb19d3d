"""What can be done here, as words to click on, each with its key."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.widgets import Static

from tui.widgets.clickable import clicking

_GAP = 3


class Offer(NamedTuple):
    """One action: its key, its words, and the screen's action it runs."""

    key: str
    words: str
    action: str

    @property
    def label(self) -> Content:
        """The offer as it is shown, with its click."""
        shown = Content.assemble((self.key, "bold underline"), f" {self.words}")
        return clicking(shown, f"screen.{self.action}")


class ActionBar(Static):
    """Lines of offers, broken between them and never inside one."""

    def __init__(self) -> None:
        super().__init__()
        self._offers: Sequence[Offer] = ()

    def offer(self, offers: Sequence[Offer]) -> None:
        """Show these offers in place of the last ones."""
        self._offers = offers
        self._lay_out()

    def on_resize(self) -> None:
        """Break the lines anew."""
        self._lay_out()

    def _lay_out(self) -> None:
        lines: list[list[Content]] = [[]]
        used = 0
        for label in (offer.label for offer in self._offers):
            if lines[-1] and used + label.cell_length > self.content_size.width:
                lines.append([])
                used = 0
            lines[-1].append(label)
            used += label.cell_length + _GAP
        self.update(Content("\n").join(Content(" " * _GAP).join(line) for line in lines))
