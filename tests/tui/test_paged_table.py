"""The table that all lists stand in: its cursor, what is in sight, and the mouse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wcwidth
from hypothesis import example, given
from hypothesis import strategies as st
from support.app_driver import screen_cells
from textual.app import App, ComposeResult
from textual.pilot import Pilot

import tui.app
from tui.themes import THEMES
from tui.widgets.cells import cell
from tui.widgets.paged_table import Column, PagedTable, fit

COLUMNS: list[Column[int]] = [
    Column("Number", 8, str, sort="number"),
    Column("Words", 10, lambda row: f"row {row}"),
    Column("Wide", 30, lambda row: "wide" * 5, rank=1, sort="wide", descends=True),
]


class TableApp(App[None]):
    CSS_PATH = Path(tui.app.__file__).with_name("app.tcss")

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []
        self.register_theme(THEMES[0])
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        yield PagedTable(COLUMNS, str)

    def on_paged_table_row_selected(self, event: PagedTable.RowSelected) -> None:
        self.heard.append(event)

    def on_paged_table_sort_wanted(self, event: PagedTable.SortWanted) -> None:
        self.heard.append(event.sort)

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
    async with app.run_test(size=(30, 10)) as pilot:
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


async def test_a_page_that_is_read_again(app):
    """The cursor stays on its row or, without it, in its place; what others push down stays where it is."""
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(20, 50))
        app.table.move_cursor(5)
        app.table.fill(range(15, 50), turned=False)
        assert (app.table.selected, app.table.scroll_offset.y) == (25, 2)
        app.table.move_cursor(20)
        before = app.table.cursor_row - app.table.scroll_offset.y
        app.table.fill(range(10, 50), turned=False)
        assert app.table.selected == 35
        assert app.table.cursor_row - app.table.scroll_offset.y == before
        app.table.fill([*range(10, 35), *range(36, 50)], turned=False)
        assert app.table.selected == 36
        app.table.fill(range(10, 12), turned=False)
        assert app.table.selected == 11


async def test_what_was_scrolled_to_stays(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(30))
        app.table.scroll_to(y=20, animate=False)
        app.table.fill(range(31), turned=False)
        await pilot.pause()
        assert app.table.scroll_offset.y == 20


async def test_a_click_on_a_label_sorts(app):
    """It does where the table can sort by the column, and says by which it does."""
    async with app.run_test(size=(60, 10)) as pilot:
        await filled(app, pilot, range(3))
        for words in ("Number", "Words", "Wide"):
            await pilot.click(offset=(app.lines[0].index(words), 0))
        assert app.heard == ["number", "wide"]
        app.table.sorted_by = "wide"
        await pilot.pause()
        assert "Number   " in app.lines[0]
        assert "Wide ▼" in app.lines[0]
        await pilot.click(offset=(app.lines[0].index("Wide"), 0))
        assert app.heard == ["number", "wide"]
        app.table.sorted_by = "number"
        await pilot.pause()
        assert app.lines[0].split() == ["Number", "▲", "Words", "Wide"]


async def test_label_under_the_mouse(app):
    """It is underlined where a click sorts."""
    async with app.run_test(size=(60, 10)) as pilot:
        await filled(app, pilot, range(3))
        seen = []
        for words in ("Number", "Words"):
            await pilot.hover(offset=(app.lines[0].index(words), 0))
            await pilot.pause()
            seen.append([part.text for part in screen_cells(app)[0] if part.style and part.style.underline])
        assert seen == [["Number"], []]


async def test_clicks(app):
    async with app.run_test(size=(40, 10)) as pilot:
        await filled(app, pilot, range(30))
        await pilot.press("end")
        await pilot.click(offset=(3, 5))
        assert app.table.selected == 25
        assert app.heard == []
        await pilot.click(offset=(3, 5))
        await pilot.click(offset=(app.lines[0].index("Words"), 0))
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


def wide(label: str, cells: list[str], **more) -> Column[int]:
    return Column(label, more.pop("width", 30), lambda row: cells[row], **more)


class TestColumns:
    async def test_none_is_shown_with_nothing_in_it(self, app):
        async with app.run_test(size=(60, 8)) as pilot:
            app.table._columns = [COLUMNS[0], Column("Empty", 10, lambda _row: ""), COLUMNS[1]]
            await filled(app, pilot, range(3))
            assert app.lines[0].split() == ["Number", "Words"]
            app.table.fill([])
            await pilot.pause()
            assert app.lines[0].split() == ["Number", "Empty", "Words"]

    async def test_room_goes_by_rank_and_use(self, app):
        """The last in rank is the first to go, and is not cut before it goes but for what it can lack."""
        columns = [
            wide("A", ["a" * 10] * 3),
            wide("B", ["b" * 10] * 3, rank=2, least=8),
            wide("C", ["c" * 10] * 3, rank=1),
        ]
        for width, labels in ((37, "ABC"), (35, "ABC"), (34, "AC"), (25, "AC"), (19, "A")):
            fitted = fit([column.need(range(3)) for column in columns], [0, 2, 1], width - 1)
            assert "".join(columns[index].label for index in fitted) == labels, width
            assert sum(fitted.values()) + 2 * len(fitted) <= width - 1

    def test_one_long_text_takes_no_room_from_others(self):
        """It is cut where others would have to give way, and whole where there is room for all."""
        names = wide("Name", ["ann", "ben", "eve", "joe", "x" * 40], least=3)
        status = wide("2FA", ["on", "on", "on", "on", "pending setup"], rank=1)
        needs = [names.need(range(5)), status.need(range(5))]
        assert fit(needs, [0, 1], 22) == {0: 5, 1: 13}
        assert fit(needs, [0, 1], 57) == {0: 40, 1: 13}

    def test_no_label_is_cut(self):
        columns = [wide("A", ["aaaa"]), wide("A long label", ["b"], rank=1)]
        needs = [column.need(range(1)) for column in columns]
        assert set(fit(needs, [0, 1], 19)) == {0}
        assert set(fit(needs, [0, 1], 20)) == {0, 1}

    async def test_columns_of_a_page_that_is_read_again_only_grow(self, app):
        async with app.run_test(size=(60, 8)) as pilot:
            cells = ["long words"]
            app.table._columns = [Column("Words", 10, lambda _row: cells[0]), COLUMNS[0]]
            await filled(app, pilot, range(1))
            place = app.lines[0].index("Number")
            cells[0] = "short"
            app.table.fill(range(1), turned=False)
            await pilot.pause()
            assert app.lines[0].index("Number") == place
            app.table.fill(range(1))
            await pilot.pause()
            assert app.lines[0].index("Number") < place

    @given(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 3)), min_size=1),
        st.integers(2, 200),
    )
    def test_columns_never_take_more_than_the_room(self, wanted, room):
        needs = [(first * 4 // 5, first, first + more) for first, more, _ in wanted]
        fitted = fit(needs, [rank for *_, rank in wanted], room)
        assert sum(fitted.values()) + 2 * len(fitted) <= max(room, 3)
        assert all(fitted[index] >= min(needs[index][0], room - 2) for index in fitted)


# Wide letters, marks that take no cell or one of their own, joiners, emoji of several characters.
SCRIPTS = (
    "\u5c71a\u00e9\u0301\u0ba8\u0bbf\u0915\u094d\u200d\u0937\u200c\u062e\u0645\U0001f468\U0001f1e9\U0001f3fd\ufe0f"
    "\u1112\u1161\u11ab "
)


@given(st.text(alphabet=SCRIPTS) | st.text(), st.integers(1, 30))
@example("\u094da", 1)
def test_a_cell_is_no_wider_than_its_column(foreign, width):
    assert wcwidth.width(cell(foreign, width).plain) <= width


@pytest.mark.parametrize(
    "word", ["\u5c71\u7530" * 9, "\u0ba8\u0bbf", "e\u0301" * 9, "\u0645\u06cc\u200c\u062e", "row"]
)
async def test_columns_begin_in_the_same_cell_of_every_line(word):
    async with TableApp().run_test(size=(80, 10)) as pilot:
        columns = [COLUMNS[0], Column("Words", 20, lambda _row: word), COLUMNS[2]]
        pilot.app.table._columns = columns
        pilot.app.table.fill([1, 2])
        header, row = (pilot.app.table.render_line(y) for y in (0, 1))
        assert wcwidth.width(row.text[: row.text.index("wide")]) == header.text.index("Wide")
        assert wcwidth.width(row.text) == row.cell_length == 80
