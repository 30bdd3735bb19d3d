"""The practices of the account."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from data.operations.results import Denied
from data.operations.users import practices
from data.operations.users.practices import PracticeRow
from data.rules.user_fields import TEXT_LIMIT
from tui.dialogs import consequences
from tui.dialogs.confirm import ConfirmDialog
from tui.dialogs.form import Field, FormDialog
from tui.screens.base_screen import MainScreen, working
from tui.widgets.paged_table import Column, PagedTable
from tui.widgets.words import counted

_COLUMNS: list[Column[PracticeRow]] = [
    Column("Practice", 24, lambda row: row.name, share=1),
    Column("Users", 8, lambda row: str(row.users)),
    Column("Active", 8, lambda row: str(row.active)),
]


class PracticesScreen(MainScreen):
    """Each practice with how many users it has."""

    PLACE = "practices"
    AUTO_FOCUS = "PagedTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Users", tooltip="Users of the practice"),
        Binding("n", "new", "New"),
        Binding("e", "rename", "Rename"),
        Binding("x", "remove", "Remove", show=False, tooltip="Remove a practice that nobody is in"),
    ]

    def body(self) -> Iterator[Widget]:
        """Yield the summary and the table."""
        yield Static("", id="summary", markup=False)
        self._table = PagedTable(_COLUMNS, lambda row: row.name)
        yield self._table

    async def read(self) -> None:
        """Read the practices."""
        rows = await self.app.read(practices.list_practices)
        if rows is None:
            return
        self._table.fill(rows)
        self.query_one("#summary", Static).update(
            f"{counted(len(rows), 'practice')} · one policy reaches all of them: 3 Security"
        )

    def on_paged_table_row_selected(self, event: PagedTable.RowSelected) -> None:
        """Open the row that Enter or a click chose."""
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """Show the users of the practice under the cursor."""
        if self._table.selected is not None:
            self.app.open_users_of(self._table.selected.name)

    @working
    async def action_new(self) -> None:
        """Add a practice."""
        await self._ask_name("New practice", "", "Add")

    @working
    async def action_rename(self) -> None:
        """Give the practice under the cursor another name."""
        if self._table.selected is not None:
            await self._ask_name("Rename the practice", self._table.selected.name, "Rename")

    @working
    async def action_remove(self) -> None:
        """Remove the practice under the cursor, once that is confirmed."""
        if self._table.selected is None:
            return
        question = consequences.remove_practice(self._table.selected.name)
        if await self.app.push_screen_wait(ConfirmDialog(question)):
            await self.app.act(practices.remove_practice, self._table.selected.name)
            await self.read()

    async def _ask_name(self, title: str, before: str, yes: str) -> None:
        """Ask for a name until it is taken or the form is left."""
        name, fault = before, ""
        while True:
            answer = await self.app.push_screen_wait(
                FormDialog(title, [Field("Name", TEXT_LIMIT, name)], yes=yes, fault=fault)
            )
            if answer is None:
                return
            name = answer[0]
            if before:
                result = await self.app.submit(practices.rename_practice, before, name)
            else:
                result = await self.app.submit(practices.add_practice, name)
            if not isinstance(result, Denied):
                break
            fault = result.message
        self.app.settle(result)
        await self.read()
