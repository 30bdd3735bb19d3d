"""Connections that both factors were proven on, more than anyone needs, by one who may sign in."""

import asyncio
import contextlib

import pytest
from support.besieged import SECONDS
from support.ssh_raw import ELSEWHERE, Closed, raw_client

from data.rules.protocol_misuse import Misuse
from sshserver.limits import open_files
from sshserver.limits.limit_values import Limits


@pytest.fixture
async def held():
    """Clients that are connected until the end of the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


async def admit(siege, held, times):
    """Sign Mallory in so many times; return the clients that stay, and what the others were told."""
    stayed, told = [], []
    for _ in range(times):
        client = await held.enter_async_context(raw_client(siege.port))
        await client.begin()
        await client.sign_in("mallory", siege.mallory, siege.code())
        try:
            await client.channel()
        except Closed as closed:
            told.append(closed.reason)
        else:
            stayed.append(client)
    return stayed, told


async def until(condition):
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
async def test_connections_per_user(besiege, held, workers):
    """A user has a limited number of connections over all workers, and the refusal says so."""
    limits = Limits(sessions_per_user=2)
    async with besiege(limits, workers=workers) as siege:
        stayed, told = await admit(siege, held, 7)
        assert len(stayed) == limits.connections_per_user == 4
        assert len(told) == 3
        assert all("too many connections" in reason for reason in told)
        assert sum(len(worker.server.session_ids()) for worker in siege.workers) == 4
        await siege.still_serves()
        stayed[0].writer.transport.abort()
        await until(lambda: siege.connection_count == 3)
        stayed, told = await admit(siege, held, 2)
        assert len(stayed) == len(told) == 1


@pytest.mark.parametrize("channels", [0, 1])
async def test_connection_without_channels_ends(besiege, held, channels):
    """A connection that runs nothing ends and gives its place back."""
    async with besiege(Limits(sessions_per_user=1, unused_seconds=0.5)) as siege:
        for _ in range(2):
            client = await held.enter_async_context(raw_client(siege.port))
            await client.begin()
            await client.sign_in("mallory", siege.mallory, siege.code())
            for number in range(channels):
                client.open_channel(number=number)
            assert await client.end() == "The connection was not used."
        await until(lambda: siege.connection_count == 0)


async def test_last_files_kept_for_new_users(besiege, held):
    """The last file descriptors are kept for users who have no connection."""
    limits = Limits(descriptors_kept_back=open_files.limit() - 12)
    async with besiege(limits) as siege:
        stayed, told = await admit(siege, held, 11)
        assert (len(stayed), len(told)) == (9, 2)
        await siege.still_serves()


async def test_strangers_yield_when_files_run_out(besiege, held):
    """Strangers make room when all files are open, and are hung up on when that is not enough."""
    limits = Limits(descriptors_kept_back=open_files.limit() - 4)
    async with besiege(limits) as siege:
        await admit(siege, held, 2)
        strangers = [await held.enter_async_context(raw_client(siege.port, ELSEWHERE)) for _ in range(6)]
        for stranger in strangers:
            with contextlib.suppress(Closed):
                await stranger.exchange_versions()
        await siege.still_serves()
        await until(lambda: siege.connection_count <= 4)
        assert siege.running.server.misuses == {Misuse.CROWD: 5}

    limits = Limits(descriptors_kept_back=open_files.limit() - 1)
    async with besiege(limits) as siege:
        (alone,), _ = await admit(siege, held, 1)
        with pytest.raises((Closed, ConnectionError)):
            await (await held.enter_async_context(raw_client(siege.port, ELSEWHERE))).exchange_versions()
        assert siege.running.server.misuses == {Misuse.FULL: 1}
        alone.writer.transport.abort()
        await until(lambda: siege.connection_count == 0)
        await siege.still_serves()
