"""The base of the main screens that show a table, page by page."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.base_screen import MainScreen
from tui.widgets.action_bar import WhoCan
from tui.widgets.paged_table import Column, PagedTable

R = TypeVar("R")
C = TypeVar("C")


class TableScreen(MainScreen, Generic[R, C]):
    """A summary and a page of rows `R`; a page starts after a row's cursor `C`, the first one at None."""

    AUTO_FOCUS = "PagedTable"
    starts: var[tuple[C | None, ...]] = var((None,), init=False, always_update=True)
    """Where the pages up to the current one start. Setting it reads the last of them."""

    def __init__(self, columns: Sequence[Column[R]], key: Callable[[R], str]) -> None:
        super().__init__()
        self.table = PagedTable(columns, key)
        self._summary_line = Static("", id="summary", markup=False)
        self._who_can = WhoCan()
        self._following: C | None = None
        self._turned = True

    def body(self) -> Iterator[Widget]:
        """Yield the summary and the table."""
        yield self._summary_line
        yield self._who_can
        yield self.table

    def show(
        self,
        rows: Sequence[R],
        summary: str,
        following: C | None = None,
        *,
        sorted_by: object = None,
        who_can: str = "",
    ) -> None:
        """Show a page; `following` is where the next one starts, if there is one.

        `sorted_by` is the `sort` of the column that says so; `who_can` says who can do what is not offered.
        """
        self.table.sorted_by = sorted_by
        self.table.fill(rows, turned=self._turned)
        if summary != self._summary_line.content:
            self._summary_line.update(summary)
        self._who_can.say(who_can)
        self._following = following
        self._turned = False

    def watch_starts(self) -> None:
        """Read the new page."""
        self._turned = True
        self.load()

    def on_paged_table_row_selected(self, event: PagedTable.RowSelected) -> None:
        """Open the row that Enter or a click chose."""
        event.stop()
        self.action_open()

    def on_paged_table_page_wanted(self, event: PagedTable.PageWanted) -> None:
        """Turn the page when the cursor moves beyond an end."""
        self.action_page(event.forward)

    def on_paged_table_sort_wanted(self, event: PagedTable.SortWanted) -> None:
        """Sort by the column whose label was clicked."""
        self.sort_by(event.sort)

    def sort_by(self, sort: object) -> None:
        """Sort by the `sort` of a column."""
        raise NotImplementedError

    def action_open(self) -> None:
        """Open the row under the cursor."""
        raise NotImplementedError

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to turn the page only where there is another one."""
        if action == "page":
            return self._following is not None if parameters[0] else len(self.starts) > 1
        return super().offers(action, parameters)

    def action_page(self, forward: bool) -> None:
        """Turn the page."""
        if forward and self._following is not None:
            self.starts = (*self.starts, self._following)
        elif not forward and len(self.starts) > 1:
            self.starts = self.starts[:-1]
