"""The users table."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Input

from data.operations.users import bulk_actions, practices, user_summaries
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_search import PAGE, SortKey, UserQuery
from data.operations.users.user_summaries import UserPage, UserRow
from data.rules.domain_types import Status
from data.rules.safe_text import edited, safe
from data.rules.user_search import SEARCH_LIMIT
from data.wording import consequences
from data.wording.words import counted, day, roles_in_short
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.message_box import ConfirmDialog, TellDialog
from tui.screens.base_screen import working
from tui.screens.table_screen import TableScreen
from tui.screens.user_actions import UserActionsScreen
from tui.screens.user_creation import create_user, import_users
from tui.screens.user_detail import UserDetailScreen
from tui.widgets.fields import TextField
from tui.widgets.paged_table import Column
from tui.widgets.status_line import Tone
from tui.widgets.status_marks import tint, with_mark

_MARK = "✓ "
_WIDE = 70
"""Terminal columns that all actions on marked users need."""
_COLUMNS: list[Column[UserRow]] = [
    Column("Name", 14, lambda row: row.name, share=1),
    Column("Full name", 18, lambda row: row.full_name, from_width=76, share=1),
    Column("E-mail", 20, lambda row: row.email, from_width=100, share=2),
    Column("Practice", 12, lambda row: row.practice, from_width=132, share=1),
    Column("Phone", 16, lambda row: row.phone or "", from_width=150),
    Column("2FA", 29, lambda row: with_mark(row.status), tint=lambda row: tint(row.status)),
    Column("Roles", 15, lambda row: roles_in_short(row.roles), from_width=118),
    Column("Sign-in", 10, lambda row: day(row.last_signin_at)),
]


def _on_marked(act: Bulk, otherwise: Callable[[UserActionsScreen], None]) -> "Callable[[UsersScreen], None]":
    """Return an action that does `act` to the marked users or, if none are marked, `otherwise`."""

    def action(self: "UsersScreen") -> None:
        if self.marked:
            self.act_on_marked(act)
        else:
            otherwise(self)

    return action


class UsersScreen(TableScreen[UserRow, tuple[str, int]], UserActionsScreen):
    """Pages of users, searched, sorted and filtered by the database."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", priority=False),
        Binding("space", "mark", "Mark", show=False, tooltip="Mark several users"),
        Binding("n", "new", "New"),
        Binding("i", "import", "Import", show=False, tooltip="Import pasted CSV"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("f", "filter", "Filter", tooltip="Filter users"),
        Binding("s", "sort", "Sort"),
        Binding("right_square_bracket", "page(True)", "Next page", key_display="]", show=False),
        Binding("left_square_bracket", "page(False)", "Previous page", key_display="[", show=False),
        Binding("escape", "all", "All", show=False, tooltip="Clear marks and filters"),
    ]

    criteria: var[UserQuery] = var(UserQuery(), init=False, always_update=True)
    page: var[UserPage | None] = var(None, init=False, always_update=True)
    marked: var[tuple[str, ...]] = var((), init=False)
    """The names of the marked users, in the order of marking; pages and searches keep them."""

    def __init__(self, practice: str | None = None) -> None:
        name = replace(_COLUMNS[0], value=self._marked_name)
        super().__init__([name, *_COLUMNS[1:]], lambda row: row.name)
        self.set_reactive(UsersScreen.criteria, UserQuery(practice=practice))

    def body(self) -> Iterator[Widget]:
        """Yield the search field, the summary and the table."""
        yield TextField(
            placeholder="Search name, e-mail, phone, practice",
            limit=SEARCH_LIMIT,
            id="search",
            classes="hidden",
        )
        yield from super().body()

    def _marked_name(self, row: UserRow) -> str:
        return f"{_MARK}{row.name}" if row.name in self.marked else row.name

    def selected_name(self) -> str | None:
        """Return the name under the cursor."""
        return self.table.selected.name if self.table.selected else None

    def watch_criteria(self) -> None:
        """Start at the first page for the new criteria."""
        self.starts = (None,)

    async def read(self) -> None:
        """Read the current page."""
        page = await self.app.read(user_summaries.list_users, replace(self.criteria, after=self.starts[-1]))
        if page is not None:
            self.page = page

    def watch_page(self) -> None:
        """Show the page and its marks."""
        if self.page is not None:
            self.show(self.page.rows, self._summary(self.page), self.page.following)

    watch_marked = watch_page

    def _summary(self, page: UserPage) -> str:
        asked = self.criteria
        first = PAGE * (len(self.starts) - 1) + 1
        total = counted(page.total, "user")
        if page.uncounted:
            total = f"more than {total}"
        parts = [total]
        if page.total > len(page.rows) > 0:
            parts[0] = f"{first}-{first + len(page.rows) - 1} of {total}  ([ ] for more)"
        if self.marked:
            mail = ", v invite, t remind" if self.size.width >= _WIDE else ""
            parts.insert(0, f"{len(self.marked)} marked: r require, c clear, a deactivate{mail}")
        if asked.search:
            parts.append("type more to narrow the search" if page.uncounted else "found by search")
        if asked.status:
            parts.append(f"2FA: {asked.status.value}")
        if asked.practice is not None:
            parts.append(safe(asked.practice, 24))
        if not self.marked:
            parts.append(f"by {asked.sort.value}")
        if any(row.status is Status.NOT_AVAILABLE for row in page.rows):
            parts.append("2FA is off: turn it on under 3 Security")
        return " · ".join(parts)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while the user types."""
        self.criteria = replace(self.criteria, search=edited(event.value))

    def on_input_submitted(self) -> None:
        """Go to the results."""
        self.table.focus()

    def action_mark(self) -> None:
        """Mark or unmark the user under the cursor, and move on."""
        name = self.selected_name()
        if name is None or self.page is None:
            return
        if name in self.marked:
            self.marked = tuple(other for other in self.marked if other != name)
        else:
            self.marked = (*self.marked, name)
        if self.table.cursor_row < len(self.page.rows) - 1:
            self.table.action_cursor_down()

    action_require = _on_marked(Bulk.REQUIRE, UserActionsScreen.action_require)
    action_clear = _on_marked(Bulk.CLEAR, UserActionsScreen.action_clear)
    action_activate = _on_marked(Bulk.DEACTIVATE, UserActionsScreen.action_activate)
    action_invite = _on_marked(Bulk.INVITE, UserActionsScreen.action_invite)
    action_remind = _on_marked(Bulk.REMIND, UserActionsScreen.action_remind)

    @working
    async def act_on_marked(self, act: Bulk) -> None:
        """Ask once, act in one operation, and show who was refused; those stay marked."""
        names = list(self.marked)
        if not await self.app.push_screen_wait(ConfirmDialog(consequences.act_on_many(names, act))):
            return
        result = await self.app.act(bulk_actions.carry_out, names, act)
        if result is None:
            return
        self.marked = tuple(name for name, _ in result.refused)
        done = f"{counted(len(result.done), 'user')} {act.done}"
        if result.refused:
            done = f"{done}, {len(result.refused)} refused"
            self.app.say(f"{done}. Refused users stay marked.", Tone.REFUSED)
            reasons = "\n".join(f"{name}: {why}" for name, why in result.refused)
            await self.app.push_screen_wait(TellDialog(done, reasons))
        else:
            self.app.say(f"{done}.", Tone.DONE)

    def action_open(self) -> None:
        """Show the user under the cursor."""
        name = self.selected_name()
        if name:
            self.app.push_screen(UserDetailScreen(name))

    def action_search(self) -> None:
        """Show the search field and move to it."""
        field = self.query_one("#search", Input)
        field.remove_class("hidden")
        field.focus()

    def action_all(self) -> None:
        """Clear all marks; or leave the search field; or clear search and filter."""
        if self.marked and self.page:
            self.marked = ()
            return
        field = self.query_one("#search", Input)
        if field.has_focus and field.value:
            self.table.focus()
            return
        field.add_class("hidden")
        field.value = ""
        self.table.focus()
        self.criteria = UserQuery(sort=self.criteria.sort)

    @working
    async def action_sort(self) -> None:
        """Choose the order."""
        choices = [(f"By {key.value}", key) for key in SortKey]
        chosen = await self.app.push_screen_wait(ChooseDialog("Sort users", choices, self.criteria.sort))
        if chosen is not None:
            self.criteria = replace(self.criteria, sort=chosen[0])

    @working
    async def action_filter(self) -> None:
        """Choose the status or the practice to show."""
        names = await self.app.read(practices.practice_names) or []
        choices: list[tuple[str, tuple[Status | None, str | None]]] = [
            ("All", (None, None)),
            *((f"2FA: {status.value}", (status, None)) for status in Status),
            *((f"Practice: {name}", (None, name)) for name in names if len(names) > 1),
        ]
        present = (self.criteria.status, self.criteria.practice)
        chosen = await self.app.push_screen_wait(ChooseDialog("Filter users", choices, present))
        if chosen is not None:
            status, practice = chosen[0]
            self.criteria = replace(self.criteria, status=status, practice=practice)

    @working
    async def action_import(self) -> None:
        """Create many users from pasted text."""
        await import_users(self.app)

    @working
    async def action_new(self) -> None:
        """Create a user and show the one-time password."""
        await create_user(self.app, self.criteria.practice)
