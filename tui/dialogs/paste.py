"""Asks for several lines of text, which are usually pasted."""

import re
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Paste
from textual.widget import Widget
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from data.rules.safe_text import editable, edited
from tui.dialogs.dialog import Dialog, paragraph
from tui.keys import Act


class PasteArea(TextArea):
    """Takes pasted text and shows control characters as escapes.

    It holds at most `limit` characters, with escapes counted as shown.
    """

    def __init__(self, text: str, *, limit: int) -> None:
        super().__init__(_editable(text), soft_wrap=False, show_line_numbers=True, compact=True)
        self._limit = limit

    def edit(self, edit: Edit) -> EditResult:
        """Change the text, unless it would become too long."""
        if not edit.text or len(self.text) + len(edit.text) <= self._limit:
            return super().edit(edit)
        self._refuse()
        return super().edit(Edit("", edit.from_location, edit.from_location, maintain_selection_offset=False))

    def _refuse(self) -> None:
        self.app.clear_notifications()
        self.notify(f"Too long: at most {self._limit:,} characters.", severity="warning", timeout=3)

    def on_paste(self, event: Paste) -> None:
        """Insert the text."""
        event.prevent_default()
        event.stop()
        if len(event.text) > self._limit:
            self._refuse()
            return
        self.insert(_editable(event.text.replace("\r\n", "\n").replace("\r", "\n")))


class PasteDialog(Dialog[str]):
    """Asks for lines of text; `fault` says what was wrong with the last answer."""

    AUTO_FOCUS = "TextArea"
    BINDINGS: ClassVar[list[BindingType]] = [Act.CHECK.binding("answer")]

    def __init__(self, title: str, body: str, text: str = "", fault: str = "", *, limit: int) -> None:
        super().__init__(title, f"Check ({Act.CHECK.shown})")
        self._limit = limit
        self._body = body
        self._text = text
        self._fault = fault

    def content(self) -> Iterator[Widget]:
        """Yield the words and the field."""
        yield paragraph(self._body)
        if self._fault:
            yield paragraph(f"✗ {self._fault}", "fault")
        yield PasteArea(self._text, limit=self._limit)

    def answer(self) -> str:
        """Return the text as it was pasted or typed, without the escapes that the field shows."""
        return edited(self.query_one(TextArea).text)


def _editable(text: str) -> str:
    """Escape control characters, except for line breaks and tabs, which separate rows and cells."""
    return "".join(part if part in "\n\t" else editable(part) for part in re.split(r"([\n\t])", text))
