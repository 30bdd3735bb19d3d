"""Guessing names and passwords: slowed down, never locking anyone, and telling nothing."""

import asyncio
import itertools
import math
import random
import statistics
import time
from contextlib import asynccontextmanager

import peewee
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.attacked_server import SECONDS, attacked_server, hashing_stopped
from support.raw_ssh_client import ELSEWHERE, HOST, INFO_REQUEST, USERAUTH_FAILURE, raw_client
from support.ssh_server import connect, until
from support.ssh_users import OPERATOR, PASSWORD, open_people

from data.authserver.verification import Verifier
from data.operations.applications import registry
from data.operations.applications.asking import Reject, VerifyRequest, authenticate_application
from data.operations.signin import first_factor
from data.operations.signin.first_factor import NotJudged
from data.rules import throttle
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.audit_events import Event
from data.rules.domain_types import Application
from data.rules.policy import ATTEMPTS
from data.rules.source_addresses import Origin
from data.storage import models
from data.storage.password_hashing import HashCost, Hasher
from sshserver.limits.limit_values import Limits

KINDS = ("known", "unknown", "locked", "unenrolled", "deactivated", "keyless", "ill formed")
NAMES = {"ill formed": "../../No Such Name"}


async def people_of_every_kind(people) -> None:
    for kind in KINDS:
        if kind not in ("unknown", "ill formed"):
            await people.add(
                kind, enrolled=kind != "unenrolled", password=None if kind == "keyless" else PASSWORD
            )
    table = models.User

    def set_states(_tx):
        table.update(locked_at=people.clock.now).where(table.name == "locked").execute()
        table.update(active=False).where(table.name == "deactivated").execute()

    await people.store.run(set_states)


async def guess(port: int, name: str, source: str = HOST) -> tuple[bytes, float]:
    """Send one wrong password; return the answer and how long it took."""
    async with raw_client(port, source) as client:
        await client.begin()
        client.ask_questions(name)
        await client.question()
        begun = time.perf_counter()
        client.answer("a wrong password")
        answer = await client.expect(INFO_REQUEST, USERAUTH_FAILURE)
        return answer, time.perf_counter() - begun


async def count_failures(people, names) -> None:
    """Fail for each name, as a connection from HOST would."""

    def fail(tx):
        for name in names:
            candidate = first_factor.find_candidate(tx, name, Origin(Application.SSH, HOST))
            first_factor.settle_password(tx, candidate, right=False)

    await people.store.run(fail)


async def delay(people, name: str, source: str) -> float:
    def find(tx):
        candidate = first_factor.find_candidate(tx, name, Origin(Application.SSH, source))
        return first_factor.first_factor_delay(tx, candidate)

    return await people.store.read(find)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_guessing_across_names(attacked, count):
    """It slows down the guesser and nobody else."""
    await count_failures(attacked.people, [f"name{number}" for number in range(count)])
    assert await delay(attacked.people, "name5", HOST) == throttle.MAX_DELAY
    assert await delay(attacked.people, "never-tried", HOST) == throttle.MAX_DELAY
    assert await delay(attacked.people, "name5", ELSEWHERE) == 0
    await attacked.still_serves()


async def test_of_the_names_that_were_guessed_none_is_kept(attacked):
    for number in range(3):
        await guess(attacked.port, f"hunter2-is-my-password-{number}")
    dump = "\n".join(attacked.people.store._database.connection().iterdump())  # type: ignore[attr-defined]
    assert "hunter2" not in dump
    assert "firstfactorfailures" in dump.lower()


async def test_guessing_over_many_connections(attacked):
    """Their guesses are judged a few at a time."""
    await asyncio.gather(
        *(guess(attacked.port, f"name{number}") for number in range(20)), return_exceptions=True
    )
    table = models.FirstFactorFailures
    counted = await attacked.people.store.read(lambda _tx: sum(row.count for row in table.select()))
    assert counted <= 20


