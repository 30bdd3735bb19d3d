"""Guesses at one name from many sources: strangers take turns, nobody is locked, and people are told."""

import asyncio

import pytest
from support.database import OPERATOR, PASSWORD

from data.operations.maintenance import doctor_facts
from data.operations.policy import needs_attention
from data.operations.signin import first_factor, password_guessing
from data.operations.signin.admission import Admitted
from data.operations.signin.first_factor import FirstFactorRejected, NotJudged
from data.rules import public_keys, throttle
from data.rules.audit_events import Event
from data.storage import models

KEY = public_keys.parse(
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
)
HOME, STRANGE = "192.0.2.1", "203.0.113.99"


@pytest.fixture
def anna(world):
    """Somebody who has signed in from HOME."""
    world.user("anna", key=KEY)
    world.clock.forward(hours=1)
    assert isinstance(world.first("anna", address=HOME), Admitted)
    return "anna"


def guess(world, name, count=throttle.MANY_OF_NAME):
    """Guess once from each of so many sources."""
    for number in range(count):
        assert world.first(name, "wrong", address=f"198.51.100.{number}") == FirstFactorRejected()


def takes_turns(world, name, address=STRANGE):
    candidate = world.run(first_factor.find_candidate, name, world.origin(address=address))
    return world.run(first_factor._circumstances, candidate).in_turn


async def signs_in(world, name, address=HOME):
    candidate = await world.store.read(first_factor.find_candidate, name, world.origin(address=address))
    assert isinstance(await first_factor.prove_password(world.store, candidate, PASSWORD), Admitted)


def told(world):
    found = models.AuditEntry.select().where(models.AuditEntry.event == Event.RIGHT_AFTER_FAILURES)
    notices = models.Notice.select().where(models.Notice.event == Event.RIGHT_AFTER_FAILURES)
    assert notices.count() == found.count()
    return [row.detail for row in found]


def notes(world):
    return " ".join(finding.sentence for finding in world.run(doctor_facts.check_accounts, OPERATOR))


def test_strangers_take_turns(world, anna):
    """After many failures of a name strangers take turns, for unknown names too."""
    guess(world, anna, throttle.MANY_OF_NAME - 1)
    guess(world, "nobody", throttle.MANY_OF_NAME - 1)
    assert not takes_turns(world, anna)
    assert not takes_turns(world, "nobody")
    guess(world, anna, 1)
    guess(world, "nobody", 1)
    assert takes_turns(world, anna)
    assert takes_turns(world, "nobody")
    assert takes_turns(world, "nobody", HOME)
    assert not takes_turns(world, "ben")
    world.clock.forward(minutes=throttle.WINDOW_MINUTES)
    assert not takes_turns(world, anna)


def test_known_source_takes_no_turns(world, anna):
    """A source that its user came from lately takes no turns."""
    guess(world, anna)
    assert not takes_turns(world, anna, HOME)
    assert not takes_turns(world, anna, f"::ffff:{HOME}")
    world.first(anna, address="2001:db8::1")
    assert not takes_turns(world, anna, "2001:db8::2")
    world.clock.forward(days=throttle.KNOWN_DAYS)
    guess(world, anna)
    assert takes_turns(world, anna, HOME)


def test_restricted_session_makes_no_known_source(world):
    """A source that had only a restricted session stays a stranger."""
    world.user("carl", one_time=True)
    world.first("carl", address=HOME)
    guess(world, "carl")
    assert takes_turns(world, "carl", HOME)


def test_newest_sessions_decide(world, anna, monkeypatch):
    """Of a user with endless sessions the newest are read."""
    monkeypatch.setattr(password_guessing, "_LOOKED_AT", 3)
    guess(world, anna)
    for number in range(3):
        assert not takes_turns(world, anna, HOME)
        assert isinstance(world.first(anna, address=f"192.0.2.{100 + number}"), Admitted)
    assert takes_turns(world, anna, HOME)
    assert not takes_turns(world, anna, "192.0.2.100")


