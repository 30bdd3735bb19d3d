"""Connections that both factors were proven on, more than anyone needs, by one who may sign in."""

import asyncio
import contextlib

import pytest
from support.attacked_server import SECONDS
from support.raw_ssh_client import ELSEWHERE, Closed, raw_client

from data.rules.protocol_misuse import Misuse
from sshserver.limits import open_files
from sshserver.limits.limit_values import Limits


@pytest.fixture
async def held():
    """Clients that are connected until the end of the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


async def admit(attacked, held, times):
    """Sign Mallory in so many times; return the clients that stay, and what the others were told."""
    stayed, told = [], []
    for _ in range(times):
        client = await held.enter_async_context(raw_client(attacked.port))
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())
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
async def test_connections_per_user(attacked_with, held, workers):
    """A user has a limited number of connections over all workers, and the refusal says so."""
    limits = Limits(sessions_per_user=2)
    async with attacked_with(limits, workers=workers) as attacked:
        stayed, told = await admit(attacked, held, 7)
        assert len(stayed) == limits.connections_per_user == 4
        assert len(told) == 3
        assert all("too many open connections" in reason for reason in told)
        assert sum(len(worker.server.session_ids()) for worker in attacked.workers) == 4
        await attacked.still_serves()
        stayed[0].writer.transport.abort()
        await until(lambda: attacked.connection_count == 3)
        stayed, told = await admit(attacked, held, 2)
        assert len(stayed) == len(told) == 1


@pytest.mark.parametrize("channels", [0, 1])
async def test_connection_without_channels_ends(attacked_with, held, channels):
    """A connection that runs nothing ends and gives its place back."""
    async with attacked_with(Limits(sessions_per_user=1, unused_seconds=0.5)) as attacked:
        for _ in range(2):
            client = await held.enter_async_context(raw_client(attacked.port))
            await client.begin()
            await client.sign_in("mallory", attacked.mallory, attacked.code())
            for number in range(channels):
                client.open_channel(number=number)
            assert await client.end() == "The connection was closed because it was not used."
        await until(lambda: attacked.connection_count == 0)


async def test_last_files_kept_for_new_users(attacked_with, held):
    """The last file descriptors are kept for users who have no connection."""
    limits = Limits(descriptors_kept_back=open_files.limit() - 12)
    async with attacked_with(limits) as attacked:
        stayed, told = await admit(attacked, held, 11)
        assert (len(stayed), len(told)) == (9, 2)
        await attacked.still_serves()


async def test_strangers_yield_when_files_run_out(attacked_with, held):
    """Strangers make room when all files are open, and are hung up on when that is not enough."""
    limits = Limits(descriptors_kept_back=open_files.limit() - 4)
    async with attacked_with(limits) as attacked:
        await admit(attacked, held, 2)
        strangers = [await held.enter_async_context(raw_client(attacked.port, ELSEWHERE)) for _ in range(6)]
        for stranger in strangers:
            with contextlib.suppress(Closed):
                await stranger.exchange_versions()
        await attacked.still_serves()
        await until(lambda: attacked.connection_count <= 4)
        assert attacked.running.server.misuses == {Misuse.CROWD: 5}

    limits = Limits(descriptors_kept_back=open_files.limit() - 1)
    async with attacked_with(limits) as attacked:
        (alone,), _ = await admit(attacked, held, 1)
        with pytest.raises((Closed, ConnectionError)):
            await (await held.enter_async_context(raw_client(attacked.port, ELSEWHERE))).exchange_versions()
        assert attacked.running.server.misuses == {Misuse.FULL: 1}
        alone.writer.transport.abort()
        await until(lambda: attacked.connection_count == 0)
        await attacked.still_serves()
