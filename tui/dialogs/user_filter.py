"""Asks which users the table shows, by all filters at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Self

from rich.text import Text
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Checkbox, Label, Select

from data.operations.results import Denied
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Method, Role, Status
from data.rules.past_moments import past_moment
from data.rules.recovery_codes import FEW_LEFT
from data.rules.safe_text import safe
from data.wording.user_filters import moment_in_words
from tui.dialogs.dialog import Dialog, paragraph
from tui.keys import Act
from tui.widgets.fields import TextField, TickBox

_ANY = ""
MOMENT_LIMIT = 32
"""Characters of a date, or of how long ago."""


@dataclass(frozen=True, slots=True)
class FilterForm:
    """What was chosen; None is any. The two moments are what was typed, unchecked."""

    status: Status | None = None
    practice: str | None = None
    role: Role | None = None
    method: Method | None = None
    never_signed_in: bool = False
    signed_in_before: str = ""
    pending_before: str = ""
    few_recovery_codes: bool = False

    @classmethod
    def of(cls, query: UserQuery) -> Self:
        """Return the filters of a query as the dialog shows them."""
        before, pending = query.signed_in_before, query.pending_before
        return cls(
            status=query.status,
            practice=query.practice,
            role=query.role,
            method=query.method,
            never_signed_in=query.never_signed_in,
            signed_in_before=moment_in_words(before) if before else "",
            pending_before=moment_in_words(pending) if pending else "",
            few_recovery_codes=query.few_recovery_codes,
        )

    def applied_to(self, query: UserQuery, now: datetime) -> UserQuery | Denied:
        """Return a query with these filters in place of its own."""
        typed = (self.signed_in_before, self.pending_before)
        before, pending = found = [past_moment(text, now) for text in typed]
        if any(text.strip() and at is None for text, at in zip(typed, found, strict=True)):
            return Denied("Enter a date such as 2026-01-31, or how long ago, such as 30 days.")
        return replace(
            query,
            status=self.status,
            practice=self.practice,
            role=self.role,
            method=self.method,
            never_signed_in=self.never_signed_in,
            signed_in_before=before,
            pending_before=pending,
            few_recovery_codes=self.few_recovery_codes,
        )


class UserFilterDialog(Dialog[FilterForm]):
    """The filters that are set, to be changed. `fault` is what was wrong with the last answer.

    A practice is asked for only where there are several.
    """

    AUTO_FOCUS = "Select"
    BINDINGS: ClassVar[list[BindingType]] = [Act.CHECK.binding("answer", "Show")]

    def __init__(self, form: FilterForm, practices: Sequence[str], fault: str = "") -> None:
        super().__init__("Filter users", f"Show ({Act.CHECK.shown})")
        self._form = form
        self._practices = practices
        self._fault = fault

    def content(self) -> Iterator[Widget]:
        """Yield a row for each filter."""
        form = self._form
        yield _choice("2FA", "status", [(status.value, status.value) for status in Status], form.status)
        if len(self._practices) > 1 or form.practice is not None:
            names = [(name, name) for name in self._practices]
            yield _choice("Practice", "practice", names, form.practice)
        yield _choice("Role", "role", [(role.label, role.value) for role in Role], form.role)
        yield _choice("Method", "method", [(method.label, method.value) for method in Method], form.method)
        never = TickBox("never", form.never_signed_in, id="never", compact=True)
        yield Horizontal(Label("Last sign-in"), never, classes="row")
        yield _moment("  or before", "signed-in-before", form.signed_in_before)
        yield _moment("Pending before", "pending-before", form.pending_before)
        few = TickBox(f"{FEW_LEFT} or fewer", form.few_recovery_codes, id="few-codes", compact=True)
        yield Horizontal(Label("Recovery codes"), few, classes="row")
        if self._fault:
            yield paragraph(f"✗ {self._fault}", "fault")

    def answer(self) -> FilterForm:
        """Return what was chosen."""
        chosen = {select.id: str(select.value) for select in self.query(Select)}
        status, role, method = (chosen.get(name, _ANY) for name in ("status", "role", "method"))
        return FilterForm(
            status=Status(status) if status else None,
            practice=chosen.get("practice", _ANY) or None,
            role=Role(role) if role else None,
            method=Method(method) if method else None,
            never_signed_in=self.query_one("#never", Checkbox).value,
            signed_in_before=self.query_one("#signed-in-before", TextField).text,
            pending_before=self.query_one("#pending-before", TextField).text,
            few_recovery_codes=self.query_one("#few-codes", Checkbox).value,
        )


def _moment(label: str, name: str, typed: str) -> Widget:
    """Return a row for a date, or how long ago."""
    field = TextField(typed, "30 days, or 2026-01-31", limit=MOMENT_LIMIT, id=name)
    return Horizontal(Label(label), field, classes="row")


def _choice(label: str, name: str, choices: Sequence[tuple[str, str]], present: str | None) -> Widget:
    """Return a row with a list to choose from, beginning with any."""
    options = [(Text("any"), _ANY), *((Text(safe(words)), value) for words, value in choices)]
    values = [value for _, value in options]
    value = present if present in values else _ANY
    return Horizontal(
        Label(label), Select(options, value=value, allow_blank=False, compact=True, id=name), classes="row"
    )
