"""The metrics of one worker, for Prometheus. They contain no names or addresses."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_JUDGING: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAITING: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LAG_SECONDS: Final = 0.25
"""How often the event loop's lag is measured."""


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        """Start at zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        outcomes = Counter(
            "twofold_signin_outcomes", "Judged factors and codes by outcome.", ["outcome"], registry=registry
        )
        judging = Histogram(
            "twofold_signin_seconds",
            "Time to judge a factor or send a code, including waits.",
            ["step"],
            registry=registry,
            buckets=_JUDGING,
        )
        self._refusals = Counter("twofold_refusals", "Refusals by reason.", ["reason"], registry=registry)
        self._lag = Histogram(
            "twofold_event_loop_lag_seconds",
            "How late the event loop woke up.",
            registry=registry,
            buckets=_WAITING,
        )
        waits = Histogram(
            "twofold_store_wait_seconds",
            "Time that operations waited for their turn.",
            ["kind"],
            registry=registry,
            buckets=_WAITING,
        )
        work = Histogram(
            "twofold_store_work_seconds",
            "Time that operations took, including waits for the database.",
            ["kind"],
            registry=registry,
            buckets=_WAITING,
        )
        # Looking a label up costs more than counting.
        self._outcomes, self._judging = cache(outcomes.labels), cache(judging.labels)
        self._waits, self._work = cache(waits.labels), cache(work.labels)
        self._connections = Gauge(
            "twofold_connections", "Open connections, signed in or not.", registry=registry
        )
        self._waiting = Gauge(
            "twofold_connections_unauthenticated",
            "Open connections that have not passed the first factor.",
            registry=registry,
        )
        self._sessions = Gauge("twofold_sessions", "Open sessions.", registry=registry)
        self._jumps = Gauge("twofold_jumps", "Jumps that are open or being opened.", registry=registry)
        self._jumps_opened = Counter("twofold_jumps_opened", "Jumps that were opened.", registry=registry)
        self._jumps_refused = Counter(
            "twofold_jumps_refused", "Jumps that were not opened, by reason.", ["reason"], registry=registry
        )
        self._jump_bytes = Counter(
            "twofold_jump_bytes",
            "Bytes that jumps have carried to targets and from them.",
            ["direction"],
            registry=registry,
        )

    def judged(self, step: str, outcome: str, seconds: float) -> None:
        """Count a judgement."""
        self._outcomes(outcome).inc()
        self._judging(step).observe(seconds)

    def outcome(self, outcome: str) -> None:
        """Count an outcome that took no measurable time."""
        self._outcomes(outcome).inc()

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self._refusals.labels(reason).inc()

    def stored(self, kind: str, waited: float, worked: float) -> None:
        """Count an operation of the store; called on its threads."""
        self._waits(kind).observe(waited)
        self._work(kind).observe(worked)

    def jump_opened(self) -> None:
        """Count a jump."""
        self._jumps_opened.inc()

    def jump_refused(self, reason: str) -> None:
        """Count a jump that was not opened."""
        self._jumps_refused.labels(reason).inc()

    def jump_carried(self, sent: int, received: int) -> None:
        """Count bytes to a target, and from it."""
        self._jump_bytes.labels("to").inc(sent)
        self._jump_bytes.labels("from").inc(received)

    def watch(
        self,
        connections: Callable[[], int],
        waiting: Callable[[], int],
        sessions: Callable[[], int],
        jumps: Callable[[], int],
    ) -> None:
        """Call these for the current numbers at every read."""
        self._connections.set_function(connections)
        self._waiting.set_function(waiting)
        self._sessions.set_function(sessions)
        self._jumps.set_function(jumps)

    async def measure_lag(self) -> None:
        """Measure the event loop's lag for as long as it runs."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._lag.observe(max(0.0, loop.time() - due))

    def text(self) -> str:
        """Return the current metrics in the text format."""
        return generate_latest(self.registry).decode()
