"""Lists the keys of a screen; each can also be clicked."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from data.rules.domain_types import Status
from tui.dialogs.dialog import Dialog, paragraph
from tui.keys import Act
from tui.widgets.status_marks import marked

_TWO_COLUMNS_FROM = 78
_KEY = Style(bold=True, underline=True)
_STATUSES = (
    (Status.ENABLED, Status.PENDING, Status.NO, Status.LOCKED),
    (Status.DEACTIVATED, Status.NOT_AVAILABLE),
)


class HelpDialog(Dialog[str]):
    """Shows each key with what it does; the answer is the action of the line that was clicked.

    The button gives `open_manual`.
    """

    AUTO_FOCUS = "#box"
    BOX_TAKES_FOCUS = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.HELP.binding("answer", "Manual"),
        Act.OPEN.binding("cancel", "Close"),
    ]

    def __init__(self, commands: Sequence[tuple[str, str, str]], *, with_statuses: bool = False) -> None:
        """Show the key, words and action of each command, and what the marks of statuses mean."""
        super().__init__("Keys on this screen", "Manual (?)", "Close")
        self._commands = commands
        self._with_statuses = with_statuses

    def content(self) -> Iterator[Widget]:
        """Yield the list, in two columns where there is room."""
        table = Table.grid(padding=(0, 2))
        cells = [
            (Text(key, _KEY + _click(number)), Text(words, _click(number)))
            for number, (key, words, _) in enumerate(self._commands)
        ]
        columns = 2 if self.app.size.width >= _TWO_COLUMNS_FROM else 1
        length = -(-len(cells) // columns)
        for row in zip_longest(*(cells[start : start + length] for start in range(0, len(cells), length))):
            table.add_row(*(part for pair in row if pair for part in pair))
        yield Static(table)
        if self._with_statuses:
            legend = Content("\n").join(Content("   ").join(map(marked, line)) for line in _STATUSES)
            yield Static(legend, id="statuses")
        yield paragraph(
            "\nTab moves to the next field or button. A click on a key does what the key does.", "hint"
        )

    def answer(self) -> str:
        """Return the action that opens the manual."""
        return "open_manual"

    def action_take(self, number: int) -> None:
        """Answer with the action of one line."""
        if self.is_current:
            self.dismiss(self._commands[number][2])


def _click(number: int) -> Style:
    return Style(meta={"@click": f"screen.take({number})"})
