"""Asks whether to do what is described."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.dialogs.dialog import Dialog, paragraph
from tui.dialogs.question import Question


class ConfirmDialog(Dialog[bool]):
    """Says what will happen and asks for a yes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "answer", "Yes"), Binding("n", "cancel", "No")]
    AUTO_FOCUS = "#no"

    def __init__(self, question: Question) -> None:
        super().__init__(question.title, f"{question.yes} (y)", "Cancel (n)")
        self._body = question.body

    def content(self) -> Iterator[Widget]:
        """Yield the description."""
        yield paragraph(self._body)

    def answer(self) -> bool:
        """Return yes."""
        return True
