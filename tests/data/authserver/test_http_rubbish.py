"""Rubbish over HTTP: each request is refused or its connection closed, and the next good one is answered."""

import asyncio
import random
import resource

import pytest
from support.http_server import http_server, verify

pytestmark = [pytest.mark.only_on("sqlite"), pytest.mark.usefixtures("curl_program")]
HEADERS = [
    "Host: x",
    "Content-Length: 12",
    "Content-Length: -1",
    "Transfer-Encoding: chunked",
    "Content-Type: application/json",
    "Content-Type: application/x-www-form-urlencoded",
    "X-Forwarded-For: \xff,,1.2.3",
    "Upgrade: h2c",
    "Connection: upgrade",
    "Expect: 100-continue",
    f"X: {'y' * 9_000}",
]
PIECES = [
    *(f"{header}\r\n".encode() for header in HEADERS),
    *(b"POST ", b"GET ", b"PUT ", b"/v1/verify", b"/validate/check", b"/health", b"/TOKEN", b" HTTP/1.1\r\n"),
    *(
        b"HTTP/2.0",
        b"\r\n",
        b"\x00",
        b"\xff",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"fffffffff\r\n",
        b"user=ben&",
    ),
    *(b'{"user":"ben"', b',"pass":"1"}', b"pass=%25%32", b"Authorization: Basic ", b"Authorization: Bearer "),
]


async def all_refused(port: int, token: str, count: int) -> None:
    """Send so many mixtures of pieces of requests; none may be accepted or leave the server silent."""
    chance = random.Random(count)
    for _ in range(count):
        sent = b"".join(chance.choices(PIECES, k=chance.randrange(1, 14))).replace(b"TOKEN", token.encode())
        reading, writing = await asyncio.open_connection("127.0.0.1", port)
        writing.write(sent)
        writing.write_eof()
        async with asyncio.timeout(60):
            try:
                answer = await reading.read()
            except ConnectionError:
                answer = b""
        writing.close()
        assert b'"accept"' not in answer
        assert b"Internal" not in answer
        assert token.encode() not in answer


@pytest.mark.feature("applications-http")
async def test_rubbish(world, token, ben, caplog):
    portal = token()
    async with http_server(world.store) as base:
        await all_refused(int(base.rpartition(":")[2]), portal, 150)
        assert (await verify(base, portal, user=ben, **{"pass": world.code(ben)})).status == 200
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_rubbish_for_long(world, token, ben, caplog):
    """Nothing of it is kept."""
    portal = token()
    async with http_server(world.store) as base:
        port = int(base.rpartition(":")[2])
        await all_refused(port, portal, 2_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await all_refused(port, portal, 20_000)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
        assert (await verify(base, portal, user=ben, **{"pass": world.code(ben)})).status == 200
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
