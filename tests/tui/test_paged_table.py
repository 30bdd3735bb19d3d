"""The table that all lists stand in: its cursor, what is in sight, and the mouse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from support.app_driver import screen_cells
from textual.app import App, ComposeResult
from textual.pilot import Pilot

import tui.app
from tui.widgets.cells import cell
from tui.widgets.paged_table import Column, PagedTable

COLUMNS: list[Column[int]] = [
    Column("Number", 8, str),
    Column("Words", 10, lambda row: f"row {row}", share=1),
    Column("Wide", 12, lambda row: "wide", from_width=60),
]


class TableApp(App[None]):
    CSS_PATH = Path(tui.app.__file__).with_name("app.tcss")

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []

    def compose(self) -> ComposeResult:
        yield PagedTable(COLUMNS, str)

    def on_paged_table_row_selected(self, event: PagedTable.RowSelected) -> None:
        self.heard.append(event)

    def on_paged_table_page_wanted(self, event: PagedTable.PageWanted) -> None:
        self.heard.append(event.forward)

    @property
    def table(self) -> PagedTable[int]:
        return self.query_one(PagedTable)

    @property
    def lines(self) -> list[str]:
        return ["".join(part.text for part in line).rstrip() for line in screen_cells(self)]


@pytest.fixture
def app() -> Iterator[TableApp]:
    return TableApp()


async def filled(app: TableApp, pilot: Pilot[None], rows: range) -> None:
    app.table.fill(rows)
    app.table.focus()
    await pilot.pause()


async def test_a_page_is_shown_below_its_header(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(3))
        assert app.lines[0].split() == ["Number", "Words"]
        assert [line.split() for line in app.lines[1:4]] == [[str(row), "row", str(row)] for row in range(3)]
        assert set(app.lines[4:]) == {""}


async def test_cursor_stays_in_sight(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(30))
        for key, row in (
            ("pagedown", 9),
            ("pagedown", 18),
            ("up", 17),
            ("end", 29),
            ("pagedown", 29),
            ("pageup", 20),
            ("home", 0),
            ("pageup", 0),
        ):
            await pilot.press(key)
            assert app.table.cursor_row == row
            assert any(f"row {row}" in line for line in app.lines), key
            assert app.lines[0].split()[:2] == ["Number", "Words"]


async def test_going_beyond_an_end_asks_for_another_page(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(2))
        await pilot.press("up", "down", "down")
        assert app.heard == [False, True]
        app.heard.clear()
        await pilot.press("up", "up")
        app.table.fill(range(10, 15))
        assert app.table.selected == 14


async def test_cursor_stays_on_its_row(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(20))
        app.table.move_cursor(12)
        app.table.fill(range(10, 30))
        assert app.table.selected == 12
        app.table.fill(range(5))
        assert app.table.selected == 0
        app.table.fill(range(0))
        assert app.table.selected is None
        await pilot.press("enter", "end", "pageup")
        assert app.heard == []


async def test_clicks(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(30))
        await pilot.press("end")
        await pilot.click(offset=(3, 5))
        assert app.table.selected == 25
        assert app.heard == []
        await pilot.click(offset=(3, 5))
        await pilot.click(offset=(3, 0))
        assert len(app.heard) == 1
        assert isinstance(app.heard[0], PagedTable.RowSelected)


async def test_row_under_the_mouse(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(5))
        plain, marked = screen_cells(app)[3][0].style, []
        await pilot.hover(offset=(3, 3))
        marked.append(screen_cells(app)[3][0].style)
        await pilot.press("down")
        marked.append(screen_cells(app)[3][0].style)
        assert marked[0] != plain == marked[1]


async def test_columns_follow_the_width(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(30))
        await pilot.press("end")
        await pilot.resize_terminal(80, 6)
        await pilot.pause()
        assert app.lines[0].split() == ["Number", "Words", "Wide"]
        assert any("row 29" in line for line in app.lines)
        await pilot.resize_terminal(30, 4)
        await pilot.pause()
        assert app.lines[0].split() == ["Number", "Words"]
        assert any("row 29" in line for line in app.lines)


# Wide letters, marks that take no cell or one of their own, joiners, emoji of several characters.
SCRIPTS = (
    "\u5c71a\u00e9\u0301\u0ba8\u0bbf\u0915\u094d\u200d\u0937\u200c\u062e\u0645\U0001f468\U0001f1e9\U0001f3fd\ufe0f"
    "\u1112\u1161\u11ab "
)


@given(st.text(alphabet=SCRIPTS) | st.text(), st.integers(1, 30))
def test_a_cell_is_no_wider_than_its_column(foreign, width):
    assert wcwidth.width(cell(foreign, width).plain) <= width


@pytest.mark.parametrize(
    "word", ["\u5c71\u7530" * 9, "\u0ba8\u0bbf", "e\u0301" * 9, "\u0645\u06cc\u200c\u062e", "row"]
)
async def test_columns_begin_in_the_same_cell_of_every_line(word):
    async with TableApp().run_test(size=(80, 10)) as pilot:
        pilot.app.table._shape = [COLUMNS[0], Column("Words", 10, lambda _row: word), COLUMNS[2]]
        pilot.app.table.fill([1, 2])
        header, row = (pilot.app.table.render_line(y) for y in (0, 1))
        assert wcwidth.width(row.text[: row.text.index("wide")]) == header.text.index("Wide")
        assert wcwidth.width(row.text) == row.cell_length == 80
