"""One act on many users: parts that are one transaction each, and whoever it does not reach is named."""

import json

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.actors import Member
from data.operations.results import Denied, FreshProofNeeded
from data.operations.users import bulk_actions, practices, user_summaries
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.storage import models
from data.store import StoreUnavailableError


def act(world: World, actor, names, what: Bulk):
    return world.run(bulk_actions.act_on_many, actor, names, what)


@pytest.mark.feature("bulk-refused")
def test_require_names_the_refused(world):
    """It reaches everyone it can and names the others."""
    me = world.person("me", SECURITY)
    world.user("anna")
    world.user("ben", required=True)
    world.user("boss", SYSTEM)
    result = act(world, me, ["anna", "ben", "boss", "nobody", "anna"], Bulk.REQUIRE)
    assert result.done == ("anna",)
    assert [name for name, _ in result.refused] == ["ben", "boss", "nobody"]
    assert "already" in result.refused[0][1]
    assert "holds a role that you do not" in result.refused[1][1]
    assert world.row("anna").required
    assert not world.row("boss").required
    assert world.events(user="anna", last=1) == ["two_factor.required"]


@pytest.mark.feature("bulk")
def test_clear_asks_for_a_fresh_code_first(world):
    """The code is asked before anything is changed."""
    me = world.person("me", SYSTEM)
    world.enrol(world.user("anna"))
    world.clock.forward(hours=1)
    before = world.dump()
    assert isinstance(act(world, me, ["anna"], Bulk.CLEAR), FreshProofNeeded)
    assert world.dump() == before


def test_clearing_many_leaves_oneself_alone(world):
    me = world.person("me", SYSTEM)
    for name in ("anna", "ben"):
        world.enrol(world.user(name))
    result = act(world, me, ["anna", "me", "ben"], Bulk.CLEAR)
    assert result.done == ("anna", "ben")
    assert [name for name, _ in result.refused] == ["me"]
    assert models.Factor.select().count() == 1
    assert isinstance(world.run(user_summaries.my_profile, me), user_summaries.Profile)


def test_deactivate_spares_oneself_and_last_admins(world):
    me = world.person("me", SYSTEM)
    world.user("anna")
    result = act(world, me, ["anna", "admin", "me"], Bulk.DEACTIVATE)
    assert result.done == ("anna",)
    assert dict(result.refused).keys() == {"admin", "me"}
    assert not world.row("anna").active
    result = act(world, OPERATOR, ["admin", "me"], Bulk.DEACTIVATE)
    assert "last active" in dict(result.refused)["admin"]
    assert world.row("admin").active


def test_users_of_another_account_are_no_such_users(world):
    me = world.person("me", SYSTEM)
    world.user("stranger")
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    world.set("stranger", account=other, practice=models.Practice.create(account=other, name="Main"))
    assert act(world, me, ["stranger"], Bulk.DEACTIVATE) == BulkResult(
        (), (("stranger", "The user was not found."),)
    )


@pytest.mark.feature("bulk")
def test_it_is_one_transaction(world, monkeypatch):
    me = world.person("me", SYSTEM)
    for name in ("anna", "ben"):
        world.user(name)
    original = bulk_actions.set_active

    def failing(tx, actor, name, *, active):
        if name == "ben":
            raise KeyError(name)
        return original(tx, actor, name, active=active)

    monkeypatch.setattr(bulk_actions, "set_active", failing)
    before = world.dump()
    with pytest.raises(KeyError):
        act(world, me, ["anna", "ben"], Bulk.DEACTIVATE)
    assert world.dump() == before


def test_nobody_acts_on_many_without_the_role(world):
    member = world.person("user")
    world.user("anna")
    assert isinstance(member, Member)
    for what in Bulk:
        assert isinstance(act(world, member, ["anna"], what), Denied)


@pytest.mark.feature("bulk-more")
def test_disabling_many_is_like_disabling_each(world):
    me = world.person("me", SYSTEM)
    world.enrol(world.user("anna", required=True))
    world.user("boss", SECURITY)
    result = act(world, me, ["anna", "boss", "me"], Bulk.DISABLE)
    assert result.done == ("anna",)
    assert [name for name, _ in result.refused] == ["boss", "me"]
    assert (world.row("anna").required, models.Factor.select().count()) == (False, 1)
    assert world.events(user="anna", last=1) == ["two_factor.disabled"]


@pytest.mark.feature("bulk-more")
def test_unlocking_many_logs_the_reason_for_each(world):
    me = world.person("me", SYSTEM)
    for name in ("anna", "ben", "eve"):
        world.user(name)
    for name in ("anna", "ben"):
        world.set(name, locked_at=world.clock.now)
    refused = act(world, me, ["anna"], Bulk.UNLOCK)
    assert refused == BulkResult((), (("anna", "Enter a reason; it is logged. At most 120 characters."),))
    result = world.run(bulk_actions.act_on_many, me, ["anna", "ben", "eve"], Bulk.UNLOCK, "old phones")
    assert result == BulkResult(("anna", "ben"), (("eve", "User eve is not locked."),))
    assert world.row("ben").locked_at is None
    for name in ("anna", "ben"):
        entry = (
            models.AuditEntry.select()
            .where(models.AuditEntry.user == name)
            .order_by(models.AuditEntry.id.desc())
            .get()
        )
        assert (entry.event, json.loads(entry.detail)["reason"]) == ("user.unlocked", "old phones")


