"""Counts that the workers of one node share, so that a limit holds for the node and not for each of them.

They stand in a piece of memory in which every worker has a part of its own. Only that worker writes there
and all others read it, so nothing is ever locked, and what a worker that died has counted is wiped with
its part. A worker counts first and reads then: of two that reach for the last place at one moment, one
sees the other. Keys share slots by a keyed hash; where two meet, each counts for both, which errs on the
side of the limit.
"""

import mmap
import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Hashable
from enum import IntEnum
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Final, Protocol

_SLOTS: Final = 1 << 14
_NUMBER_BYTES: Final = 4
_SEED_BYTES: Final = 16
_REMEMBERED: Final = 1024
"""Keys of which a worker remembers the slot."""


class Counted(IntEnum):
    """What is counted for a node."""

    SOURCES = 0
    CONNECTIONS = 1
    SESSIONS = 2
    PENALTIES = 3
    ADMITTED = 4


class Counts(Protocol):
    """How many of something each key has: here, and at all workers together."""

    workers: int

    def add(self, key: Hashable, number: int) -> int:
        """Count so many more here; return how many there are at all workers together."""
        ...

    def everywhere(self, key: Hashable) -> int:
        """Return how many there are at all workers together."""
        ...

    def here(self, key: Hashable) -> int:
        """Return how many there are here."""
        ...

    def total_here(self) -> int:
        """Return how many all keys together have here."""
        ...


class OwnCounts:
    """The counts of a server that is alone."""

    workers = 1

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()

    def add(self, key: Hashable, number: int) -> int:
        """Count so many more here; return how many there are."""
        self._counts[key] += number
        if self._counts[key] <= 0:
            del self._counts[key]
        return self._counts[key]

    def everywhere(self, key: Hashable) -> int:
        """Return how many there are."""
        return self._counts[key]

    def here(self, key: Hashable) -> int:
        """Return how many there are here."""
        return self._counts[key]

    def total_here(self) -> int:
        """Return how many all keys together have here."""
        return self._counts.total()


class SharedCounters:
    """The shared memory. Its maker hands `descriptor` down to the workers."""

    def __init__(self, descriptor: int, workers: int) -> None:
        """Use the memory behind `descriptor`, which was made for so many workers."""
        self.descriptor = descriptor
        self.workers = workers
        self._part = len(Counted) * _SLOTS
        self._memory = mmap.mmap(descriptor, _size(workers))
        self._numbers = memoryview(self._memory)[_SEED_BYTES:].cast("i")
        self._seed = bytes(self._memory[:_SEED_BYTES])

    @classmethod
    def create(cls, workers: int) -> "SharedCounters":
        """Make the memory for so many workers.

        Raises:
            OSError: when there is none to be had.
        """
        descriptor = _anonymous_file()
        os.ftruncate(descriptor, _size(workers))
        os.pwrite(descriptor, secrets.token_bytes(_SEED_BYTES), 0)
        return cls(descriptor, workers)

    def wipe(self, worker: int) -> None:
        """Forget what a worker has counted that is no more."""
        start = worker * self._part
        self._numbers[start : start + self._part] = memoryview(bytes(self._part * _NUMBER_BYTES)).cast("i")

    def slot(self, what: Counted, key: Hashable) -> int:
        """Return where a key's number stands in each worker's part."""
        digest = blake2b(repr(key).encode("utf-8", "replace"), digest_size=8, key=self._seed).digest()
        return int(what) * _SLOTS + int.from_bytes(digest) % _SLOTS

    def add(self, worker: int, slot: int, number: int) -> int:
        """Count in a worker's part; return the sum of all parts."""
        self._numbers[worker * self._part + slot] += number
        return self.sum(slot)

    def sum(self, slot: int) -> int:
        """Return the sum of all workers' parts."""
        return sum(self._numbers[slot :: self._part])

    def close(self) -> None:
        """Let the memory go; for the others it stays."""
        self._numbers.release()
        self._memory.close()
        os.close(self.descriptor)


class SharedCounts:
    """One kind of the shared counts, as one worker sees it."""

    def __init__(self, shared_counters: SharedCounters, worker: int, what: Counted) -> None:
        """Count in the part of `worker`."""
        self.workers = shared_counters.workers
        self._shared_counters = shared_counters
        self._worker = worker
        self._slot = lru_cache(_REMEMBERED)(partial(shared_counters.slot, what))
        self._own = OwnCounts()

    def add(self, key: Hashable, number: int) -> int:
        """Count so many more here; return how many there are at all workers together."""
        self._own.add(key, number)
        return self._shared_counters.add(self._worker, self._slot(key), number)

    def everywhere(self, key: Hashable) -> int:
        """Return how many there are at all workers together."""
        return self._shared_counters.sum(self._slot(key))

    def here(self, key: Hashable) -> int:
        """Return how many there are here."""
        return self._own.here(key)

    def total_here(self) -> int:
        """Return how many all keys together have here."""
        return self._own.total_here()


def _size(workers: int) -> int:
    return _SEED_BYTES + workers * len(Counted) * _SLOTS * _NUMBER_BYTES


def _anonymous_file() -> int:
    """Open a file that nobody else can open, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("twofold-counts")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
