"""The users table."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from data.operations.users import bulk_actions, practices, user_summaries
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_search import PAGE, SortKey, UserQuery
from data.operations.users.user_summaries import UserPage, UserRow
from data.rules.domain_types import Status
from data.rules.safe_text import edited, safe
from data.rules.user_search import SEARCH_LIMIT
from tui.dialogs import consequences
from tui.dialogs.choose import ChooseDialog
from tui.dialogs.confirm import ConfirmDialog
from tui.dialogs.tell import TellDialog
from tui.screens.base_screen import working
from tui.screens.new_user import create_user
from tui.screens.user_actions import UserActionsScreen
from tui.screens.user_detail import UserDetailScreen
from tui.screens.user_import import import_users
from tui.widgets.fields import TextField
from tui.widgets.paged_table import Column, PagedTable
from tui.widgets.status_line import Tone
from tui.widgets.words import counted, day, roles_in_short

_MARK = "● "
_COLUMNS: list[Column[UserRow]] = [
    Column("Name", 14, lambda row: row.name, share=1),
    Column("Full name", 18, lambda row: row.full_name, from_width=76, share=1),
    Column("E-mail", 20, lambda row: row.email, from_width=100, share=2),
    Column("Practice", 12, lambda row: row.practice, from_width=132, share=1),
    Column("Phone", 16, lambda row: row.phone or "", from_width=150),
    Column("2FA", 27, lambda row: row.status.value),
    Column("Roles", 15, lambda row: roles_in_short(row.roles), from_width=118),
    Column("Sign-in", 10, lambda row: day(row.last_signin_at)),
]


class UsersScreen(UserActionsScreen):
    """Pages of users, searched, sorted and filtered by the database."""

    AUTO_FOCUS = "PagedTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", priority=False),
        Binding("space", "mark", "Mark", show=False, tooltip="Mark, to act on many"),
        Binding("n", "new", "New"),
        Binding("i", "import", "Import", show=False, tooltip="Import pasted CSV"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("f", "filter", "Filter", tooltip="Filter by 2FA, practice"),
        Binding("s", "sort", "Sort"),
        Binding("right_square_bracket", "page(True)", "Next page", key_display="]", show=False),
        Binding("left_square_bracket", "page(False)", "Previous page", key_display="[", show=False),
        Binding("escape", "all", "All", show=False, tooltip="Leave marks and filters"),
    ]

    def __init__(self, practice: str | None = None) -> None:
        super().__init__()
        self._query = UserQuery(practice=practice)
        self._starts: list[tuple[str, int] | None] = [None]
        """The cursors at which the pages up to the present one begin."""
        self._page: UserPage | None = None
        self._marked: dict[str, None] = {}
        """The names of the marked users, in the order of marking; they stay over pages and searches."""

    def body(self) -> Iterator[Widget]:
        """Yield the search field, the summary and the table."""
        yield TextField(
            placeholder="Beginnings of names, addresses, phones, practices",
            limit=SEARCH_LIMIT,
            id="search",
            classes="hidden",
        )
        yield Static("", id="summary", markup=False)
        name = replace(_COLUMNS[0], value=self._marked_name)
        self._table = PagedTable([name, *_COLUMNS[1:]], lambda row: row.name)
        yield self._table

    def _marked_name(self, row: UserRow) -> str:
        return f"{_MARK}{row.name}" if row.name in self._marked else row.name

    def selected_name(self) -> str | None:
        """Return the name under the cursor."""
        row = self._table.selected
        return row.name if row else None

    async def read(self) -> None:
        """Read the present page."""
        page = await self.app.read(user_summaries.list_users, replace(self._query, after=self._starts[-1]))
        if page is None:
            return
        self._page = page
        self._show(page)

    def _show(self, page: UserPage) -> None:
        self._table.fill(page.rows)
        self.query_one("#summary", Static).update(self._summary(page))

    def _summary(self, page: UserPage) -> str:
        first = PAGE * (len(self._starts) - 1) + 1
        total = counted(page.total, "user")
        if page.uncounted:
            total = f"more than {total}"
        parts = [total]
        if page.total > len(page.rows) > 0:
            parts[0] = f"{first}-{first + len(page.rows) - 1} of {total}  ([ ] for more)"
        if self._query.search:
            parts.append("type more to find fewer" if page.uncounted else "found by search")
        if self._query.status:
            parts.append(f"2FA: {self._query.status.value}")
        if self._query.practice is not None:
            parts.append(safe(self._query.practice, 24))
        parts.append(f"by {self._query.sort.value}")
        if self._marked:
            parts.insert(1, f"{len(self._marked)} marked: r, c, a, v, t act on them")
        if any(row.status is Status.NOT_AVAILABLE for row in page.rows):
            parts.append("2FA is off: turn it on under 3 Security")
        return " · ".join(parts)

    def on_paged_table_row_selected(self, event: PagedTable.RowSelected) -> None:
        """Open the row that Enter or a click chose."""
        event.stop()
        self.action_open()

    def on_paged_table_page_wanted(self, event: PagedTable.PageWanted) -> None:
        """Turn the page when the cursor goes beyond an end."""
        self.action_page(event.forward)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as it is typed."""
        self._ask(replace(self._query, search=edited(event.value)))

    def on_input_submitted(self) -> None:
        """Go to what was found."""
        self._table.focus()

    def _ask(self, query: UserQuery) -> None:
        self._query = query
        self._starts = [None]
        self.load()

    def action_page(self, forward: bool) -> None:
        """Turn the page."""
        if forward and self._page and self._page.more and self._page.rows:
            self._starts.append(self._page.rows[-1].cursor)
        elif not forward and len(self._starts) > 1:
            self._starts.pop()
        else:
            return
        self.load()

    def action_mark(self) -> None:
        """Mark the user under the cursor, or take the mark away, and move on."""
        name = self.selected_name()
        if name is None or self._page is None:
            return
        if name in self._marked:
            del self._marked[name]
        else:
            self._marked[name] = None
        self._show(self._page)
        if self._table.cursor_row < len(self._page.rows) - 1:
            self._table.action_cursor_down()

    def action_require(self) -> None:
        """Require two-factor authentication of all marked users, or act on the one under the cursor."""
        if self._marked:
            self._act_on_marked(Bulk.REQUIRE)
        else:
            super().action_require()

    def action_clear(self) -> None:
        """Clear the data of all marked users, or of the one under the cursor."""
        if self._marked:
            self._act_on_marked(Bulk.CLEAR)
        else:
            super().action_clear()

    def action_activate(self) -> None:
        """Deactivate all marked users, or act on the one under the cursor."""
        if self._marked:
            self._act_on_marked(Bulk.DEACTIVATE)
        else:
            super().action_activate()

    def action_invite(self) -> None:
        """Invite all marked users, or the one under the cursor."""
        if self._marked:
            self._act_on_marked(Bulk.INVITE)
        else:
            super().action_invite()

    def action_remind(self) -> None:
        """Remind all marked users, or the one under the cursor."""
        if self._marked:
            self._act_on_marked(Bulk.REMIND)
        else:
            super().action_remind()

    @working
    async def _act_on_marked(self, act: Bulk) -> None:
        """Ask once, act in one operation, and say whom it did not reach; those stay marked."""
        names = list(self._marked)
        if not await self.app.push_screen_wait(ConfirmDialog(consequences.act_on_many(names, act))):
            return
        result = await self.app.act(bulk_actions.carry_out, names, act)
        if result is None:
            return
        self._marked = {name: None for name, _ in result.refused}
        done = f"{counted(len(result.done), 'user')} {act.done}"
        if result.refused:
            self.app.say(f"{done}, {len(result.refused)} refused; they stay marked.", Tone.REFUSED)
            lines = [f"{name}: {why}" for name, why in result.refused]
            await self.app.push_screen_wait(
                TellDialog(f"{done}, {len(result.refused)} refused", "\n".join(lines))
            )
        else:
            self.app.say(f"{done}.", Tone.DONE)
        await self.read()

    def action_open(self) -> None:
        """Show the user under the cursor."""
        name = self.selected_name()
        if name:
            self.app.push_screen(UserDetailScreen(name))

    def action_search(self) -> None:
        """Show and enter the search field."""
        field = self.query_one("#search", Input)
        field.remove_class("hidden")
        field.focus()

    def action_all(self) -> None:
        """Take all marks away; or leave the search field, or search and filter."""
        if self._marked and self._page:
            self._marked.clear()
            self._show(self._page)
            return
        field = self.query_one("#search", Input)
        if field.has_focus and field.value:
            self._table.focus()
            return
        field.add_class("hidden")
        field.value = ""
        self._table.focus()
        self._ask(UserQuery(sort=self._query.sort))

    @working
    async def action_sort(self) -> None:
        """Choose the order."""
        choices = [(f"By {key.value}", key) for key in SortKey]
        chosen = await self.app.push_screen_wait(ChooseDialog("Sort users", choices, self._query.sort))
        if chosen is not None:
            self._query = replace(self._query, sort=chosen[0])
            self._starts = [None]
            await self.read()

    @working
    async def action_filter(self) -> None:
        """Choose the status or the practice to see."""
        names = await self.app.read(practices.practice_names) or []
        choices: list[tuple[str, tuple[Status | None, str | None]]] = [
            ("All", (None, None)),
            *((f"2FA: {status.value}", (status, None)) for status in Status),
            *((f"Practice: {name}", (None, name)) for name in names if len(names) > 1),
        ]
        present = (self._query.status, self._query.practice)
        chosen = await self.app.push_screen_wait(ChooseDialog("Show which users?", choices, present))
        if chosen is not None:
            status, practice = chosen[0]
            self._query = replace(self._query, status=status, practice=practice)
            self._starts = [None]
            await self.read()

    @working
    async def action_import(self) -> None:
        """Create many users from pasted text."""
        await import_users(self.app)
        await self.read()

    @working
    async def action_new(self) -> None:
        """Create a user and show the one-time password."""
        await create_user(self.app, self._query.practice)
        await self.read()
