"""One-time passwords that several clients use at the same moment."""

import asyncio

import pytest
from support.attacked_server import SECONDS
from support.ssh_server import GreetingApp, connect, until
from support.ssh_users import OPERATOR, PASSWORD, People

from data.operations.users import credentials
from sshserver import hostkey
from sshserver.server import serve


@pytest.mark.feature("one-time-once")
async def test_simultaneous_use(people: People):
    """Of clients that use one password at once, one keeps its session."""
    await people.add("anna", enrolled=False)
    hashed = people.store.services.hasher.hash(PASSWORD)
    await people.store.run(credentials.set_one_time_password, OPERATOR, "anna", hashed)
    key = hostkey.load(hostkey.generate())
    server = await serve(people.store, key, GreetingApp, port=0, reap_seconds=0.05)
    try:
        clients = await asyncio.gather(*(connect(server.port, "anna", [PASSWORD]) for _ in range(8)))
        await until(lambda: server.connection_count == 1, SECONDS)
        assert await people.open_sessions() == 1
        for connection, _ in clients:
            connection.close()
        await until(lambda: server.connection_count == 0, SECONDS)
    finally:
        await server.drain()