@pytest.mark.feature("bulk-more")
def test_moving_many(world):
    me = world.person("me", SYSTEM)
    world.run(practices.add_practice, OPERATOR, "North")
    for name in ("anna", "ben"):
        world.user(name)
    world.run(practices.move_user, OPERATOR, "ben", "North")
    result = world.run(bulk_actions.act_on_many, me, ["anna", "ben"], Bulk.MOVE, "North")
    assert result == BulkResult(("anna",), (("ben", "User ben is already in practice North."),))
    assert world.row("anna").practice.name == "North"
    assert world.events(user="anna", last=1) == ["user.moved"]


@pytest.mark.feature("bulk-more")
async def test_one_time_passwords_for_many(world):
    """Each is random, works, ends the old password, and is neither logged nor shown by the result."""
    me = world.person("me", SYSTEM)
    for name in ("anna", "ben", "boss"):
        world.user(name)
    world.user("chief", SECURITY)
    names = ["anna", "ben", "chief", "me"]
    result = await bulk_actions.carry_out(world.store, me, names, Bulk.PASSWORD)
    assert result.done == ("anna", "ben")
    assert [name for name, _ in result.refused] == ["chief", "me"]
    made = dict(result.passwords)
    assert (set(made), len(set(made.values()))) == ({"anna", "ben"}, 2)
    for name, password in made.items():
        row = world.row(name)
        assert world.services.hasher.verify(row.password_hash, password)
        assert row.one_time_until > world.clock.now
        assert world.events(user=name, last=1) == ["password.one_time_set"]
        assert password not in repr(result)
    dumped = repr(world.dump())
    assert not any(password in dumped for password in made.values())


@pytest.mark.feature("bulk-more")
async def test_too_many_passwords_at_once(world):
    me = world.person("me", SYSTEM)
    names = [f"u{number}" for number in range(bulk_actions.MOST_PASSWORDS + 1)]
    result = await bulk_actions.carry_out(world.store, me, names, Bulk.PASSWORD)
    assert isinstance(result, Denied)
    assert "at most 200 users" in result.message


@pytest.mark.feature("bulk-parts")
async def test_parts_can_be_stopped_between(world, monkeypatch):
    """What was done stays done, and whose turn did not come is named."""
    monkeypatch.setattr(bulk_actions, "PART", 2)
    me = world.person("me", SYSTEM)
    names = [f"u{number}" for number in range(5)]
    for name in names:
        world.user(name)
    told: list[int] = []
    result = await bulk_actions.carry_out(
        world.store, me, names, Bulk.DEACTIVATE, told.append, goes_on=lambda: len(told) < 2
    )
    assert result == BulkResult(("u0", "u1", "u2", "u3"), (), left=("u4",))
    assert told == [2, 2]
    assert [world.row(name).active for name in names] == [False] * 4 + [True]


@pytest.mark.feature("bulk-parts")
async def test_a_proof_that_ends_between_parts(world, monkeypatch):
    """The parts before it are done; the rest are left, and the actor is told why."""
    monkeypatch.setattr(bulk_actions, "PART", 1)
    me = world.person("me", SYSTEM)
    for name in ("anna", "ben"):
        world.enrol(world.user(name))
    result = await bulk_actions.carry_out(
        world.store, me, ["anna", "ben"], Bulk.CLEAR, lambda _more: world.clock.forward(minutes=6)
    )
    assert (result.done, result.left) == (("anna",), ("ben",))
    assert result.stopped == "A fresh code is needed to go on."
    assert world.events(user="ben", last=1) != ["two_factor.cleared"]


@pytest.mark.feature("bulk-parts")
async def test_a_database_that_fails_between_parts(world, monkeypatch):
    """The passwords of the parts before it are not lost."""
    monkeypatch.setattr(bulk_actions, "_HASHED", 1)
    me = world.person("me", SYSTEM)
    for name in ("anna", "ben"):
        world.user(name)
    original = bulk_actions.act_on_many

    def failing(tx, actor, names, *args, **keywords):
        if tuple(names) == ("ben",):
            raise StoreUnavailableError("disk full")
        return original(tx, actor, names, *args, **keywords)

    monkeypatch.setattr(bulk_actions, "act_on_many", failing)
    result = await bulk_actions.carry_out(world.store, me, ["anna", "ben"], Bulk.PASSWORD)
    assert (result.done, result.left, len(result.passwords)) == (("anna",), ("ben",), 1)
    assert "disk full" in result.stopped
