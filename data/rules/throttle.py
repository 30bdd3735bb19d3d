"""How failures of the first factor slow a source down; they never lock anyone.

Failures are counted per source and per (source, name), never per name alone: strangers must not be
able to shut a user out.
"""

WINDOW_MINUTES = 15
"""Failures older than this are forgotten."""
FREE_PER_NAME = 3
FREE_PER_SOURCE = 20
MAX_DELAY = 15.0
"""Seconds; well below the time that a connection has for its first factor."""


def delay(*, failures_of_source: int, failures_of_name: int) -> float:
    """Return the seconds that the next password from a source waits before it is looked at."""
    return max(
        _doubling(failures_of_source - FREE_PER_SOURCE),
        _doubling(failures_of_name - FREE_PER_NAME),
    )


def _doubling(excess: int) -> float:
    return 0.0 if excess < 0 else min(MAX_DELAY, 0.5 * 2.0 ** min(excess, 10))
