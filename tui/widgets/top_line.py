"""The top of the main screens: product, account, person, and the way to the other screens."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from data.rules.text import safe
from tui.widgets.words import cell

_IN_SHORT = {"profile": "Me"}
"""Titles that are shorter where not all of them have room."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Whose console this is."""

    account: str = ""
    person: str = ""


class TopLine(Vertical):
    """Two calm lines."""

    def __init__(self, heading: Heading, places: Sequence[tuple[str, str, str]], present: str) -> None:
        super().__init__()
        self._heading = heading
        self._places = places
        self._present = present

    def compose(self) -> ComposeResult:
        """Build both lines."""
        with Horizontal(id="heading"):
            yield Static("Twofold", id="product", markup=False)
            yield Static(cell(self._heading.account, 30), id="account", markup=False)
            yield Static(cell(self._heading.person, 32), id="person", markup=False)
        with Horizontal(id="tabs"):
            for _, name, _ in self._places:
                yield Static(classes="tab -present" if name == self._present else "tab")

    def on_resize(self) -> None:
        """Write the tabs as long as there is room for."""
        labels = [self._label(*place) for place in self._places]
        if sum(label.cell_length for label in labels) > self.size.width:
            labels = [
                self._label(key, name, _IN_SHORT.get(name, title), pad="")
                for key, name, title in self._places
            ]
        for tab, label in zip(self.query(".tab").results(Static), labels, strict=True):
            tab.update(label)

    def _label(self, key: str, name: str, title: str, pad: str = " ") -> Content:
        label = Content.assemble((f"{pad}{key} ", "bold"), f"{safe(title)} ")
        return label.stylize(Style.from_meta({"@click": f"screen.go('{name}')"}))
