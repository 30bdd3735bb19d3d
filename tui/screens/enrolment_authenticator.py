"""Enrolment of an authenticator app: what you need, the QR code, the first code."""

from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Size
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Button, Static

from data.operations.results import Denied
from data.operations.signin import enrolment
from data.operations.signin.attempts import NotACode
from data.operations.signin.enrolment import Enrolled, EnrolmentCodeWrong, PendingApp
from data.rules.totp import DIGITS
from data.wording import enrolment as wording
from data.wording.words import HOW_IT_WORKS, SET_UP_TITLE
from sshserver.compat.textual_screen import ContainedScreen
from sshserver.terminal.capabilities import Colours
from tui.dialogs.dialog import paragraph
from tui.keys import Act
from tui.screens.base_app import ActingApp
from tui.screens.base_screen import ActingScreen, Page, working
from tui.screens.recovery_codes import RecoveryCodesScreen
from tui.widgets.action_bar import ActionBar, Offer
from tui.widgets.fields import DigitsInput
from tui.widgets.hanging_lines import HangingLines
from tui.widgets.qr import QrCode
from tui.widgets.status_line import StatusLine, Tone

SIDE_WIDTH = 34
"""Columns that the words next to the QR code need."""
BELOW_HEIGHT = 16
"""Rows that the words below the QR code need."""


async def enrol_app(app: ActingApp) -> bool | Denied:
    """Take the user through the setup of an app; False if it was left.

    Each visit to the QR code starts with a new secret: the previous one was discarded.
    """
    while True:
        pending = await app.submit(enrolment.begin_app)
        if isinstance(pending, Denied):
            return pending
        if not await app.push_screen_wait(IntroductionScreen(pending)):
            return False
        app.say("")
        result = await app.push_screen_wait(SetUpScreen(pending))
        if isinstance(result, Denied):
            return result
        if result is not None:
            app.say(result.message, Tone.DONE)
            await app.push_screen_wait(
                RecoveryCodesScreen(result.recovery_codes, result.next_code_in_seconds)
            )
            return True


class IntroductionScreen(Page[bool]):
    """Explains why and what is needed; True to continue."""

    HEADLINE = SET_UP_TITLE
    AUTO_FOCUS = "Button"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.BACK.binding("leave", "Leave"),
    ]

    def __init__(self, pending: PendingApp) -> None:
        super().__init__()
        self._pending = pending

    def body(self) -> Iterator[Widget]:
        """Yield the words."""
        yield paragraph(f"Step 1 of 4: What you need. {wording.because(self._pending.because)}")
        if self._pending.replaces:
            yield paragraph(wording.OLD_PHONE_WORKS)
        yield paragraph(wording.YOU_NEED_AN_APP)
        how = HangingLines("\n".join(f"• {line}" for line in HOW_IT_WORKS))
        yield Static(how, markup=False, classes="hint")
        yield Button("Next", variant="primary", compact=True)

    def on_button_pressed(self) -> None:
        """Go on."""
        self.dismiss(True)

    def action_leave(self) -> None:
        """Leave the wizard."""
        self.dismiss(False)


