"""The part of the app that runs operations and renders the results they have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import Worker, WorkerError

from data.delivery import sent_codes as delivery
from data.delivery.carriers import Carriers
from data.operations.actors import Actor, Member
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin.admission import Session
from data.operations.signin.dialogue import After, CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.sent_codes import CodeSent, CodeToSend, NotSent
from data.operations.users import credentials
from data.rules.domain_types import Method, Role
from data.store import Clock, Store, StoreUnavailableError, Tx
from sshserver.compat.textual_app import ContainedApp
from sshserver.compat.textual_screen import BlankScreen
from sshserver.terminal.capabilities import Terminal
from tui.dialogs.fresh_proof import FreshProofDialog
from tui.widgets.status_line import Said, StatusLine, Tone
from tui.widgets.top_line import Heading

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Screen[Any]")
_Step = Question | SendCode[FreshProofNeeded] | CheckCode[FreshProofNeeded]


class ActingApp(ContainedApp):
    """An app in whose session someone acts: every screen reaches the operations through it.

    An operation is handed to the store in a worker, never on the event loop. What is the same for
    all of them is rendered here: a refusal, the end of the session, the question for a fresh proof,
    and a database that does not answer.
    """

    def __init__(
        self, store: Store, *, session: Session | None, clock: Clock, terminal: Terminal, carriers: Carriers
    ) -> None:
        super().__init__()
        self.store = store
        self.session = session
        self.clock = clock
        self.terminal = terminal
        self.carriers = carriers
        self.said = Said()
        self.heading = Heading()
        self.roles: frozenset[Role] = frozenset()
        self.missed: str | None = None
        """What was said when the database did not answer, since this was last set to None."""

    def get_default_screen(self) -> BlankScreen:
        """Begin with nothing to draw: all that is shown are screens of their own."""
        return BlankScreen()

    @property
    def actor(self) -> Member:
        """Whoever is signed in. There is one wherever an operation is performed."""
        if self.session is None:
            raise RuntimeError("nobody is signed in")
        return Member(self.session.id)

    def say(self, words: str, tone: Tone = Tone.NOTE) -> None:
        """Put words into the status line."""
        self.said = Said(words, tone)
        for screen in self.screen_stack:
            for line in screen.query(StatusLine):
                line.show(self.said)
                if words:
                    line.scroll_visible(animate=False)

    def session_began(self, session: Session) -> None:
        """Watch over a session from its first step on."""
        raise NotImplementedError

    def open_place(self, place: str) -> None:
        """Go to one of the main screens."""
        raise NotImplementedError

    def open_users_of(self, practice: str) -> None:
        """Go to the users of one practice."""
        raise NotImplementedError

    def places(self) -> list[tuple[str, str, str]]:
        """Return key, name and title of each main screen that this person has."""
        raise NotImplementedError

    async def perform(
        self,
        operation: Callable[Concatenate[Tx, Actor, P], R | Denied | SessionOver | FreshProofNeeded],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R | None:
        """Run an operation that may write, and say how it went; None when it was not done."""
        return self.settle(await self.propose(operation, *args, **kwargs))

    async def inquire(
        self,
        operation: Callable[Concatenate[Tx, Actor, P], R | Denied | SessionOver],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R | None:
        """Run an operation that only reads."""
        return self.settle(
            await self._renewed(lambda: self.store.read(operation, self.actor, *args, **kwargs))
        )

    async def propose(
        self,
        operation: Callable[Concatenate[Tx, Actor, P], R | Denied | SessionOver | FreshProofNeeded],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R | Denied:
        """Run an operation that may write, and leave a refusal to the caller, who still shows a form."""
        return await self._renewed(lambda: self.store.run(operation, self.actor, *args, **kwargs))

    async def propose_compound(
        self,
        function: Callable[
            Concatenate[Store, Member, P], Awaitable[R | Denied | SessionOver | FreshProofNeeded]
        ],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R | Denied:
        """Carry out what takes several operations, such as one that hashes between them."""
        return await self._renewed(lambda: function(self.store, self.actor, *args, **kwargs))

    async def propose_sending(
        self,
        operation: Callable[
            Concatenate[Tx, Actor, P], CodeToSend | NotSent | Denied | SessionOver | FreshProofNeeded
        ],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> CodeSent | NotSent | Denied:
        """Have a code made by an operation and handed to its carrier."""
        return await self._renewed(
            lambda: delivery.send(self.store, self.carriers, operation, self.actor, *args, **kwargs)
        )

    async def reach(self, act: Callable[[], Awaitable[R]]) -> R | None:
        """Do something before anyone has signed in; None when the database does not answer."""
        try:
            return await act()
        except StoreUnavailableError as error:
            self.say(str(error), Tone.REFUSED)
            return None

    def ended(self, words: str | None) -> asyncio.CancelledError:
        """End the app with these words; what is returned is to be raised, which ends the worker too."""
        self.exit(words)
        return asyncio.CancelledError()

    def settle(self, result: R | Denied) -> R | None:
        """Say how an operation went; None when it was refused."""
        if isinstance(result, Denied):
            self.say(result.message, Tone.REFUSED)
            return None
        if isinstance(result, Done):
            self.say(result.message, Tone.DONE)
        return result

    async def _renewed(
        self, act: Callable[[], Awaitable[R | Denied | SessionOver | FreshProofNeeded]]
    ) -> R | Denied:
        """Run an act; where it needs a fresh proof, ask for that and run it once more."""
        try:
            result = await act()
            if isinstance(result, FreshProofNeeded):
                if not await self._prove_afresh(result):
                    return Denied("Not confirmed, so nothing was changed.")
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
        """Ask for a fresh proof until it is given; False when that was left."""
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
                    answer = await self.push_screen_wait(FreshProofDialog(step, fault, note))
                    if answer is None:
                        return False
                    step = dialogue.answer(answer[0])
                case SendCode(_, method):
                    step = dialogue.take(await self._send_afresh(method))
                case CheckCode(_, typed):
                    step = dialogue.take(
                        await self.store.run(credentials.confirm_fresh_code, self.actor, typed)
                    )
                case SessionOver(message):
                    raise self.ended(message)
                case Done():
                    return True

    async def _send_afresh(self, method: Method) -> CodeSent | NotSent | Denied | SessionOver:
        return await delivery.send(self.store, self.carriers, credentials.send_fresh_code, self.actor, method)


class Acts(Protocol):
    """A screen with actions that run one at a time."""

    def before_acting(self) -> None:
        """Prepare the screen for an action that begins."""


def working(
    action: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], None]:
    """Make a screen's coroutine an action that runs in a worker, one at a time.

    While one runs, further presses do nothing: a second Enter is no second attempt.
    """

    @wraps(action)
    def start(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        if is_working(self):
            return
        cast("Acts", self).before_acting()
        worker = in_background(self, partial(action, self, *args, **kwargs), "acting")
        self._acting_worker = worker  # type: ignore[attr-defined]

    return cast("Callable[Concatenate[S, P], None]", start)


async def until_idle(screen: "Screen[Any]") -> None:
    """Wait until the act that a screen is in the middle of has ended, however it ends."""
    worker: Worker[None] | None = getattr(screen, "_acting_worker", None)
    if worker is not None and not worker.is_finished:
        with suppress(WorkerError):
            await worker.wait()


def in_background(
    node: DOMNode, work: Callable[[], Coroutine[None, None, None]], group: str, *, latest_only: bool = False
) -> Worker[None]:
    """Run `work` in a worker; with `latest_only` it takes the place of what the group still does.

    A screen that somebody leaves meanwhile has lost its parts: then there is nothing left to show.
    """

    async def until_left() -> None:
        try:
            await work()
        except NoMatches:
            if not isinstance(node, Screen) or node in node.app.screen_stack:
                raise

    worker: Worker[None] = node.run_worker(until_left, group=group, exclusive=latest_only)
    return worker


def is_working(screen: "Screen[Any]") -> bool:
    """Whether an action of this screen is still under way."""
    worker: Worker[None] | None = getattr(screen, "_acting_worker", None)
    return worker is not None and not worker.is_finished
