"""The port for Prometheus on the loopback interface, with the metrics of all workers by number."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from data.errors import ExplainedError

_LOOPBACK: Final = "127.0.0.1"
_ANSWER_SECONDS: Final = 10.0
_LONGEST_REQUEST: Final = 16_384

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
    asked = partial(_answer, read)
    try:
        server = await asyncio.start_server(asked, _LOOPBACK, port, limit=_LONGEST_REQUEST)
    except OSError as error:
        raise MetricsPortError(port, error) from None
    try:
        yield
    finally:
        server.close()


async def _answer(
    read: Callable[[], Awaitable[Texts]], asking: asyncio.StreamReader, answer: asyncio.StreamWriter
) -> None:
    """Answer one request, whatever it asks for, and close (RFC 9112)."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await asking.readuntil(b"\r\n\r\n")
            content = await asyncio.to_thread(_content, await read())
            answer.write(
                b"HTTP/1.1 200 OK\r\n"
                b"Content-Type: %b\r\n"
                b"Content-Length: %d\r\n"
                b"Connection: close\r\n\r\n" % (CONTENT_TYPE_LATEST.encode(), len(content))
            )
            answer.write(content)
            await answer.drain()
            answer.close()
            await answer.wait_closed()
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        answer.transport.abort()


def _content(texts: Texts) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AllWorkers(texts))
    return generate_latest(registry)
