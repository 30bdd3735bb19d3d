"""Asks for the password that replaces a one-time password."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Button, Input, Label

from data.operations.users import credentials
from data.rules.passwords import MAX_LENGTH
from data.wording import enrolment as wording
from tui.dialogs.dialog import paragraph
from tui.keys import Act
from tui.screens.base_screen import Page, working
from tui.widgets.fields import TextField
from tui.widgets.status_line import Tone


class NewPasswordScreen(Page[bool]):
    """Asks twice for a new password; True once it is set, False if the page is left.

    `notices` are sentences about the one-time password that the user must see.
    """

    HEADLINE = "Choose a new password"
    TOPIC = "signing-in"
    AUTO_FOCUS = "#first"
    BINDINGS: ClassVar[list[BindingType]] = [Act.BACK.binding("leave", "Leave")]

    def __init__(self, notices: Sequence[str] = ()) -> None:
        super().__init__()
        self._notices = notices

    def body(self) -> Iterator[Widget]:
        """Yield the two fields."""
        yield paragraph(wording.REPLACE_ONE_TIME_PASSWORD)
        for notice in self._notices:
            yield paragraph(f"! {notice}", "fault")
        yield Label("New password")
        yield TextField(limit=MAX_LENGTH, id="first", password=True)
        yield Label("Repeat password")
        yield TextField(limit=MAX_LENGTH, id="second", password=True)
        yield Button("Set password", variant="primary", compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the second field, or submit from there."""
        if event.input.id == "first":
            self.query_one("#second").focus()
        else:
            self.submit()

    def on_button_pressed(self) -> None:
        """Set the password."""
        self.submit()

    @working
    async def submit(self) -> None:
        """Set the password, if both fields match."""
        first, second = self.query_one("#first", Input), self.query_one("#second", Input)
        if first.value != second.value:
            second.value = ""
            self.app.say(wording.PASSWORDS_DIFFER, Tone.REFUSED)
            return
        self.app.say("Checking…")
        done = await self.app.act(credentials.change_password, first.value)
        if done is not None:
            self.dismiss(True)
            return
        first.value = second.value = ""
        first.focus()

    def action_leave(self) -> None:
        """Leave without replacing the one-time password."""
        self.dismiss(False)
