"""The one seam between async code and the database.

An operation is a function whose first argument is a `Tx`. It runs in one transaction, off the event loop,
and once handed over it runs to its end: a client that hangs up cancels the waiting, never the work. Short
ones that wait at the same moment can share a transaction (see `data.group_commit`).
Denials are values; an exception rolls everything back. An operation may run again from its beginning when
the database asks for it, so it must have no effect besides its transaction and its result.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from peewee import DatabaseError, InterfaceError

from data.errors import ExplainedError
from data.fair_queue import FairQueue, Unserved
from data.group_commit import GroupCommit, PendingWrite
from data.rules.doctor import Finding
from data.rules.domain_types import Method
from data.rules.invitations import SshAddress
from data.rules.policy import LONGEST_SESSION
from data.rules.principals import ALWAYS_RESERVED
from data.rules.sent_codes import PER_DAY
from data.rules.source_addresses import Network
from data.storage import models
from data.storage.database import Database
from data.storage.password_hashing import RECOVERY_COST, CostsInUse, HashCost, Hasher
from data.storage.transaction_failure import TransactionFailure
from data.storage.vault import UnknownKeyError, Vault

_log = logging.getLogger("twofold.database")
_QUEUED_SECONDS = 5.0
"""Work that has waited this long is not started while the database fails."""
MARK_SECONDS: Final = 0.005
"""Strangers are answered at multiples of this after they asked, so that the time reveals nothing."""
P = ParamSpec("P")
R = TypeVar("R")

Clock = Callable[[], datetime]
"""Returns the present moment in UTC."""
RandomBytes = Callable[[int], bytes]
Timing = Callable[[str, float, float], None]
"""Called with the kind of work, the seconds it waited for a thread, and the seconds it took."""


class StoreUnavailableError(ExplainedError):
    """The database failed; the operation had no effect."""

    def __init__(self, reason: str | None = None, fault: str = "") -> None:
        """Set the reason, if it is known; `fault` is what the log says otherwise."""
        what = "The database is not available right now" + (f": {reason}" if reason else "")
        super().__init__(f"{what}. Nothing was changed; try again shortly.")
        self.fault = reason or fault


class OtherKeyError(StoreUnavailableError):
    """The database was sealed under another master key in the meantime; the operation had no effect."""

    def __init__(self) -> None:
        super().__init__(fault="the master key was rotated elsewhere")

    def __str__(self) -> str:
        return (
            "The master key was rotated elsewhere, and the new one is not here yet. Nothing was changed. "
            "The operator must copy master.key from the node where it was rotated."
        )


class OutcomeUnknownError(StoreUnavailableError):
    """The database was lost at the very end; either the whole operation was kept or none of it."""

    def __init__(self) -> None:
        super().__init__(fault="it was lost at the last moment")

    def __str__(self) -> str:
        return (
            "The database was lost at the last moment, so it is not known whether this was done. Check "
            "before you repeat it."
        )


@dataclass(slots=True)
class CheckUp:
    """What the last check-up in this process found; it is repeated so often that screens only read it."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Services:
    """What operations need besides the database; made once, in the composition root.

    `sends` names the methods that have a carrier in the settings, and `sms_number` is the number that
    receives text messages for this installation, if it has one. `ssh` is where people sign in, if the
    settings say. `forwarding` are the networks that targets of members lead into. `reserved_principals` are
    those that the operator alone gives, in lower case. `home` is the folder that holds the state. `chain` is
    the chain of audit rows that this process writes: each process has its own, so that processes do not wait
    for each other.
    """

    clock: Clock
    vault: Vault = field(repr=False)
    hasher: Hasher
    issuer: str = "Twofold"
    sends: frozenset[Method] = frozenset()
    sms_number: str | None = None
    ssh: SshAddress | None = None
    forwarding: tuple[Network, ...] = ()
    codes_per_day: int = PER_DAY
    longest_session: timedelta = LONGEST_SESSION
    reserved_principals: frozenset[str] = ALWAYS_RESERVED
    chain: str = "main"
    random_bytes: RandomBytes = secrets.token_bytes
    home: Path | None = None
    costs: CostsInUse = field(default_factory=CostsInUse)
    check_up: CheckUp = field(default_factory=CheckUp)
    recovery_hasher: Hasher = field(default_factory=lambda: Hasher(RECOVERY_COST))


@dataclass(frozen=True, slots=True)
class Tx:
    """The transaction that an operation runs in, on the database that the tables are bound to.

    `now` is read when it begins and does not change.
    """

    now: datetime
    services: Services
    database: Database


