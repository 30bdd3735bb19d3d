"""A worker's heartbeats, and the detection of workers whose heartbeats have stopped.

Each worker watches all others on all nodes. It compares counts, timed by its own steady clock, and never uses
times that another machine recorded.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from data.operations.signin import worker_sessions
from data.periodic import Report, periodically
from data.store import Store
from sshserver.limits.shared_counters import SharedCounters
from sshserver.telemetry import crash_reports

BEAT_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """A worker's name, its node, and its index among the workers that share the node's counts."""

    worker: str
    node: str
    index: int = 0
    shared_counters: SharedCounters | None = field(default=None, repr=False)


class Watch:
    """What a worker has seen of the others' counts.

    A worker that could not look for a while starts again, and treats every count as new: a database that
    one worker cannot reach may be out of reach for all.
    """

    def __init__(self, lease: float = LEASE_SECONDS) -> None:
        """Presume a worker dead if its count does not change for `lease` seconds."""
        self._lease = lease
        self._seen: dict[str, tuple[int, float]] = {}
        self._last_look: float | None = None

    def look(self, beats: Mapping[str, int], now: float) -> dict[str, int]:
        """Take the current counts; return those that have not changed for too long."""
        if self._last_look is not None and now - self._last_look > self._lease / 2:
            self._seen.clear()
        self._last_look = now
        for worker, beat in beats.items():
            known = self._seen.get(worker)
            if known is None or known[0] != beat:
                self._seen[worker] = (beat, now)
        self._seen = {worker: seen for worker, seen in self._seen.items() if worker in beats}
        return {worker: beat for worker, (beat, since) in self._seen.items() if now - since >= self._lease}

    def forget(self) -> None:
        """Forget all counts, because a look at them failed."""
        self._seen.clear()


async def beat(store: Store, identity: WorkerIdentity, watch: Watch, steady: Callable[[], float]) -> None:
    """Send a heartbeat, and end the sessions of workers that send none; `steady` counts seconds."""
    try:
        await store.run(worker_sessions.beat, identity.worker, identity.node)
        others = await store.read(worker_sessions.beats)
        others.pop(identity.worker, None)
        for worker, count in watch.look(others, steady()).items():
            await store.run(worker_sessions.presume_dead, worker, count)
    except Exception:
        watch.forget()
        raise


async def keep_present(
    store: Store,
    identity: WorkerIdentity,
    *,
    every: float = BEAT_SECONDS,
    lease: float = LEASE_SECONDS,
    report: Report = crash_reports.report,
) -> None:
    """Send heartbeats while the server or the app runs."""
    steady = asyncio.get_running_loop().time
    act = partial(beat, store, identity, Watch(lease), steady)
    await periodically(act, every, "Heartbeat", report, first=every)