class SetUpScreen(ActingScreen[Enrolled | Denied | None]):
    """Shows the secret as a QR code and as a key, and asks for the first code; None if it is left.

    It has no header or footer: at 80x24 the QR code needs the room.
    """

    AUTO_FOCUS = "DigitsInput"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.COPY.binding("send_key", "Copy the key"),
        Act.QR_CODE.binding("show_code", tooltip="Show the QR code alone"),
        Act.BACK.binding("leave"),
    ]

    code_alone: var[bool] = var(False, bindings=True)
    """Whether the QR code fits on the screen only without the words."""

    def __init__(self, pending: PendingApp) -> None:
        super().__init__()
        self._pending = pending
        self._code = QrCode(pending.uri)
        self._size_words = paragraph("", "hint size")
        self._how = paragraph("")
        self._keys = ActionBar()

    def compose(self) -> ComposeResult:
        """Build the code and the words next to it or below it."""
        parts = self._pending.manual_key.split()
        half = (len(parts) + 1) // 2
        with Horizontal(id="set-up"):
            yield self._code
            with VerticalScroll(id="side", can_focus=False):
                yield paragraph(SET_UP_TITLE, "title")
                yield self._size_words
                yield paragraph("Step 2 of 4: Add it to your app.", "step")
                yield self._how
                yield paragraph(f"{' '.join(parts[:half])}\n{' '.join(parts[half:])}", "secret")
                yield paragraph(f"Step 3 of 4: Enter its {DIGITS} digits.", "step")
                yield DigitsInput("123 456")
                yield Button("Enable 2FA", variant="primary", compact=True)
                yield StatusLine()
                yield self._keys
                yield paragraph("Shift-drag to select text", "hint")

    def on_resize(self, event: events.Resize) -> None:
        """Show the QR code if it fits, otherwise the key and how to see the code."""
        self.lay_out(event.size)

    def lay_out(self, room: Size) -> None:
        """Lay out the screen for a size."""
        needs = self._code.needs
        fits = self._has_colour and self._code.fits(room)
        beside = fits and room.height >= needs.height and room.width >= needs.width + SIDE_WIDTH
        below = fits and not beside and room.height >= needs.height + BELOW_HEIGHT
        self.code_alone = fits and not beside and not below
        self.set_class(beside, "-beside")
        self.set_class(below, "-below")
        self.set_class(not (beside or below), "-key-only")
        self._size_words.display = not fits
        self._size_words.update(self._why_no_code(room))
        self._how.update(_how_to_add(shown=beside or below, alone=self.code_alone))
        # There is no footer to show the keys.
        alone = [Offer(Act.QR_CODE, "QR code", "show_code")] if self.code_alone else []
        self._keys.offer([*alone, Offer(Act.COPY, "copy key", "send_key"), Offer(Act.BACK, "back", "leave")])

    @property
    def _has_colour(self) -> bool:
        return self.app.terminal.colours is not Colours.NONE

    def _why_no_code(self, room: Size) -> str:
        if not self._has_colour:
            return "A terminal without colour cannot show a QR code."
        least = self._code.least
        return (
            f"A QR code needs a terminal of {least.width}x{least.height}; "
            f"this one is {room.width}x{room.height}."
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the QR code alone only where it fits and is not shown."""
        return self.code_alone if action == "show_code" else super().check_action(action, parameters)

    def action_show_code(self) -> None:
        """Show the QR code alone, which keeps what is typed."""
        self.app.push_screen(QrCodeScreen(self._pending.uri), self._type)

    def _type(self, digit: str | None) -> None:
        """Type a digit that closed the QR code: it begins the code that was read from the phone."""
        if digit:
            self.query_one(DigitsInput).insert_text_at_cursor(digit)

    def on_input_submitted(self) -> None:
        """Submit the code."""
        self.submit()

    def on_button_pressed(self) -> None:
        """Submit the code."""
        self.submit()

    @working
    async def submit(self) -> None:
        """Check the code; the right one is never shown."""
        await confirm_code(
            self, lambda code: self.app.submit(enrolment.confirm_app, self._pending, code), wording.wrong_code
        )

    def action_send_key(self) -> None:
        """Send the key to the terminal's clipboard, which the terminal may not allow."""
        self.app.copy_to_clipboard(self._pending.secret)
        self.app.say("Sent to the clipboard.", Tone.DONE)

    def action_leave(self) -> None:
        """Leave, which discards the secret."""
        self.app.say("")
        self.dismiss(None)


async def confirm_code(
    screen: ActingScreen[Enrolled | Denied | None],
    confirm: Callable[[str], Awaitable[Enrolled | EnrolmentCodeWrong | NotACode | Denied]],
    wrong: Callable[[EnrolmentCodeWrong], str],
) -> None:
    """Check the code in the screen's field, which never counts as an attempt, and leave if it is right."""
    field = screen.query_one(DigitsInput)
    code, field.value = field.value, ""
    if not code.strip():
        return
    match await confirm(code):
        case NotACode() as unread:
            screen.app.say(wording.not_a_code(unread), Tone.REFUSED)
        case EnrolmentCodeWrong() as result:
            screen.app.say(wrong(result), Tone.REFUSED)
        case enrolled_or_denied:
            screen.dismiss(enrolled_or_denied)


class QrCodeScreen(ContainedScreen[str]):
    """Shows the QR code alone; any key or click closes it, and so does a terminal that becomes too small.

    Its result is the digit that closed it, if it was one.
    """

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._code = QrCode(uri)
        self._hint = paragraph("Press any key to go back.", "hint")

    def compose(self) -> ComposeResult:
        """Build the code and what closes it."""
        yield self._code
        yield self._hint

    def on_resize(self, event: events.Resize) -> None:
        """Close where the code no longer fits; leave the hint out where only the code does."""
        if not self._code.fits(event.size):
            self.close()
        self._code.styles.height = min(event.size.height, self._code.needs.height)
        self._hint.display = event.size.height > self._code.needs.height

    def on_key(self, event: events.Key) -> None:
        """Close, whatever the key means elsewhere."""
        event.stop()
        self.close(event.character if event.character and event.character.isdecimal() else "")

    def on_click(self) -> None:
        """Close."""
        self.close()

    def close(self, digit: str = "") -> None:
        """Go back, once."""
        if self.is_current:
            self.dismiss(digit)


def _how_to_add(*, shown: bool, alone: bool) -> str:
    if shown:
        return "Scan the code or type this key:"
    return "Press q for the QR code, or type this key:" if alone else wording.TYPE_KEY
