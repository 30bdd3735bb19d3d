"""The top of the main screens: product, account, person, and the way to the other screens."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from data.rules.safe_text import safe
from tui.widgets.clickable import ClickableLines, clicking
from tui.widgets.words import cell

_IN_SHORT = {"profile": "Me"}
"""Titles that are shorter where not all of them have room."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Whose console this is."""

    account: str = ""
    person: str = ""


class TopLine(ClickableLines):
    """Two calm lines."""

    def __init__(self, heading: Heading, places: Sequence[tuple[str, str, str]], present: str) -> None:
        super().__init__()
        self._heading = heading
        self._places = places
        self._present = present

    def render(self) -> Content:
        """Write both lines as long as there is room for."""
        width = self.size.width
        return Content("\n").join([self._whose(width - 2), self._tabs(width)])

    def _whose(self, room: int) -> Content:
        person = cell(self._heading.person, 32).plain
        account = cell(self._heading.account, 30).plain
        left = Content.assemble(("Twofold", "bold $primary"), f"  {account}")
        right = Content(person)
        return Content.assemble(" ", left.truncate(max(0, room - right.cell_length), pad=True), right)

    def _tabs(self, room: int) -> Content:
        tabs = [self._tab(*place) for place in self._places]
        if sum(tab.cell_length for tab in tabs) > room:
            tabs = [
                self._tab(key, name, _IN_SHORT.get(name, title), pad="") for key, name, title in self._places
            ]
        return Content("").join(tabs)

    def _tab(self, key: str, name: str, title: str, pad: str = " ") -> Content:
        label = Content.assemble((f"{pad}{key} ", "bold"), f"{safe(title)} ")
        label = label.stylize("bold reverse $primary" if name == self._present else "$foreground")
        return clicking(label, f"screen.go('{name}')")
