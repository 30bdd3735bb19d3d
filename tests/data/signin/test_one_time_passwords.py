"""One-time passwords: good for one sign-in, until their end."""

import threading
from datetime import timedelta

import pytest
from support.database import OPERATOR, PASSWORD, World, statements

from data.operations.actors import Member
from data.operations.maintenance import accounts
from data.operations.results import Denied, Done, SessionOver
from data.operations.signin import admission, first_factor, sessions
from data.operations.signin.admission import ONE_TIME_USED_AGAIN
from data.operations.signin.first_factor import FirstFactorRejected
from data.operations.users import credentials, lifecycle, signin_explanation, user_summaries
from data.rules import public_keys
from data.rules.passwords import MAX_ONE_TIME_HOURS, ONE_TIME_HOURS
from data.rules.policy import MustChangePassword, SignedIn
from data.rules.signin_explanation import Weight
from data.storage import models

KEY = public_keys.parse(
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
)


def used(world: World) -> admission.Session:
    return world.restricted("anna", MustChangePassword)


def replaced(world: World, session: admission.Session):
    return world.run(credentials.store_password, Member(session.id), world.services.hasher.hash("new" * 5))


def left_open(name: str = "anna") -> list[int]:
    table = models.Session
    mine = (table.user == models.User.get(models.User.name == name).id) & table.ended_at.is_null()
    return [row.id for row in table.select().where(mine)]


@pytest.mark.feature("one-time-once")
def test_second_use_ends_the_first_session(world):
    """It is audited, and the user is told."""
    world.user("anna", one_time=True)
    first = used(world)
    assert (first.notices, world.events(user="anna", last=1)) == ((), ["signin.restricted"])
    second = used(world)
    assert left_open() == [second.id]
    over = world.run(sessions.ended_among, [first.id, second.id])
    assert over == {first.id: ONE_TIME_USED_AGAIN}
    assert replaced(world, first) == SessionOver(ONE_TIME_USED_AGAIN)
    assert world.events(user="anna", last=2) == ["password.one_time_reused", "signin.restricted"]
    said = [row.sentence for row in world.run(user_summaries.user_detail, OPERATOR, "anna").recent]
    assert "One-time password used again, 1 open session ended" in said
    assert "used before: 2026-03-02 09:00 UTC over SSH from 192.0.2.1" in second.notices[0]


def test_use_after_the_first_session_ended(world):
    """It is audited too."""
    world.user("anna", one_time=True)
    world.run(sessions.end_session, used(world).id)
    assert used(world).notices
    assert world.events(user="anna").count("password.one_time_reused") == 1
    used(world)
    assert world.events(user="anna").count("password.one_time_reused") == 2
    assert len(left_open()) == 1


def test_each_has_a_first_use(world):
    world.user("anna", one_time=True)
    used(world)
    world.one_time_password("anna")
    assert used(world).notices == ()
    assert "password.one_time_reused" not in world.events(user="anna")


def test_replaced(world):
    """Once it is replaced the session goes on, and the one-time password is wrong."""
    world.user("anna", one_time=True)
    session = used(world)
    assert isinstance(replaced(world, session), Done)
    assert world.run(admission.advance, session.id).session.step == SignedIn()
    assert world.first("anna") == FirstFactorRejected()
    assert left_open() == [session.id]
    world.clock.forward(hours=ONE_TIME_HOURS)
    assert world.first("anna", "new" * 5).session.step == SignedIn()


def test_sessions_that_came_by_a_key_go_on(world):
    world.user("anna", one_time=True, key=KEY)
    by_key = world.first_by_key("anna", KEY.fingerprint).session.id
    first, second = used(world), used(world)
    assert left_open() == [by_key, second.id]
    assert first.id not in left_open()


