"""The top of the main screens: product, account, user, and the tabs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, NamedTuple

from textual.content import Content
from textual.style import Style

from data.rules.safe_text import safe
from tui.widgets.action_bar import ClickableLines, clicking
from tui.widgets.cells import cell

_IN_SHORT = {"applications": "Apps", "profile": "Me", "activity": "Log"}
"""Shorter titles for when not all of them fit, in the order in which they are used."""
_LONGEST = 12
"""Letters of the longest title."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The account and the user shown at the top."""

    account: str = ""
    person: str = ""


class Tab(NamedTuple):
    """A main screen: its key, its name in actions, and its title."""

    key: str
    name: str
    title: str


class TopLine(ClickableLines):
    """Two lines: whose session it is, and the tabs."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab--present"}

    def __init__(self, heading: Heading, tabs: Sequence[Tab], present: str) -> None:
        super().__init__()
        self._heading = heading
        self._tabs = tabs
        self._present = present

    def render(self) -> Content:
        """Draw both lines as wide as the screen allows."""
        width = self.size.width
        return Content("\n").join([self._whose(width - 2), self._labels(width)])

    def _whose(self, room: int) -> Content:
        person = cell(self._heading.person, 32).plain
        account = cell(self._heading.account, 30).plain
        left = Content.assemble(("Twofold", "bold $primary"), f"  {account}")
        right = Content(person)
        return Content.assemble(" ", left.truncate(max(0, room - right.cell_length), pad=True), right)

    def _labels(self, room: int) -> Content:
        short = [self._shortened(count) for count in range(len(_IN_SHORT) + 1)]
        cut = (self._cut(short[-1], length) for length in range(_LONGEST, 1, -1))
        line = Content()
        for number, tabs in enumerate(chain([self._tabs], short, cut)):
            line = Content("").join(self._label(tab, "" if number else " ") for tab in tabs)
            if line.cell_length <= room + 1:  # The last cell is a space.
                break
        return line

    def _shortened(self, count: int) -> list[Tab]:
        """Give the first `count` of the tabs that have a shorter title that one."""
        titles = dict(list(_IN_SHORT.items())[:count])
        return [tab._replace(title=titles.get(tab.name, tab.title)) for tab in self._tabs]

    def _cut(self, tabs: Sequence[Tab], length: int) -> list[Tab]:
        """Cut the titles to a length, except that of the present tab."""
        return [
            tab
            if tab.name == self._present or len(tab.title) <= length
            else tab._replace(title=f"{tab.title[: length - 1]}…")
            for tab in tabs
        ]

    def _label(self, tab: Tab, pad: str = " ") -> Content:
        label = Content.assemble((f"{pad}{tab.key} ", "bold"), f"{safe(tab.title)} ")
        present = Style.from_rich_style(self.get_component_rich_style("tab--present"))
        label = label.stylize(present if tab.name == self._present else "$foreground")
        return clicking(label, f"screen.go('{tab.name}')")