async def test_victim_of_guesses_signs_in(attacked):
    """The victim still signs in and keeps every attempt."""
    await attacked.people.add("victim", key=attacked.people.keys["mallory"])
    await count_failures(attacked.people, ["victim"] * 200)
    victim = await attacked.people.user("victim")
    assert (victim.locked_at, victim.attempts_left) == (None, 7)
    async with asyncio.timeout(SECONDS):
        for source, password, keys in (
            (ELSEWHERE, [PASSWORD], None),
            (HOST, [], [attacked.people.keys["mallory"]]),
        ):
            answers = [*password, attacked.code()]
            connection, _ = await connect(attacked.port, "victim", answers, keys=keys, local_addr=(source, 0))
            connection.close()
            await connection.wait_closed()


async def test_a_code_without_the_first_factor_is_no_attempt(attacked):
    for answer in (attacked.code(), attacked.people.wrong_code()):
        async with raw_client(attacked.port) as client:
            await client.begin()
            client.ask_questions("bob")
            assert await client.question() == "Password: "
            client.answer(answer)
            assert await client.question() == "Password: "
    assert (await attacked.people.user("bob")).attempts_left == 7


@asynccontextmanager
async def strangers(attacked, name: str, count: int):
    """Guess once from each of so many addresses; yield the answers, which fills."""
    answers: list[bytes] = []

    async def guess_from(number: int) -> None:
        async with raw_client(attacked.port, f"127.0.3.{number + 1}") as client:
            await client.begin()
            client.ask_questions(name)
            await client.question()
            client.answer("a wrong password")
            answers.append(await client.expect(INFO_REQUEST, USERAUTH_FAILURE))

    guesses = [asyncio.create_task(guess_from(number)) for number in range(count)]
    try:
        yield answers
    finally:
        for one in guesses:
            one.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)


async def sign_in_by_password(attacked, name: str) -> None:
    answers = [PASSWORD, attacked.code()]
    connection, _ = await connect(attacked.port, name, answers, local_addr=(ELSEWHERE, 0))
    connection.close()
    await connection.wait_closed()


@pytest.mark.feature("notice-guessing")
@pytest.mark.parametrize("name", ["victim", "nobody"])
@pytest.mark.parametrize("count", [25, pytest.param(150, marks=pytest.mark.soak)])
async def test_guesses_at_one_name_queue(attacked, name, count):
    """They wait for each other, and the owner of the name does not wait for them."""
    await attacked.people.add("victim")
    await sign_in_by_password(attacked, "victim")
    await count_failures(attacked.people, [name] * throttle.MANY_OF_NAME)
    most = 1 + throttle.TURNS
    async with strangers(attacked, name, count) as answers:
        async with hashing_stopped(attacked):
            await until(lambda: len(answers) == count - most, SECONDS)
            assert all(NotJudged.message.encode() in answer for answer in answers)
        async with asyncio.timeout(SECONDS):
            await sign_in_by_password(attacked, "victim")
    told = [event for event, _ in await attacked.audited("victim")].count(Event.RIGHT_AFTER_FAILURES)
    assert told == (name == "victim")
    assert (await attacked.people.user("victim")).locked_at is None


@pytest.fixture
def work(monkeypatch):
    """Fill with the statements and the password hashes that are made."""
    found: list[str] = []
    execute, verify = peewee.Database.execute_sql, Hasher.verify

    def execute_sql(self, sql, *arguments, **options):
        found.append(sql)
        return execute(self, sql, *arguments, **options)

    def noted_verify(self, *arguments):
        found.append("a password hash")
        return verify(self, *arguments)

    monkeypatch.setattr(peewee.Database, "execute_sql", execute_sql)
    monkeypatch.setattr(Hasher, "verify", noted_verify)
    return found


async def test_wrong_password_costs_the_same(attacked, work):
    """For every name a wrong password costs one hash and the same statements."""
    await people_of_every_kind(attacked.people)
    costs, answers = {}, {}
    for kind in KINDS:
        work.clear()
        answers[kind], _ = await guess(attacked.port, NAMES.get(kind, kind))
        costs[kind] = list(work)
        attacked.people.clock.forward(3600)
    assert costs["known"].count("a password hash") == 1
    assert any("INSERT" in statement for statement in costs["known"])
    for kind in KINDS:
        assert costs[kind] == costs["known"], kind
        assert answers[kind] == answers["known"], kind


