"""Signing in: name and password (on the host only), then the code."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Button, Input, Label

from data.delivery import sent_codes as delivery
from data.operations.signin import first_factor, second_factor
from data.operations.signin.admission import Admitted, Attempt, TurnedAway
from data.operations.signin.dialogue import After, CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.first_factor import CodeNeeded, FirstFactorRejected, NotJudged
from data.operations.signin.second_factor import CodeResult, SendResult
from data.rules.code_answers import LONGEST
from data.rules.domain_types import Method
from data.rules.passwords import MAX_LENGTH
from data.rules.policy import warning_of_few
from data.rules.sent_codes import LETTERS, RECOVERY_FIRST, prompt
from data.rules.source_addresses import Origin
from data.rules.user_fields import USERNAME_LIMIT
from data.wording.words import WRONG_NAME_OR_PASSWORD
from tui.dialogs.dialog import paragraph
from tui.keys import Act
from tui.screens.base_screen import Page, working
from tui.widgets.fields import TextField
from tui.widgets.status_line import Tone

_TONES = {
    After.NOTHING: Tone.NOTE,
    After.SENT: Tone.DONE,
    After.FIRST_OF_TWO: Tone.NOTE,
    After.REFUSED: Tone.REFUSED,
}


class SignInScreen(Page[CodeNeeded | Admitted | TurnedAway | None]):
    """Asks for the first factor; its result is the outcome, or None if it is left."""

    HEADLINE = "Sign in to Twofold"
    TOPIC = "signing-in"
    AUTO_FOCUS = "#name"
    BINDINGS: ClassVar[list[BindingType]] = [Act.BACK.binding("leave", "Leave")]

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin

    def body(self) -> Iterator[Widget]:
        """Yield the two fields."""
        yield Label("User name")
        yield TextField(limit=USERNAME_LIMIT, id="name")
        yield Label("Password")
        yield TextField(limit=MAX_LENGTH, id="password", password=True)
        yield Button("Sign in", variant="primary", compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the password, and from there to the sign-in."""
        if event.input.id == "name":
            self.query_one("#password").focus()
        else:
            self.submit()

    def on_button_pressed(self) -> None:
        """Sign in."""
        self.submit()

    @working
    async def submit(self) -> None:
        """Check the first factor."""
        field = self.query_one("#password", Input)
        self.app.say("Checking…")
        name = self.query_one("#name", TextField).text
        result = await self.app.reach(lambda: self._prove(name, field.value))
        field.value = ""
        match result:
            case None:
                pass
            case FirstFactorRejected():
                self.app.say(WRONG_NAME_OR_PASSWORD, Tone.REFUSED)
                field.focus()
            case NotJudged():
                self.app.say(result.message, Tone.REFUSED)
                field.focus()
            case _:
                self.app.say("")
                self.dismiss(result)

    async def _prove(self, name: str, password: str) -> first_factor.PasswordResult:
        candidate = await self.app.store.read(first_factor.find_candidate, name, self._origin)
        return await first_factor.prove_password(self.app.store, candidate, password)

    def action_leave(self) -> None:
        """Leave without signing in."""
        self.dismiss(None)


class CodeScreen(Page[Admitted | TurnedAway | None]):
    """Asks for the second factor; None if it is left."""

    HEADLINE = "Verification code"
    TOPIC = "signing-in"
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Act.BACK.binding("leave", "Cancel")]

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self._attempt = attempt
        self._dialogue = CodeDialogue(attempt)

    def body(self) -> Iterator[Widget]:
        """Yield the field."""
        methods = self._attempt.methods
        code = "the code from your authenticator app" if Method.APP in methods else "the code sent to you"
        yield paragraph(f"Enter {code}, or a recovery code." if methods else RECOVERY_FIRST)
        if warning := warning_of_few(self._attempt.attempts_left):
            yield paragraph(warning)
        if any(method.is_sent for method in methods):
            yield Label(prompt(methods).strip(), markup=False)
        hint = "123 456" if methods else "XXXX-XXXX-XXXX-XXXX"
        yield TextField(placeholder=hint, limit=LONGEST)
        yield Button("Continue", id="continue", variant="primary", compact=True)
        for method in methods:
            if method.is_sent:
                words = f"Send a code by {method.label} ({LETTERS[method]})"
                yield Button(words, id=f"send-{method.value}", compact=True)

    def on_mount(self) -> None:
        """Send a code at once if the user can only receive codes."""
        step = self._dialogue.begin()
        if isinstance(step, SendCode):
            self.send(step)

    def on_input_submitted(self) -> None:
        """Submit the code."""
        self.submit()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Submit the code, or have one sent."""
        if event.button.id == "continue":
            self.submit()
            return
        self.send(SendCode(self._attempt, Method((event.button.id or "").removeprefix("send-"))))

    @working
    async def submit(self) -> None:
        """Submit what was typed; an empty field is not an attempt."""
        field = self.query_one(TextField)
        answer, field.value = field.text, ""
        if answer.strip():
            await self._carry_out(self._dialogue.answer(answer))

    @working
    async def send(self, step: SendCode[Attempt]) -> None:
        """Have a code sent."""
        await self._carry_out(step)

    async def _carry_out(self, step: SendCode[Attempt] | CheckCode[Attempt]) -> None:
        result = await self.app.reach(lambda: self._sent_or_judged(step))
        match None if result is None else self._dialogue.take(result):
            case None:
                pass
            case Question() as question:
                self.app.say(question.said, _TONES[question.after])
            case FirstFactorRejected():
                self.dismiss(TurnedAway("Sign in again."))
            case ended:
                self.app.say("")
                self.dismiss(ended)

    async def _sent_or_judged(self, step: SendCode[Attempt] | CheckCode[Attempt]) -> CodeResult | SendResult:
        store = self.app.store
        if isinstance(step, CheckCode):
            return await store.run(second_factor.submit_code, step.asked, step.answer)
        self.app.say("Sending…")
        self.query_one(Input).focus()
        return await delivery.send(store, self.app.carriers, second_factor.send_code, step.asked, step.method)

    def action_leave(self) -> None:
        """Leave without a code."""
        self.dismiss(None)
