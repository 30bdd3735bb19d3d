"""How many questions of applications are judged at a time."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

AT_A_TIME: Final = 64
OF_APPLICATION: Final = 48
OF_ADDRESS: Final = 8
"""Requests that are judged at a time: of all, of one application, and of users at one address. After wrong
answers each may take seconds, and the others are told to wait."""


class RequestSlots:
    """Limits how many requests are judged at a time."""

    def __init__(self) -> None:
        self._taken: Counter[object] = Counter()

    @contextlib.contextmanager
    def taken(self, application: int, source: str) -> Iterator[bool]:
        """Take a slot of an application and of its users' address, if known; yield whether one was free."""
        limits: dict[object, int] = {"all": AT_A_TIME, application: OF_APPLICATION}
        if source:
            limits[f"from {source}"] = OF_ADDRESS
        given = all(self._taken[key] < most for key, most in limits.items())
        if given:
            self._taken.update(limits.keys())
        try:
            yield given
        finally:
            if given:
                self._taken.subtract(limits.keys())
                self._taken += Counter()
