"""The fields of forms: text fields, check boxes, radio buttons."""

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Checkbox, Input, RadioButton

from data.rules.code_answers import LONGEST, fold
from data.rules.safe_text import JOINERS, editable, edited
from tui.keys import Act


class TextField(Input):
    """A line of at most `limit` characters, the limit of the rule that reads it.

    Control characters are shown as escapes; `text` has the characters themselves. Of a paste, it takes
    the first line that is not blank or, with `lines`, all of them.
    """

    def __init__(
        self,
        text: str = "",
        placeholder: str = "",
        *,
        limit: int,
        password: bool = False,
        lines: bool = False,
        id: str | None = None,  # noqa: A002 - Textual's name for it.
        classes: str | None = None,
    ) -> None:
        shown = text if password else editable(text)
        super().__init__(shown, placeholder, max_length=limit, password=password, id=id, classes=classes)
        self._limit = limit
        self._lines = lines

    @property
    def text(self) -> str:
        """The text as it was given, pasted or typed."""
        return self._meant(self.value)

    def replace(self, text: str, start: int, end: int) -> None:
        """Replace a part of the text; an escape counts as one character."""
        value = self.value[: min(start, end)] + text + self.value[max(start, end) :]
        self.max_length = self._limit + len(value) - len(self._meant(value))
        super().replace(text, start, end)

    def restricted(self) -> None:
        """Say why a text that is too long was not inserted."""
        super().restricted()
        self.app.clear_notifications()
        self.notify(f"Too long: at most {self._limit} characters.", severity="warning", timeout=3)

    def _meant(self, value: str) -> str:
        return value if self.password else edited(value)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        lines = [line for line in event.text.splitlines() if line.strip()]
        pasted = "\n".join(lines) if self._lines else "".join(lines[:1])
        if len(pasted) > self._limit:
            self.restricted()
        else:
            self.replace(pasted if self.password else editable(pasted), *self.selection)

    async def _on_key(self, event: events.Key) -> None:
        if event.character and event.character in JOINERS:
            # Some keyboards have these characters; Textual does not treat them as printable.
            event.stop()
            event.prevent_default()
            self.replace(event.character, *self.selection)
            return
        await super()._on_key(event)


class DigitsInput(Input):
    """Takes the digits of a code, typed or pasted, in any script; other keys go to the screen."""

    class Refused(Message):
        """What was typed or pasted is neither part of a code nor a key of the screen."""

    def __init__(self, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, max_length=11)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Return whether a key is typed into the field."""
        del key
        return character is not None and character.isprintable() and _belongs(character)

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not self.check_consume_key(event.key, event.character):
            # Neither the field nor Textual's own handler may swallow the key.
            event.prevent_default()
            if event.key not in self.screen.active_bindings:
                self.post_message(self.Refused())
            return
        await super()._on_key(event)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = event.text[: LONGEST + 1]
        if len(text) <= LONGEST and _belongs(text):
            self.replace(" ".join(fold(text).split()), *self.selection)
        else:
            self.post_message(self.Refused())

    def restricted(self) -> None:
        """Report a text that is too long for the field."""
        self.post_message(self.Refused())


class TickBox(Checkbox):
    """A check box that shows an x when ticked, so that its state does not depend on colour."""

    BUTTON_LEFT, BUTTON_INNER, BUTTON_RIGHT = "", "[ ]", ""

    def render(self) -> object:  # type: ignore[override]
        """Draw the mark for the current state."""
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        return super().render()


class Switches(Horizontal):
    """Check boxes side by side: the arrow keys move among all of the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.UP.binding("previous", "Previous choice", also="left", show=False),
        Act.DOWN.binding("next", "Next choice", also="right", show=False),
    ]

    def action_previous(self) -> None:
        """Move to the box before, and from the first to the last."""
        self.screen.focus_previous(TickBox)

    def action_next(self) -> None:
        """Move to the next box, and from the last to the first."""
        self.screen.focus_next(TickBox)


class Choice(RadioButton):
    """A radio button that shows a dot when chosen."""

    BUTTON_LEFT, BUTTON_INNER, BUTTON_RIGHT = "", "( )", ""

    def render(self) -> object:  # type: ignore[override]
        """Draw the mark for the current state."""
        self.BUTTON_INNER = "(\N{BULLET})" if self.value else "( )"
        return super().render()


def _belongs(text: str) -> bool:
    """Whether a text is nothing but digits and separators."""
    digits = fold(text).replace(" ", "")
    return digits.isdigit() or not digits
