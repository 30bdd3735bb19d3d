"""What can be done here, as words to click on, each with its key."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.style import Style
from textual.widgets import Static


class Offer(NamedTuple):
    """One action: its key, its words, and the screen's action it runs."""

    key: str
    words: str
    action: str


class ActionBar(Static):
    """A row of offers that wraps between them and never inside one."""

    def offer(self, offers: Sequence[Offer]) -> None:
        """Show these offers in place of the last ones."""
        pieces: list[Content] = []
        for offer in offers:
            if pieces:
                pieces.append(Content("   "))
            words = f"\N{NO-BREAK SPACE}{offer.words}".replace(" ", "\N{NO-BREAK SPACE}")
            label = Content.assemble((offer.key, "bold underline"), words)
            pieces.append(label.stylize(Style.from_meta({"@click": f"screen.{offer.action}"})))
        self.update(Content("").join(pieces))
