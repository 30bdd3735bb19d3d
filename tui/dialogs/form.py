"""Asks for one or more lines of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.widget import Widget
from textual.widgets import Label

from tui.dialogs.dialog import Dialog, paragraph
from tui.widgets.fields import TextField


@dataclass(frozen=True, slots=True)
class Field:
    """A line to fill in with at most `limit` characters.

    A hidden field shows dots. A field with `lines` keeps the line breaks of pasted text.
    """

    label: str
    limit: int
    value: str = ""
    placeholder: str = ""
    hidden: bool = False
    lines: bool = False


class FormDialog(Dialog[tuple[str, ...]]):
    """Asks for lines of text; `fault` says what was wrong with the last answer."""

    AUTO_FOCUS = "Input"

    def __init__(
        self, title: str, fields: Sequence[Field], *, yes: str, body: str = "", fault: str = ""
    ) -> None:
        super().__init__(title, yes)
        self._fields = fields
        self._body = body
        self._fault = fault

    def content(self) -> Iterator[Widget]:
        """Yield the words and the fields."""
        if self._body:
            yield paragraph(self._body)
        for field in self._fields:
            yield Label(field.label, markup=False)
            yield TextField(
                field.value,
                field.placeholder,
                limit=field.limit,
                password=field.hidden,
                lines=field.lines,
            )
        if self._fault:
            yield paragraph(f"✗ {self._fault}", "fault")

    def answer(self) -> tuple[str, ...]:
        """Return the lines in their order."""
        return tuple(field.text for field in self.query(TextField))
