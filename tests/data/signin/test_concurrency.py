"""The same moment twice: through tasks, threads and processes."""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from support import database_process
from support.database import World

from data.operations.signin import code_verification, first_factor, second_factor
from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.rules.policy import Refusal
from data.storage import models

ROUNDS = 20
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def anna(world: World) -> str:
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    return "anna"


def outcomes(results) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def wrong_codes_counted() -> int:
    return models.AuditEntry.select().where(models.AuditEntry.event == "signin.code_wrong").count()


async def test_one_code_in_two_tasks(world, anna):
    attempts = [world.attempt(anna), world.attempt(anna, address="198.51.100.1")]
    for _ in range(ROUNDS):
        world.clock.forward(seconds=30)
        code = world.code(anna)
        results = await asyncio.gather(
            *(world.store.run(second_factor.submit_code, attempt, code) for attempt in attempts)
        )
        assert outcomes(results) == {"Admitted": 1, "CodeAlreadyUsed": 1}
    assert world.row(anna).attempts_left == 7


def test_one_code_in_two_connections(world, anna):
    attempts = [world.attempt(anna), world.attempt(anna, address="198.51.100.1")]
    start, end = threading.Barrier(3, timeout=10), threading.Barrier(3, timeout=10)
    results: list[object] = []

    def connection(attempt):
        for _ in range(ROUNDS):
            start.wait()
            results.append(world.submit(attempt, world.code(anna)))
            end.wait()
        world.database.close()

    threads = [threading.Thread(target=connection, args=[attempt]) for attempt in attempts]
    for thread in threads:
        thread.start()
    for _ in range(ROUNDS):
        world.clock.forward(seconds=30)
        results.clear()
        start.wait()
        end.wait()
        assert outcomes(results) == {"Admitted": 1, "CodeAlreadyUsed": 1}
    for thread in threads:
        thread.join()


async def test_one_recovery_code_in_many_tasks(world, anna):
    attempt = world.attempt(anna)
    for code in world.recovery[anna]:
        results = await asyncio.gather(
            *(world.store.run(second_factor.submit_code, attempt, code) for _ in range(4))
        )
        assert outcomes(results) == {"Admitted": 1, "CodeAlreadyUsed": 3}


async def test_forty_wrong_codes_at_once(world, anna):
    """Seven of them are judged."""
    attempts = [world.attempt(anna, address=f"192.0.2.{number}") for number in range(40)]
    results = await asyncio.gather(
        *(world.store.run(second_factor.submit_code, attempt, world.wrong_code(anna)) for attempt in attempts)
    )
    assert sorted(result.attempts_left for result in results if isinstance(result, CodeWrong)) == [
        *range(1, 7)
    ]
    assert results.count(TurnedAway(Refusal.LOCKED.value)) == 34
    assert wrong_codes_counted() == 7
    assert world.row(anna).locked_at is not None
    right = await world.store.run(second_factor.submit_code, attempts[0], world.code(anna))
    assert right == TurnedAway(Refusal.LOCKED.value)


