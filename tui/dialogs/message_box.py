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


class ShownOnceDialog(Dialog[bool]):
    """Shows a secret once. Esc does not close it, because the secret cannot be shown again."""

    BINDINGS: ClassVar[list[BindingType]] = [Act.COPY.binding("send")]
    AUTO_FOCUS: ClassVar[str | None] = None
    CLOSE = "I have saved it"
    HINT = f"It is not shown again. Shift-drag to select it, or press {Act.COPY.shown} to copy it."

    def __init__(self, title: str, body: str, secret: str) -> None:
        super().__init__(title, self.CLOSE, None)
        self._body = body
        self._secret = secret

    def content(self) -> Iterator[Widget]:
        """Yield the words and the secret."""
        yield paragraph(self._body)
        yield paragraph(self._secret, "secret")
        yield paragraph(self.HINT, "hint")
        self.note = paragraph("", "hint note")
        yield self.note

    def action_cancel(self) -> None:
        """Stay open: only the button closes the box."""

    def action_send(self) -> None:
        """Send the secret to the terminal's clipboard, which the terminal may not allow."""
        self.app.copy_to_clipboard(self._secret)
        self.note.update("✓ Sent to the clipboard.")


class ManyShownOnceDialog(ShownOnceDialog):
    """Shows secrets of many users, a line for each, on a plain page that can be selected and scrolled."""

    AUTO_FOCUS = "#box"
    BOX_TAKES_FOCUS = True
    CLOSE = "I have saved them"
    HINT = (
        f"They are not shown again. Shift-drag to select them, or press {Act.COPY.shown} to copy all. "
        "Tab and Enter close this page."
    )
