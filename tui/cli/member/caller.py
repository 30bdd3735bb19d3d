"""A member who gives commands over SSH, in the session that they signed in to."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.results import FreshProofNeeded
from data.operations.signin import admission
from data.operations.signin.admission import Session
from data.rules.policy import SignedIn, Step
from data.store import Store, Tx
from tui.cli.caller import Caller, GoesOn
from tui.cli.member.code_dialogue import give_proof
from tui.cli.member.own_session import go_on, what_next
from tui.cli.open_installation import confirmed, refuse
from tui.cli.streams import can_ask, streams

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class MemberCaller(Caller):
    """Runs operations on the server's event loop, from the thread of one command.

    An operation that needs a fresh proof is run again once that was given. `carriers` send codes,
    `program` is what the member types before a command, and `session` is how the sign-in ended.
    `reads_proof` has a code read from standard input where nobody can be asked at a terminal.
    """

    store: Store
    actor: Member
    carriers: Carriers
    loop: asyncio.AbstractEventLoop = field(repr=False)
    program: str
    session: Session
    leads_on: bool = False
    reads_proof: bool = False

    def refuse_unfinished(self, steps: tuple[type[Step], ...]) -> None:
        """End a command in a session that must do something else first than what leads out of `steps`."""
        if isinstance(self.session.step, SignedIn):
            return
        session = confirmed(self.read(admission.unfinished_session))
        if session is None or isinstance(session.step, steps):
            return
        if isinstance(session.step, SignedIn):
            go_on(self)
        else:
            refuse(what_next(self))

    def run(
        self, operation: Callable[Concatenate[Tx, Member, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation as the member."""
        return self._proving(
            lambda: self._finish(lambda: self.store.run(operation, self.actor, *args, **kwargs))
        )

    def read(
        self, operation: Callable[Concatenate[Tx, Member, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads, beside those that write."""
        streams().interruption.check()
        return self._proving(lambda: self.store.read_here(operation, self.actor, *args, **kwargs))

    def wait(self, work: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a coroutine function on the server's loop; it is cancelled when the command must stop."""
        return self._proving(lambda: self._finish(lambda: work(*args, **kwargs), cancels=True))

    def finish(self, work: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a coroutine function on the server's loop to its end, so that its result can be told."""
        result = self._proving(lambda: self._finish(lambda: work(*args, **kwargs)))
        streams().interruption.clear()
        return result

    def wait_until_stopped(self, work: Callable[[GoesOn], Coroutine[Any, Any, R]]) -> R:
        """Run work that stops after a part when the command must stop."""
        interruption = streams().interruption
        result = self._proving(lambda: self._finish(lambda: work(lambda: not interruption)))
        interruption.clear()
        return result

    def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a costly pure function where the server runs them."""
        return self._finish(lambda: self.store.compute(function, *args, **kwargs))

    def command(self, words: str) -> str:
        """Return what the member must type to run another command."""
        return f"{self.program} {words}".lstrip()

    def _proving(self, act: Callable[[], R]) -> R:
        result = act()
        if not isinstance(result, FreshProofNeeded):
            return result
        if not can_ask() and not self.reads_proof:
            confirm = self.command("me confirm").replace("ssh ", "ssh -t ", 1)
            refuse(f"Confirm it's you first: {confirm}")
        give_proof(self, result)
        return act()

    def _finish(self, work: Callable[[], Coroutine[Any, Any, R]], *, cancels: bool = False) -> R:
        """Run a coroutine on the server's loop, and wait in this thread until it has ended.

        An operation that was begun is never given up: its result is what was done.
        """
        interruption = streams().interruption
        interruption.check()
        future = asyncio.run_coroutine_threadsafe(work(), self.loop)
        if not cancels:
            return future.result()
        with interruption.calling(future.cancel):
            try:
                return future.result()
            except CancelledError:
                interruption.check()
                raise
