"""Group commit: short operations that wait while one commits run in one transaction after it.

They run one after the other, in the order in which they were handed over, and each is answered after the
commit. If one of them fails, or the commit does, nothing of the group is kept, and each runs again in a
transaction of its own: an operation has no effect besides its transaction and its result.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

R = TypeVar("R")
Operation = Callable[[Any], Any]
"""An operation with its arguments; what it is given is the `Tx` of its own."""
MOST: Final = 32
"""Operations in a group: what each adds delays the answers to all."""


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """An operation that was handed over, who is answered, and since when it waits for the thread."""

    operation: Operation
    woken: asyncio.Future[None] | None = None
    """A future of the loop that is woken with the answer; None if no one waits there."""
    answer: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)
    apart: bool = False
    """Whether its transaction is another one than that of those which are not."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """Collects what waits for a thread that writes.

    `transact` runs the operations of a group in one transaction on that thread, and returns their results:
    all of them are `apart`, or none is.
    After what it raises of the type `final` they must not run again: all of the group are told that.
    """

    def __init__(
        self,
        thread: Executor,
        transact: Callable[[Sequence[PendingWrite]], list[Any]],
        final: type[Exception],
    ) -> None:
        self._thread = thread
        self._transact = transact
        self._final = final
        self._waiting: deque[PendingWrite] = deque()
        self._called = False
        """Whether the thread will look at what waits, after its earlier work."""

    async def run(self, operation: Callable[[Any], R], patience: float = 0.0, *, apart: bool = False) -> R:
        """Run an operation; once handed over it runs to its end, whether or not the caller waits.

        With `patience`, it does not call the thread, but waits so many seconds for one that does.
        """
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        answer: Future[R] = Future()
        self._waiting.append(PendingWrite(operation, woken, answer, time.monotonic() + patience, apart))
        if patience:
            loop.call_later(patience, self._call)
        else:
            self._call()
        await woken
        return answer.result()

    def hand_over(self, operation: Callable[[Any], R]) -> Future[R]:
        """Have an operation run, and return what its result will be in."""
        pending = PendingWrite(operation)
        self._waiting.append(pending)
        self._call()
        return pending.answer

    def write_all(self) -> None:
        """Run all that waits, in the thread that writes, before that ends."""
        while self._waiting:
            self._write()

    def _call(self) -> None:
        if self._waiting and not self._called:
            self._called = True
            self._thread.submit(self._write)

    def _write(self) -> None:
        """Run one group, at last what is apart; the next one waits for what other work the thread has."""
        # Cleared before anything is taken: who hands over from here on calls the thread again.
        self._called = False
        group: list[PendingWrite] = []
        with suppress(IndexError):
            while len(group) < MOST:
                group.append(self._waiting.popleft())
        self._call()
        for apart in (False, True):
            if sharing := [pending for pending in group if pending.apart is apart]:
                _answer(sharing, self._outcomes(sharing))

    def _outcomes(self, group: Sequence[PendingWrite]) -> list[_Outcome]:
        try:
            return [_Outcome(result) for result in self._transact(group)]
        except self._final as error:
            return [_Outcome(error=error)] * len(group)
        except BaseException as error:  # noqa: BLE001 - whoever asked is told, as by an executor.
            if len(group) == 1:
                return [_Outcome(error=error)]
        return [outcome for each in group for outcome in self._outcomes([each])]


def _answer(group: Sequence[PendingWrite], outcomes: Sequence[_Outcome]) -> None:
    """Answer all, and wake each loop once."""
    woken: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for pending, outcome in zip(group, outcomes, strict=True):
        if outcome.error is None:
            pending.answer.set_result(outcome.result)
        else:
            pending.answer.set_exception(outcome.error)
        if pending.woken is not None:
            woken.setdefault(pending.woken.get_loop(), []).append(pending.woken)
    for loop, futures in woken.items():
        with suppress(RuntimeError):  # The loop was closed, so no one waits there any more.
            loop.call_soon_threadsafe(_wake, futures)


def _wake(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():  # Otherwise its caller was cancelled.
            future.set_result(None)
