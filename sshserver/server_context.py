"""What the connections of one server share."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

from data.operations.signin.admission import Session
from data.operations.targets.jumps import close_jump
from data.rules.protocol_misuse import Misuse
from data.store import Store, StoreUnavailableError
from sshserver.auth_backend import AuthBackend
from sshserver.command_streams import Streams
from sshserver.compat.textual_app import ContainedApp
from sshserver.limits import open_files
from sshserver.limits.dialling import Dialler
from sshserver.limits.fairness import DrawingTurns, InputShares, TargetPieces
from sshserver.limits.limit_values import Limits
from sshserver.limits.per_user import AwaitingSecondFactor, ConcurrencyLimit
from sshserver.limits.shared_counters import Counted, Counts, OwnCounts, SharedCounters, SharedCounts
from sshserver.limits.unauthenticated import Penalties, UnauthenticatedConnections
from sshserver.listener import ConnectionRate
from sshserver.telemetry import crash_reports
from sshserver.telemetry.connection_events import Telemetry
from sshserver.terminal.capabilities import Terminal

AppFactory = Callable[[Session, Terminal], ContainedApp]
"""Returns the app of one channel, which is started in the client's terminal."""
CommandRunner = Callable[[Session, Sequence[str], Streams], Awaitable[int]]
"""Runs the command of a member, given as its words, without blocking the loop; returns the exit status."""
_Outcome = TypeVar("_Outcome")
_Connection = TypeVar("_Connection")
_TOGETHER_SECONDS: Final = 0.02
"""How long the end of a session waits for others, so that they are recorded together."""
_TRIES: Final = 100
_LONGEST_WAIT: Final = 60.0
"""How often recording is tried, and the longest time between two tries."""


