"""Asks whether to do what is described."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.dialogs.dialog import Dialog, paragraph


@dataclass(frozen=True, slots=True)
class Question:
    """What will happen, in words, and the word that does it."""

    title: str
    body: str
    yes: str


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