@pytest.mark.feature("one-time-once")
@pytest.mark.parametrize("count", [2, 8])
def test_simultaneous_uses_leave_one_session(world, count):
    for _ in range(5):
        world.one_time_password("admin")
        start = threading.Barrier(count, timeout=30)

        def use(start=start):
            try:
                start.wait()
                assert isinstance(world.first("admin"), admission.Admitted)
            finally:
                world.database.close()

        threads = [threading.Thread(target=use) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(left_open("admin")) == 1
        world.run(sessions.end_session, left_open("admin")[0])
    assert world.events(user="admin").count("password.one_time_reused") == 5 * (count - 1)


# Its end


def made_by_create_user(world: World, **hours: int):
    hashed = world.services.hasher.hash(PASSWORD)
    new = lifecycle.NewUser("anna", "anna@clinic.example", password_hash=hashed, **hours)
    return world.run(lifecycle.create_user, OPERATOR, new)


def made_for_a_user(world: World, **hours: int):
    world.user("anna")
    hashed = world.services.hasher.hash(PASSWORD)
    return world.run(credentials.set_one_time_password, OPERATOR, "anna", hashed, **hours)


def made_with_an_account(world: World, **hours: int):
    hashed = world.services.hasher.hash(PASSWORD)
    new = lifecycle.NewUser("anna", "anna@clinic.example", password_hash=hashed, **hours)
    return world.run(accounts.add_account, OPERATOR, "Surgery", "Main", new)


MAKERS = [made_by_create_user, made_for_a_user, made_with_an_account]


@pytest.mark.feature("one-time-end")
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("given", "hours"),
    [({}, ONE_TIME_HOURS), ({"hours": 4}, 4), ({"hours": 10_000}, MAX_ONE_TIME_HOURS), ({"hours": 0}, 1)],
)
def test_good_until_its_end(world, make, given, hours):
    """The end is said when it is made."""
    done = make(world, **given)
    end = world.clock.now + timedelta(hours=hours)
    assert done.message.endswith(f" It is good for one sign-in, until {end:%Y-%m-%d %H:%M} UTC.")
    assert world.row("anna").one_time_until == end
    world.clock.forward(hours=hours, microseconds=-1)
    used(world)
    world.clock.forward(microseconds=1)
    assert world.first("anna") == FirstFactorRejected()


@pytest.mark.feature("one-time-end")
def test_after_its_end_it_looks_like_a_wrong_password(world):
    world.user("anna", one_time=True)
    with statements(world) as of_wrong:
        assert world.first("anna", "wrong password") == FirstFactorRejected()
    models.FirstFactorFailures.delete().execute()
    world.clock.forward(hours=ONE_TIME_HOURS)
    with statements(world) as of_ended:
        assert world.first("anna") == FirstFactorRejected()
    assert of_ended == of_wrong
    assert models.FirstFactorFailures.get().count == 1
    assert world.events(user="anna") == ["user.created"]


def test_ends_between_look_up_and_judging(world):
    world.user("anna", one_time=True)
    candidate = world.run(first_factor.find_candidate, "anna", world.origin())
    world.clock.forward(hours=ONE_TIME_HOURS)
    assert world.run(first_factor.settle_password, candidate, right=True) == FirstFactorRejected()


def test_session_opened_before_the_end(world):
    """It may still replace the password."""
    world.user("anna", one_time=True)
    world.clock.forward(hours=ONE_TIME_HOURS - 1)
    session = used(world)
    world.clock.forward(hours=1)
    assert isinstance(replaced(world, session), Done)


def test_a_key_signs_in_after_the_end(world):
    world.user("anna", one_time=True, key=KEY)
    world.clock.forward(hours=ONE_TIME_HOURS)
    assert world.first_by_key("anna", KEY.fingerprint).session.step == SignedIn()


@pytest.mark.feature("one-time-end")
def test_explain_tells_its_end(world):
    world.user("anna", one_time=True)
    world.user("keyed", one_time=True, key=KEY)

    def findings(name):
        """Return what follows the verdict."""
        return world.run(signin_explanation.explain_user, OPERATOR, name).reasons[1:]

    good = next(found for found in findings("anna") if "one-time password" in found.sentence)
    assert (good.weight, "valid until 2026-03-05 09:00 UTC" in good.sentence) == (Weight.NOTE, True)
    world.clock.forward(hours=ONE_TIME_HOURS)
    for name, weight in (("anna", Weight.STOPS), ("keyed", Weight.NOTE)):
        ended = next(found for found in findings(name) if "one-time password" in found.sentence)
        assert ended.sentence.startswith("The one-time password expired 2026-03-05 09:00 UTC")
        assert ended.weight is weight
        assert not any("only the password signs in" in found.sentence for found in findings(name))
    assert not any("At the next sign-in" in found.sentence for found in findings("anna"))


async def test_it_is_no_fresh_proof(world):
    world.user("anna", key=KEY)
    world.one_time_password("anna")
    member = Member(world.first_by_key("anna", KEY.fingerprint).session.id)
    world.clock.forward(minutes=6)
    ask = (credentials.remove_key, member, KEY.fingerprint)
    assert isinstance(world.run(*ask), Denied)
    refused = await credentials.confirm_fresh_password(world.store, member, PASSWORD)
    assert "is only for signing in" in refused.message
    assert isinstance(world.run(*ask), Denied)
