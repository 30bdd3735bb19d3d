"""A table that shows one page of rows as wide as the terminal lets it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.message import Message
from textual.widgets import DataTable

from tui.widgets.words import cell

R = TypeVar("R")
_PADDING = 2
"""Columns of a terminal that a cell's padding takes."""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """A column: what it shows of a row, how wide, and from which terminal width on.

    `share` says how much of the room that is left over it takes.
    """

    label: str
    width: int
    value: Callable[[R], str]
    from_width: int = 0
    share: int = 0


def fit(columns: Sequence[Column[R]], width: int) -> list[tuple[Column[R], int]]:
    """Choose the columns that a width has room for, and how wide each becomes."""
    shown = [column for column in columns if column.from_width <= width]
    spare = width - sum(column.width + _PADDING for column in shown)
    shares = sum(column.share for column in shown) or 1
    return [(column, max(4, column.width + spare * column.share // shares)) for column in shown]


class PagedTable(DataTable[object], Generic[R]):
    """Shows the rows it is given; going beyond either end asks for another page."""

    @dataclass
    class PageWanted(Message):
        """The cursor was moved beyond an end of the page."""

        forward: bool

    def __init__(self, columns: Sequence[Column[R]], key: Callable[[R], str]) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False)
        self._shape = columns
        self._key = key
        self._page: Sequence[R] = ()
        self._fitted: list[tuple[Column[R], int]] = []
        """The columns as they were drawn last, with their widths."""
        self._came_from_below = False

    @property
    def selected(self) -> R | None:
        """The row under the cursor."""
        return self._page[self.cursor_row] if 0 <= self.cursor_row < len(self._page) else None

    def fill(self, page: Sequence[R]) -> None:
        """Show these rows; the cursor stays on the row it was on, if that is still there."""
        before = self.selected
        self._page = page
        self._draw()
        keys = [self._key(row) for row in page]
        if before is not None and self._key(before) in keys:
            self.move_cursor(row=keys.index(self._key(before)))
        elif self._came_from_below:
            self.move_cursor(row=len(keys) - 1)
        self._came_from_below = False

    def on_resize(self) -> None:
        """Lay the columns out anew where others have room, and keep the cursor in sight."""
        row = self.cursor_row
        if self._fitted != fit(self._shape, self._room):
            self._draw()
        self.move_cursor(row=row)

    def action_cursor_down(self) -> None:
        """Move down, or on to the next page."""
        if self.cursor_row >= len(self._page) - 1:
            self.post_message(self.PageWanted(forward=True))
        else:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        """Move up, or back to the page before."""
        if self.cursor_row <= 0:
            self._came_from_below = True
            self.post_message(self.PageWanted(forward=False))
        else:
            super().action_cursor_up()

    def action_scroll_home(self) -> None:
        """Move to the first row of the page."""
        self.move_cursor(row=0)

    def action_scroll_end(self) -> None:
        """Move to the last row of the page."""
        self.move_cursor(row=len(self._page) - 1)

    @property
    def _room(self) -> int:
        return self.size.width - 1 or 79

    def _draw(self) -> None:
        self._fitted = shape = fit(self._shape, self._room)
        self.clear(columns=True)
        for column, width in shape:
            self.add_column(column.label, width=width)
        for row in self._page:
            self.add_row(*(cell(column.value(row), width) for column, width in shape), key=self._key(row))
