"""Enrolment for sent codes: a code or a message verifies the address or number."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Button

from data.delivery import sent_codes
from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.results import Denied, RefusedOrStale
from data.operations.signin import enrolment
from data.operations.signin.enrolment import Enrolled, PendingDestination
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.user_fields import PHONE_LIMIT, fold_phone
from data.store import Store
from data.wording import enrolment as wording
from data.wording.words import SET_UP_TITLE
from tui.dialogs.dialog import paragraph
from tui.dialogs.form import Field, FormDialog
from tui.keys import Act
from tui.screens.base_app import ActingApp
from tui.screens.base_screen import Page, working
from tui.screens.enrolment_authenticator import confirm_code
from tui.screens.enrolment_inbound_sms import WayScreen, prove_by_message
from tui.widgets.fields import DigitsInput
from tui.widgets.status_line import Tone


async def prove_address(app: ActingApp) -> Enrolled | Denied | None:
    """Verify the address on the profile by a code; None if that was left."""
    pending = await app.submit(enrolment.begin_email)
    if isinstance(pending, Denied):
        return pending
    return await app.push_screen_wait(SentCodeScreen(pending))


async def prove_number(app: ActingApp, sms_number: str | None) -> Enrolled | Denied | None:
    """Verify a phone number by a code sent to it or, if messages can be received, by one sent from it."""
    if sms_number is None:
        return await _prove_typed(app)
    while True:
        by_message = await app.push_screen_wait(WayScreen(sms_number))
        if by_message is None:
            return None
        result = await (prove_by_message(app) if by_message else _prove_typed(app))
        if result is not None:
            return result


async def _prove_typed(app: ActingApp) -> Enrolled | Denied | None:
    """Ask for a phone number and verify it by a code sent to it."""
    typed = fault = ""
    while True:
        field = Field("Phone number", PHONE_LIMIT, typed, wording.A_NUMBER)
        body = wording.YOUR_NUMBER
        answer = await app.push_screen_wait(
            FormDialog("Your phone number", [field], body=body, yes="Send a code", fault=fault)
        )
        if answer is None:
            return None
        typed = answer[0]
        pending = await app.submit(enrolment.begin_sms, typed)
        if not isinstance(pending, Denied):
            return await app.push_screen_wait(SentCodeScreen(pending))
        if fold_phone(typed) is not None:
            return pending
        fault = pending.message


class SentCodeScreen(Page[Enrolled | Denied | None]):
    """Sends a code to an address or number and asks for it."""

    HEADLINE = SET_UP_TITLE
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.NEW.binding("resend", "New code", tooltip="Send a new code"),
        Act.BACK.binding("leave"),
    ]

    def __init__(self, pending: PendingDestination) -> None:
        super().__init__()
        self._pending = pending

    def body(self) -> Iterator[Widget]:
        """Yield the field."""
        yield paragraph(f"Step 2 of 3: {wording.enter_sent_code(self._pending)}", "step")
        if self._pending.shared:
            yield paragraph(wording.SHARED_NUMBER)
        yield DigitsInput("123 456")
        yield Button("Enable 2FA", id="enable", variant="primary", compact=True)
        yield Button(f"Send a new code ({Act.NEW.shown})", id="resend", compact=True)

    def on_mount(self) -> None:
        """Send the first code."""
        self.action_resend()

    def on_input_submitted(self) -> None:
        """Submit the code."""
        self.submit()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Submit the code, or request another one."""
        if event.button.id == "enable":
            self.submit()
        else:
            self.action_resend()

    @working
    async def action_resend(self) -> None:
        """Request a code."""
        self.app.say("Sending…")
        match await self.app.submit(_send_code, self.app.carriers, self._pending):
            case CodeSent() as sent:
                self.app.say(sent.message, Tone.DONE)
            case NotSent(reason):
                self.app.say(reason, Tone.REFUSED)
            case Denied() as denied:
                self.dismiss(denied)

    @working
    async def submit(self) -> None:
        """Check the code."""
        await confirm_code(
            self,
            lambda code: self.app.submit(enrolment.confirm_sent, self._pending, code),
            lambda _: wording.WRONG_SENT_CODE,
        )

    def action_leave(self) -> None:
        """Go back; a code that was sent is void once the wizard is left."""
        self.app.say("")
        self.dismiss(None)


async def _send_code(
    store: Store, member: Member, carriers: Carriers, pending: PendingDestination
) -> CodeSent | NotSent | RefusedOrStale:
    return await sent_codes.send(store, carriers, enrolment.send_enrolment_code, member, pending)
