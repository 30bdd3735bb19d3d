"""What changed since somebody last looked, told by the heads of the audit log."""

from dataclasses import replace

import pytest
from support.database import OPERATOR

from data.operations.audit.changes import Change, ChangeFeed, changes_since
from data.operations.signin import worker_sessions
from data.operations.users import practices
from data.storage import models
from data.store import Store

pytestmark = pytest.mark.feature("live-screens")


@pytest.fixture
def heads(world):
    return world.run(changes_since, None)[0]


def account() -> int:
    return models.Account.get().id


def test_nothing_happened(world, heads):
    assert world.run(changes_since, heads) == (heads, [])


def test_what_happened_in_each_process(world, heads):
    """Each process has a chain of its own; one whose chain is new can have done anything."""
    other = Store(world.database, replace(world.services, chain="other"))
    other.run_now(practices.add_practice, OPERATOR, "Annex")
    heads, changes = world.run(changes_since, heads)
    assert changes is None
    world.user("dora")
    other.run_now(practices.move_user, OPERATOR, "dora", "Annex")
    heads, changes = world.run(changes_since, heads)
    told = [(each.account, each.event, each.user, each.actor) for each in changes]
    assert sorted(told) == [
        (account(), "user.created", "dora", "operator:root"),
        (account(), "user.moved", "dora", "operator:root"),
    ]
    assert world.run(changes_since, heads) == (heads, [])


def test_more_than_can_be_told_apart(world, heads):
    for number in range(201):
        world.run(practices.add_practice, OPERATOR, f"Practice {number}")
    assert world.run(changes_since, heads)[1] is None


def test_a_process_that_is_gone(world):
    """Its sessions ended without a row of the log."""
    world.run(worker_sessions.beat, "0123456789abcdef", "other")
    heads, _ = world.run(changes_since, None)
    world.run(worker_sessions.beat, "0123456789abcdef", "other")
    assert world.run(changes_since, heads) == (heads, [])
    world.run(worker_sessions.leave, "0123456789abcdef")
    assert world.run(changes_since, heads)[1] is None


def test_whom_a_change_is_about():
    assert Change(1, "user.edited", "ben", "admin").is_about("ben")
    assert Change(1, "user.edited", "ben", "admin").is_about("admin")
    assert Change(1, "policy.mode_changed", None, "admin").is_about("ben")
    assert not Change(1, "user.edited", "ben", "admin").is_about("anna")


async def test_feed_tells_each_who_asks(world, monkeypatch):
    monkeypatch.setattr(ChangeFeed, "SECONDS", 0.0)
    feed = ChangeFeed(world.store)
    early, changes = await feed.since(feed.mark)
    assert changes is None
    assert await feed.since(early) == (early, [])
    world.user("dora")
    middle, changes = await feed.since(early)
    assert [change.user for change in changes] == ["dora"]
    world.user("emil")
    assert [change.user for change in (await feed.since(middle))[1]] == ["emil"]
    assert [change.user for change in (await feed.since(early))[1]] == ["dora", "emil"]
    for number in range(201):
        world.run(practices.add_practice, OPERATOR, f"Practice {number}")
    assert (await feed.since(middle))[1] is None
    late = feed.mark
    world.user("fritz")
    assert (await feed.since(middle))[1] is None
    assert [change.user for change in (await feed.since(late))[1]] == ["fritz"]
