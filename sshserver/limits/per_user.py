"""What one user may have at a time: connections awaiting a code, admitted connections, sessions."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from sshserver.limits.shared_counters import Counts, OwnCounts


class AwaitingSecondFactor:
    """The connections that have passed the first factor but not the second, by user.

    When a user has too many, the oldest is dropped: someone with a stolen key and no code can neither fill
    the server nor keep the user out.
    """

    def __init__(self, most: int) -> None:
        """Allow `most` to each user."""
        self._most = most
        self._waiting: dict[int, OrderedDict[object, Callable[[], None]]] = {}

    def enter(self, user_id: int, drop: Callable[[], None]) -> object:
        """Add a connection and return its place; `drop` is called when it must make room."""
        waiting = self._waiting.setdefault(user_id, OrderedDict())
        dropped = waiting.popitem(last=False)[1] if len(waiting) >= self._most else None
        place = object()
        waiting[place] = drop
        if dropped is not None:
            dropped()
        return place

    def leave(self, user_id: int, place: object) -> None:
        """Give up a place; one that was already given up is ignored."""
        waiting = self._waiting.get(user_id, OrderedDict())
        waiting.pop(place, None)
        if not waiting:
            self._waiting.pop(user_id, None)


class ConcurrencyLimit:
    """Limits how many of something each key has open, such as the sessions of a user."""

    def __init__(self, most: int, counts: Counts | None = None) -> None:
        """Allow `most` for each key."""
        self._most = most
        self._counts = counts or OwnCounts()

    def __len__(self) -> int:
        return self._counts.total_here()

    def take(self, key: Hashable) -> bool:
        """Count one more; return False if there are already as many as allowed."""
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
