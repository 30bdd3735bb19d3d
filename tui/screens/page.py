"""A page in the middle of the screen: what people see before the main screens."""

from collections.abc import Iterator
from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget

from tui.dialogs.dialog import paragraph
from tui.screens.base import ActingScreen
from tui.widgets.key_line import KeyLine
from tui.widgets.status_line import StatusLine

T = TypeVar("T")


class Page(ActingScreen[T]):
    """A title, a body, the status line and the keys."""

    HEADLINE = ""

    def body(self) -> Iterator[Widget]:
        """Yield what stands below the title."""
        yield from ()

    def compose(self) -> ComposeResult:
        """Build the page."""
        with VerticalScroll(id="page", can_focus=False):
            yield paragraph(self.HEADLINE, "title")
            yield from self.body()
            yield StatusLine(self.app.said)
        yield KeyLine()