@dataclass(slots=True)
class ServerContext(Generic[_Connection]):
    """What the connections of one server share; it holds them and knows nothing about them."""

    backend: AuthBackend
    make_app: AppFactory
    limits: Limits
    run_command: CommandRunner | None = None
    """Runs the commands of members; without it, they are refused."""
    shared_counters: tuple[SharedCounters, int] | None = None
    """The counters that the workers of a node share, and the index of this worker."""
    telemetry: Telemetry = field(default_factory=lambda: Telemetry(silent=True))
    store: Store | None = None
    """Holds the targets of jumps; without it, nothing is forwarded."""
    unauthenticated: UnauthenticatedConnections = field(init=False)
    awaiting_code: AwaitingSecondFactor = field(init=False)
    admitted: ConcurrencyLimit = field(init=False)
    """The connections of each user that have passed both factors."""
    sessions: ConcurrencyLimit = field(init=False)
    """The apps of each user."""
    commands: ConcurrencyLimit = field(init=False)
    """The commands of each user that are under way."""
    channels: ConcurrencyLimit = field(init=False)
    """The open channels of each user, whatever is on them."""
    jumps: ConcurrencyLimit = field(init=False)
    """The jumps of each user, those that are being opened included."""
    dialler: Dialler = field(init=False)
    pieces: TargetPieces = field(init=False)
    _rate: ConnectionRate = field(init=False)
    _most_connections: int = field(init=False)
    drawing: DrawingTurns = field(default_factory=DrawingTurns)
    input: InputShares = field(default_factory=InputShares)
    connections: set[_Connection] = field(default_factory=set)
    misuses: Counter[Misuse] = field(default_factory=Counter)
    """How often each kind of misuse was refused, by all clients together."""
    work: set[asyncio.Task[Any]] = field(default_factory=set)
    """Data operations under way; they outlive the connections that asked for them."""

    _ended: list[int] = field(default_factory=list)
    """Sessions whose end is recorded in a moment."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the server drains; what cannot be recorded then is left to other workers or the next start."""

    def __post_init__(self) -> None:
        penalties = Penalties(self.limits.penalty_seconds, self._counts(Counted.PENALTIES))
        self.unauthenticated = UnauthenticatedConnections(
            self.limits, self._counts(Counted.SOURCES), self._counts(Counted.CONNECTIONS), penalties
        )
        # The connections of a source are spread evenly over the workers of a node.
        workers = self.shared_counters[0].workers if self.shared_counters else 1
        most = max(1, self.limits.connections_per_second // workers)
        self._rate = ConnectionRate(most, min(most, self.limits.connections_per_source), penalties)
        self.awaiting_code = AwaitingSecondFactor(self.limits.code_connections_per_user)
        self.admitted = ConcurrencyLimit(self.limits.connections_per_user, self._counts(Counted.ADMITTED))
        self._most_connections = max(1, open_files.limit() - self.limits.descriptors_kept_back)
        self.sessions = ConcurrencyLimit(self.limits.sessions_per_user, self._counts(Counted.SESSIONS))
        self.commands = ConcurrencyLimit(self.limits.commands_per_user, self._counts(Counted.COMMANDS))
        self.channels = ConcurrencyLimit(self.limits.channels_per_user, self._counts(Counted.CHANNELS))
        self.jumps = ConcurrencyLimit(self.limits.jumps_per_user, self._counts(Counted.JUMPS))
        self.dialler = Dialler(self.limits)
        self.pieces = TargetPieces(
            self.limits.read_bytes, self.limits.carried_bytes, self.limits.carried_in_turn
        )
        self.telemetry.metrics.watch(
            lambda: len(self.connections),
            lambda: len(self.unauthenticated),
            lambda: len(self.sessions) + len(self.commands),
            lambda: len(self.jumps),
        )

    def _counts(self, what: Counted) -> Counts:
        return OwnCounts() if self.shared_counters is None else SharedCounts(*self.shared_counters, what)

    def takes_connection(self, address: str) -> bool:
        """Count a new connection; return whether its source may open it and there is room for it."""
        if not self._rate.takes(address):
            return self._hang_up(Misuse.PACE, address)
        if self._open_files >= self._most_connections and not self.unauthenticated.drop_one():
            return self._hang_up(Misuse.FULL, address)
        return True

    @property
    def has_files_for_jumps(self) -> bool:
        """Whether a jump leaves a quarter of the open files to people who sign in."""
        return self._open_files <= self._most_connections * 3 // 4

    @property
    def _open_files(self) -> int:
        """How many files the clients take: one for each connection, and those of each jump."""
        return len(self.connections) + len(self.jumps) + self.dialler.spare_sockets

    def _hang_up(self, because: Misuse, address: str) -> bool:
        self.misuses[because] += 1
        self.telemetry.hung_up(because, address)
        return False

    def admits(self, user_id: int | None) -> bool:
        """Count an admitted connection of a user; return False if the user already has as many as allowed.

        The last quarter of the open files is reserved for users who have no connection here.
        """
        scarce = self._open_files > self._most_connections * 3 // 4
        if scarce and self.admitted.here(user_id):
            return False
        return self.admitted.take(user_id)

    def start(self, work: Coroutine[Any, Any, _Outcome]) -> asyncio.Task[_Outcome]:
        """Run `work` to its end, even if no one waits for it any more."""
        task = asyncio.get_running_loop().create_task(work)
        self.work.add(task)
        task.add_done_callback(self.work.discard)
        return task

    def end_session(self, session_id: int) -> None:
        """Have the end of a session recorded, together with others; no one waits for this."""
        self._ended.append(session_id)
        if len(self._ended) == 1:
            self.start(self._record_ends())

    async def _record_ends(self) -> None:
        await asyncio.sleep(_TOGETHER_SECONDS)
        ended, self._ended = self._ended, []
        await self._record(lambda: self.backend.end_sessions(ended), "Ending sessions")

    async def record_misuse(self, user_id: int, address: str, what: Misuse) -> None:
        """Record misuse in the audit log; no one waits for this."""
        await self._record(lambda: self.backend.record_misuse(user_id, address, what), "Recording a misuse")

    async def close_jump(self, jump_id: int, sent: int, received: int, because: str) -> None:
        """Record the end of a jump; no one waits for this."""
        if (store := self.store) is not None:
            closing = partial(store.run_with_others, close_jump, jump_id, sent, received, because)
            await self._record(closing, "Closing a jump")

    async def _record(self, act: Callable[[], Coroutine[Any, Any, None]], what: str) -> None:
        """Record an event; while the database is unavailable, retry at growing intervals.

        It may be unknown whether a try succeeded. Recording these events twice does no harm.
        """
        for tries in range(_TRIES):
            try:
                await act()
            except StoreUnavailableError:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.closing.wait(), min(_LONGEST_WAIT, 1.5**tries))
                if self.closing.is_set():
                    return
            except Exception as error:  # noqa: BLE001 - no one is left to be told.
                crash_reports.report(error, what)
                return
            else:
                return
