"""The last step of the wizard: five recovery codes, which the user must confirm as saved."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Static

from data.operations.signin import recovery_codes
from data.store import Clock
from data.wording import enrolment as wording
from tui.dialogs.dialog import paragraph
from tui.keys import Act
from tui.screens.base_screen import ActingScreen, Page, working
from tui.widgets.action_bar import ActionBar, Offer
from tui.widgets.fields import TickBox
from tui.widgets.status_line import Tone


class RecoveryCodesScreen(Page[None]):
    """Shows the codes until they are confirmed as saved.

    `next_code_in_seconds` is given right after an enrolment. Without codes (an app was replaced)
    only the countdown is shown.
    """

    AUTO_FOCUS = "Button"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.YES.binding("tick", "Saved"),
        Act.COPY.binding("send"),
        Act.RECOVERY_CODES.binding("plain", tooltip="Show the codes alone, to copy or print"),
    ]

    def __init__(
        self, codes: Sequence[str], next_code_in_seconds: int | None = None, headline: str = ""
    ) -> None:
        super().__init__()
        self._codes = tuple(codes)
        self._next = next_code_in_seconds
        self.HEADLINE = headline or _headline(self._codes, next_code_in_seconds)

    def body(self) -> Iterator[Widget]:
        """Yield the codes and the confirmation."""
        if self._codes:
            yield paragraph(wording.KEEP_RECOVERY_CODES)
            yield paragraph("\n".join(self._codes), "secret")
            yield paragraph(
                f"Shift-drag to select, or press {Act.RECOVERY_CODES.shown} to see only the codes.",
                "hint",
            )
        if self._next is not None:
            yield Countdown(self.app.clock, self._next)
        if self._codes:
            yield TickBox(f"I have saved these codes ({Act.YES.shown})", compact=True)
        yield Button("Continue", variant="primary", compact=True, disabled=bool(self._codes))

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Enable the button only when the codes are confirmed as saved."""
        button = self.query_one(Button)
        button.disabled = not event.value
        if event.value:
            button.focus()

    def on_button_pressed(self) -> None:
        """Go on."""
        self.confirm()

    @working
    async def confirm(self) -> None:
        """Record that the codes were saved."""
        if self._codes:
            saved = await self.app.submit(recovery_codes.confirm_saved, self._codes)
            if isinstance(saved, recovery_codes.CodesReplaced):
                self.app.call_later(self.app.report, saved)  # On the screen below this one.
            elif self.app.report(saved) is None:
                return
        self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the keys for codes only if there are codes."""
        return (
            bool(self._codes)
            if action in ("plain", "send", "tick")
            else super().check_action(action, parameters)
        )

    def action_go_on(self) -> None:
        """Continue on Enter, even if it is typed before the button has the focus."""
        if not self._codes or self.query_one(Checkbox).value:
            self.confirm()

    def action_tick(self) -> None:
        """Tick or untick the box."""
        self.query_one(Checkbox).toggle()

    def action_send(self) -> None:
        """Send the codes to the terminal's clipboard, which the terminal may not allow."""
        self.app.copy_to_clipboard("\n".join(self._codes))
        self.app.say("Sent to the clipboard.", Tone.DONE)

    @working
    async def action_plain(self) -> None:
        """Show only the codes."""
        await self.app.push_screen_wait(PlainPage(["Twofold recovery codes", "", *self._codes, ""]))


class Countdown(Static):
    """Shows how long until the phone shows a code that a sign-in accepts."""

    def __init__(self, clock: Clock, seconds: int) -> None:
        super().__init__(markup=False)
        self._clock = clock
        self._until: datetime = clock() + timedelta(seconds=seconds)

    def on_mount(self) -> None:
        """Begin."""
        self.tick()
        self.set_interval(1, self.tick)

    def tick(self) -> None:
        """Show the time left."""
        left = ceil((self._until - self._clock()).total_seconds())
        self.update(Text(wording.next_code_in(left)))


class PlainPage(ActingScreen[None]):
    """Plain lines to copy or print, with the key to go back below them."""

    BINDINGS: ClassVar[list[BindingType]] = [Act.BACK.binding("close"), Act.OPEN.binding("close", "Close")]

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._lines = tuple(lines)
        self._keys = ActionBar()

    def compose(self) -> ComposeResult:
        """Build the page."""
        yield paragraph("\n".join(self._lines))
        yield self._keys

    def on_mount(self) -> None:
        """Offer the way back."""
        self._keys.offer([Offer(Act.BACK, "back", "close")])

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)


def _headline(codes: Sequence[str], next_code_in_seconds: int | None) -> str:
    if not codes:
        return "The new phone is set up"
    if next_code_in_seconds is None:
        return wording.NEW_RECOVERY_CODES
    return f"Step 4 of 4: {wording.SAVE_RECOVERY_CODES}"
