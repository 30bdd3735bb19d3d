"""A table that shows one page of rows and fits the width of the terminal."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import wcwidth
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, MouseMove
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from data.rules.safe_text import safe
from tui.keys import Act
from tui.widgets.cells import cell, clipped

R = TypeVar("R")
Line = list[tuple[str, str]]
"""The parts of a line, each with a style of the theme of its own, or with "" for the row's style."""
Need = tuple[int, int, int]
"""The least room for a column, what it gets first, and what all its cells need."""
_FEW = 5
"""One of so many cells that can be cut is longer than what its column gets first."""
_PADDING = 2
"""Terminal columns that the padding of a cell takes."""
_SPREAD = 4
"""Terminal columns that a cell has beside these where there is room for all."""
_HEADER = 1
"""Lines above the rows."""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """A column: what it shows of a row, and when it gets its room.

    Columns get room in the order of `rank`: each as much as its cells need, up to `width`; then what is left
    over for longer cells. One with empty cells alone is left out, and so is one that would get less, but for
    the first. Cells are cut only where `least` says to how much: then that is enough, and a few long ones
    count for nothing until there is room left over.

    `slack` is room beside the cells, so that a mark moves nothing. `tint` is the colour of a row's value, as
    a variable of the theme. `sort` is what a click on the label sorts by, if it does; then the greatest comes
    first if it `descends`.
    """

    label: str
    width: int
    value: Callable[[R], str]
    rank: int = 0
    least: int | None = None
    slack: int = 0
    tint: Callable[[R], str] | None = None
    sort: object = None
    descends: bool = False

    def need(self, page: Sequence[R]) -> Need:
        """Return how much room its cells need, which is none if there are rows but nothing in them."""
        cells = sorted(wcwidth.width(safe(self.value(row))) for row in page) or [0]
        if page and not cells[-1]:
            return 0, 0, 0
        label = wcwidth.width(self.label) + (_PADDING if self.sort is not None else 0)
        longer = 0 if self.least is None else len(cells) // _FEW
        first = max(label, min(self.width, cells[-1 - longer] + self.slack))
        least = first if self.least is None else max(label, min(first, self.least))
        return least, first, max(first, cells[-1] + self.slack)


