"""A server knows what is wrong with the installation, and forgets the counts of days long over."""

from support.ssh_server import GreetingApp, until
from support.ssh_users import People

from data.storage import models
from sshserver import hostkey
from sshserver.server import serve


async def test_check_up(people: People):
    def spoil(_tx):
        models.Installation.update(former_key_check="x").execute()
        models.EventCount.insert(account_id=1, day=1, event="code.not_sent", chain="", count=1).execute()

    people.store.run_now(spoil)
    server = await serve(people.store, hostkey.load(hostkey.generate()), GreetingApp, port=0)
    try:
        await until(lambda: [found.topic for found in people.store.services.check_up.findings] == ["keys"])
        await until(lambda: not people.store.run_now(lambda _tx: models.EventCount.get_or_none(day=1)))
    finally:
        await server.drain()
