"""Asks to choose one item from a list."""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from rich.text import Text
from textual.widget import Widget
from textual.widgets import OptionList

from data.rules.safe_text import safe
from tui.dialogs.dialog import Dialog, paragraph

C = TypeVar("C")


class ChooseDialog(Dialog[tuple[C]], Generic[C]):
    """Offers a list. The choice is returned in a tuple, so that None can be a choice."""

    AUTO_FOCUS = "OptionList"

    def __init__(
        self, title: str, choices: Sequence[tuple[str, C]], present: C | None = None, body: str = ""
    ) -> None:
        super().__init__(title, "Choose")
        self._body = body
        self._choices = choices
        self._present = present

    def content(self) -> Iterator[Widget]:
        """Yield what there is to say, and the list."""
        if self._body:
            yield paragraph(self._body)
        yield OptionList(*(Text(safe(words)) for words, _ in self._choices), markup=False, compact=True)

    def on_mount(self) -> None:
        """Start at the current choice."""
        values = [value for _, value in self._choices]
        at = values.index(self._present) if self._present in values else 0
        self.query_one(OptionList).highlighted = at

    def on_option_list_option_selected(self) -> None:
        """Take Enter or a click as the answer."""
        self.action_answer()

    def answer(self) -> tuple[C] | None:
        """Return the highlighted choice."""
        at = self.query_one(OptionList).highlighted
        return None if at is None else (self._choices[at][1],)