class _Retries:
    """How often and how long an operation is retried; the waits grow and are randomised."""

    after_conflict = 100
    otherwise = 40
    seconds = 10.0

    def __init__(self) -> None:
        self._tried = 0
        self._until = time.monotonic() + self.seconds

    def allow(self, verdict: TransactionFailure) -> bool:
        """Return whether to try again, after a short wait."""
        self._tried += 1
        most = {
            TransactionFailure.CONFLICT: self.after_conflict,
            TransactionFailure.ONCE_MORE: self.otherwise,
        }.get(verdict, 0)
        if self._tried > most or time.monotonic() > self._until:
            return False
        time.sleep(random.uniform(0, min(0.001 * 2**self._tried, 0.05)))  # noqa: S311 - no secret.
        return True


class Store:
    """Runs operations on the database: writes on some threads, reads on others.

    Each thread has its own connection. Password hashing has its own thread too, because each hashing
    thread holds memory for it; other slow work has another one, so that no hash waits for it.
    """

    def __init__(self, database: Database, services: Services) -> None:
        self._database = database
        self.services = services
        self.recognise: Callable[[Tx], str | None] | None = None
        """Says what is wrong with the database behind a new connection, if anything: the server can be a
        different one. No operation runs before."""
        self.lost: Future[None] = Future()
        """Done once the database file is no longer where it was: every operation fails from then on, and the
        process must end."""
        self._faults: dict[str, str] = {}
        self.on_timing: Timing | None = None
        """Called on the working threads to measure the work."""
        self._writer = ThreadPoolExecutor(database.writers, "store-writer")
        self._together = GroupCommit(self._writer, self._run_group, OutcomeUnknownError)
        self._reader = ThreadPoolExecutor(database.readers, "store-reader")
        self._hasher = ThreadPoolExecutor(1, "hasher")
        self.turns = FairQueue()
        self._calculator = ThreadPoolExecutor(1, "calculator")
        models.database.initialize(database)

    async def run(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that may write.

        Raises:
            StoreUnavailableError: when the database fails; the operation had no effect.
        """
        work = self._reported("write", lambda: self.run_now(operation, *args, **kwargs))
        return await self._on("write", self._writer, work)

    async def run_with_others(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a short operation that may write, in one transaction with others that wait.

        All of them are answered after its commit, so a long one would delay the others.

        Raises:
            StoreUnavailableError: when the database fails; the operation had no effect.
        """
        return await self._together.run(lambda tx: operation(tx, *args, **kwargs))

    async def run_with_next(
        self,
        patience: float,
        operation: Callable[Concatenate[Tx, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run an operation as `run_with_others` does, with the next ones that come within so many seconds.

        If none come, it then runs alone. It must change each row that it decides by: where others write too,
        nothing else is kept from changing meanwhile.
        """
        apart = self._database.recording != self._database.writing
        return await self._together.run(lambda tx: operation(tx, *args, **kwargs), patience, apart=apart)

    async def read(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads, in parallel with writes.

        Raises:
            StoreUnavailableError: when the database fails.
        """
        return await _to_its_end(self._reader, self._reading(operation, *args, **kwargs))

    def read_here(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads as `read` does, and wait for it in the calling thread.

        It is for a thread without an event loop: `read` would wake the loop twice on the way.

        Raises:
            StoreUnavailableError: when the database fails.
        """
        return self._reader.submit(self._reading(operation, *args, **kwargs)).result()

    async def read_until_mark(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads, and return at the next mark however long it took.

        The result does not wake the loop: that would shift the timer too, because the loop rounds each
        wait up to whole milliseconds.

        Raises:
            StoreUnavailableError: when the database fails.
        """
        return await _at_a_mark(self._reader.submit(self._reading(operation, *args, **kwargs)))

    async def run_until_mark(
        self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation as `run_with_others` does, and return, or raise, as `read_until_mark` does."""
        return await _at_a_mark(self._together.hand_over(lambda tx: operation(tx, *args, **kwargs)))

    def _run_group(self, group: Sequence[PendingWrite]) -> list[Any]:
        began = time.monotonic()
        kind = self._database.recording if group[0].apart else self._database.writing

        def run_each(_tx: Tx) -> list[Any]:
            return [pending.operation(self._tx()) for pending in group]

        try:
            return self._reported("write", lambda: self._transact(kind, run_each), group[0].since)()
        finally:
            if tell := self.on_timing:
                for pending in group:
                    tell("write", max(0.0, began - pending.since), time.monotonic() - began)

    def _reading(
        self, operation: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Callable[[], R]:
        reading = self._database.reading
        work = self._reported("read", lambda: self._transact(reading, operation, *args, **kwargs))
        return self._measured("read", work)

    async def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Hash or verify a password, off the event loop."""
        return await self._on("hash", self._hasher, lambda: function(*args, **kwargs))

    async def compute_in_turn(
        self,
        source: str,
        gone: asyncio.Event | None,
        function: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R | Unserved:
        """Run a costly pure function for a stranger when their source's turn comes.

        It does not start if they are `gone` by then; once started, it runs to its end.
        """
        work = self._measured("hash", lambda: function(*args, **kwargs))
        return await self.turns.run("hash", source, gone, lambda: _to_its_end(self._hasher, work))

    async def calculate(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run another costly pure function off the event loop, without delaying any hash."""
        return await self._on("calculate", self._calculator, lambda: function(*args, **kwargs))

    async def finish(self, work: Coroutine[Any, Any, R]) -> R:
        """Run several operations to their end, even when the caller is cancelled."""
        return await asyncio.shield(asyncio.ensure_future(work))

    def run_now(self, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run an operation in the calling thread: for the command line, which has no event loop.

        Raises:
            StoreUnavailableError: when the database fails.
        """
        return self._transact(self._database.writing, operation, *args, **kwargs)

    def rest(self) -> None:
        """Close the calling thread's connection until it is needed again."""
        self._database.close()

    def close(self) -> None:
        """Wait for the work that was handed over, then close."""
        self._writer.submit(self._together.write_all)
        for executor, threads in (
            (self._writer, self._database.writers),
            (self._reader, self._database.readers),
        ):
            self._close_connections(executor, threads)
        for executor in (self._writer, self._reader, self._hasher, self._calculator):
            executor.shutdown()
        self._database.close()

    def _close_connections(self, executor: ThreadPoolExecutor, threads: int) -> None:
        """Have each thread close its own connection after its earlier work."""
        all_here = Barrier(threads)

        def close() -> None:
            all_here.wait()
            self._database.close()

        for _ in range(threads):
            executor.submit(close)

    def _transact(
        self,
        kind: str,
        operation: Callable[Concatenate[Tx, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        retries = _Retries()
        while True:
            committing = False
            try:
                self._connect()
                with self._database.atomic(kind):
                    result = operation(self._tx(), *args, **kwargs)
                    committing = True
                committed = self._database.holds()
            except UnknownKeyError:
                raise OtherKeyError from None
            except (DatabaseError, InterfaceError) as error:
                may_be_kept = committing and kind != self._database.reading
                verdict = self._database.verdict(error, committing=may_be_kept)
                reason = self._database.reason(error)
                fault = type(getattr(error, "orig", error)).__name__
            else:
                if committed or kind == self._database.reading:
                    return result
                verdict = TransactionFailure.UNKNOWN
            if verdict is TransactionFailure.UNKNOWN:
                raise OutcomeUnknownError
            if verdict is TransactionFailure.LOST:
                with suppress(InvalidStateError):  # Another thread has reported it.
                    self.lost.set_result(None)
            if not retries.allow(verdict):
                raise StoreUnavailableError(reason, fault)

    def _tx(self) -> Tx:
        return Tx(self.services.clock(), self.services, self._database)

    def _connect(self) -> None:
        """Connect this thread to the right database."""
        if not self._database.ready() or self.recognise is None:
            return
        fault: str | None = ""
        try:
            with self._database.atomic(self._database.reading):
                fault = self.recognise(self._tx())
        finally:
            if fault is not None:
                self._database.close()
        if fault is not None:
            raise StoreUnavailableError(fault)

    def _reported(
        self, kind: str, work: Callable[[], R], handed_over: float | None = None
    ) -> Callable[[], R]:
        """Log what is wrong with the database once, until the fault changes or is gone."""
        since = handed_over or time.monotonic()

        def reported() -> R:
            # While the database fails, each operation before this one may have used up its whole time.
            fault = self._faults.get(kind)
            if fault is not None and time.monotonic() - since > _QUEUED_SECONDS:
                raise StoreUnavailableError(fault=fault)
            try:
                result = work()
            except StoreUnavailableError as error:
                if self._faults.get(kind) != error.fault:
                    self._faults[kind] = error.fault
                    _log.error("The database cannot %s: %s. Who needs it is refused.", kind, error.fault)
                raise
            if self._faults.pop(kind, None) is not None:
                _log.warning("The database can %s again.", kind)
            return result

        return reported

    async def _on(self, kind: str, executor: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        return await _to_its_end(executor, self._measured(kind, work))

    def _measured(self, kind: str, work: Callable[[], R]) -> Callable[[], R]:
        tell = self.on_timing
        if tell is None:
            return work
        handed_over = time.monotonic()

        def measured() -> R:
            began = time.monotonic()
            try:
                return work()
            finally:
                tell(kind, began - handed_over, time.monotonic() - began)

        return measured


async def _at_a_mark(result: Future[R]) -> R:
    while True:
        await asyncio.sleep(MARK_SECONDS)
        if result.done():
            return result.result()


async def _to_its_end(executor: ThreadPoolExecutor, work: Callable[[], R]) -> R:
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(executor, work))


def open_services(
    clock: Clock, vault: Vault, cost: HashCost | None = None, issuer: str = "Twofold"
) -> Services:
    """Create the services of a process."""
    return Services(clock=clock, vault=vault, hasher=Hasher(cost or HashCost()), issuer=issuer)
