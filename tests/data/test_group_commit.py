"""Operations that wait while one commits share a transaction, and each is answered as if it were alone."""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from peewee import OperationalError
from support import group_process
from support.database import World

from data.group_commit import MOST, GroupCommit
from data.operations.signin import second_factor, sessions
from data.rules.user_status import Standing
from data.storage import models
from data.store import OutcomeUnknownError, StoreUnavailableError


class WentWrongError(Exception):
    """Stands for anything that fails inside of an operation."""


@asynccontextmanager
async def held(world: World, monkeypatch):
    """Hold the thread that writes, and give a list of the transactions that it begins afterwards."""
    free, holds, begun = threading.Event(), threading.Event(), []
    begin = world.database.begin

    def hold(_tx):
        holds.set()
        assert free.wait(20)

    def counting(kind=None):
        begun.append(kind)
        begin(kind)

    holding = asyncio.create_task(world.store.run(hold))
    await asyncio.to_thread(holds.wait, 20)
    monkeypatch.setattr(world.database, "begin", counting)
    yield begun
    free.set()
    await asyncio.wait([holding])


def rename(_tx, name):
    models.User.update(full_name=name).where(models.User.name == name).execute()
    return name


async def together(world, monkeypatch, *operations):
    """Run operations that wait at the same time; return what became of each, and how many transactions."""
    async with held(world, monkeypatch) as begun:
        waiting = [asyncio.create_task(world.store.run_with_others(*each)) for each in operations]
        await asyncio.sleep(0)
    return await asyncio.gather(*waiting, return_exceptions=True), len(begun)


async def test_what_waits_shares_a_transaction(world, monkeypatch):
    """Each has a result of its own, and what there is room for is not more than `MOST`."""
    names = [f"user{number}" for number in range(3)]
    for name in names:
        world.user(name)
    assert await together(world, monkeypatch, *[(rename, name) for name in names]) == (names, 1)
    assert {world.row(name).full_name for name in names} == set(names)
    many = [(rename, str(number)) for number in range(MOST + 1)]
    assert await together(world, monkeypatch, *many) == ([name for _, name in many], 2)


async def test_what_has_patience_is_written_with_the_next(world, monkeypatch):
    """It is answered then, and does not wait on for itself; on PostgreSQL in a transaction of its own."""
    world.user("anna")
    async with held(world, monkeypatch) as begun:
        waiting = asyncio.create_task(world.store.run_with_next(600, rename, "anna"))
        await asyncio.sleep(0)
    assert not begun
    assert await world.store.run_with_others(rename, "bob") == "bob"
    kinds = [world.database.writing, world.database.recording]
    assert (await waiting, begun) == ("anna", list(dict.fromkeys(kinds)))


async def test_what_has_patience_is_written_alone_if_nothing_comes(world):
    world.user("anna")
    assert await world.store.run_with_next(0.01, rename, "anna") == "anna"
    assert world.row("anna").full_name == "anna"


async def test_what_has_patience_is_written_before_the_thread_ends():
    with ThreadPoolExecutor(1) as thread:
        group = GroupCommit(thread, lambda group: [each.operation(None) for each in group], RuntimeError)
        waiting = asyncio.create_task(group.run(lambda _tx: "written", 600))
        await asyncio.sleep(0)
        thread.submit(group.write_all)
    assert await waiting == "written"


async def test_who_fails_is_rolled_back_alone(world, monkeypatch):
    for name in ("anna", "bob"):
        world.user(name)

    def failing(_tx):
        models.User.update(full_name="half done").execute()
        raise WentWrongError

    results, _ = await together(world, monkeypatch, (rename, "anna"), (failing,), (rename, "bob"))
    assert results[::2] == ["anna", "bob"]
    assert isinstance(results[1], WentWrongError)
    assert [world.row(name).full_name for name in ("anna", "bob", "admin")] == ["anna", "bob", ""]


async def test_one_code_at_the_same_moment(world, monkeypatch):
    """It is good for one, and the others are told that it was used."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    attempts = [world.attempt("anna", address=f"198.51.100.{number}") for number in range(1, 6)]
    code = world.code("anna")
    operations = [(second_factor.submit_code, attempt, code) for attempt in attempts]
    results, begun = await together(world, monkeypatch, *operations)
    assert Counter(type(result).__name__ for result in results) == {"Admitted": 1, "CodeAlreadyUsed": 4}
    assert begun == 1


async def test_wrong_codes_at_the_same_moment(world, monkeypatch):
    """Seven are counted, in one transaction with the right one after them, which comes too late."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    attempt = world.attempt("anna")
    answers = [world.wrong_code("anna") for _ in range(9)] + [world.code("anna")]
    operations = [(second_factor.submit_code, attempt, answer) for answer in answers]
    results, begun = await together(world, monkeypatch, *operations)
    assert [type(result).__name__ for result in results] == ["CodeWrong"] * 6 + ["TurnedAway"] * 4
    assert (begun, world.row("anna").standing) == (1, Standing.LOCKED.value)
    assert world.events(user="anna").count("signin.code_wrong") == 7


async def test_who_waits_no_more_is_written_all_the_same(world, monkeypatch):
    """Each operation has a moment of its own, and runs to its end."""
    world.enrol(world.user("anna"))
    members = [world.session("anna") for _ in range(2)]
    async with held(world, monkeypatch):
        ends = [
            asyncio.create_task(world.store.run_with_others(sessions.end_session, member.session_id))
            for member in members
        ]
        await asyncio.sleep(0)
        ends[0].cancel()
        world.clock.forward(hours=1)
    await ends[1]
    assert ends[0].cancelled()
    rows = [models.Session.get_by_id(member.session_id) for member in members]
    assert [row.ended_at for row in rows] == [world.clock.now] * 2


def refused_by_the_database(_tx):
    raise OperationalError("gone")


async def test_what_the_database_refuses_fails_alone(world, monkeypatch):
    world.user("anna")
    refused = (refused_by_the_database,)
    results, _ = await together(world, monkeypatch, refused, (rename, "anna"), refused)
    assert [type(result) for result in results] == [StoreUnavailableError, str, StoreUnavailableError]
    assert world.row("anna").full_name == "anna"


async def test_when_the_end_of_a_commit_is_unknown_all_are_told(world, monkeypatch):
    """Nobody's operation runs twice."""
    world.user("anna")
    ran = []
    monkeypatch.setattr(world.database, "holds", lambda: False)
    results, _ = await together(world, monkeypatch, (rename, "anna"), (lambda _tx: ran.append(1),))
    assert [type(result) for result in results] == [OutcomeUnknownError] * 2
    assert ran == [1]


def test_killed_in_the_middle(world):
    """What was acknowledged is there, and of each operation all or nothing."""
    for number in range(group_process.USERS):
        world.user(f"user{number}")
    child = subprocess.Popen(
        [sys.executable, group_process.__file__, world.where],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(200)]
    child.kill()
    told += [line for line in child.stdout if line.endswith("\n")]
    child.wait(20)
    last = {name: int(number) for name, number in map(str.split, told)}
    assert len(last) == group_process.USERS
    for name, number in last.items():
        row = world.row(name)
        assert row.wrong_answers == row.known_places
        assert int(row.known_places) >= number
