"""The app as the screens see it: it runs their operations and shows the results that all of them share."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, assert_never, cast

from textual.reactive import var
from textual.screen import Screen

from data.delivery import sent_codes as delivery
from data.delivery.carriers import Carriers
from data.operations.actors import Actor, Member
from data.operations.audit.changes import ChangeFeed
from data.operations.audit.trail import Filter
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin.admission import Session
from data.operations.signin.dialogue import After, CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.operations.users import credentials
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Method, Role, ThemeChoice
from data.store import Clock, Store, StoreUnavailableError, Tx
from sshserver.compat.textual_app import ContainedApp
from sshserver.compat.textual_screen import BlankScreen
from sshserver.terminal.capabilities import Terminal
from tui.dialogs.dialog import Dialog
from tui.dialogs.fresh_proof import FreshProofDialog
from tui.widgets.status_line import Said, Tone
from tui.widgets.top_line import Heading, Tab

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_Step = Question | SendCode[FreshProofNeeded] | CheckCode[FreshProofNeeded]

Operation: TypeAlias = Callable[Concatenate[Tx, Actor, P], R | Denied | SessionOver | FreshProofNeeded]
"""A change made in one transaction."""
Compound: TypeAlias = Callable[
    Concatenate[Store, Member, P], Awaitable[R | Denied | SessionOver | FreshProofNeeded]
]
"""A change made in several transactions, with a password hashed or a message sent between them."""


class ActingApp(ContainedApp):
    """An app with a signed-in user; every screen calls the operations through it.

    The store runs an operation in a worker, never on the event loop. Results that any operation can
    have are handled here: a refusal, the end of the session, the question for a fresh proof, and a
    database that does not answer.
    """

    said: var[Said] = var(Said(), always_update=True)
    """What the status line of every screen shows."""

    def __init__(
        self,
        store: Store,
        *,
        session: Session | None,
        clock: Clock,
        terminal: Terminal,
        carriers: Carriers,
        changes: ChangeFeed,
    ) -> None:
        super().__init__()
        self.store = store
        self.changes = changes
        self.session = session
        self.clock = clock
        self.terminal = terminal
        self.carriers = carriers
        self.heading = Heading()
        self.account_id: int | None = None
        self.roles: frozenset[Role] = frozenset()
        self.theme_choice = session.theme if session else ThemeChoice.TERMINAL
        self.missed: str | None = None
        """The message shown when the database did not answer, since this was last set to None."""
        self._front: Screen[Any] | None = None

    def on_mount(self) -> None:
        """Note which screen is in front."""
        self.screen_change_signal.subscribe(self, self._leave_refusal_behind, immediate=True)

    def _leave_refusal_behind(self, _front: Screen[Any]) -> None:
        """Forget a refusal when another screen comes to the front; a dialog leaves its screen there."""
        front = next(screen for screen in reversed(self.screen_stack) if not screen.is_modal)
        if front is not self._front and self.said.tone is Tone.REFUSED:
            self.say("")
        self._front = front

    def get_default_screen(self) -> BlankScreen:
        """Start with an empty screen: every view is a screen of its own."""
        return BlankScreen()

    @property
    def actor(self) -> Member:
        """The user who is signed in; an operation runs only when there is one."""
        if self.session is None:
            raise RuntimeError("no one is signed in")
        return Member(self.session.id)

    def say(self, words: str, tone: Tone = Tone.NOTE) -> None:
        """Show words in the status line."""
        self.said = Said(words, tone)

    def session_began(self, session: Session) -> None:
        """Watch a session from its first step."""
        raise NotImplementedError

    async def choose_theme(self, choice: ThemeChoice) -> None:
        """Show a theme, and remember it for who has signed in."""
        raise NotImplementedError

    def open_tab(self, name: str) -> None:
        """Go to one of the main screens."""
        raise NotImplementedError

    def open_users(self, query: UserQuery) -> None:
        """Go to the users whom a query finds."""
        raise NotImplementedError

    def open_activity(self, which: Filter) -> None:
        """Go to the rows of the audit log that a filter lets through."""
        raise NotImplementedError

    def tabs(self) -> list[Tab]:
        """Return the main screens that this user has."""
        raise NotImplementedError

    async def read(
        self,
        operation: Callable[Concatenate[Tx, Actor, P], R | Denied | SessionOver],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R | None:
        """Run an operation that only reads; show a refusal and return None."""
        return self.report(
            await self._with_fresh_proof(lambda: self.store.read(operation, self.actor, *args, **kwargs))
        )

    async def act(
        self, change: Operation[P, R] | Compound[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """Change something and show the result; None if it was refused."""
        return self.report(await self.submit(change, *args, **kwargs))

    async def submit(
        self, change: Operation[P, R] | Compound[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R | Denied:
        """Change something; return a refusal to the caller, who shows it next to what was typed.

        A coroutine function receives the store for its transactions; any other function runs in one.
        """
        if inspect.iscoroutinefunction(inspect.unwrap(change)):
            compound = cast("Compound[P, R]", change)
            return await self._with_fresh_proof(lambda: compound(self.store, self.actor, *args, **kwargs))
        operation = cast("Operation[P, R]", change)
        return await self._with_fresh_proof(lambda: self.store.run(operation, self.actor, *args, **kwargs))

    async def fill_in(
        self,
        form: Callable[[T | None, str], Dialog[T]],
        take: Callable[[T], Awaitable[R | Denied]],
    ) -> R | None:
        """Show a form until its answer is accepted, and show the result; None if the form is cancelled.

        The form is built from the last answer, if there is one, and from what was wrong with it.
        """
        typed, fault = None, ""
        while (typed := await self.push_screen_wait(form(typed, fault))) is not None:
            result = await take(typed)
            if not isinstance(result, Denied):
                return self.report(result)
            fault = result.message
        return None

    async def reach(self, act: Callable[[], Awaitable[R]]) -> R | None:
        """Do something before anyone has signed in; None if the database does not answer."""
        try:
            return await act()
        except StoreUnavailableError as error:
            self.say(str(error), Tone.REFUSED)
            return None

    def ended(self, words: str | None) -> asyncio.CancelledError:
        """End the app with these words. The caller must raise the result, which ends the worker too."""
        self.exit(words)
        return asyncio.CancelledError()

    def report(self, result: R | Denied) -> R | None:
        """Show the result of an operation; None if it was refused."""
        if isinstance(result, Denied):
            self.say(result.message, Tone.REFUSED)
            return None
        if isinstance(result, Done):
            self.say(result.message, Tone.DONE)
        return result

    async def _with_fresh_proof(
        self, act: Callable[[], Awaitable[R | Denied | SessionOver | FreshProofNeeded]]
    ) -> R | Denied:
        """Run an operation; if it needs a fresh proof, ask for one and run it again."""
        try:
            result = await act()
            if isinstance(result, FreshProofNeeded):
                if not await self._prove_afresh(result):
                    return Denied("Not confirmed. Nothing was changed.")
                result = await act()
        except StoreUnavailableError as error:
            self.missed = str(error)
            return Denied(str(error))
        if isinstance(result, SessionOver):
            raise self.ended(result.message)
        if isinstance(result, SessionOver | FreshProofNeeded):
            return Denied("That took too long. Try again.")
        return result

    async def _prove_afresh(self, needed: FreshProofNeeded) -> bool:
        """Ask for a fresh proof until it is given; False if that is cancelled."""
        if needed.proof is FreshProof.PASSWORD:
            return await self._prove_by_password()
        return await self._prove_by_code(CodeDialogue(needed))

    async def _prove_by_password(self) -> bool:
        fault = ""
        while answer := await self.push_screen_wait(FreshProofDialog(fault=fault)):
            match await credentials.confirm_fresh_password(self.store, self.actor, answer[0]):
                case Done():
                    return True
                case SessionOver(message):
                    raise self.ended(message)
                case Denied(message):
                    fault = message
        return False

    async def _prove_by_code(self, dialogue: CodeDialogue[FreshProofNeeded]) -> bool:
        step: _Step | Done | SessionOver = dialogue.begin()
        note = ""
        while True:
            match step:
                case Question():
                    fault = step.said if step.after is After.REFUSED else ""
                    note = step.said if step.after is After.SENT else note
                    temporary = dialogue.asked.replaces_phone
                    answer = await self.push_screen_wait(
                        FreshProofDialog(step, fault, note, temporary=temporary)
                    )
                    if answer is None:
                        return False
                    step = dialogue.answer(answer[0])
                case SendCode(_, method):
                    note = ""
                    step = dialogue.take(await self._send_afresh(method))
                case CheckCode(needed, typed):
                    checked = await self.store.run(
                        credentials.confirm_fresh_code,
                        self.actor,
                        typed,
                        replaces_phone=needed.replaces_phone,
                    )
                    step = dialogue.take(checked)
                case SessionOver(message):
                    raise self.ended(message)
                case Done():
                    return True
                case _:
                    assert_never(step)

    async def _send_afresh(self, method: Method) -> CodeSent | NotSent | Denied | SessionOver:
        return await delivery.send(self.store, self.carriers, credentials.send_fresh_code, self.actor, method)
