"""The practices of the account."""

from typing import ClassVar

from textual.binding import BindingType

from data.operations.audit.changes import Change
from data.operations.results import Denied, Done
from data.operations.users import practices, principals
from data.operations.users.practices import PracticeRow, PracticesView
from data.operations.users.user_search import UserQuery
from data.rules.user_fields import TEXT_LIMIT
from data.wording import consequences
from data.wording.words import counted
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.message_box import ConfirmDialog
from tui.keys import Act
from tui.screens.base_screen import working
from tui.screens.table_screen import TableScreen
from tui.screens.user_forms import PrincipalOperations, change_principals
from tui.widgets.paged_table import Column

_PRINCIPALS = PrincipalOperations(
    principals.preview_practice_principal,
    principals.add_practice_principal,
    principals.remove_practice_principal,
)
_BY_NAME = "name"
_COLUMNS: list[Column[PracticeRow]] = [
    Column("Practice", 40, lambda row: row.name, least=10, sort=_BY_NAME),
    Column("Users", 8, lambda row: str(row.users), rank=1, sort="users", descends=True),
    Column("Active", 8, lambda row: str(row.active), rank=2, sort="active", descends=True),
]


class PracticesScreen(TableScreen[PracticeRow, str]):
    """Each practice with how many users it has."""

    TAB = "practices"
    TOPIC = "administering-people"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.NEW.binding(),
        Act.EDIT.binding("rename", "Rename"),
        Act.REMOVE.binding(tooltip="Remove an empty practice"),
        Act.PRINCIPALS.binding(tooltip="Principals of everyone in the practice"),
    ]

    view: PracticesView | None = None

    def __init__(self) -> None:
        super().__init__(_COLUMNS, lambda row: row.name)
        self.order = _BY_NAME

    def concerns(self, change: Change) -> bool:
        """Return whether a change is one of practices or of who is in them."""
        return super().concerns(change) and change.event.startswith(("practice.", "user.", "people."))

    async def read(self) -> None:
        """Read the practices, which come by name, and sort them."""
        self.view = await self.app.read(practices.show_practices) or self.view
        if self.view is None:
            return
        rows = list(self.view.rows)
        words = f"{counted(len(rows), 'practice')} · one policy for all: 3 Security"
        if self.order != _BY_NAME:
            rows.sort(key=lambda row: -getattr(row, self.order))
        self.show(rows, words, sorted_by=self.order, who_can=self.view.who_can)

    def sort_by(self, sort: object) -> None:
        """Sort by a column."""
        self.order = str(sort)
        self.load()

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to manage practices to those who may, and to remove one if it is empty."""
        if action not in ("new", "rename", "remove", "principals"):
            return super().offers(action, parameters)
        if self.view is None:
            return None
        row = self.table.selected
        if action == "principals":
            return row is not None and row.name in self.view.may_be_given | self.view.may_lose
        return (
            self.view.may_manage
            if action != "remove"
            else row is not None and row.name in self.view.removable
        )

    def action_open(self) -> None:
        """Show the users of the practice under the cursor."""
        if self.table.selected is not None:
            self.app.open_users(UserQuery(practice=self.table.selected.name))

    @working
    async def action_new(self) -> None:
        """Add a practice."""
        await self._ask_name("New practice", "", "Add")

    @working
    async def action_rename(self) -> None:
        """Rename the practice under the cursor."""
        if self.table.selected is not None:
            await self._ask_name("Rename practice", self.table.selected.name, "Rename")

    @working
    async def action_remove(self) -> None:
        """Remove the practice under the cursor after confirmation."""
        row = self.table.selected
        if row is None:
            return
        if await self.app.push_screen_wait(ConfirmDialog(consequences.remove_practice(row.name))):
            await self.app.act(practices.remove_practice, row.name)

    @working
    async def action_principals(self) -> None:
        """Give or remove principals of the practice under the cursor."""
        row = self.table.selected
        rows = await self.app.read(principals.list_practice_principals, row.name) if row else None
        if row is not None and rows is not None and self.view is not None:
            may_give = row.name in self.view.may_be_given
            await change_principals(self.app, row.name, rows, _PRINCIPALS, may_give=may_give)

    async def _ask_name(self, title: str, before: str, yes: str) -> None:
        """Ask for a name until it is accepted or the form is cancelled."""

        def form(typed: tuple[str, ...] | None, fault: str) -> FormDialog:
            name = Field("Name", TEXT_LIMIT, typed[0] if typed else before)
            return FormDialog(title, [name], yes=yes, fault=fault)

        async def save(typed: tuple[str, ...]) -> Done | Denied:
            if before:
                return await self.app.submit(practices.rename_practice, before, typed[0])
            return await self.app.submit(practices.add_practice, typed[0])

        await self.app.fill_in(form, save)
