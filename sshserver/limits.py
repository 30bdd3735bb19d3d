"""Every number that bounds what a client may take from the server, and the accounting of strangers."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from data.rules.addresses import source_of
from data.rules.publickeys import RSA_MIN_BITS
from sshserver.board import Counts, OwnCounts

_ALL: Final = "all"


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

    code_connections_per_user: int = 50
    """Connections of one user, on one worker, that have passed the first factor and not the second."""

    sessions_per_user: int = 20
    sessions_per_connection: int = 10
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
    read_bytes: int = 32768
    """What is read of one connection before another one has its turn."""

    rsa_min_bits: int = RSA_MIN_BITS
    packet_bytes: int = 65536
    """The largest packet taken; RFC 4253 section 6.1 asks for 35000."""

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


class Lobby:
    """The connections that have not passed the first factor, in the order of their arrival.

    When a source or the whole lobby is full, the oldest connection in it makes room for the new one:
    whoever merely holds connections open keeps nobody out. Where several workers share a limit, one of
    its places is kept for each of the others, so that one which has none yet always finds one, and
    connections make room at the worker that the new one came to.
    """

    def __init__(self, limits: Limits, sources: Counts | None = None, total: Counts | None = None) -> None:
        """Open an empty lobby bounded by `limits`."""
        self._sources = sources or OwnCounts()
        self._total = total or OwnCounts()
        kept = self._sources.workers - 1
        self._most_of_source = max(1, limits.connections_per_source - kept)
        self._most = max(1, limits.unauthenticated_connections - kept)
        self._places: OrderedDict[object, tuple[str, Callable[[], None]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, address: str, drop: Callable[[], None]) -> object:
        """Count a connection from `address` and return its place.

        `drop` is called at most once, when the connection has to make room; it has left by then.
        """
        source = source_of(address)
        if self._sources.add(source, 1) > self._most_of_source and self._sources.here(source) > 1:
            self._drop(next(place for place, (known, _) in self._places.items() if known == source))
        if self._total.add(_ALL, 1) > self._most and self._places:
            self._drop(next(iter(self._places)))
        place = object()
        self._places[place] = (source, drop)
        return place

    def leave(self, place: object) -> None:
        """Stop counting a connection; a place that was already left is ignored."""
        found = self._places.pop(place, None)
        if found is not None:
            self._sources.add(found[0], -1)
            self._total.add(_ALL, -1)

    def _drop(self, place: object) -> None:
        drop = self._places[place][1]
        self.leave(place)
        drop()


class Anteroom:
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


class Tally:
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

    def give_back(self, key: Hashable) -> None:
        """Count one fewer."""
        self._counts.add(key, -1)
