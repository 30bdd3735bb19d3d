"""Words to click on: lines of them, and the bar of what can be done here, each with its key."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.style import Style
from textual.content import Content
from textual.style import Style as ContentStyle
from textual.widget import Widget
from textual.widgets import Static

_GAP = 3


class ClickableLines(Widget):
    """Lines that look as they are written, whether or not a part of them can be clicked on."""

    @property
    def link_style(self) -> Style:
        """Nothing is added to what can be clicked on."""
        return Style.null()


def clicking(label: Content, action: str) -> Content:
    """Have a click on the label run an action."""
    return label.stylize(ContentStyle.from_meta({"@click": action}))


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
        """Break the lines again."""
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
