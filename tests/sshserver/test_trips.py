"""How often a sign-in goes to the store: transactions that write, those that only read, and statements."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from support.ssh_server import connect, running_server, until
from support.ssh_users import PASSWORD, People

from data.storage import models
from sshserver.auth_backend import StoreBackend
from sshserver.limits.limit_values import Limits
from sshserver.server_context import ServerContext

WRITE, READ, STATEMENT = "IMMEDIATE", "DEFERRED", "statement"


@pytest.fixture
def begun(people: People, monkeypatch) -> Iterator[Counter[str]]:
    """Count the transactions of each kind, and the statements in them, from here on."""
    counted: Counter[str] = Counter()
    database = models.database.obj
    begin, execute = database.begin, database.execute_sql

    def counting(kind: str | None = None) -> None:
        counted[str(kind)] += 1
        begin(kind)

    def executing(*statement: object) -> object:
        counted[STATEMENT] += 1
        return execute(*statement)

    monkeypatch.setattr(database, "begin", counting)
    monkeypatch.setattr(database, "execute_sql", executing)
    return counted


async def events(people: People) -> list[str]:
    rows = models.AuditEntry.select(models.AuditEntry.event).order_by(models.AuditEntry.id)
    return await people.store.read(lambda _tx: [row.event for row in rows])


@pytest.mark.parametrize(("by_key", "reads", "statements"), [(True, 1, 11), (False, 2, 14)])
async def test_one_write_signs_in_and_one_ends_it(people: People, begun, by_key, reads, statements):
    """With a password, what slows guesses down is read too."""
    key = await people.add_with_key("alice", password=PASSWORD)
    answers = [people.code()] if by_key else [PASSWORD, people.code()]
    async with running_server(StoreBackend(people.store)) as running:
        begun.clear()
        connection, _ = await connect(running.port, "alice", answers, keys=[key] if by_key else None)
        assert begun == {READ: reads, WRITE: 1, STATEMENT: statements}
        connection.close()
        await until(lambda: begun[WRITE] == 2)
    assert (await events(people))[-2:] == ["signin.admitted", "signin.ended"]


async def test_ends_are_written_together(people: People, begun):
    """Each is audited, once, and waited for by the server before it stops."""
    backend, names = StoreBackend(people.store), [f"user{number}" for number in range(6)]
    key = await people.add_with_key("alice")
    for name in names:
        await people.add(name, key=key)
    async with running_server(backend) as running:
        opened = [await connect(running.port, name, [people.code()], keys=[key]) for name in names]
        table = models.Session
        ids = await people.store.read(lambda _tx: [row.id for row in table.select(table.id)])
        begun.clear()
        context = ServerContext[object](backend, lambda *_: pytest.fail("no app"), Limits())
        for number in [*ids, ids[0]]:
            context.end_session(number)
        await asyncio.wait(context.work)
        assert begun[WRITE] == 1
        assert await people.open_sessions() == 0
        for connection, _ in opened:
            connection.close()
    assert (await events(people)).count("signin.ended") == len(names)
