"""How failures of the first factor slow a source down; they never lock anyone.

Failures delay their source, and (source, name). Many failures of one name from many sources make
strangers' passwords for it wait for each other, but never delay a source that the user has signed in
from: strangers must not be able to shut a user out.
"""

WINDOW_MINUTES = 15
"""Failures older than this are forgotten."""
KEPT_MINUTES = 24 * 60
"""Failures that their user was not told about are removed after this, all others after the window."""
FREE_PER_NAME = 3
FREE_PER_SOURCE = 20
ENOUGH = FREE_PER_SOURCE + 10
"""Failures of a source after which its delay no longer grows."""
MAX_DELAY = 15.0
"""Seconds, well below the time that a connection has for its first factor."""
MANY_OF_NAME = 20
"""Failures of one name within the window, over all sources, that count as guessing."""
TURN_SECONDS = 1.0
"""Seconds between two strangers' passwords for a name that is being guessed at."""
TURNS = int(MAX_DELAY / TURN_SECONDS)
"""Strangers' sources that may wait for the same name at a time."""
KNOWN_DAYS = 30
"""How long a sign-in makes its source known for the user."""


def delay(*, failures_of_source: int, failures_of_name: int) -> float:
    """Return the seconds that the next password from a source waits before it is judged."""
    return max(
        _doubling(failures_of_source - FREE_PER_SOURCE),
        _doubling(failures_of_name - FREE_PER_NAME),
    )


def _doubling(excess: int) -> float:
    return 0.0 if excess < 0 else min(MAX_DELAY, 0.5 * 2.0 ** min(excess, 10))
