"""Every number that bounds what a client may take from the server, and the accounting of strangers."""

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from data.rules.public_keys import RSA_MIN_BITS
from data.rules.source_addresses import source_of
from sshserver.limits.shared_counters import Counts, OwnCounts

_ALL: Final = "all"
_MOST_PENALTIES: Final = 16
"""Of one source at one worker: more change nothing, since each is a halving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one node; times are in seconds unless the name says otherwise."""

    wrong_answers: int = 10
    """Wrong passwords, wrong codes, malformed answers and bad signatures of one connection together.

    They are enough for the seven wrong codes that lock after three wrong passwords: whoever types them is
    told of the lock, and is not hung up on before.
    """
    unknown_keys: int = 20
    """Public keys that are not the user's; agents hold many."""
    wrong_answers_per_exchange: int = 3
    """Wrong answers of any kind after which a keyboard-interactive exchange fails.

    A client that repeats itself comes to an end by it; a person's `ssh` begins another exchange by itself.
    """
    sign_in_requests: int = 100
    """Requests and refusals of any kind before sign-in, so that free ones are not endless either."""
    password_characters: int = 1024

    key_exchange_seconds: float = 10.0
    """Time for the client's part of the key exchange; people who compare fingerprints do so after it."""
    first_factor_seconds: float = 60.0
    second_factor_seconds: float = 300.0
    sent_code_seconds: float = 900.0
    """Time to answer from when a code was sent: as long as the code is good."""
    connections_per_second: int = 200
    """Connections that one IPv4 address or IPv6 /64 may open in a second; the others are hung up on."""
    connections_per_source: int = 10
    """Connections of one IPv4 address or IPv6 /64 that have not passed the first factor."""
    unauthenticated_connections: int = 200
    """Connections in all that have not passed the first factor."""
    spared_seconds: float = 2.0
    """How long a new connection makes no room while there are older ones that exchange keys."""
    penalty_seconds: float = 60.0
    """How long a connection that had to make room counts against its source."""

    code_connections_per_user: int = 50
    """Connections of one user, on one worker, that have passed the first factor and not the second."""

    sessions_per_user: int = 20
    sessions_per_connection: int = 10
    unused_seconds: float = 60.0
    """How long a connection that was admitted may run nothing on its channels."""
    descriptors_kept_back: int = 64
    """Open files that no connection may be: the database, mail and whatever else needs them."""
    idle_minutes: float = 30.0
    idle_warning_seconds: float = 60.0
    """How long before the end of an idle session its user is warned."""
    keepalive_seconds: float = 30.0
    keepalive_count: int = 3
    """Keepalive intervals after which a silent client is gone."""
    drain_seconds: float = 5.0
    """How long sessions that were told to end may take before they are cut off."""
    silence_seconds: float = 30.0
    """How long one of several workers may leave questions unanswered before it is replaced."""

    sign_in_bytes: int = 131072
    """All that is taken of a connection before both factors are proven."""
    received_bytes: int = 1048576
    """What waits to be looked at; every channel's window fits in it."""
    unsent_bytes: int = 16777216
    """What waits to be sent to a client that does not read."""
    read_bytes: int = 4096
    """What is read of one connection before another one has its turn: a hundred of the smallest packets."""

    rsa_min_bits: int = RSA_MIN_BITS
    packet_bytes: int = 65536
    """The largest packet taken; RFC 4253 section 6.1 asks for 35000."""
    client_packet_bytes: int = 4096
    """The smallest packet that a channel's client may set as the largest it takes; most take 16384."""

    environment_variables: int = 16
    environment_requests: int = 256
    """Environment variables that a channel may offer; an honest client sends a dozen."""
    environment_bytes: int = 64
    """The longest value of an environment variable that is kept."""
    min_columns: int = 20
    max_columns: int = 500
    min_rows: int = 5
    max_rows: int = 200

    write_buffer_bytes: int = 262144
    """Unsent screen output of a channel above which frames are dropped."""
    unread_seconds: float = 30.0
    """How long a client may leave its screen unread before its session ends."""
    early_input_bytes: int = 65536
    """Input kept for an app that has not started yet; what is more is dropped."""
    paste_characters: int = 262144
    """The longest bracketed paste; a longer one is dropped whole."""
    input_backlog: int = 1000
    """Messages waiting in an app above which its channel is not read."""

    @property
    def connections_per_user(self) -> int:
        """Admitted connections of one user: one for each session, and as many that end or begin."""
        return 2 * self.sessions_per_user


class Progress(IntEnum):
    """How far a connection has come before the first factor is passed."""

    CONNECTED = 0
    """The client's part of the key exchange is missing."""
    ENCRYPTED = 1
    ANSWERED = 2
    """A question was answered: somebody has typed."""


