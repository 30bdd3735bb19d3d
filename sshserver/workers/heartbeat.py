"""A worker's beats, and presuming those dead whose beats have stopped.

Each worker watches all others, on whatever node: it compares counts, measured by its own steady clock, and
never moments that another machine has written down.
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
    """A worker's name, its node, and where it stands among the workers that share its node's counts."""

    worker: str
    node: str
    index: int = 0
    shared_counters: SharedCounters | None = field(default=None, repr=False)


class Watch:
    """What a worker has seen of the others' counts.

    A worker that could not look for a while has seen nothing: then every count is new to it, because a
    database that was out of reach for one was so for all.
    """

    def __init__(self, lease: float = LEASE_SECONDS) -> None:
        """Presume dead who stands still for `lease` seconds."""
        self._lease = lease
        self._seen: dict[str, tuple[int, float]] = {}
        self._last_look: float | None = None

    def look(self, beats: Mapping[str, int], now: float) -> dict[str, int]:
        """Take the counts as they are now; return those that have stood still for too long."""
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
        """Have seen nothing: a look at the counts has failed."""
        self._seen.clear()


async def beat(store: Store, identity: WorkerIdentity, watch: Watch, steady: Callable[[], float]) -> None:
    """Beat once, and end the sessions of the workers that no longer do; `steady` counts seconds."""
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
    """Beat for as long as the server or the app runs."""
    steady = asyncio.get_running_loop().time
    act = partial(beat, store, identity, Watch(lease), steady)
    await periodically(act, every, "Beating", report, first=every)
