"""The enrolment wizard: the choice of a method, and the steps of each."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Button

from data.operations.results import Denied
from data.operations.signin import enrolment
from data.operations.signin.enrolment import WizardChoice
from data.rules.domain_types import Method
from data.wording import enrolment as wording
from data.wording.words import SET_UP_TITLE
from tui.dialogs.dialog import paragraph
from tui.keys import Act
from tui.screens.base_app import ActingApp
from tui.screens.base_screen import ARROWS, Page
from tui.screens.enrolment_authenticator import enrol_app
from tui.screens.enrolment_sent_code import prove_address, prove_number
from tui.screens.recovery_codes import RecoveryCodesScreen
from tui.widgets.status_line import Tone


async def enrol(app: ActingApp) -> bool | Denied:
    """Run the wizard; False if it was left, a denial if it was refused.

    The user chooses a method first, unless only the app is on.
    """
    while True:
        choice = await app.submit(enrolment.wizard_choice)
        if isinstance(choice, Denied):
            return choice
        if choice.methods == (Method.APP,):
            return await enrol_app(app)
        method = await app.push_screen_wait(MethodScreen(choice))
        if method is None:
            return False
        app.say("")
        done = await (enrol_app(app) if method is Method.APP else _enrol_sent(app, method, choice.sms_number))
        if done is not False:
            return done


async def _enrol_sent(app: ActingApp, method: Method, sms_number: str | None) -> bool | Denied:
    """Verify an address or number, and show the recovery codes if there are new ones."""
    result = await (prove_address(app) if method is Method.EMAIL else prove_number(app, sms_number))
    if result is None or isinstance(result, Denied):
        return result or False
    app.say(result.message, Tone.DONE)
    if result.recovery_codes:
        headline = f"Step 3 of 3: {wording.SAVE_RECOVERY_CODES}"
        await app.push_screen_wait(RecoveryCodesScreen(result.recovery_codes, headline=headline))
    return True


class MethodScreen(Page[Method]):
    """Asks for one of the methods that are on."""

    HEADLINE = SET_UP_TITLE
    AUTO_FOCUS = "Button"
    BINDINGS: ClassVar[list[BindingType]] = [*ARROWS, Act.BACK.binding("leave", "Leave")]

    def __init__(self, choice: WizardChoice) -> None:
        super().__init__()
        self._choice = choice

    def body(self) -> Iterator[Widget]:
        """Yield the methods."""
        yield paragraph(wording.how_to_get_codes(self._choice.because))
        for method in self._choice.methods:
            present = f" {wording.REPLACES}" if method in self._choice.present else ""
            yield paragraph(f"{wording.METHODS[method]}{present}", "choice")
            yield Button(method.label.capitalize(), id=method.value, compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go on with the chosen method."""
        self.dismiss(Method(event.button.id or ""))

    def action_leave(self) -> None:
        """Leave the wizard."""
        self.dismiss(None)
