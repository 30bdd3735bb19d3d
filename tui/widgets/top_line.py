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
            for key, name, title in self._places:
                label = Content.assemble((f" {key} ", "bold"), f"{safe(title)} ")
                click = Style.from_meta({"@click": f"screen.go('{name}')"})
                yield Static(label.stylize(click), classes="tab -present" if name == self._present else "tab")
