"""The time before sign-in is complete: its deadlines, and the places that a waiting connection takes."""

import asyncio
from collections.abc import Callable

from sshserver.limits.limit_values import Limits
from sshserver.limits.per_user import AwaitingSecondFactor
from sshserver.limits.unauthenticated import PendingConnection, Progress, UnauthenticatedConnections


class LoginGrace:
    """How long one connection may take to sign in, and where it is counted meanwhile."""

    def __init__(
        self,
        limits: Limits,
        unauthenticated: UnauthenticatedConnections,
        awaiting_code: AwaitingSecondFactor,
        *,
        too_late: Callable[[], None],
        make_room: Callable[[], None],
    ) -> None:
        """Call `too_late` when the time is up, and `make_room` when another connection needs the place."""
        self._limits, self._unauthenticated, self._awaiting_code = limits, unauthenticated, awaiting_code
        self._too_late, self._make_room = too_late, make_room
        self._pending: PendingConnection | None = None
        self._progress = Progress.CONNECTED
        self._past_first: tuple[int, object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._first_deadline = 0.0

    def begin(self, address: str) -> None:
        """Start the clocks of the key exchange and first factor, and take a place."""
        self._first_deadline = asyncio.get_running_loop().time() + self._limits.first_factor_seconds
        self._take_place(address)
        self._start(min(self._limits.key_exchange_seconds, self._limits.first_factor_seconds))

    def restart(self, address: str) -> None:
        """Count as unauthenticated again, for another user name; keep the first deadline."""
        self.end()
        self._take_place(address)
        self._start_until_first_deadline()

    def keys_exchanged(self) -> None:
        """Protect the place from connections that are not this far; the first factor's clock goes on."""
        if self._progress is Progress.CONNECTED:
            self._advance(Progress.ENCRYPTED)
            if self._timer is not None:
                self._timer.cancel()
                self._start_until_first_deadline()

    def answered(self) -> None:
        """Protect the place from connections that have answered nothing."""
        self._advance(Progress.ANSWERED)

    def pass_first_factor(self, user_id: int | None) -> None:
        """Count as awaiting the second factor, which has its own deadline."""
        if self._pending is None:
            return
        self.end()
        if user_id is not None:
            self._past_first = (user_id, self._awaiting_code.enter(user_id, self._make_room))
        self._start(self._limits.second_factor_seconds)

    def await_sent_code(self) -> None:
        """Wait as long as the code that was just sent is valid."""
        if self._timer is not None:
            self._timer.cancel()
            self._start(self._limits.sent_code_seconds)

    def end(self) -> None:
        """Give up the place, if one was taken, and stop the clock."""
        if self._pending is not None:
            self._unauthenticated.leave(self._pending)
            self._pending = None
        if self._past_first is not None:
            self._awaiting_code.leave(*self._past_first)
            self._past_first = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take_place(self, address: str) -> None:
        self._pending = self._unauthenticated.enter(address, self._make_room, self._progress)

    def _advance(self, progress: Progress) -> None:
        self._progress = progress
        if self._pending is not None:
            self._pending.progress = progress

    def _start_until_first_deadline(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._first_deadline, self._out_of_time)

    def _start(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._out_of_time)

    def _out_of_time(self) -> None:
        self._timer = None
        self._too_late()
