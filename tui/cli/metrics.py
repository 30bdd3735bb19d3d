"""The port for Prometheus on the loopback interface: all workers of the node, each by its number."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tui.cli.installation import refuse

_LOOPBACK: Final = "127.0.0.1"
_READ_SECONDS: Final = 5.0

Texts = Mapping[int, str | None]
"""What each worker has measured; None of one that does not answer."""


class AllWorkers(Collector):
    """Reads what the workers have measured whenever somebody asks."""

    def __init__(self, read: Callable[[], Texts]) -> None:
        """Get the workers' texts from `read`."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Give each worker's samples its number, and say which workers have answered."""
        up = GaugeMetricFamily("twofold_worker_up", "Whether a worker has answered.", labels=["worker"])
        families: dict[str, Metric] = {}
        for number, text in sorted(self._read().items()):
            worker = str(number)
            up.add_metric([worker], 0.0 if text is None else 1.0)
            for family in text_string_to_metric_families(text or ""):
                known = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    known.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
        yield up
        yield from families.values()


@contextlib.contextmanager
def exposed(port: int, read: Callable[[], Awaitable[Texts]]) -> Iterator[None]:
    """Answer on `port` for as long as this lasts; 0 is nowhere. To be used inside the event loop.

    `read` runs on the loop, so nothing is read while it changes.
    """
    if not port:
        yield
        return
    loop = asyncio.get_running_loop()

    async def texts() -> Texts:
        return await read()

    def ask() -> Texts:
        return asyncio.run_coroutine_threadsafe(texts(), loop).result(_READ_SECONDS)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(AllWorkers(ask))
    try:
        server, thread = start_http_server(port, _LOOPBACK, registry)
    except OSError as error:
        refuse(f"Metrics cannot be shown on port {port}: {error.strerror}. Choose another under [metrics].")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
