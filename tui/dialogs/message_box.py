"""Boxes that ask for confirmation, show a text, or show a secret once."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from data.wording.words import Question
from tui.dialogs.dialog import Dialog, paragraph
from tui.keys import Act


class ConfirmDialog(Dialog[bool]):
    """Says what will happen and asks for a yes."""

    BINDINGS: ClassVar[list[BindingType]] = [Act.YES.binding("answer"), Act.NO.binding("cancel")]
    AUTO_FOCUS = "#no"

    def __init__(self, question: Question) -> None:
        super().__init__(
            question.title, f"{question.yes} ({Act.YES.shown})", f"{question.no} ({Act.NO.shown})"
        )
        self._body = question.body

    def content(self) -> Iterator[Widget]:
        """Yield the description."""
        yield paragraph(self._body)

    def answer(self) -> bool:
        """Return yes."""
        return True


class TellDialog(Dialog[bool]):
    """Shows words until they are closed."""

    AUTO_FOCUS = "#box"
    BOX_TAKES_FOCUS = True
    BINDINGS: ClassVar[list[BindingType]] = [Act.OPEN.binding("cancel", "Close")]

    def __init__(self, title: str, body: str) -> None:
        super().__init__(title, "Close", None)
        self._body = body

    def content(self) -> Iterator[Widget]:
        """Yield the words."""
        yield paragraph(self._body)


class CopyDialog(Dialog[bool]):
    """Shows a text to be copied."""

    BINDINGS: ClassVar[list[BindingType]] = [Act.COPY.binding("send")]
    AUTO_FOCUS: ClassVar[str | None] = "#box"
    BOX_TAKES_FOCUS = True
    CLOSE = "Close"
    HINT = f"Shift-drag to select it, or press {Act.COPY.shown} to copy it."

    def __init__(self, title: str, body: str, text: str) -> None:
        super().__init__(title, self.CLOSE, None)
        self._body = body
        self._text = text

    def content(self) -> Iterator[Widget]:
        """Yield the words and the text."""
        yield paragraph(self._body)
        yield paragraph(self._text, "secret")
        yield paragraph(self.HINT, "hint")
        self.note = paragraph("", "hint note")
        yield self.note

    def action_send(self) -> None:
        """Send the text to the terminal's clipboard, which the terminal may not allow."""
        self.app.copy_to_clipboard(self._text)
        self.note.update("✓ Sent to the clipboard.")


class ShownOnceDialog(CopyDialog):
    """Shows a secret once. Esc does not close it, because the secret cannot be shown again."""

    AUTO_FOCUS: ClassVar[str | None] = None
    BOX_TAKES_FOCUS = False
    CLOSE = "I have saved it"
    HINT = f"It is not shown again. {CopyDialog.HINT}"

    def action_cancel(self) -> None:
        """Stay open: only the button closes the box."""


class ManyShownOnceDialog(ShownOnceDialog):
    """Shows secrets of many users, a line for each, on a plain page that can be selected and scrolled."""

    AUTO_FOCUS = "#box"
    BOX_TAKES_FOCUS = True
    CLOSE = "I have saved them"
    HINT = (
        f"They are not shown again. Shift-drag to select them, or press {Act.COPY.shown} to copy all. "
        "Tab and Enter close this page."
    )