class Penalties:
    """How many connections of each source had to make room lately (OpenSSH's PerSourcePenalties).

    Each halves how many connections the source may open in a second. So the penalty is bounded by its
    reader: people share their address with an attacker, and must still be taken.
    """

    def __init__(
        self, seconds: float, counts: Counts | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember each for `seconds`."""
        self._seconds = seconds
        self._counts = counts or OwnCounts()
        self._clock = clock
        self._ends: deque[tuple[float, str]] = deque()

    def add(self, source: str) -> None:
        """Count a connection of `source` that had to make room."""
        self._forget()
        if self._counts.here(source) < _MOST_PENALTIES:
            self._counts.add(source, 1)
            self._ends.append((self._clock() + self._seconds, source))

    def of(self, source: str) -> int:
        """Return how many count against `source` at all workers together."""
        self._forget()
        return self._counts.everywhere(source)

    def _forget(self) -> None:
        while self._ends and self._ends[0][0] <= self._clock():
            self._counts.add(self._ends.popleft()[1], -1)


@dataclass(slots=True, eq=False)
class Place:
    """One connection among those that have not passed the first factor."""

    source: str
    drop: Callable[[], None]
    progress: Progress
    entered: float
    lot: float = field(default_factory=secrets.SystemRandom().random)
    """Decides between connections that are equal otherwise, so that no attacker can aim at one."""


class UnauthenticatedConnections:
    """The connections that have not passed the first factor.

    When a source or all of it is full, a connection makes room for the new one (in the place of OpenSSH's
    MaxStartups and PerSourceMaxStartups, which turn the new one away): first those that have not finished
    the key exchange, last those that have answered a question. An eighth of the places is left to those
    of less progress, or whoever holds all places with more of it would let nobody begin. Among equals one
    of the source that has the most makes room. Of several such it is the oldest while keys are exchanged,
    and none that has just come; after that the lot decides, since people who type slowly are the oldest.

    Where several workers share a limit, one of its places is kept for each of the others, so that one
    which has none yet always finds one. Connections make room at the worker that the new one came to. A
    worker that has no more than its share drops only those that are late with the key exchange: another
    worker may have such, and drops what is beyond the limit when the next one comes there.
    """

    def __init__(
        self,
        limits: Limits,
        sources: Counts | None = None,
        total: Counts | None = None,
        penalties: Penalties | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with no connection, bounded by `limits`."""
        self._limits = limits
        self._sources = sources or OwnCounts()
        self._total = total or OwnCounts()
        self._penalties = penalties or Penalties(limits.penalty_seconds)
        self._clock = clock
        self._places: dict[Place, None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, address: str, drop: Callable[[], None], progress: Progress = Progress.CONNECTED) -> Place:
        """Count a connection from `address` and return its place, whose progress the caller updates.

        `drop` is called at most once, when the connection has to make room; it has left by then.
        """
        source = source_of(address)
        self._sources.add(source, 1)
        self._total.add(_ALL, 1)
        self._make_room(self._sources, source, self._limits.connections_per_source)
        self._make_room(self._total, _ALL, self._limits.unauthenticated_connections)
        place = Place(source, drop, progress, self._clock())
        self._places[place] = None
        return place

    def leave(self, place: Place) -> None:
        """Stop counting a connection; a place that was already left is ignored."""
        if place in self._places:
            del self._places[place]
            self._sources.add(place.source, -1)
            self._total.add(_ALL, -1)

    def drop_one(self) -> bool:
        """Drop the connection that would make room for another, or return False when there is none."""
        if not self._places:
            return False
        self._drop(self._least(list(self._places)))
        return True

    def _make_room(self, counts: Counts, key: str, limit: int) -> None:
        """Drop a connection of a source, or of all, when its places are taken, and those beyond `limit`."""
        allowed = max(1, limit - (counts.workers - 1))
        share = limit // counts.workers
        while counts.everywhere(key) > allowed:
            among = [place for place in self._places if key in (_ALL, place.source)]
            if not among:
                return
            place = self._least(among)
            if counts.here(key) <= share and not self._is_late(place):
                return
            self._drop(place)
            allowed = limit

    def _drop(self, place: Place) -> None:
        self._penalties.add(place.source)
        self.leave(place)
        place.drop()

    def _least(self, among: list[Place]) -> Place:
        """Choose who makes room."""
        groups = ([place for place in among if place.progress is progress] for progress in Progress)
        return min(next(group for group in groups if len(group) > len(among) // 8), key=self._worth)

    def _worth(self, place: Place) -> tuple[bool, int, float]:
        """Rank a place among those of its progress; a source's connections at all workers count."""
        order = place.entered if place.progress is Progress.CONNECTED else place.lot
        return not self._is_late(place), -self._sources.everywhere(place.source), order

    def _is_late(self, place: Place) -> bool:
        age = self._clock() - place.entered
        return place.progress is Progress.CONNECTED and age >= self._limits.spared_seconds


class AwaitingSecondFactor:
    """The connections that have passed the first factor and not the second, by user.

    When a user's is full, the oldest makes room: whoever holds a stolen key and no code can neither
    fill the server nor keep the user out.
    """

    def __init__(self, most: int) -> None:
        """Allow `most` to each user."""
        self._most = most
        self._waiting: dict[int, OrderedDict[object, Callable[[], None]]] = {}

    def enter(self, user_id: int, drop: Callable[[], None]) -> object:
        """Let a connection wait and return its place; `drop` is called when it has to make room."""
        waiting = self._waiting.setdefault(user_id, OrderedDict())
        dropped = waiting.popitem(last=False)[1] if len(waiting) >= self._most else None
        place = object()
        waiting[place] = drop
        if dropped is not None:
            dropped()
        return place

    def leave(self, user_id: int, place: object) -> None:
        """Wait no more; a place that was already left is ignored."""
        waiting = self._waiting.get(user_id, OrderedDict())
        waiting.pop(place, None)
        if not waiting:
            self._waiting.pop(user_id, None)


class ConcurrencyLimit:
    """How many of something each key has open: sessions of a user."""

    def __init__(self, most: int, counts: Counts | None = None) -> None:
        """Allow `most` for each key."""
        self._most = most
        self._counts = counts or OwnCounts()

    def __len__(self) -> int:
        return self._counts.total_here()

    def take(self, key: Hashable) -> bool:
        """Count one more, or return False when there are as many as allowed."""
        if self._counts.add(key, 1) <= self._most:
            return True
        self._counts.add(key, -1)
        return False

    def here(self, key: Hashable) -> int:
        """Return how many a key has at this worker."""
        return self._counts.here(key)

    def give_back(self, key: Hashable) -> None:
        """Count one fewer."""
        self._counts.add(key, -1)
