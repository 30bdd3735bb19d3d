"""Markdown in an app among others: it opens nothing, and takes little of the event loop's time."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Markdown, Static
from textual.widgets._markdown import MarkdownFence, MarkdownTable


class _PlainFence(MarkdownFence):
    """Code without colours: to guess the language of some, every lexer there is would be imported."""

    @classmethod
    def highlight(cls, code: str, *_language: Any, **_theme: Any) -> Content:
        """Return the code as it is."""
        return Content(code.rstrip("\n"))


class _PlainTable(MarkdownTable):
    """A table as one widget: Textual has one for each cell, whose tooltip takes brackets for markup."""

    def compose(self) -> ComposeResult:
        """Build the table."""
        headers, rows = self._get_headers_and_rows()
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
        for header in headers:
            table.add_column(Text(header.plain), overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell.plain) for cell in row))
        yield Static(table)


class ContainedMarkdown(Markdown):
    """A text whose links are left to who shows it."""

    BLOCKS = Markdown.BLOCKS | {
        "fence": _PlainFence,
        "code_block": _PlainFence,
        "table_open": _PlainTable,
    }

    def __init__(self, text: str) -> None:
        super().__init__(text, open_links=False)
