"""What all dialogs share: a box in the middle, Esc to leave, buttons below."""

from collections.abc import Iterator
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from data.rules.safe_text import safe
from tui.keys import Act

T = TypeVar("T")
_BODY_LIMIT = 2_000


def paragraph(words: str, classes: str = "") -> Static:
    """Return a paragraph of words that may contain untrusted strings."""
    lines = "\n".join(safe(line, _BODY_LIMIT) for line in words.split("\n"))
    return Static(Text(lines), markup=False, classes=classes)


class Dialog(ModalScreen[T | None]):
    """A question; cancelling it gives None."""

    BOX_TAKES_FOCUS: ClassVar[bool] = False
    """Whether the box itself takes the focus, to scroll by keys, because it holds nothing else to focus."""
    BINDINGS: ClassVar[list[BindingType]] = [Act.BACK.binding("cancel", "Cancel")]

    def __init__(self, title: str, yes: str = "OK", no: str | None = "Cancel") -> None:
        super().__init__()
        self._title = title
        self._yes = yes
        self._no = no

    def content(self) -> Iterator[Widget]:
        """Yield the widgets between the title and the buttons."""
        yield from ()

    def answer(self) -> T | None:
        """Return the answer that the yes button gives."""
        return None

    def compose(self) -> ComposeResult:
        """Build the box."""
        with VerticalScroll(id="box", can_focus=self.BOX_TAKES_FOCUS):
            yield paragraph(self._title, "title")
            yield from self.content()
            yield from self.buttons()

    def buttons(self) -> ComposeResult:
        """Build the row of buttons."""
        with Horizontal(classes="buttons"):
            yield Button(self._yes, id="yes", variant="primary", compact=True)
            if self._no:
                yield Button(self._no, id="no", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        event.stop()
        if event.button.id == "yes":
            self.action_answer()
        else:
            self.action_cancel()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Move on to the next field; in the last one, answer."""
        fields = list(self.query(Input))
        if event.input is fields[-1]:
            self.action_answer()
        else:
            fields[fields.index(event.input) + 1].focus()

    def action_answer(self) -> None:
        """Give the answer, once."""
        if self.is_current:
            self.dismiss(self.answer())

    def action_cancel(self) -> None:
        """Leave without an answer."""
        if self.is_current:
            self.dismiss(None)