@pytest.mark.feature("guesses-only")
@pytest.mark.parametrize(("distinct", "judged"), [(5, 5), (10, 7)])
async def test_forty_answers_at_once(world, anna, distinct, judged):
    """Each wrong one is judged once."""
    wrong = [world.wrong_code(anna) for _ in range(distinct)] * (40 // distinct)
    attempts = [world.attempt(anna, address=f"192.0.2.{number}") for number in range(40)]
    results = await asyncio.gather(
        *(
            world.store.run(second_factor.submit_code, attempt, answer)
            for attempt, answer in zip(attempts, wrong, strict=True)
        )
    )
    assert wrong_codes_counted() == judged
    assert (world.row(anna).locked_at is not None) == (judged == 7)
    assert outcomes(results).get("WrongBefore", 0) == (35 if judged == 5 else 0)


async def test_right_code_among_wrong_ones(world, anna):
    """It is admitted or comes too late."""
    attempt = world.attempt(anna)
    wrong = [world.wrong_code(anna) for _ in range(14)]
    answers = [*wrong[:6], world.code(anna), *wrong[6:]]
    results = await asyncio.gather(
        *(world.store.run(second_factor.submit_code, attempt, answer) for answer in answers)
    )
    assert isinstance(results[6], Admitted)
    assert outcomes(results) == {"CodeWrong": 12, "Admitted": 1, "TurnedAway": 2}


async def test_caller_hangs_up_after_a_code(world, anna):
    """The code is counted."""
    attempt = world.attempt(anna)
    busy, go = threading.Event(), threading.Event()

    def occupy(_tx):
        busy.set()
        go.wait(10)

    occupied = asyncio.create_task(world.store.run(occupy))
    await asyncio.to_thread(busy.wait, 10)
    callers = [
        asyncio.create_task(world.store.run(second_factor.submit_code, attempt, world.wrong_code(anna)))
        for _ in range(3)
    ]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
        assert caller.cancelled()
    go.set()
    await occupied
    async with asyncio.timeout(10):
        while world.row(anna).attempts_left != 4:
            await asyncio.sleep(0.005)
    assert wrong_codes_counted() == 3


async def test_caller_hangs_up_during_a_password(world, anna):
    """The password is counted."""
    candidate = world.run(first_factor.find_candidate, anna, world.origin())
    busy, go = threading.Event(), threading.Event()

    def occupy():
        busy.set()
        go.wait(10)

    occupied = asyncio.create_task(world.store.compute(occupy))
    await asyncio.to_thread(busy.wait, 10)
    caller = asyncio.create_task(first_factor.prove_password(world.store, candidate, "wrong"))
    while world.store._hasher._work_queue.qsize() == 0:
        await asyncio.sleep(0.001)
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    go.set()
    await occupied
    async with asyncio.timeout(10):
        while not models.FirstFactorFailures.select().exists():
            await asyncio.sleep(0.005)
    assert models.FirstFactorFailures.get().count == 1


async def test_closing_waits_for_what_was_handed_over(tmp_path):
    world = World(tmp_path)
    world.enrol(world.user("anna"))
    attempt = world.attempt("anna")
    calls = [
        asyncio.create_task(world.store.run(second_factor.submit_code, attempt, world.wrong_code("anna")))
        for _ in range(5)
    ]
    await asyncio.sleep(0)
    world.close()
    assert outcomes(await asyncio.gather(*calls)) == {"CodeWrong": 5}


async def test_reading_goes_on_beside_a_write(world, anna):
    writing, go = threading.Event(), threading.Event()

    def slow(_tx):
        models.User.update(full_name="half done").execute()
        writing.set()
        go.wait(10)

    task = asyncio.create_task(world.store.run(slow))
    await asyncio.to_thread(writing.wait, 10)
    async with asyncio.timeout(10):
        read = await world.store.read(lambda _tx: models.User.get(models.User.name == "anna").full_name)
    assert read == ""
    go.set()
    await task
    assert world.row("anna").full_name == "half done"
    world.catch_up()


class Worker:
    """Another process on the same database."""

    def __init__(self, world: World, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, database_process.__file__, world.where, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'tests'}:{REPOSITORY}"},
        )
        self.send(f"{world.clock.now.timestamp():.0f}")

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def receive(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate(timeout=20)


def test_two_processes_on_one_database(world, anna):
    """They accept a code once and count together."""
    with ExitStack() as stack:
        workers = [Worker(world, anna) for _ in range(2)]
        for worker in workers:
            stack.callback(worker.close)
        assert [worker.receive() for worker in workers] == ["ready", "ready"]
        for _ in range(ROUNDS):
            world.clock.forward(seconds=30)
            line = f"{world.clock.now.timestamp():.0f} {world.code(anna)}"
            for worker in workers:
                worker.send(line)
            assert sorted(worker.receive() for worker in workers) == ["Admitted", "CodeAlreadyUsed"]
        for _ in range(20):
            for worker in workers:
                worker.send(f"{world.clock.now.timestamp():.0f} {world.wrong_code(anna)}")
        answers = Counter(worker.receive() for worker in workers for _ in range(20))
    assert answers == {"CodeWrong": 6, "TurnedAway": 34}
    assert wrong_codes_counted() == 7
    assert world.row(anna).locked_at is not None
    world.clock.forward(seconds=30)
    assert isinstance(world.first(anna), TurnedAway)


def test_accepted_step_and_an_earlier_reader(world, anna):
    """Two servers that both found the code right: the row takes the step once."""
    factor = models.Factor.get(models.Factor.user == world.row(anna).id)
    step = factor.last_step + 2
    assert world.run(lambda _tx: code_verification.spend_step(factor.id, step, offset=0))
    assert not world.run(lambda _tx: code_verification.spend_step(factor.id, step, offset=0))
    assert not world.run(lambda _tx: code_verification.spend_step(factor.id, step - 1, offset=0))
    assert isinstance(world.submit(world.attempt(anna), world.code(anna)), CodeAlreadyUsed)
