"""How failures of the first factor slow a source down; they never lock anyone.

Failures delay their source, and (source, name). Those of one name from many sources make passwords for it
from strangers wait for each other, and delay nobody whom the user's own sign-ins make known: strangers must
not be able to shut a user out.
"""

WINDOW_MINUTES = 15
"""Failures older than this are forgotten."""
KEPT_MINUTES = 24 * 60
"""Failures of a user that were not told to them are removed after this, all others after the window."""
FREE_PER_NAME = 3
FREE_PER_SOURCE = 20
ENOUGH = FREE_PER_SOURCE + 10
"""Failures of a source beyond which its delay grows no more."""
MAX_DELAY = 15.0
"""Seconds; well below the time that a connection has for its first factor."""
MANY_OF_NAME = 20
"""Failures of one name within the window, over all sources, that are taken for guesses."""
TURN_SECONDS = 1.0
"""Between two passwords of strangers for a name that is guessed at."""
TURNS = int(MAX_DELAY / TURN_SECONDS)
"""Sources of strangers that wait for the same name at a time."""
KNOWN_DAYS = 30
"""How long a sign-in makes its source known for the user."""


def delay(*, failures_of_source: int, failures_of_name: int) -> float:
    """Return the seconds that the next password from a source waits before it is looked at."""
    return max(
        _doubling(failures_of_source - FREE_PER_SOURCE),
        _doubling(failures_of_name - FREE_PER_NAME),
    )


def _doubling(excess: int) -> float:
    return 0.0 if excess < 0 else min(MAX_DELAY, 0.5 * 2.0 ** min(excess, 10))
