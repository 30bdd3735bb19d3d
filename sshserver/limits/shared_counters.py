"""Counts that the workers of one node share, so that a limit holds for the node and not for each worker.

They are kept in shared memory, in which every worker has its own part. Only that worker writes to it and all
others read it, so nothing needs a lock, and the counts of a worker that died are wiped with its part. A
worker counts first and reads afterwards: if two want the last place at the same time, at least one sees the
other. Keys are mapped to slots by a keyed hash. If two keys share a slot, each counts for both, so a limit
can only be reached too early.
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
"""How many keys' slots a worker remembers."""


class Counted(IntEnum):
    """The kinds of counts of a node."""

    SOURCES = 0
    CONNECTIONS = 1
    SESSIONS = 2
    PENALTIES = 3
    ADMITTED = 4
    COMMANDS = 5
    CHANNELS = 6
    JUMPS = 7


class Counts(Protocol):
    """How many of something each key has: here, and at all workers together."""

    workers: int

    def add(self, key: Hashable, number: int) -> int:
        """Add a number here; return how many there are at all workers together."""
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
    """The counts of a server with a single worker."""

    workers = 1

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()

    def add(self, key: Hashable, number: int) -> int:
        """Add a number here; return how many there are."""
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
    """The shared memory. Its creator passes `descriptor` to the workers."""

    def __init__(self, descriptor: int, workers: int) -> None:
        """Use the memory behind `descriptor`, which was created for this number of workers."""
        self.descriptor = descriptor
        self.workers = workers
        self._part = len(Counted) * _SLOTS
        self._memory = mmap.mmap(descriptor, _size(workers))
        self._numbers = memoryview(self._memory)[_SEED_BYTES:].cast("i")
        self._seed = bytes(self._memory[:_SEED_BYTES])

    @classmethod
    def create(cls, workers: int) -> "SharedCounters":
        """Create the memory for this number of workers.

        Raises:
            OSError: when no memory is available.
        """
        descriptor = _anonymous_file()
        os.ftruncate(descriptor, _size(workers))
        os.pwrite(descriptor, secrets.token_bytes(_SEED_BYTES), 0)
        return cls(descriptor, workers)

    def wipe(self, worker: int) -> None:
        """Forget the counts of a worker that is gone."""
        start = worker * self._part
        self._numbers[start : start + self._part] = memoryview(bytes(self._part * _NUMBER_BYTES)).cast("i")

    def slot(self, what: Counted, key: Hashable) -> int:
        """Return the position of a key's number in each worker's part."""
        digest = blake2b(repr(key).encode("utf-8", "replace"), digest_size=8, key=self._seed).digest()
        return int(what) * _SLOTS + int.from_bytes(digest) % _SLOTS

    def add(self, worker: int, slot: int, number: int) -> int:
        """Add a number in a worker's part; return the sum of all parts."""
        self._numbers[worker * self._part + slot] += number
        return self.sum(slot)

    def sum(self, slot: int) -> int:
        """Return the sum of all workers' parts."""
        return sum(self._numbers[slot :: self._part])

    def close(self) -> None:
        """Release the memory; the other processes keep it."""
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
        """Add a number here; return how many there are at all workers together."""
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
    """Open a file that no one else can open, in memory if the system supports it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("twofold-counts")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
