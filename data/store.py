"""The one seam between async code and the database.

An operation is a function whose first argument is a `Tx`. It runs in one transaction, off the event
loop, and once handed over it runs to its end: a client that hangs up cancels the waiting, never the
work. Denials are values; an exception rolls everything back.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from peewee import DatabaseError, InterfaceError, SqliteDatabase

from data.rules.facts import Method
from data.rules.sending import PER_DAY
from data.storage import models
from data.storage.hashing import RECOVERY_COST, HashCost, Hasher
from data.storage.vault import Vault

P = ParamSpec("P")
R = TypeVar("R")

Clock = Callable[[], datetime]
"""Returns the present moment in UTC."""
RandomBytes = Callable[[int], bytes]


class StoreUnavailableError(Exception):
    """The database did not do its part; nothing of the operation was kept."""

    def __init__(self) -> None:
        super().__init__("The database is not available right now. Nothing was changed; try again shortly.")


@dataclass(frozen=True, slots=True)
class Services:
    """What operations need beside the database; made once, in the composition root.

    `sends` names the methods that the settings know a carrier for, and `sms_number` is the number that
    text messages to this installation reach, where it has one.
    """

    clock: Clock
    vault: Vault = field(repr=False)
    hasher: Hasher
    issuer: str = "Twofold"
    sends: frozenset[Method] = frozenset()
    sms_number: str | None = None
    codes_per_day: int = PER_DAY
    random_bytes: RandomBytes = secrets.token_bytes
    recovery_hasher: Hasher = field(default_factory=lambda: Hasher(RECOVERY_COST))


@dataclass(frozen=True, slots=True)
class Tx:
    """The transaction an operation runs in; `now` is read once it has begun and stands still."""

    now: datetime
    services: Services


class Store:
    """Runs operations on the embedded database: writes on one thread, reads on another.

    Password hashing has a thread of its own, since each thread that hashes keeps memory for it.
    """

    def __init__(self, database: SqliteDatabase, services: Services) -> None:
        self._database = database
        self.services = services
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._reader = ThreadPoolExecutor(1, "store-reader")
        self._hasher = ThreadPoolExecutor(1, "hasher")
        models.database.initialize(database)

    async def run(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that may write.

        Raises:
            StoreUnavailableError: when the database fails; nothing of the operation was kept.
        """
        return await self._on(self._writer, lambda: self.run_now(operation, *args, **kwargs))

    async def read(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads, beside the writes.

        Raises:
            StoreUnavailableError: when the database fails.
        """
        return await self._on(self._reader, lambda: self._transact("DEFERRED", operation, *args, **kwargs))

    async def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a costly pure function, such as a password hash, off the event loop."""
        return await self._on(self._hasher, lambda: function(*args, **kwargs))

    async def finish(self, work: Coroutine[Any, Any, R]) -> R:
        """Carry several operations through to their end even when the caller is cancelled."""
        return await asyncio.shield(asyncio.ensure_future(work))

    def run_now(self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run an operation in the calling thread: for the command line, which has no event loop.

        Raises:
            StoreUnavailableError: when the database fails.
        """
        return self._transact("IMMEDIATE", operation, *args, **kwargs)

    def close(self) -> None:
        """Wait for what has been handed over, then close."""
        for executor in (self._writer, self._reader):
            executor.submit(self._database.close)
        for executor in (self._writer, self._reader, self._hasher):
            executor.shutdown()
        self._database.close()

    def _transact(
        self,
        kind: Literal["IMMEDIATE", "DEFERRED"],
        operation: Callable[Concatenate[Tx, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        try:
            self._database.connect(reuse_if_open=True)
            with self._database.atomic(kind):
                return operation(Tx(self.services.clock(), self.services), *args, **kwargs)
        except (DatabaseError, InterfaceError):
            raise StoreUnavailableError from None

    async def _on(self, executor: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(executor, work))


def open_services(
    clock: Clock, vault: Vault, cost: HashCost | None = None, issuer: str = "Twofold"
) -> Services:
    """Make the services of a process."""
    return Services(clock=clock, vault=vault, hasher=Hasher(cost or HashCost()), issuer=issuer)
