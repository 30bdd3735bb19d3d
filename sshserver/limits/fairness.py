"""Sharing the event loop's time: sign-ins first, then users in turn, no matter how much one asks for."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from math import inf
from typing import Final

_INPUT_SHARE: Final = 0.1
"""The share of the loop's time that the input of one user may take in the long run."""
_INPUT_BURST: Final = 0.1
"""Seconds that a user's input may take at once."""
_LONGEST_REST: Final = 4
"""The longest rest of a user, as a multiple of the turn before it."""
_MOSTLY: Final = 0.9
"""The part of a connection's input that jumps carry on while it is read in large pieces."""
_COUNTED_SECONDS: Final = 0.1
"""For how long those who read count as sharing the turns of the loop."""


class DrawingTurns:
    """One screen is drawn at a time, users in turn, and the loop rests between two turns.

    A turn is one layout or one frame, which does not wait for anything. After it, everyone rests for as long
    as it took; its user rests longer, the more of their screens wait. Sign-ins need no turns: each of their
    steps waits for one turn at most, and half of the time is left for them.
    """

    def __init__(self) -> None:
        """Start with no one waiting."""
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._rests: dict[Hashable, float] = {}
        self._all_rest = -inf
        self._is_drawing = False
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, user: Hashable) -> AsyncIterator[None]:
        """Wait for a turn of `user`, which lasts as long as the context."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(turn)
        self._grant()
        try:
            await turn
            begun = time.perf_counter()
            yield
            self._rest(user, time.perf_counter() - begun)
        finally:
            if turn.done() and not turn.cancelled():
                self._is_drawing = False
                self._grant()

    def _grant(self) -> None:
        """Give the next turn to the first user who is not resting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        due = inf
        for user in tuple(self._waiting):
            ready = max(self._all_rest, self._rests.get(user, -inf))
            if self._is_drawing:
                return
            if ready <= loop.time():
                self._give_turn(user)
            else:
                due = min(due, ready)
        if not self._is_drawing and self._waiting:
            self._timer = loop.call_at(due, self._grant)

    def _give_turn(self, user: Hashable) -> None:
        """Let the screen of `user` draw that has waited longest; queue the others behind all users."""
        turns = self._waiting.pop(user)
        while turns and not self._is_drawing:
            turn = turns.popleft()
            if not turn.done():
                turn.set_result(None)
                self._is_drawing = True
        if turns:
            self._waiting[user] = turns

    def _rest(self, user: Hashable, spent: float) -> None:
        now = asyncio.get_running_loop().time()
        crowd = 1 + len(self._waiting.get(user, ()))
        self._rests = {known: until for known, until in self._rests.items() if until > now}
        self._rests[user] = now + spent * min(crowd, _LONGEST_REST)
        self._all_rest = now + spent


class InputShares:
    """The loop time that the input of each user has taken, and the delays that follow from it.

    Each user has a virtual clock that advances by the cost of their input, divided by their share (the
    generic cell rate algorithm, ITU-T I.371). All connections of a user advance the same clock, so they are
    read one after the other.
    """

    def __init__(self) -> None:
        """Start with no time taken."""
        self._due: dict[Hashable, float] = {}

    def charge(self, user: Hashable, seconds: float) -> float:
        """Count the seconds that input of `user` took; return for how many seconds to stop reading it."""
        now = time.monotonic()
        due = max(self._due.get(user, now), now) + seconds / _INPUT_SHARE
        self._due[user] = due
        return max(0.0, due - now - _INPUT_BURST / _INPUT_SHARE)


class CarriedInput:
    """How much of one connection's input jumps carry on: it costs little, and is not charged to its user.

    A turn of the loop for each piece is fair enough, since nothing here reads it. Everything else is charged,
    and so are small packets, which carry little more than themselves.
    """

    def __init__(self, least: int, most: int) -> None:
        """Read `least` bytes at a time, and up to `most` while jumps carry nearly all of them on."""
        self._least = least
        self._most = most
        self._carried = 0
        self.read_bytes = least
        """How many bytes to read at a time."""

    def carry(self, count: int) -> None:
        """Count what a jump carries on of what was received."""
        self._carried += count

    def charged_share(self, received: int) -> float:
        """Return the part of the bytes just received that is charged; packets end in later pieces too."""
        carried = min(self._carried, received)
        self._carried = min(self._carried - carried, self._most)
        share = carried / received if received else 0.0
        self.read_bytes = min(self.read_bytes * 2, self._most) if share >= _MOSTLY else self._least
        return 1.0 - share


class TargetPieces:
    """How much is read from a target at a time, so that one turn of the loop stays short for everyone else.

    They all read into the same buffer, one after the other.
    """

    def __init__(self, least: int, most: int, in_turn: int) -> None:
        """Read `most` bytes at a time, or fewer if all who read would exceed `in_turn`, but `least`."""
        self._least = least
        self._in_turn = in_turn
        self._buffer = memoryview(bytearray(most))
        self._until = -inf
        self._readers: set[object] = set()
        self._crowd = 1

    def buffer(self, reader: object) -> memoryview:
        """Return where the next piece of `reader` goes; it is passed on before anyone else reads."""
        now = time.monotonic()
        if now >= self._until:
            self._crowd, self._readers = max(1, len(self._readers)), set()
            self._until = now + _COUNTED_SECONDS
        self._readers.add(reader)
        return self._buffer[: max(self._least, self._in_turn // max(self._crowd, len(self._readers)))]
