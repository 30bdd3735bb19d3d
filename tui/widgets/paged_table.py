"""A table that shows one page of rows and fits the width of the terminal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import wcwidth
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, MouseMove
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.cells import cell, clipped

R = TypeVar("R")
Line = list[tuple[str, str]]
"""The parts of a line, each with a variable of the theme for its colour, or with "" for the row's colour."""
_PADDING = 2
"""Terminal columns that the padding of a cell takes."""
_HEADER = 1
"""Lines above the rows."""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """A column: what it shows of a row, its width, and the terminal width from which it is shown.

    `share` is its part of the spare room. `tint` is the colour of a row's value, as a variable of the theme.
    """

    label: str
    width: int
    value: Callable[[R], str]
    from_width: int = 0
    share: int = 0
    tint: Callable[[R], str] | None = None


def fit(columns: Sequence[Column[R]], width: int) -> list[tuple[Column[R], int]]:
    """Return the columns that fit a width, each with its own width."""
    shown = [column for column in columns if column.from_width <= width]
    spare = width - sum(column.width + _PADDING for column in shown)
    shares = sum(column.share for column in shown) or 1
    return [(column, max(4, column.width + spare * column.share // shares)) for column in shown]


class PagedTable(ScrollView, Generic[R], can_focus=True):
    """Shows the rows it is given; moving beyond either end asks for another page."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor", "table--hover"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Select", show=False),
        Binding("up", "cursor_up", "Row up", show=False),
        Binding("down", "cursor_down", "Row down", show=False),
        Binding("pageup", "page_up", "Screen up", show=False),
        Binding("pagedown", "page_down", "Screen down", show=False),
        Binding("home,ctrl+home", "first", "First row", show=False),
        Binding("end,ctrl+end", "last", "Last row", show=False),
    ]

    class RowSelected(Message):
        """Enter was pressed on the row under the cursor, or that row was clicked."""

    @dataclass
    class PageWanted(Message):
        """The cursor was moved beyond an end of the page."""

        forward: bool

    def __init__(self, columns: Sequence[Column[R]], key: Callable[[R], str]) -> None:
        super().__init__()
        self._shape = columns
        self._key = key
        self._page: Sequence[R] = ()
        self._width = 0
        """The width that the lines were drawn for."""
        self._header: Line = []
        self._lines: list[Line] = []
        self._hovered: int | None = None
        self._came_from_below = False
        self.cursor_row = 0

    @property
    def selected(self) -> R | None:
        """The row under the cursor."""
        return self._page[self.cursor_row] if 0 <= self.cursor_row < len(self._page) else None

    def fill(self, page: Sequence[R], *, turned: bool = True) -> None:
        """Show these rows; the cursor stays on its row if that is still shown.

        Without it, the cursor goes to an end of a page that was `turned` to, and otherwise keeps its place.
        Below the first rows, a row that others push down or up stays where it is on the screen.
        """
        before, place = self.selected, self.cursor_row
        was_in_sight = 0 <= place - self.scroll_offset.y < self._in_sight
        self._page = page
        self._write()
        keys = [self._key(row) for row in page]
        last = max(0, len(keys) - 1)
        if before is not None and self._key(before) in keys:
            self.cursor_row = keys.index(self._key(before))
            if self.scroll_offset.y:
                self._scroll(self.scroll_offset.y + self.cursor_row - place)
        elif turned:
            self.cursor_row = last if self._came_from_below else 0
        else:
            self.cursor_row = min(place, last)
        if self.cursor_row != place:
            self.refresh()
        self._came_from_below = False
        if turned or was_in_sight:
            self._keep_in_sight()

    def on_resize(self) -> None:
        """Lay out the columns again if their room has changed, and keep the cursor visible."""
        if self._width != self._room:
            self._write()
        self._keep_in_sight()

    def move_cursor(self, row: int) -> None:
        """Move the cursor to a row, or to the nearest one."""
        before, self.cursor_row = self.cursor_row, max(0, min(row, len(self._page) - 1))
        self._redraw(before)
        self._redraw(self.cursor_row)
        self._hover(None)
        self._keep_in_sight()

    def action_select(self) -> None:
        """Report that the row under the cursor was chosen."""
        if self.selected is not None:
            self.post_message(self.RowSelected())

    def action_cursor_down(self) -> None:
        """Move down, or to the next page."""
        if self.cursor_row >= len(self._page) - 1:
            self.post_message(self.PageWanted(forward=True))
        else:
            self.move_cursor(self.cursor_row + 1)

    def action_cursor_up(self) -> None:
        """Move up, or to the previous page."""
        if self.cursor_row <= 0:
            self._came_from_below = True
            self.post_message(self.PageWanted(forward=False))
        else:
            self.move_cursor(self.cursor_row - 1)

    def action_page_down(self) -> None:
        """Move down by the number of visible rows."""
        self.move_cursor(self.cursor_row + self._in_sight)

    def action_page_up(self) -> None:
        """Move up by the number of visible rows."""
        self.move_cursor(self.cursor_row - self._in_sight)

    def action_first(self) -> None:
        """Move to the first row of the page."""
        self.move_cursor(0)

    def action_last(self) -> None:
        """Move to the last row of the page."""
        self.move_cursor(len(self._page) - 1)

    def on_click(self, event: Click) -> None:
        """Move to the row under the mouse; a click on the row under the cursor chooses it."""
        row = self._row_at(event.y)
        if row is not None and row == self.cursor_row:
            self.action_select()
        elif row is not None:
            self.move_cursor(row)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Mark the row under the mouse."""
        self._hover(self._row_at(event.y))

    def on_leave(self) -> None:
        """Mark no row."""
        self._hover(None)

    def _hover(self, row: int | None) -> None:
        if row != self._hovered:
            before, self._hovered = self._hovered, row
            self._redraw(before)
            self._redraw(row)

    def _row_at(self, y: int) -> int | None:
        row = y - _HEADER + self.scroll_offset.y
        return row if y >= _HEADER and row < len(self._page) else None

    @property
    def _room(self) -> int:
        return self.size.width or self.app.size.width

    @property
    def _in_sight(self) -> int:
        return max(1, self.scrollable_content_region.height - _HEADER)

    def _write(self) -> None:
        """Compose all lines for the room there is, minus the scroll bar."""
        self._width = self._room
        before = self._header, self._lines
        shape = fit(self._shape, self._width - 1)
        self._header = _line((column.label, width, "") for column, width in shape)
        self._lines = [
            _line(
                (column.value(row), width, column.tint(row) if column.tint else "") for column, width in shape
            )
            for row in self._page
        ]
        self.virtual_size = Size(sum(width + _PADDING for _, width in shape), _HEADER + len(self._lines))
        if before != (self._header, self._lines):
            self.refresh()

    def _keep_in_sight(self) -> None:
        """Scroll just enough to show the row under the cursor."""
        first = self.cursor_row - self._in_sight + 1
        self._scroll(min(self.cursor_row, max(self.scroll_offset.y, first)))

    def _scroll(self, y: int) -> None:
        if self.size and y != self.scroll_offset.y:
            self.scroll_to(y=y, animate=False)

    def _redraw(self, row: int | None) -> None:
        if row is not None:
            self.refresh(Region(0, _HEADER + row - self.scroll_offset.y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draw the header, or one row."""
        row = y - _HEADER + self.scroll_offset.y
        if y < _HEADER:
            return self._draw(self._header, self.get_component_rich_style("table--header"))
        if row >= len(self._lines):
            return self._draw([], self.rich_style)
        if row == self.cursor_row:
            # The cursor's colour is close to those of some values, which keep their marks.
            one_colour = [(text, "") for text, _ in self._lines[row]]
            return self._draw(one_colour, self.get_component_rich_style("table--cursor"))
        if row == self._hovered:
            return self._draw(self._lines[row], self.get_component_rich_style("table--hover"))
        return self._draw(self._lines[row], self.rich_style)

    def _draw(self, line: Line, style: Style) -> Strip:
        """Draw a line as wide as the table.

        Rich measures some scripts as narrower than terminals draw them, so the width is passed explicitly.
        """
        width = room = self.size.width
        segments = []
        for text, tint in line:
            shown = clipped(text, room)
            room -= wcwidth.width(shown)
            own = self.app.stylesheet.parse_style(tint).rich_style if tint else Style.null()
            segments.append(Segment(shown, style + own))
        return Strip([*segments, Segment(" " * room, style)], width)


def _line(cells: Iterable[tuple[str, int, str]]) -> Line:
    line: Line = []
    for value, width, tint in cells:
        text = f" {wcwidth.ljust(cell(value, width).plain, width)} "
        if line and line[-1][1] == tint:
            line[-1] = (line[-1][0] + text, tint)
        else:
            line.append((text, tint))
    return line
