"""One act on many users: one transaction, and whoever it does not reach is named."""

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.actors import Member
from data.operations.results import Denied, FreshProofNeeded
from data.operations.users import bulk_actions, user_summaries
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.storage import models


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