def fit(needs: Sequence[Need], ranks: Sequence[int], room: int) -> dict[int, int]:
    """Return which columns are shown, in their order, and how wide each is without its padding."""
    widths: dict[int, int] = {}
    ranked = sorted(range(len(needs)), key=ranks.__getitem__)
    for index in ranked:
        (least, first, _), free = needs[index], room - _PADDING
        if least and (not widths or free >= least):
            widths[index] = max(1, min(first, free))
            room -= widths[index] + _PADDING
    for index in (index for index in ranked if index in widths):
        more = max(0, min(needs[index][2] - widths[index], room))
        widths[index] += more
        room -= more
    spread = max(0, min(_SPREAD, room // max(1, len(widths))))
    return {index: widths[index] + spread for index in sorted(widths)}


class PagedTable(ScrollView, Generic[R], can_focus=True):
    """Shows the rows it is given; moving beyond either end asks for another page."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor", "table--hover"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.OPEN.binding("select"),
        Act.UP.binding("cursor_up", show=False),
        Act.DOWN.binding("cursor_down", show=False),
        Act.SCREEN_UP.binding("page_up", show=False),
        Act.SCREEN_DOWN.binding("page_down", show=False),
        Act.FIRST_ROW.binding("first", show=False),
        Act.LAST_ROW.binding("last", show=False),
    ]

    cursor_row: var[int] = var(0, bindings=True)
    """The row under the cursor, which decides what can be done."""

    class RowSelected(Message):
        """Enter was pressed on the row under the cursor, or that row was clicked."""

    class RowHighlighted(Message):
        """Another row is under the cursor, or what it shows has changed."""

    @dataclass
    class PageWanted(Message):
        """The cursor was moved beyond an end of the page."""

        forward: bool

    @dataclass
    class SortWanted(Message):
        """The label of a column was clicked that the table is not sorted by."""

        sort: object

    sorted_by: var[object] = var(None, init=False)
    """The `sort` of the column whose label says so."""

    def __init__(self, columns: Sequence[Column[R]], key: Callable[[R], str]) -> None:
        super().__init__()
        self._columns = columns
        self._needs = [column.need(()) for column in columns]
        self._key = key
        self._page: Sequence[R] = ()
        self._width = 0
        """The width that the lines were drawn for."""
        self._fitted: dict[int, int] = {}
        self._lines: list[Line] = []
        self._hovered: int | None = None
        self._hovered_label: int | None = None
        self._came_from_below = False

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
        self._measure(page, anew=turned)
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
        if self.selected != before:
            self.post_message(self.RowHighlighted())

    def _measure(self, page: Sequence[R], *, anew: bool) -> None:
        """Measure the columns; on a page that is read again they only grow, so that they do not waver."""
        before = self._needs
        self._needs = [column.need(page) for column in self._columns]
        if not anew:
            self._needs = [
                (max(old[0], new[0]), max(old[1], new[1]), max(old[2], new[2]))
                for old, new in zip(before, self._needs, strict=True)
            ]

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
        if self.cursor_row != before:
            self.post_message(self.RowHighlighted())

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
        """Sort by the label under the mouse, or move to the row; a click on the cursor's row chooses it."""
        row, label = self._row_at(event.y), self._label_at(event.x, event.y)
        if label is not None and self._columns[label].sort != self.sorted_by:
            self.post_message(self.SortWanted(self._columns[label].sort))
        if row is not None and row == self.cursor_row:
            self.action_select()
        elif row is not None:
            self.move_cursor(row)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Mark the row under the mouse, or the label if the table can be sorted by it."""
        self._hover(self._row_at(event.y), self._label_at(event.x, event.y))

    def on_leave(self) -> None:
        """Mark nothing."""
        self._hover(None)

    def watch_sorted_by(self) -> None:
        """Draw the header again."""
        self._redraw_header()

    def _hover(self, row: int | None, label: int | None = None) -> None:
        if row != self._hovered:
            before, self._hovered = self._hovered, row
            self._redraw(before)
            self._redraw(row)
        if label != self._hovered_label:
            self._hovered_label = label
            self._redraw_header()

    def _row_at(self, y: int) -> int | None:
        row = y - _HEADER + self.scroll_offset.y
        return row if y >= _HEADER and row < len(self._page) else None

    def _label_at(self, x: int, y: int) -> int | None:
        """Return which column's label is at a place, if the table can be sorted by it."""
        if y >= _HEADER:
            return None
        for index, width in self._fitted.items():
            if x < width + _PADDING:
                return index if self._columns[index].sort is not None else None
            x -= width + _PADDING
        return None

    def _rank(self, column: Column[R]) -> int:
        """Return the column's rank; what the rows are sorted by is always shown."""
        return 0 if column.sort is not None and column.sort == self.sorted_by else column.rank

    @property
    def _room(self) -> int:
        return self.size.width or self.app.size.width

    @property
    def _in_sight(self) -> int:
        return max(1, self.scrollable_content_region.height - _HEADER)

    def _write(self) -> None:
        """Compose all lines for the room there is, minus the scroll bar."""
        self._width = self._room
        before = self._fitted, self._lines
        self._fitted = fit(self._needs, [self._rank(column) for column in self._columns], self._width - 1)
        fitted = [(self._columns[index], width) for index, width in self._fitted.items()]
        self._lines = [
            _line(
                (column.value(row), width, column.tint(row) if column.tint else "")
                for column, width in fitted
            )
            for row in self._page
        ]
        drawn = sum(width + _PADDING for width in self._fitted.values())
        self.virtual_size = Size(drawn, _HEADER + len(self._lines))
        if before != (self._fitted, self._lines):
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

    def _redraw_header(self) -> None:
        self.refresh(Region(0, 0, self.size.width, _HEADER))

    def render_line(self, y: int) -> Strip:
        """Draw the header, or one row."""
        row = y - _HEADER + self.scroll_offset.y
        if y < _HEADER:
            return self._draw(list(self._header()), self.get_component_rich_style("table--header"))
        if row >= len(self._lines):
            return self._draw([], self.rich_style)
        if row == self.cursor_row:
            # The cursor's colour is close to those of some values, which keep their marks.
            one_colour = [(text, "") for text, _ in self._lines[row]]
            return self._draw(one_colour, self.get_component_rich_style("table--cursor"))
        if row == self._hovered:
            return self._draw(self._lines[row], self.get_component_rich_style("table--hover"))
        return self._draw(self._lines[row], self.rich_style)

    def _header(self) -> Iterator[tuple[str, str]]:
        """Yield the labels, marked where the table is sorted, underlined where the mouse would sort it."""
        for index, width in self._fitted.items():
            column = self._columns[index]
            is_sorted = column.sort is not None and column.sort == self.sorted_by
            mark = (" ▼" if column.descends else " ▲") if is_sorted else ""
            label = cell(column.label + mark, width).plain
            style = "$primary" if is_sorted else "underline" if index == self._hovered_label else ""
            yield " ", ""
            yield label, style
            yield " " * (width - wcwidth.width(label) + 1), ""

    def _draw(self, line: Line, style: Style) -> Strip:
        """Draw a line as wide as the table.

        Rich measures some scripts as narrower than terminals draw them, so the width is passed explicitly.
        """
        width = room = self.size.width
        segments = []
        for text, own in line:
            shown = clipped(text, room)
            room -= wcwidth.width(shown)
            added = self.app.stylesheet.parse_style(own).rich_style if own else Style.null()
            segments.append(Segment(shown, style + added))
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
