"""The audit log."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from data.operations.audit import trail
from data.operations.audit.trail import Entry, Filter
from data.rules.source_addresses import source_in_words
from data.rules.user_fields import USERNAME_LIMIT
from tui.dialogs.choose import ChooseDialog
from tui.dialogs.tell import TellDialog
from tui.screens.base_screen import MainScreen, working
from tui.widgets.fields import TextField
from tui.widgets.paged_table import Column, PagedTable
from tui.widgets.words import moment

PAGE = 50
_COLUMNS: list[Column[Entry]] = [
    Column("Time (UTC)", 16, lambda row: f"{row.at:%Y-%m-%d %H:%M}"),
    Column("User", 10, lambda row: row.user or ""),
    Column("What", 22, lambda row: row.sentence, share=3),
    Column("By", 10, lambda row: row.actor, from_width=90, share=1),
    Column("From", 16, lambda row: source_in_words(row.application, row.address), from_width=100),
]
_KINDS: list[tuple[str, str | None]] = [
    ("Everything", None),
    ("Sign-ins", "signin."),
    ("Wrong codes", "signin.code_wrong"),
    ("Locks", "signin.locked"),
    ("People", "user."),
    ("Two-factor authentication", "two_factor."),
    ("Recovery codes", "recovery."),
    ("Passwords", "password."),
    ("SSH keys", "key."),
    ("Policy", "policy."),
    ("Sessions ended", "session."),
]
_SPANS: list[tuple[str, timedelta | None]] = [
    ("All time", None),
    ("The last hour", timedelta(hours=1)),
    ("The last day", timedelta(days=1)),
    ("The last 7 days", timedelta(days=7)),
    ("The last 30 days", timedelta(days=30)),
]


class ActivityScreen(MainScreen):
    """Pages of the log, newest first, filtered by the database."""

    PLACE = "activity"
    AUTO_FOCUS = "PagedTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("slash", "search", "User", key_display="/", tooltip="Rows of one user"),
        Binding("k", "kind", "Kind"),
        Binding("t", "since", "Since"),
        Binding("right_square_bracket", "page(True)", "Older", key_display="]"),
        Binding("left_square_bracket", "page(False)", "Newer", key_display="["),
        Binding("escape", "all", "All", show=False, tooltip="Leave all filters"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._filter = Filter()
        self._span: timedelta | None = None
        self._starts: list[int | None] = [None]
        self._rows: list[Entry] = []

    def body(self) -> Iterator[Widget]:
        """Yield the search field, the summary and the table."""
        yield TextField(placeholder="User name", limit=USERNAME_LIMIT, id="search", classes="hidden")
        yield Static("", id="summary", markup=False)
        self._table = PagedTable(_COLUMNS, lambda row: str(row.id))
        yield self._table

    async def read(self) -> None:
        """Read the present page."""
        since = self.app.clock() - self._span if self._span else None
        which = replace(self._filter, since=since)
        rows = await self.app.read(trail.list_entries, which, before=self._starts[-1], limit=PAGE)
        if rows is None:
            return
        self._rows = rows
        self._table.fill(rows)
        self.query_one("#summary", Static).update(self._summary())

    def _summary(self) -> str:
        kind = next(words for words, event in _KINDS if event == self._filter.event)
        span = next(words for words, span in _SPANS if span == self._span)
        page = f"page {len(self._starts)}" if len(self._starts) > 1 else "newest first"
        parts = [kind, span, *([f"user {self._filter.user}"] if self._filter.user else []), page]
        return " · ".join(parts if self._rows else [*parts, "nothing found"])

    def on_paged_table_row_selected(self, event: PagedTable.RowSelected) -> None:
        """Open the row that Enter or a click chose."""
        event.stop()
        self.action_open()

    def on_paged_table_page_wanted(self, event: PagedTable.PageWanted) -> None:
        """Turn the page when the cursor goes beyond an end."""
        self.action_page(event.forward)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show the rows of one user."""
        self._table.focus()
        self._ask(replace(self._filter, user=event.value.strip().lower() or None))

    def _ask(self, which: Filter) -> None:
        self._filter = which
        self._starts = [None]
        self.load()

    def action_page(self, forward: bool) -> None:
        """Turn the page."""
        if forward and len(self._rows) == PAGE:
            self._starts.append(self._rows[-1].id)
        elif not forward and len(self._starts) > 1:
            self._starts.pop()
        else:
            return
        self.load()

    def action_search(self) -> None:
        """Show and enter the field for a user's name."""
        field = self.query_one("#search", Input)
        field.remove_class("hidden")
        field.focus()

    def action_all(self) -> None:
        """Leave all filters."""
        field = self.query_one("#search", Input)
        field.add_class("hidden")
        field.value = ""
        self._table.focus()
        self._span = None
        self._ask(Filter())

    @working
    async def action_kind(self) -> None:
        """Choose the kind of rows."""
        chosen = await self.app.push_screen_wait(
            ChooseDialog("Show which events?", _KINDS, self._filter.event)
        )
        if chosen is not None:
            self._filter = replace(self._filter, event=chosen[0])
            self._starts = [None]
            await self.read()

    @working
    async def action_since(self) -> None:
        """Choose since when."""
        chosen = await self.app.push_screen_wait(ChooseDialog("Show since when?", _SPANS, self._span))
        if chosen is not None:
            self._span = chosen[0]
            self._starts = [None]
            await self.read()

    @working
    async def action_open(self) -> None:
        """Show a row in full."""
        row = self._table.selected
        if row is not None:
            await self.app.push_screen_wait(TellDialog(moment(row.at), _in_full(row)))


def _in_full(row: Entry) -> str:
    about = f"User: {row.user}\n" if row.user else ""
    source = source_in_words(row.application, row.address)
    return f"{row.sentence}\n\n{about}By: {row.actor}\nFrom: {source}\nEvent: {row.event}"
