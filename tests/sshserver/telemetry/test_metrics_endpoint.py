"""The port for Prometheus: who asks slowly, or does not read, holds nothing up."""

import asyncio
import contextlib
import threading

import pytest
from support.free_ports import free_port

from sshserver.telemetry import metrics_endpoint

LARGE = b"x" * 20_000_000
"""More than a connection holds that nobody reads from."""


@pytest.fixture
def port() -> int:
    return free_port()


async def asked(port: int) -> bytes:
    """Ask as Prometheus does, and read all of the answer."""
    reading, writing = await asyncio.open_connection("127.0.0.1", port)
    writing.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await reading.read()
    writing.close()
    return answer


async def test_whole_answer(port):
    async def read() -> metrics_endpoint.Texts:
        return {1: "# HELP up Up.\n# TYPE up gauge\nup 1.0\n", 2: None}

    async with metrics_endpoint.exposed(port, read):
        head, _, content = (await asked(port)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"text/plain" in head
    assert f"Content-Length: {len(content)}".encode() in head
    assert b'up{worker="1"} 1.0' in content
    assert b'twofold_worker_up{worker="2"} 0.0' in content


async def read_to_the_end(reading: asyncio.StreamReader) -> int:
    """Count what comes until the server has closed the connection."""
    count = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await reading.read(1 << 20):
            count += len(chunk)
    return count


async def test_silent_client_is_cut_off(port, monkeypatch):
    async def read() -> metrics_endpoint.Texts:
        return {}

    monkeypatch.setattr(metrics_endpoint, "_content", lambda _texts: LARGE)
    monkeypatch.setattr(metrics_endpoint, "_ANSWER_SECONDS", 3.0)
    async with metrics_endpoint.exposed(port, read):
        assert len(await asked(port)) > len(LARGE)
        threads = threading.active_count()
        slow = []
        for sent in (b"", b"GET /metrics", b"GET / HTTP/1.1\r\n\r\n") * 3:
            reading, writing = await asyncio.open_connection("127.0.0.1", port)
            writing.transport.pause_reading()
            writing.write(sent)
            slow.append((reading, writing))
        assert len(await asked(port)) > len(LARGE)
        assert threading.active_count() - threads < len(slow)
        await asyncio.sleep(3.5)
        for reading, writing in slow:
            writing.transport.resume_reading()
            async with asyncio.timeout(60):
                assert await read_to_the_end(reading) < len(LARGE)
            writing.transport.abort()


async def test_a_request_without_an_end_is_cut_off(port):
    async def read() -> metrics_endpoint.Texts:
        return {}

    async with metrics_endpoint.exposed(port, read):
        reading, writing = await asyncio.open_connection("127.0.0.1", port)
        writing.write(b"x" * 1_000_000)
        with contextlib.suppress(ConnectionError):
            assert await reading.read() == b""
        writing.transport.abort()
