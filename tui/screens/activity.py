"""The audit log."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Input, Static

from data.operations.audit import trail
from data.operations.audit.changes import Change
from data.operations.audit.trail import Entry, Filter
from data.rules.safe_text import safe
from data.rules.source_addresses import source_in_words
from data.rules.user_fields import USERNAME_LIMIT
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.message_box import TellDialog
from tui.keys import Act
from tui.screens.base_screen import working
from tui.screens.table_screen import TableScreen
from tui.widgets.description_list import DescriptionList
from tui.widgets.fields import TextField
from tui.widgets.paged_table import Column

PAGE = 50
_LONGEST = 2_000
"""Characters of a sentence that are shown in full."""
_COLUMNS: list[Column[Entry]] = [
    Column("Time (UTC)", 16, lambda row: f"{row.at:%Y-%m-%d %H:%M}"),
    Column("User", 16, lambda row: row.user or "", rank=1, least=6),
    Column("Event", 48, lambda row: row.sentence, rank=2, least=20),
    Column("By", 16, lambda row: row.actor, rank=3, least=10),
    Column("Source", 24, lambda row: source_in_words(row.application, row.address), rank=4, least=12),
]
_KINDS: list[tuple[str, str | None]] = [
    ("All events", None),
    ("Sign-ins", "signin."),
    ("Wrong codes", "signin.code_wrong"),
    ("Lockouts", "signin.locked"),
    ("Users", "user."),
    ("Two-factor authentication", "two_factor."),
    ("Recovery codes", "recovery."),
    ("Temporary codes", "temporary_code."),
    ("Passwords", "password."),
    ("SSH keys", "key."),
    ("Policy", "policy."),
    ("Sessions ended", "session."),
    ("Applications", "application."),
    ("Codes not sent", "code.not_sent"),
    ("Notices not delivered", "notice.abandoned"),
]
_SPANS: list[tuple[str, timedelta | None]] = [
    ("All time", None),
    ("Last hour", timedelta(hours=1)),
    ("Last 24 hours", timedelta(days=1)),
    ("Last 7 days", timedelta(days=7)),
    ("Last 30 days", timedelta(days=30)),
]


class ActivityScreen(TableScreen[Entry, int]):
    """Pages of the log, newest first, filtered by the database."""

    TAB = "activity"
    TOPIC = "audit-log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.SEARCH.binding(label="User", tooltip="Filter by user"),
        Act.FILTER.binding(tooltip="Filter by event type or period"),
        Act.NEXT_PAGE.binding("page(True)", "Older"),
        Act.PREVIOUS_PAGE.binding("page(False)", "Newer"),
        Act.BACK.binding("all", "All", tooltip="Clear all filters"),
    ]

    criteria: var[Filter] = var(Filter(), init=False, always_update=True)
    span: var[timedelta | None] = var(None, init=False)
    entry: var[Entry | None] = var(None, init=False)

    def __init__(self, which: Filter | None = None) -> None:
        super().__init__(_COLUMNS, lambda row: str(row.id))
        self._sentence = Static("", id="sentence", markup=False)
        self._facts = DescriptionList()
        self.set_reactive(ActivityScreen.criteria, which or Filter())

    def body(self) -> Iterator[Widget]:
        """Yield the search field, the summary and the table."""
        yield TextField(placeholder="User name", limit=USERNAME_LIMIT, id="search", classes="hidden")
        *above, table = super().body()
        yield from above
        entry = VerticalScroll(self._sentence, self._facts, id="entry", can_focus=False)
        yield Container(table, entry, id="log")

    def watch_criteria(self) -> None:
        """Start at the first page for the new criteria."""
        self.starts = (None,)

    watch_span = watch_criteria

    def concerns(self, change: Change) -> bool:
        """Return whether a change adds a row to the page: only the first one changes."""
        user, event = self.criteria.user, self.criteria.event
        return (
            super().concerns(change)
            and len(self.starts) == 1
            and change.event.startswith(event or "")
            and (user is None or user in (change.user, change.actor))
        )

    async def read(self) -> None:
        """Read the current page."""
        since = self.app.clock() - self.span if self.span else None
        which = replace(self.criteria, since=since)
        rows = await self.app.read(trail.list_entries, which, before=self.starts[-1], limit=PAGE)
        if rows is not None:
            self.show(rows, self._summary(found=bool(rows)), rows[-1].id if len(rows) == PAGE else None)
            self.on_paged_table_row_highlighted()

    def on_paged_table_row_highlighted(self) -> None:
        """Follow the cursor."""
        self.entry = self.table.selected

    def watch_entry(self, entry: Entry | None) -> None:
        """Show the row under the cursor in full."""
        self._sentence.update(Text(safe(entry.sentence, _LONGEST)) if entry else "")
        self._facts.facts = _facts(entry) if entry else []
        self.query_one("#entry").scroll_home(animate=False)

    def _summary(self, *, found: bool) -> str:
        kind = next(words for words, event in _KINDS if event == self.criteria.event)
        span = next(words for words, span in _SPANS if span == self.span)
        user = [f"user {self.criteria.user}"] if self.criteria.user else []
        page = f"page {len(self.starts)}" if len(self.starts) > 1 else "newest first"
        return " · ".join([*([] if found else ["Nothing found"]), kind, span, *user, page])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show the rows of one user."""
        self.table.focus()
        self.criteria = replace(self.criteria, user=event.value.strip().lower() or None)

    def action_search(self) -> None:
        """Show the field for a user name and move to it."""
        field = self.query_one("#search", Input)
        field.remove_class("hidden")
        field.focus()

    def action_all(self) -> None:
        """Clear all filters."""
        field = self.query_one("#search", Input)
        field.add_class("hidden")
        field.value = ""
        self.table.focus()
        self.span = None
        self.criteria = Filter()

    @working
    async def action_filter(self) -> None:
        """Choose the type of events or the period; the other one stays."""
        event, span = present = (self.criteria.event, self.span)
        choices = [(words, (kind, span)) for words, kind in _KINDS]
        choices += [(words, (event, period)) for words, period in _SPANS]
        chosen = await self.app.push_screen_wait(ChooseDialog("Filter activity", choices, present))
        if chosen is not None:
            event, self.span = chosen[0]
            self.criteria = replace(self.criteria, event=event)

    @working
    async def action_open(self) -> None:
        """Show a row in full."""
        row = self.table.selected
        if row is not None:
            await self.app.push_screen_wait(TellDialog("Activity", _in_full(row)))


def _facts(row: Entry) -> list[tuple[str, str]]:
    """Return all that a row says besides its sentence."""
    said, more = row.sentence, {name: _in_words(value) for name, value in row.detail.items()}
    return [
        ("Time", f"{row.at:%Y-%m-%d %H:%M:%S} UTC"),
        *([("User", row.user)] if row.user else []),
        ("By", row.actor),
        ("Source", source_in_words(row.application, row.address)),
        ("Event", row.event),
        *(
            (name.replace("_", " ").capitalize(), words)
            for name, words in more.items()
            if words and words not in said
        ),
    ]


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _in_full(row: Entry) -> str:
    return "\n".join([row.sentence, "", *(f"{label}: {value}" for label, value in _facts(row))])
