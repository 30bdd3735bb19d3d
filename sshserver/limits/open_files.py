"""How many files this process may have open: one per connection (getrlimit(2), RLIMIT_NOFILE)."""

import contextlib
import resource
from typing import Final

FEW: Final = 4_096
"""With fewer, an organisation with thousands of users may find the server full."""
_ENOUGH: Final = 65_536
"""The limit is raised no further."""
_USUAL: Final = 1_024


def limit() -> int:
    """Return how many files may be open."""
    return _limits()[0]


def allowed() -> int:
    """Return how far the limit may be raised."""
    return max(_limits())


def raise_limit() -> int:
    """Raise the limit as far as this process may; return the new limit."""
    soft, hard = _limits()
    if soft < hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return limit()


def _limits() -> tuple[int, int]:
    """Return the soft and hard limits, neither above what is enough."""
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:  # The system call filter of a service may refuse this.
        return _USUAL, _USUAL
    return _bounded(soft), _bounded(hard)


def _bounded(number: int) -> int:
    return _ENOUGH if number == resource.RLIM_INFINITY else min(number, _ENOUGH)