async def test_strangers_wait_for_each_other(world, anna):
    """A known source waits for none."""
    ends, asked = asyncio.Event(), {}
    for name in (anna, "nobody"):
        guess(world, name)
        candidate = world.run(first_factor.find_candidate, name, world.origin(address=STRANGE))
        first = world.store.turns.run(candidate.bucket, "somebody before", None, ends.wait)
        asked[name] = [asyncio.create_task(first)]
        await asyncio.sleep(0)
        asked[name].append(asyncio.create_task(first_factor.prove_password(world.store, candidate, PASSWORD)))
    home = world.run(first_factor.find_candidate, anna, world.origin(address=HOME))
    assert isinstance(await first_factor.prove_password(world.store, home, PASSWORD), Admitted)
    assert not any(each.done() for each in (*asked[anna], *asked["nobody"]))
    ends.set()
    assert isinstance((await asyncio.gather(*asked[anna]))[1], Admitted)
    assert (await asyncio.gather(*asked["nobody"]))[1] == FirstFactorRejected()


async def test_too_many_strangers_wait(world, anna):
    """The next one is told so."""
    guess(world, anna)
    ends = asyncio.Event()
    candidate = world.run(first_factor.find_candidate, anna, world.origin(address=STRANGE))
    turns = [
        world.store.turns.run(candidate.bucket, f"source {number}", None, ends.wait) for number in range(16)
    ]
    waiting = [asyncio.create_task(turn) for turn in turns]
    await asyncio.sleep(0)
    assert await first_factor.prove_password(world.store, candidate, PASSWORD) == NotJudged()
    ends.set()
    await asyncio.gather(*waiting)


@pytest.mark.feature("notice-guessing")
async def test_first_right_password_is_told_once(world, anna):
    """A right password after many wrong ones is told of once."""
    guess(world, anna, throttle.MANY_OF_NAME - 1)
    await signs_in(world, anna, STRANGE)
    assert told(world) == []
    world.first(anna, "wrong", address=STRANGE)
    world.first_by_key(anna, KEY.fingerprint)
    await signs_in(world, anna, STRANGE)
    assert told(world) == [f'{{"failures": {throttle.MANY_OF_NAME}, "sources": {throttle.MANY_OF_NAME}}}']
    await signs_in(world, anna, STRANGE)
    assert len(told(world)) == 1
    world.clock.forward(hours=1)
    guess(world, anna, 2 * throttle.MANY_OF_NAME)
    await signs_in(world, anna)
    assert len(told(world)) == 2


async def test_failures_read_and_kept_are_few(world, anna):
    """Few failures are read, and those that were told of are not kept."""
    candidate = world.run(first_factor.find_candidate, anna, world.origin())
    guess(world, anna, 2 * throttle.MANY_OF_NAME)
    found = [
        password_guessing._OF_NAME.one(candidate.bucket, 0),
        password_guessing._UNTOLD.one(candidate.bucket, candidate.user_id, 0),
    ]
    assert [row.count for row in found] == [throttle.MANY_OF_NAME] * 2
    world.clock.forward(minutes=throttle.WINDOW_MINUTES)
    guess(world, anna, 1)
    await signs_in(world, anna)
    assert told(world) == [
        f'{{"failures": {2 * throttle.MANY_OF_NAME + 1}, "sources": {2 * throttle.MANY_OF_NAME}}}'
    ]
    assert models.FirstFactorFailures.select().count() == 1


async def test_other_names_and_days_are_not_told(world, anna):
    candidate = world.run(first_factor.find_candidate, anna, world.origin())
    guess(world, "nobody")
    models.FirstFactorFailures.update(bucket=candidate.bucket).execute()
    assert takes_turns(world, anna)
    await signs_in(world, anna)
    guess(world, anna)
    world.clock.forward(days=1)
    await signs_in(world, anna)
    assert told(world) == []


def test_doctor_names_the_guessed(world, anna):
    """It does so while the guessing goes on."""
    guess(world, "nobody")
    guess(world, anna, throttle.MANY_OF_NAME - 1)
    assert "guessed" not in notes(world)
    guess(world, anna, 1)
    assert "Passwords are being guessed for: anna." in notes(world)
    world.clock.forward(minutes=throttle.WINDOW_MINUTES)
    assert "guessed" not in notes(world)


@pytest.mark.feature("needs-attention")
def test_administrators_see_the_guessed(world, anna):
    """They see it while the guessing goes on."""
    admin = world.enrol("admin")
    guess(world, "nobody")
    guess(world, anna)
    assert world.run(needs_attention.show_needs_attention, admin).guessed.names == ("anna",)
    world.clock.forward(minutes=throttle.WINDOW_MINUTES)
    assert world.run(needs_attention.show_needs_attention, admin).guessed.names == ()
