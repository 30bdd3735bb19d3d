"""Verifying a phone number by a code that the user sends from that phone."""

import asyncio
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Button, Static

from data.operations.results import Denied
from data.operations.signin import inbound_sms
from data.operations.signin.enrolment import Enrolled, PendingMessage
from data.operations.signin.inbound_sms import Sighting
from data.rules import inbound_sms_codes
from data.rules.user_fields import phone_to_read
from data.wording import enrolment as wording
from data.wording.words import SET_UP_TITLE, counted
from tui.dialogs.dialog import paragraph
from tui.keys import Act
from tui.screens.base_app import ActingApp
from tui.screens.base_screen import ARROWS, Page, in_background, working
from tui.widgets.status_line import Tone

_NEW = f"Press {Act.NEW.shown} for a new one."


async def prove_by_message(app: ActingApp) -> Enrolled | Denied | None:
    """Verify a number by a message that comes from it; None if that was left."""
    pending = await app.submit(inbound_sms.begin_message)
    if isinstance(pending, Denied):
        return pending
    return await app.push_screen_wait(MessageScreen(pending))


class WayScreen(Page[bool]):
    """Asks how to verify a number: True by a message from it, False by a code to it."""

    HEADLINE = SET_UP_TITLE
    AUTO_FOCUS = "Button"
    BINDINGS: ClassVar[list[BindingType]] = [
        *ARROWS,
        Act.BACK.binding("leave"),
    ]

    def __init__(self, number: str) -> None:
        super().__init__()
        self._number = phone_to_read(number)

    def body(self) -> Iterator[Widget]:
        """Yield the two ways."""
        yield paragraph(f"Step 1 of 3: {wording.CHOOSE_WAY}", "step")
        yield paragraph(wording.TYPE_NUMBER, "choice")
        yield Button("Type the number", id="typed", compact=True)
        yield paragraph(wording.send_to(self._number), "choice")
        yield Button("Send a text message", id="message", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go on in the chosen way."""
        self.dismiss(event.button.id == "message")

    def action_leave(self) -> None:
        """Go back to the methods."""
        self.dismiss(None)


class MessageScreen(Page[Enrolled | Denied]):
    """Shows which code to send where, and continues once the message has arrived.

    It finds the message in the database, whichever node received it.
    """

    LOOK_SECONDS: ClassVar[float] = 1.0
    HEADLINE = SET_UP_TITLE
    AUTO_FOCUS = "Button"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.NEW.binding("renew", "New code"),
        Act.BACK.binding("leave"),
    ]

    def __init__(self, pending: PendingMessage) -> None:
        super().__init__()
        self._pending = pending
        self._found: Sighting | None = Sighting.NOTHING
        self._words = ("", "")
        self._code_line = Static(markup=False, classes="secret")
        self._progress_line = Static(markup=False, classes="hint")

    def body(self) -> Iterator[Widget]:
        """Yield the code and the number."""
        yield paragraph(f"Step 2 of 3: {wording.SEND_THIS_CODE}", "step")
        yield self._code_line
        yield paragraph(wording.SENDER_IS_ADDED)
        yield self._progress_line
        yield Button(f"New code ({Act.NEW.shown})", compact=True)

    def on_mount(self) -> None:
        """Start looking."""
        self._show()
        in_background(self, self._look_again, "looking")

    def on_button_pressed(self) -> None:
        """Show a new code."""
        self.action_renew()

    def _show(self) -> None:
        """Show the code and the time left; draw only what changed."""
        code, number = inbound_sms_codes.grouped(self._pending.code), phone_to_read(self._pending.number)
        words = (f"Code  {code}\nTo    {number}", self._progress())
        if words != self._words:
            self._words = words
            self._code_line.update(words[0])
            self._progress_line.update(words[1])

    def _progress(self) -> str:
        if self._found is Sighting.TOO_LATE:
            return "No longer waiting."
        left = self._pending.begun_at + inbound_sms_codes.LIFE - self.app.clock()
        minutes = counted(max(0, -(-int(left.total_seconds()) // 60)), "minute")
        return f"Waiting for your message ({minutes} left). Setup continues by itself."

    async def _look_again(self) -> None:
        """Look for the message about once a second, except behind a dialog or while the code changes."""
        while True:
            await asyncio.sleep(self.LOOK_SECONDS)
            if self.is_current and not self.is_acting:
                await self._look()

    async def _look(self) -> None:
        pending = self._pending
        found = await self.app.read(inbound_sms.look_for_message, pending)
        if pending is not self._pending:
            return
        if found is Sighting.ARRIVED:
            self.confirm()
        elif found is not self._found:
            self._found = found
            if found is not None:
                self.app.say(wording.sighting(found, _NEW), Tone.REFUSED)
        self._show()

    @working
    async def confirm(self) -> None:
        """Finish with the message that arrived."""
        self.dismiss(await self.app.submit(inbound_sms.confirm_message, self._pending))

    @working
    async def action_renew(self) -> None:
        """Show a new code; the previous one no longer works."""
        pending = await self.app.submit(inbound_sms.begin_message)
        if isinstance(pending, Denied):
            self.dismiss(pending)
            return
        self._pending, self._found = pending, Sighting.NOTHING
        self.app.say("")
        self._show()

    @working
    async def action_leave(self) -> None:
        """Go back; the code no longer works."""
        self.app.say("")
        await self.app.act(inbound_sms.stop_awaiting, self._pending)
        self.dismiss(None)
