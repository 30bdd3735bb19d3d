"""The port for Prometheus on the loopback interface, with the metrics of all workers by number."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from data.errors import ExplainedError
from sshserver.telemetry import crash_reports

if TYPE_CHECKING:
    from aiohttp import web

_LOOPBACK: Final = "127.0.0.1"
_ANSWER_SECONDS: Final = 10.0
_BACKLOG: Final = 16

Texts = Mapping[int, str | None]
"""The metrics of each worker; None for one that does not answer."""


class MetricsPortError(ExplainedError):
    """The server cannot listen on the port for Prometheus."""

    def __init__(self, port: int, error: OSError) -> None:
        super().__init__(
            f"Cannot serve metrics on port {port}: {error.strerror}. Choose another port under [metrics]."
        )


class AllWorkers(Collector):
    """The metrics of all workers together."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        """Yield each worker's samples with its number, and which workers have answered."""
        up = GaugeMetricFamily("twofold_worker_up", "Whether a worker has answered.", labels=["worker"])
        families: dict[str, Metric] = {}
        for number, text in sorted(self._texts.items()):
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


@contextlib.asynccontextmanager
async def exposed(port: int, read: Callable[[], Awaitable[Texts]]) -> AsyncIterator[None]:
    """Serve metrics on `port` while this lasts; 0 serves none.

    A request has a few seconds in all and occupies no thread: a slow reader is cut off.

    Raises:
        MetricsPortError: when the server cannot listen on it.
    """
    if not port:
        yield
        return
    # Few installations need the library.
    from data.authserver.http_listener import serving  # noqa: PLC0415

    try:
        listening = socket.create_server((_LOOPBACK, port), backlog=_BACKLOG)
    except OSError as error:
        raise MetricsPortError(port, error) from None
    listening.setblocking(False)
    async with serving(
        partial(_answer, read),
        [listening],
        crash_reports.report,
        drain_seconds=0,
        idle_seconds=_ANSWER_SECONDS,
    ):
        yield


async def _answer(read: Callable[[], Awaitable[Texts]], _request: "web.BaseRequest") -> "web.StreamResponse":
    """Answer one request, whatever it asks for, and close."""
    from aiohttp import web  # noqa: PLC0415

    answer = web.Response(
        body=await asyncio.to_thread(_content, await read()), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
    answer.force_close()
    return answer


def _content(texts: Texts) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AllWorkers(texts))
    return generate_latest(registry)
