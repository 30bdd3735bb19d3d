"""Lists the keys of a screen."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from tui.dialogs.dialog import Dialog

_TWO_COLUMNS_FROM = 78


class HelpDialog(Dialog[bool]):
    """Shows each key with what it does."""

    AUTO_FOCUS = "#box"
    BOX_TAKES_FOCUS = True
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,question_mark", "cancel", "Close")]

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__("Keys of this screen", "Close", None)
        self._keys = keys

    def content(self) -> Iterator[Widget]:
        """Yield the list, in two columns where there is room."""
        table = Table.grid(padding=(0, 2))
        cells = [(Text(key, "bold"), Text(words)) for key, words in self._keys]
        columns = 2 if self.app.size.width >= _TWO_COLUMNS_FROM else 1
        length = -(-len(cells) // columns)
        for row in zip_longest(*(cells[start : start + length] for start in range(0, len(cells), length))):
            table.add_row(*(part for pair in row if pair for part in pair))
        yield Static(table)
