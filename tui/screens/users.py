"""The users table."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Input, Static

from data.operations.audit.changes import Change
from data.operations.results import Denied
from data.operations.users import practices, user_summaries
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_search import Cursor, SortKey, UserQuery
from data.operations.users.user_summaries import UserPage, UserRow
from data.rules.domain_types import Status
from data.rules.permissions import UserAct
from data.rules.safe_text import edited
from data.rules.user_search import SEARCH_LIMIT
from data.wording.user_filters import filters_in_words
from data.wording.words import counted, day, roles_in_short
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.user_filter import FilterForm, UserFilterDialog
from tui.keys import Act
from tui.screens.base_screen import working
from tui.screens.marked_users import MarkedUsersScreen
from tui.screens.table_screen import TableScreen
from tui.screens.user_creation import create_user, import_users
from tui.screens.user_detail import UserDetailScreen
from tui.widgets.fields import TextField
from tui.widgets.paged_table import Column
from tui.widgets.status_line import Tone
from tui.widgets.status_marks import tint, with_mark

_MARK = "✓ "
_MOST_MARKED = 10_000
"""Users who are marked at most."""
_READ = 500
"""Users who are read at once to mark all."""
_ON_PAGE = ("new", "import", "mark", "mark_all")
_COLUMNS: list[Column[UserRow]] = [
    Column("Name", 24, lambda row: row.name, least=8, slack=len(_MARK), sort=SortKey.NAME),
    Column("Full name", 24, lambda row: row.full_name, rank=3, least=14),
    Column("E-mail", 32, lambda row: row.email, rank=4, least=20, sort=SortKey.EMAIL),
    Column("Practice", 20, lambda row: row.practice, rank=5, least=10),
    Column("Phone", 16, lambda row: row.phone or "", rank=7),
    Column("2FA", 29, lambda row: with_mark(row.status), rank=1, tint=lambda row: tint(row.status)),
    Column("Roles", 24, lambda row: roles_in_short(row.roles), rank=6),
    Column(
        "Sign-in", 10, lambda row: day(row.last_signin_at), rank=2, sort=SortKey.LAST_SIGNIN, descends=True
    ),
]


class UsersScreen(TableScreen[UserRow, Cursor], MarkedUsersScreen):
    """Pages of users, searched, sorted and filtered by the database."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.SEARCH.binding(),
        Act.FILTER.binding(tooltip="Filter users"),
        Act.NEW.binding(),
        Act.SORT.binding(),
        Act.MARK.binding(tooltip="Mark several users"),
        Act.BACK.binding("all", "All", tooltip="Clear marks and filters"),
        *MarkedUsersScreen.BINDINGS,
        Act.MARK_ALL.binding(tooltip="Mark all who match"),
        Act.NEXT_PAGE.binding("page(True)"),
        Act.PREVIOUS_PAGE.binding("page(False)"),
        Act.IMPORT.binding(tooltip="Import pasted CSV"),
    ]

    criteria: var[UserQuery] = var(UserQuery(), init=False, always_update=True)
    page: var[UserPage | None] = var(None, init=False, always_update=True)

    def __init__(self, query: UserQuery | None = None) -> None:
        own = {"Name": self._marked_name, "Practice": self._practice}
        columns = [replace(each, value=own.get(each.label, each.value)) for each in _COLUMNS]
        super().__init__(columns, lambda row: row.name)
        self.set_reactive(UsersScreen.criteria, query or UserQuery())
        self._filter_line = Static(classes="hidden", id="filters", markup=False)
        self._marking = False
        """Whether all who match are being marked; Escape unsets it."""
        self._before: dict[Cursor | None, int] = {}
        """How many rows the pages before the one that starts there show."""

    def body(self) -> Iterator[Widget]:
        """Yield the search field, the filters in words, the summary and the table."""
        yield TextField(
            placeholder="Search name, e-mail, phone, practice",
            limit=SEARCH_LIMIT,
            id="search",
            classes="hidden",
        )
        yield self._filter_line
        yield from super().body()

    def _marked_name(self, row: UserRow) -> str:
        return f"{_MARK}{row.name}" if row.name in self.marked else row.name

    def _practice(self, row: UserRow) -> str:
        """Return the practice where it tells users apart."""
        return (
            row.practice if self.page and self.page.several_practices and not self.criteria.practice else ""
        )

    def selected_name(self) -> str | None:
        """Return the name under the cursor."""
        return self.table.selected.name if self.table.selected else None

    def acts(self) -> frozenset[UserAct] | None:
        """Return what may be done to the user under the cursor."""
        row = self.table.selected
        return None if self.page is None else row.acts if row else frozenset()

    def bulk(self) -> frozenset[Bulk] | None:
        """Return what may be done to several users at once."""
        return self.page.bulk if self.page else None

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer also to add users and to mark them, to those who may act on several."""
        if self.page is None and action in _ON_PAGE:
            return None
        if self.page is not None and action in ("new", "import"):
            return self.page.may_add
        if self.page is not None and action in ("mark", "mark_all"):
            return bool(self.page.bulk)
        return super().offers(action, parameters)

    def watch_criteria(self) -> None:
        """Start at the first page for the new criteria."""
        self.starts = (None,)

    def concerns(self, change: Change) -> bool:
        """Return whether a change can show on the page, where sign-ins of others show only in their order."""
        if not change.is_quiet_signin or self.criteria.sort is SortKey.LAST_SIGNIN or self.page is None:
            return super().concerns(change)
        return any(row.name == change.user for row in self.page.rows)

    async def read(self) -> None:
        """Read the current page."""
        page = await self.app.read(user_summaries.list_users, replace(self.criteria, after=self.starts[-1]))
        if page is not None:
            self.page = page

    def watch_page(self) -> None:
        """Show the page and its marks, and which filters are set."""
        if self.page is None:
            return
        filters = filters_in_words(self.criteria)
        self._filter_line.set_class(not filters, "hidden")
        words = f"Filter: {' · '.join(filters)}  (Esc clears)"
        if words != self._filter_line.content:
            self._filter_line.update(words)
        if self.page.following is not None:
            self._before[self.page.following] = self._before.get(self.starts[-1], 0) + len(self.page.rows)
        self.show(
            self.page.rows,
            self._summary(self.page),
            self.page.following,
            sorted_by=self.criteria.sort,
            who_can=self.page.who_can,
        )
        self.refresh_bindings()

    watch_marked = watch_page

    def _summary(self, page: UserPage) -> str:
        asked = self.criteria
        if self.marked:
            return self.acts_on_marked()
        parts = [self._place(page)]
        if asked.search:
            parts.append("type more to narrow the search" if page.uncounted else "found by search")
        parts.append(f"by {asked.sort.value}")
        if any(row.status is Status.NOT_AVAILABLE for row in page.rows):
            parts.append("2FA is off (see 3 Security)")
        return " · ".join(parts)

    def _place(self, page: UserPage) -> str:
        """Say which users a page shows, of how many."""
        first = self._before.get(self.starts[-1], 0) + 1
        last = first - 1 + len(page.rows)
        if page.following is not None and not page.rows:
            return "No one yet, but not all were looked at  (] looks at more)"
        total = max(page.total, last)
        more = page.uncounted and (bool(self.criteria.search) or page.following is not None)
        of = f"{'more than ' if more else ''}{counted(total, 'user')}"
        return of if first == 1 and last == total and not more else f"{first}-{last} of {of}  ([ ] for more)"

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
            self.marked = {other: None for other in self.marked if other != name}
        else:
            self.marked = {**self.marked, name: None}
        if self.table.cursor_row < len(self.page.rows) - 1:
            self.table.action_cursor_down()

    @working
    async def action_mark_all(self) -> None:
        """Mark all who match now, on all pages; who matches later is not acted on."""
        self._marking = True
        try:
            found = await self._all_who_match()
        finally:
            self._marking = False
        if found is None:
            return
        names, are_all = found
        self.marked = dict.fromkeys(names[:_MOST_MARKED])
        count = counted(len(self.marked), "user")
        if are_all and len(names) <= _MOST_MARKED:
            self.app.say(f"{count} marked.")
        else:
            self.app.say(f"{count} marked. More match: narrow the search or the filters.", Tone.REFUSED)

    async def _all_who_match(self) -> tuple[list[str], bool] | None:
        """Read the names of the marked and of all who match, and whether these are all; None if stopped."""
        names = dict(self.marked)
        query = replace(self.criteria, after=None, limit=_READ)
        while True:
            page = await self.app.read(user_summaries.list_users, query)
            if page is None or not self._marking:
                return None
            names.update(dict.fromkeys(row.name for row in page.rows))
            if page.following is None or len(names) > _MOST_MARKED:
                return list(names), page.following is None and not (query.search and page.uncounted)
            self.app.say(f"Marking: {len(names)} so far  (Esc stops)")
            query = replace(query, after=page.following)

    def action_open(self) -> None:
        """Show the user under the cursor."""
        row = self.table.selected
        if row is not None:
            self.app.push_screen(UserDetailScreen(row.name, row.acts))

    def action_search(self) -> None:
        """Show the search field and move to it."""
        field = self.query_one("#search", Input)
        field.remove_class("hidden")
        field.focus()

    def action_all(self) -> None:
        """Stop marking; or leave the search field; or clear all marks; or clear search and filter."""
        if self._marking:
            self._marking = False
            self.app.say("Stopped. No one was marked.")
            return
        field = self.query_one("#search", Input)
        if field.has_focus and (field.value or self.marked):
            self.table.focus()
            field.set_class(not field.value, "hidden")
            return
        if self.marked and self.page:
            self.marked = {}
            return
        field.add_class("hidden")
        field.value = ""
        self.table.focus()
        self.criteria = UserQuery(sort=self.criteria.sort)

    def sort_by(self, sort: object) -> None:
        """Sort by a column."""
        self.criteria = replace(self.criteria, sort=SortKey(str(sort)))

    @working
    async def action_sort(self) -> None:
        """Choose the order."""
        choices = [(f"By {key.value}", key) for key in SortKey]
        chosen = await self.app.push_screen_wait(ChooseDialog("Sort users", choices, self.criteria.sort))
        if chosen is not None:
            self.sort_by(chosen[0])

    @working
    async def action_filter(self) -> None:
        """Choose which users to show, by all filters at once."""
        names = await self.app.read(practices.practice_names) or []
        present = FilterForm.of(self.criteria)
        await self.app.fill_in(
            lambda chosen, fault: UserFilterDialog(chosen or present, names, fault), self._set_filters
        )

    async def _set_filters(self, form: FilterForm) -> UserQuery | Denied:
        query = form.applied_to(self.criteria, self.app.clock())
        if isinstance(query, UserQuery):
            self.criteria = query
        return query

    @working
    async def action_import(self) -> None:
        """Create many users from pasted text."""
        if (page := await self._page_to_add_to()) is not None:
            await import_users(self.app, invites=Bulk.INVITE in page.bulk)

    @working
    async def action_new(self) -> None:
        """Create a user and show the one-time password."""
        if (page := await self._page_to_add_to()) is not None:
            await create_user(self.app, page.grantable, self.criteria.practice)

    async def _page_to_add_to(self) -> UserPage | None:
        """Read the page if that was not done yet; None, and words, if the actor may not add users."""
        if self.page is None:
            await self.read()
        if self.page is not None and not self.page.may_add:
            self.app.report(Denied(self.page.who_can))
            return None
        return self.page
