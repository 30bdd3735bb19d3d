"""A server finishes what imports have left behind, whoever had begun them."""

from contextlib import asynccontextmanager
from datetime import timedelta

from support.ssh_server import GreetingApp, until
from support.ssh_users import OPERATOR, People

from data.operations.users import import_staging, user_import
from data.operations.users.user_import import Staged
from data.rules import users_csv
from data.storage import models
from data.store import Tx
from sshserver import hostkey
from sshserver.server import serve

PEOPLE = b"name,email\nanna,anna@x.example\nben,ben@x.example\n"


@asynccontextmanager
async def serving(people: People):
    server = await serve(people.store, hostkey.load(hostkey.generate()), GreetingApp, port=0)
    try:
        yield
    finally:
        await server.drain()


async def stage(people: People) -> int:
    arriving = user_import.newcomers(users_csv.read_people(PEOPLE).rows)
    staged = await people.store.run(user_import.stage_people, OPERATOR, None, arriving)
    assert isinstance(staged, Staged)
    return staged.batch


def look(_tx: Tx) -> tuple[int, int, set[str], list[str]]:
    told = models.AuditEntry.select().where(models.AuditEntry.user.in_(["anna", "ben"]))
    there = {row.name for row in models.User.select()} & {"anna", "ben"}
    waiting = models.StagedUser.select().count()
    return models.ImportBatch.select().count(), waiting, there, [row.event for row in told]


async def test_published_before_breaking_off(people: People):
    await people.store.run(user_import.publish_people, OPERATOR, await stage(people))
    async with serving(people):
        await until(lambda: people.store.run_now(look) == (0, 0, {"anna", "ben"}, ["user.created"] * 2))


async def test_never_published(people: People):
    """It is removed an hour later."""
    await stage(people)
    async with serving(people):
        await people.store.read(import_staging.is_something_left)
        assert people.store.run_now(look) == (1, 2, set(), [])
    people.clock.forward(timedelta(hours=2).total_seconds())
    async with serving(people):
        await until(lambda: people.store.run_now(look) == (0, 0, set(), []))
