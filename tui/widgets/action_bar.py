"""Clickable words, and the bar that lists the actions of a screen with their keys."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.style import Style
from rich.text import Text
from textual.content import Content
from textual.style import Style as ContentStyle
from textual.widget import Widget
from textual.widgets import Static

from data.rules.safe_text import safe
from tui.keys import Act

_GAP = 3


class ClickableLines(Widget):
    """Lines whose clickable parts look like the rest."""

    @property
    def link_style(self) -> Style:
        """An empty style, so that links keep their own."""
        return Style.null()


def clicking(label: Content, action: str) -> Content:
    """Return the label with a click that runs an action."""
    return label.stylize(ContentStyle.from_meta({"@click": action}))


class WhoCan(Static):
    """Says who can do what is not offered; hidden while there is nothing to say."""

    def __init__(self) -> None:
        super().__init__(classes="hidden", markup=False)

    def say(self, words: str) -> None:
        """Show these words, which may hold a foreign string, instead of the last ones."""
        shown = Text(safe(words, 400))
        if shown != self.content:
            self.update(shown)
        self.set_class(not words, "hidden")


class Offer(NamedTuple):
    """One action: the act that its key does, its label, and the screen action that it runs."""

    act: Act
    words: str
    action: str

    @property
    def label(self) -> Content:
        """The key and the words, with their click."""
        shown = Content.assemble((self.act.shown, "bold underline"), f" {self.words}")
        return clicking(shown, f"screen.{self.action}")


class ActionBar(Static):
    """Lines of offers, which wrap between offers and never inside one."""

    def __init__(self) -> None:
        super().__init__()
        self._offers: Sequence[Offer] = ()

    def offer(self, offers: Sequence[Offer]) -> None:
        """Show these offers instead of the last ones."""
        if offers != self._offers:
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