def differ(one: list[float], other: list[float]) -> float:
    """Return how far two samples are apart: Mann and Whitney's U in standard deviations."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    return abs(u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def test_timing_comparison_is_sound():
    """The comparison tells samples that differ from samples that do not."""
    chance = random.Random(7)
    one, other, later = ([chance.gauss(mean, 1) for _ in range(200)] for mean in (10, 10, 11))
    assert differ(one, other) < 3
    assert differ(one, later) > 5


@asynccontextmanager
async def attacked_at_full_cost(folder):
    """A server whose passwords cost what they cost in earnest."""
    people = open_people(folder)
    hasher = people.store.services.hasher
    hasher.__init__(HashCost())  # type: ignore[misc]
    await people.store.run(lambda _tx: models.User.update(password_hash=hasher.hash(PASSWORD)).execute())
    async with attacked_server(people) as attacked:
        await people_of_every_kind(people)
        yield attacked
    people.store.close()


@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_wrong_password_takes_the_same_time(tmp_path):
    """It does so for every name."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    order = random.Random(7)
    async with attacked_at_full_cost(tmp_path) as attacked:
        for _ in range(150):
            for kind in order.sample(KINDS, len(KINDS)):
                _, took = await guess(attacked.port, NAMES.get(kind, kind))
                times[kind].append(took)
                attacked.people.clock.forward(3600)
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    for one, other in itertools.combinations(KINDS, 2):
        assert differ(times[one], times[other]) < 4.5, (one, other, medians)


@pytest.mark.soak
async def test_rejected_code_takes_the_same_time(attacked):
    """To an application that asks for the code alone it does so for every name."""
    people, order = attacked.people, random.Random(7)
    await people_of_every_kind(people)
    vpn = NewApplication("vpn", Protocol.HTTP, Asks.CODE)
    token = (await people.store.run(registry.add_application, OPERATOR, vpn)).secret
    asking = await people.store.read(authenticate_application, token, HOST)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    verifier = Verifier(people.store)
    for round_ in range(300):
        restored = models.User.update(attempts_left=ATTEMPTS).where(models.User.name != "locked")
        await people.store.run(lambda _tx, restored=restored: restored.execute())
        for kind in order.sample(KINDS, len(KINDS)):
            request = VerifyRequest(NAMES.get(kind, kind), f"{round_:06}")
            begun = time.perf_counter()
            assert await verifier.verify(asking, request) == Reject()
            times[kind].append(time.perf_counter() - begun)
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    for one, other in itertools.combinations(KINDS, 2):
        assert differ(times[one], times[other]) < 4.5, (one, other, medians)


def unhurried() -> Limits:
    """Limits that let one connection ask as often as a comparison needs."""
    return Limits(sign_in_requests=10**6, unknown_keys=10**6, sign_in_bytes=10**9, first_factor_seconds=3600)


ASKING = {
    "none": lambda client, name, _key: client.request(name, "none"),
    "a key": lambda client, name, key: client.probe_key(name, key),
    "a password": lambda client, name, _key: client.ask_questions(name),
}


async def answer_times(attacked, ask, samples: int) -> dict[str, list[float]]:
    """Name people of every kind by turns, and measure how long the first answer takes."""
    stranger = Ed25519PrivateKey.generate()
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    order = random.Random(7)
    async with raw_client(attacked.port) as client:
        await client.begin()
        for _ in range(samples):
            for kind in order.sample(KINDS, len(KINDS)):
                begun = time.perf_counter()
                ask(client, NAMES.get(kind, kind), stranger)
                await client.expect(INFO_REQUEST, USERAUTH_FAILURE)
                times[kind].append(time.perf_counter() - begun)
                client.request("somebody else", "none")
                await client.expect(USERAUTH_FAILURE)
    return times


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", ASKING)
async def test_first_answer_takes_the_same_time(attacked_with, way):
    """It does so for every name."""
    async with attacked_with(unhurried()) as attacked:
        await people_of_every_kind(attacked.people)
        times = await answer_times(attacked, ASKING[way], 500)
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    for one, other in itertools.combinations(KINDS, 2):
        assert differ(times[one], times[other]) < 4.5, (one, other, medians)
