"""Several workers of one node: starting them, restarting those that die, and ending them together.

A worker reads its assignment from its pipe, which stays open while the supervisor lives. When the pipe
closes, the worker drains, so no worker outlives its supervisor. It reports on the same pipe. The port is held
elsewhere, bound but not listening, so that no one else takes it while workers come and go.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from data.errors import ExplainedError
from data.operations.signin import worker_sessions
from data.store import Store, StoreUnavailableError
from sshserver.limits.limit_values import Limits
from sshserver.limits.shared_counters import SharedCounters
from sshserver.telemetry import crash_reports
from sshserver.telemetry.connection_events import tell
from sshserver.telemetry.metrics_endpoint import Texts, exposed
from sshserver.workers.fork_server import Forked, ForkError, ForkServer
from sshserver.workers.worker import READY, Assignment

_log = logging.getLogger("twofold.workers")
_STEADY_SECONDS: Final = 60.0
"""Serving time after which an end does not count towards repeated failures."""
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
_START_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 2.0
_MISSES: Final = 3
"""Unanswered questions in a row after which a worker is ended. They are counted, not timed: a supervisor that
was itself stopped for a while must not blame its workers."""
_LONGEST_DRAIN: Final = 4
"""A server's drain waits for several things in turn, each for at most `drain_seconds`."""


class WorkersError(ExplainedError):
    """A worker did not start; the message is from the worker."""


def delay_before_restart(failures: int) -> float:
    """Return the seconds to wait after repeated failures; after the first, restart at once."""
    return 0.0 if failures <= 1 else min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures - 2, 16))


