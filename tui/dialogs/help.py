"""Lists the keys of a screen."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from tui.dialogs.dialog import Dialog


class HelpDialog(Dialog[bool]):
    """Shows each key with what it does."""

    AUTO_FOCUS = "#yes"

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__("Keys of this screen", "Close", None)
        self._keys = keys

    def content(self) -> Iterator[Widget]:
        """Yield the list."""
        table = Table.grid(padding=(0, 2))
        for key, words in self._keys:
            table.add_row(Text(key, "bold"), Text(words))
        yield Static(table)
