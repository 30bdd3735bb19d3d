"""Fair turns at work that runs one at a time, such as hashing a password.

A source has one place in the queue, however many of its clients wait there, and sources take turns. So a
busy source delays each of the others by one turn, and no more.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

R = TypeVar("R")
SOURCES: Final = 50
"""Sources in one queue: with a hash of 30 ms, the last of them waits a second and a half."""
_OF_SOURCE: Final = 10
"""Clients that may wait in the place of one source."""


class Unserved(Enum):
    """Why something was not done: the queue was full, or the client left before its turn."""

    BUSY = "busy"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class _Waiter:
    turn: "asyncio.Future[bool]"
    gone: asyncio.Event | None

    @property
    def is_gone(self) -> bool:
        return self.turn.done() or (self.gone is not None and self.gone.is_set())


_Queue = OrderedDict[str, deque[_Waiter]]
"""Waiting clients by source, the next source first; no source's line is ever empty."""


class FairQueue:
    """The queues of one event loop, one for each kind of work that runs one at a time."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        """Work that no one waits for has no queue."""

    async def run(
        self,
        thing: Hashable,
        source: str,
        gone: asyncio.Event | None,
        work: Callable[[], Awaitable[R]],
        *,
        sources: int = SOURCES,
        rest: float = 0.0,
    ) -> R | Unserved:
        """Run `work` when the turn of `source` comes, unless its client is `gone` by then.

        The next turn begins `rest` seconds after the end of this one. `sources` bounds the queue. Work that
        has begun runs to its end. Do not cancel this: set `gone`.
        """
        if gone is not None and gone.is_set():
            return Unserved.GONE
        queue = self._queues.get(thing)
        if queue is None:
            self._queues[thing] = OrderedDict()
        else:
            _forget_gone(queue)
            if len(queue.get(source, ())) >= _OF_SOURCE or len(queue.keys() | {source}) > sources:
                return Unserved.BUSY
            waiting = _Waiter(asyncio.get_running_loop().create_future(), gone)
            queue.setdefault(source, deque()).append(waiting)
            if not await waiting.turn:
                return Unserved.GONE
        try:
            return await work()
        finally:
            if rest:
                asyncio.get_running_loop().call_later(rest, self._pass_on, thing)
            else:
                self._pass_on(thing)

    def _pass_on(self, thing: Hashable) -> None:
        queue = self._queues[thing]
        _forget_gone(queue)
        if not queue:
            del self._queues[thing]
            return
        source, line = queue.popitem(last=False)
        line.popleft().turn.set_result(True)
        if line:
            queue[source] = line


def _forget_gone(queue: _Queue) -> None:
    """Free the places of clients that have left."""
    for source, line in list(queue.items()):
        for waiting in [each for each in line if each.is_gone]:
            line.remove(waiting)
            if not waiting.turn.done():
                waiting.turn.set_result(False)
        if not line:
            del queue[source]