class Supervisor:
    """Keeps the workers serving until asked to stop."""

    def __init__(
        self, store: Store, forks: ForkServer, assignment: Assignment, limits: Limits, metrics_port: int
    ) -> None:
        """Start workers with `assignment`, on a port that is already held."""
        self._store = store
        self._forks = forks
        self._assignment = assignment
        self._limits = limits
        self._metrics_port = metrics_port
        self._places = range(assignment.workers)
        self._shared_counters = SharedCounters.create(assignment.workers)
        self._processes: set[Forked] = set()
        self._serving: dict[int, Forked] = {}
        self._asked = 0
        self._asking = asyncio.Lock()
        self._stop = asyncio.Event()

    async def run(self, ready: Callable[[], object]) -> None:
        """Start all workers, call `ready` when each has passed its self-test, and serve until asked to stop.

        If one fails at its first start, all end, so that a node that cannot serve as configured reports it.
        The loss of the database file ends all too; it is noticed here after it has ended a worker.

        Raises:
            MetricsPortError: when the metrics cannot be served.
            WorkersError: when a worker did not start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        asyncio.wrap_future(self._store.lost).add_done_callback(lambda _lost: self._stop.set())
        await self._store.run(worker_sessions.take_node, self._assignment.node)
        async with exposed(self._metrics_port, self._measured):
            await self._serve(ready)

    async def _serve(self, ready: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        firsts: list[asyncio.Future[str | None]] = [loop.create_future() for _ in self._places]
        keeping = [loop.create_task(self._keep(index, first)) for index, first in enumerate(firsts)]
        faults = await self._started(firsts)
        if faults == []:
            ready()
            await self._watch()
        self._stop.set()
        await self._end_all()
        await asyncio.gather(*keeping)
        self._shared_counters.close()
        if faults:
            raise WorkersError(faults[0])

    async def _started(self, firsts: list[asyncio.Future[str | None]]) -> list[str] | None:
        """Wait for every worker's first start; return what went wrong, or None if asked to stop first."""
        started = asyncio.gather(*firsts)
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((started, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await started
            return None
        stopping.cancel()
        return [fault for fault in started.result() if fault is not None]

    async def _keep(self, index: int, first: "asyncio.Future[str | None]") -> None:
        """Keep one place served, by one worker after another; `first` gets the result of the first start."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stop.is_set():
            began = loop.time()
            ended = await self._serve_once(index, first)
            if not first.done():
                first.set_result(ended)
                return
            if self._stop.is_set():
                return
            failures = failures + 1 if loop.time() - began < _STEADY_SECONDS else 1
            delay = delay_before_restart(failures)
            tell(_log, logging.ERROR, "worker.ended", worker=index + 1, how=ended, again_in_seconds=delay)
            await self._stopped_within(delay)

    async def _serve_once(self, index: int, first: "asyncio.Future[str | None]") -> str:
        """Run one worker to its end; return how it ended, as a sentence."""
        worker = secrets.token_hex(8)
        try:
            process = await self._forks.fork(self._shared_counters.descriptor)
        except ForkError as error:
            return str(error)
        self._processes.add(process)
        try:
            if self._stop.is_set():
                process.signal(signal.SIGTERM)
            fault = await self._assign(process, index, worker)
            if fault is None:
                self._serving[index] = process
                if not first.done():
                    first.set_result(None)
            if self._stop.is_set():
                process.signal(signal.SIGTERM)
            status = await process.ended
        finally:
            self._processes.discard(process)
            self._serving.pop(index, None)
            self._shared_counters.wipe(index)
            await self._bury(worker)
        return fault or _ending(status)

    async def _assign(self, process: Forked, index: int, worker: str) -> str | None:
        """Send a worker its assignment and wait until it is ready; return what went wrong, if anything."""
        process.writer.write(replace(self._assignment, worker=worker, index=index).line())
        try:
            line = await asyncio.wait_for(process.reader.readline(), _START_SECONDS)
        except TimeoutError:
            process.signal(signal.SIGKILL)
            return f"The worker was not ready within {_START_SECONDS:g} seconds."
        except OSError:
            line = b""
        report = json.loads(line) if line else {"failed": None}
        if report == READY:
            return None
        return str(report["failed"] or _ending(await process.ended))

    async def _watch(self) -> None:
        """Until asked to stop, kill workers that no longer answer: connections may be waiting for them."""
        patience = self._limits.silence_seconds / _MISSES
        missed: Counter[Forked] = Counter()
        while not await self._stopped_within(patience):
            asked = dict(self._serving)
            texts = await self._measured(max(patience, _ANSWER_SECONDS))
            silent = {process for index, process in asked.items() if texts[index + 1] is None}
            missed = Counter({process: missed[process] + 1 for process in silent & self._processes})
            for process in [process for process, misses in missed.items() if misses >= _MISSES]:
                tell(_log, logging.ERROR, "worker.silent", pid=process.pid)
                process.signal(signal.SIGKILL)

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait for `seconds`; return whether this was asked to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def _measured(self, patience: float = _ANSWER_SECONDS) -> Texts:
        """Return every worker's metrics; None for one that takes longer than `patience`."""
        async with self._asking:
            self._asked += 1
            texts = await asyncio.gather(*(self._ask(index, patience) for index in self._places))
        return dict(enumerate(texts, 1))

    async def _ask(self, index: int, patience: float) -> str | None:
        process = self._serving.get(index)
        if process is None:
            return None
        with contextlib.suppress(TimeoutError, ValueError, OSError):
            process.writer.write(f"{self._asked}\n".encode())
            async with asyncio.timeout(patience):
                # A late answer to an earlier question may come first.
                while line := await process.reader.readline():
                    answer = json.loads(line)
                    if answer.get("asked") == self._asked:
                        return str(answer["metrics"])
        return None

    async def _bury(self, worker: str) -> None:
        """End the sessions of a worker that is gone; if this fails, the other workers do it in time."""
        try:
            await self._store.run(worker_sessions.leave, worker)
        except StoreUnavailableError as error:
            crash_reports.report(error, "Ending the sessions of a worker")

    async def _end_all(self) -> None:
        """Make all workers drain; kill those that take too long."""
        for process in self._processes:
            process.signal(signal.SIGTERM)
        waiting = [process.ended for process in self._processes]
        if not waiting:
            return
        await asyncio.wait(waiting, timeout=_LONGEST_DRAIN * self._limits.drain_seconds + 10)
        for process in self._processes:
            tell(_log, logging.ERROR, "worker.cut_off", pid=process.pid)
            process.signal(signal.SIGKILL)


def _ending(status: int | None) -> str:
    if status is None:
        return "The worker was ended because the process that forked it is gone."
    if status >= 0:
        return f"The worker ended with status {status}."
    try:
        return f"The worker was ended by {signal.Signals(-status).name}."
    except ValueError:
        return f"The worker was ended by signal {-status}."
