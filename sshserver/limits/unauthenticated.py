"""The connections that have not passed the first factor: which stay, and which are dropped.

If several workers serve, the limits hold for all of them together (`shared_counters.py`).
"""

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from data.rules.source_addresses import source_of
from sshserver.limits.limit_values import Limits
from sshserver.limits.shared_counters import Counts, OwnCounts

_ALL: Final = "all"
_MOST_PENALTIES: Final = 16
"""Most penalties of one source at one worker: each is a halving, so more would change nothing."""


class Progress(IntEnum):
    """How far a connection has come before the first factor is passed."""

    CONNECTED = 0
    """The client's part of the key exchange is missing."""
    ENCRYPTED = 1
    ANSWERED = 2
    """A question was answered: someone has typed."""


class Penalties:
    """How many connections of each source were dropped lately (OpenSSH's PerSourcePenalties).

    Each halves how many connections the source may open in a second. The reader bounds the penalty: people
    who share an address with an attacker must still be able to connect.
    """

    def __init__(
        self, seconds: float, counts: Counts | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember each penalty for `seconds`."""
        self._seconds = seconds
        self._counts = counts or OwnCounts()
        self._clock = clock
        self._ends: deque[tuple[float, str]] = deque()

    def add(self, source: str) -> None:
        """Count a dropped connection of `source`."""
        self._forget()
        if self._counts.here(source) < _MOST_PENALTIES:
            self._counts.add(source, 1)
            self._ends.append((self._clock() + self._seconds, source))

    def of(self, source: str) -> int:
        """Return the penalties of `source` at all workers together."""
        self._forget()
        return self._counts.everywhere(source)

    def _forget(self) -> None:
        while self._ends and self._ends[0][0] <= self._clock():
            self._counts.add(self._ends.popleft()[1], -1)


@dataclass(slots=True, eq=False)
class PendingConnection:
    """One connection among those that have not passed the first factor."""

    source: str
    drop: Callable[[], None]
    progress: Progress
    entered: float
    lot: float = field(default_factory=secrets.SystemRandom().random)
    """Decides between otherwise equal connections, so that no attacker can target one."""


class UnauthenticatedConnections:
    """The connections that have not passed the first factor.

    When a source or the server is full, an existing connection is dropped for the new one, whereas OpenSSH's
    MaxStartups and PerSourceMaxStartups turn the new one away. Connections that have not finished the key
    exchange are dropped first, those that have answered a question last. An eighth of the places is kept for
    those with less progress; otherwise an attacker who fills all places with more progress would keep
    everyone else out. Among equals, a connection of the source that has the most is dropped. If there are
    several, it is the oldest during the key exchange, but never one that has just arrived; after the key
    exchange it is chosen at random, because people who type slowly are the oldest.

    If several workers share a limit, each keeps one place for each of the others, so that a worker without
    connections always finds one. Connections are dropped at the worker that the new one reached. A worker
    with no more than its share drops only connections that are late with the key exchange; another worker
    drops what exceeds the limit when the next connection reaches it.
    """

    def __init__(
        self,
        limits: Limits,
        sources: Counts | None = None,
        total: Counts | None = None,
        penalties: Penalties | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without connections, bounded by `limits`."""
        self._limits = limits
        self._sources = sources or OwnCounts()
        self._total = total or OwnCounts()
        self._penalties = penalties or Penalties(limits.penalty_seconds)
        self._clock = clock
        self._pending: dict[PendingConnection, None] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def enter(
        self, address: str, drop: Callable[[], None], progress: Progress = Progress.CONNECTED
    ) -> PendingConnection:
        """Count a connection from `address` and return it; the caller updates its progress.

        `drop` is called at most once, when the connection must make room; it has left by then.
        """
        source = source_of(address)
        self._sources.add(source, 1)
        self._total.add(_ALL, 1)
        self._make_room(self._sources, source, self._limits.connections_per_source)
        self._make_room(self._total, _ALL, self._limits.unauthenticated_connections)
        pending = PendingConnection(source, drop, progress, self._clock())
        self._pending[pending] = None
        return pending

    def leave(self, pending: PendingConnection) -> None:
        """Stop counting a connection; one that has already left is ignored."""
        if pending in self._pending:
            del self._pending[pending]
            self._sources.add(pending.source, -1)
            self._total.add(_ALL, -1)

    def drop_one(self) -> bool:
        """Drop the connection that would make room for another; return False if there is none."""
        if not self._pending:
            return False
        self._drop(self._least(list(self._pending)))
        return True

    def _make_room(self, counts: Counts, key: str, limit: int) -> None:
        """Drop connections of a source, or of all sources, while more places are taken than allowed."""
        allowed = max(1, limit - (counts.workers - 1))
        share = limit // counts.workers
        while counts.everywhere(key) > allowed:
            among = [pending for pending in self._pending if key in (_ALL, pending.source)]
            if not among:
                return
            pending = self._least(among)
            if counts.here(key) <= share and not self._is_late(pending):
                return
            self._drop(pending)
            allowed = limit

    def _drop(self, pending: PendingConnection) -> None:
        self._penalties.add(pending.source)
        self.leave(pending)
        pending.drop()

    def _least(self, among: list[PendingConnection]) -> PendingConnection:
        """Return the connection that must make room."""
        groups = ([pending for pending in among if pending.progress is progress] for progress in Progress)
        return min(next(group for group in groups if len(group) > len(among) // 8), key=self._worth)

    def _worth(self, pending: PendingConnection) -> tuple[bool, int, float]:
        """Rank a connection among those of equal progress; all workers' connections of its source count."""
        order = pending.entered if pending.progress is Progress.CONNECTED else pending.lot
        return not self._is_late(pending), -self._sources.everywhere(pending.source), order

    def _is_late(self, pending: PendingConnection) -> bool:
        age = self._clock() - pending.entered
        return pending.progress is Progress.CONNECTED and age >= self._limits.spared_seconds
