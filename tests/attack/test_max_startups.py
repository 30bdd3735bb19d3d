"""Strangers who connect without end, and honest people beside them who take their time."""

import asyncio
import contextlib
import itertools

import pytest
from support.attacked_server import SECONDS
from support.raw_ssh_client import ELSEWHERE, HOST, USERAUTH_SUCCESS, Closed, raw_client, raw_connect
from support.ssh_users import PASSWORD

from data.rules.protocol_misuse import Misuse
from sshserver.limits.limit_values import Limits

CROWD = [f"127.0.1.{number}" for number in range(1, 41)]
"""Forty addresses of strangers."""
ALL = [source for eight in range(0, 40, 8) for source in (HOST, *CROWD[eight : eight + 8])]
"""The same, and one's own at every ninth place."""


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def workers(request):
    return request.param


@pytest.fixture
async def carol(people):
    """Somebody with a password and a code."""
    await people.add("carol")
    return "carol"


async def version_alone(client):
    await client.exchange_versions()


async def keys_alone(client):
    await client.begin()


class Crowd:
    """Strangers who come one after the other and stay for as long as they may."""

    def __init__(self, port, sources, conduct):
        self._port, self._sources, self._conduct = port, itertools.cycle(sources), conduct
        self._clients = []

    async def come(self, count):
        for _ in range(count):
            with contextlib.suppress(Closed, ConnectionError):
                client = await raw_connect(self._port, next(self._sources))
                self._clients.append(client)
                await self._conduct(client)

    async def come_each_second(self, count):
        """Come until cancelled."""
        while True:
            await self.come(1)
            await asyncio.sleep(1 / count)

    def leave(self):
        for client in self._clients:
            client.writer.transport.abort()


@contextlib.contextmanager
def crowd(attacked, sources, conduct):
    found = Crowd(attacked.port, sources, conduct)
    try:
        yield found
    finally:
        found.leave()


async def sign_in_slowly(attacked, name, source, pause, clock):
    """Sign in by password, with a pause wherever people make one; `clock` guards the moment of a code."""
    async with raw_client(attacked.port, source) as client:
        await client.begin(compare=pause)
        client.ask_questions(name)
        assert await client.question() == "Password: "
        await pause()
        client.answer(PASSWORD)
        assert "code" in await client.question()
        await pause()
        async with clock:
            client.answer(attacked.code())
            await client.expect(USERAUTH_SUCCESS)


async def sign_in(attacked, source):
    async with raw_client(attacked.port, source) as client:
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())


@pytest.mark.parametrize(
    ("sources", "conduct"),
    [([HOST], version_alone), (CROWD, version_alone), (CROWD[:8], keys_alone)],
    ids=["version lines from their own address", "version lines from everywhere", "key exchanges from eight"],
)
async def test_strangers_and_pending_sign_ins(attacked_with, carol, workers, sources, conduct):
    """Strangers throw out nobody who is signing in, and keep nobody out."""
    limits = Limits(connections_per_source=5, unauthenticated_connections=30, penalty_seconds=0)
    most = limits.connections_per_source if sources == [HOST] else limits.unauthenticated_connections
    async with attacked_with(limits, workers=workers) as attacked:
        with crowd(attacked, sources, conduct) as strangers:
            await sign_in_slowly(attacked, carol, HOST, lambda: strangers.come(3 * most), asyncio.Lock())
            await sign_in(attacked, HOST)
            assert attacked.connection_count <= most + 2  # Those who signed in may still be leaving.


async def test_key_exchange_has_less_time(attacked_with, carol):
    """A client in the key exchange has less time than one that looks at the host key."""
    async with attacked_with(Limits(key_exchange_seconds=0.3)) as attacked:

        async def wait_for_a_stranger_to_be_late():
            async with raw_client(attacked.port, ELSEWHERE) as stranger:
                await stranger.exchange_versions()
                assert "too long" in (await stranger.end(SECONDS) or "")
            assert attacked.running.server.misuses == {Misuse.LATE: 1}
            attacked.running.server._context.misuses.clear()

        await sign_in_slowly(attacked, carol, HOST, wait_for_a_stranger_to_be_late, asyncio.Lock())


@pytest.mark.soak
@pytest.mark.parametrize(
    ("sources", "each_second", "conduct"),
    [
        ([HOST], 5, version_alone),
        (CROWD, 40, version_alone),
        (ALL, 45, version_alone),
        (CROWD, 40, keys_alone),
    ],
    ids=[
        "five a second from one address",
        "forty a second from forty",
        "both",
        "forty key exchanges a second",
    ],
)
async def test_half_a_minute_of_strangers(attacked_with, carol, workers, sources, each_second, conduct):
    """They keep nobody from signing in slowly."""
    clock = asyncio.Lock()
    async with attacked_with(Limits(), workers=workers) as attacked:
        with crowd(attacked, sources, conduct) as strangers:
            async with asyncio.TaskGroup() as tasks:
                coming = tasks.create_task(strangers.come_each_second(each_second))
                slow = [
                    tasks.create_task(sign_in_slowly(attacked, carol, HOST, lambda: asyncio.sleep(9), clock))
                    for _ in range(3)
                ]
                while not all(one.done() for one in slow):
                    async with clock, asyncio.timeout(SECONDS):
                        await sign_in(attacked, HOST)
                        await attacked.still_serves()
                    await asyncio.sleep(1)
                assert not coming.done()
                coming.cancel()
