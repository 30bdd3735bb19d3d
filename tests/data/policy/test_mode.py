"""The account's mode: previewed, changed upon what was seen, and never by someone not enrolled."""

from itertools import product

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.policy import policy_settings
from data.operations.results import Denied, Done
from data.operations.users import user_summaries
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Mode, Status
from data.storage import models

OFF, OPTIONAL, REQUIRED, PERMANENT = Mode


@pytest.fixture
def crowd(world: World) -> World:
    """Some of each: enrolled, required, free, locked, deactivated; and the pending `admin`."""
    for name in ("enrolled1", "enrolled2"):
        world.enrol(world.user(name))
    world.user("required1", required=True)
    for name in ("free1", "free2", "free3"):
        world.user(name)
    world.enrol(world.user("locked1"))
    world.set("locked1", locked_at=world.clock.now)
    world.user("gone1", required=True)
    world.set("gone1", active=False)
    return world


def set_mode(world, actor, mode, seen=OPTIONAL):
    return world.run(policy_settings.set_mode, actor, mode, seen=seen)


def test_preview_counts_the_affected(crowd):
    counted = {
        mode: (view.ready, view.pending, view.not_asked)
        for mode in Mode
        if (view := crowd.run(policy_settings.preview_mode, OPERATOR, mode))
    }
    assert counted == {OFF: (0, 0, 7), OPTIONAL: (2, 2, 3), REQUIRED: (2, 5, 0), PERMANENT: (2, 5, 0)}


def test_preview_names_the_first_pending(crowd):
    """It changes nothing."""
    before = crowd.dump()
    preview = crowd.run(policy_settings.preview_mode, OPERATOR, REQUIRED)
    assert preview.pending_names == ("admin", "free1", "free2", "free3", "required1")
    assert (preview.before, preview.after, preview.refusal) == (OPTIONAL, REQUIRED, None)
    assert crowd.dump() == before


@pytest.mark.parametrize("mode", [OFF, OPTIONAL, REQUIRED])
def test_what_the_preview_says_is_what_comes_true(crowd, mode):
    preview = crowd.run(policy_settings.preview_mode, OPERATOR, mode)
    crowd.mode(mode)
    page = crowd.run(user_summaries.list_users, OPERATOR, UserQuery(status=Status.PENDING))
    assert tuple(row.name for row in page.rows)[: policy_settings.NAMED_PEOPLE] == preview.pending_names
    assert crowd.run(policy_settings.show_policy, OPERATOR).people.get(Status.ENABLED, 0) == preview.ready


def test_the_preview_says_whether_you_are_among_them(crowd):
    chief = crowd.person("chief", SECURITY)
    crowd.mode(OFF)
    helper = crowd.person("helper", SUPPORT)
    assert crowd.run(policy_settings.preview_mode, helper, REQUIRED).you_must_set_up
    assert crowd.run(policy_settings.preview_mode, helper, OPTIONAL).you_must_set_up
    assert not crowd.run(policy_settings.preview_mode, helper, OFF).you_must_set_up
    crowd.mode(OPTIONAL)
    assert not crowd.run(policy_settings.preview_mode, chief, REQUIRED).you_must_set_up


@pytest.mark.feature("who-turns-on")
def test_the_preview_says_why_the_asker_cannot(crowd):
    boss = crowd.person("boss", SYSTEM)
    assert "security administrator" in crowd.run(policy_settings.preview_mode, boss, REQUIRED).refusal
    assert crowd.run(policy_settings.preview_mode, boss, OFF).refusal is None
    chief = crowd.person("chief", SECURITY)
    assert crowd.run(policy_settings.preview_mode, chief, OPTIONAL).refusal == "The mode is already optional."


@pytest.mark.parametrize(("before", "after"), [pair for pair in product(Mode, Mode) if PERMANENT not in pair])
def test_every_change_between_open_modes(world, before, after):
    """Each works and is audited once."""
    chief = world.person("chief", SECURITY)
    world.mode(before)
    result = set_mode(world, chief, after, seen=before)
    if before is after:
        assert isinstance(result, Denied)
        return
    assert result == Done(f"The mode is now {after.value}.")
    entry = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()
    assert (entry.event, entry.actor) == ("policy.mode_changed", "chief")
    assert world.run(policy_settings.show_policy, chief).policy.mode is after


@pytest.mark.feature("two-editors")
def test_change_needs_the_mode_that_was_seen(world):
    """A change fails if the mode is no longer the one that was seen."""
    chief, other = world.person("chief", SECURITY), world.person("other", SECURITY)
    set_mode(world, other, REQUIRED)
    before = world.dump()
    denied = set_mode(world, chief, OFF, seen=OPTIONAL)
    assert "Someone else changed the mode to required" in denied.message
    assert world.dump() == before


def test_unenrolled_administrator_cannot_require(world):
    chief = world.person("chief", SECURITY)
    world.mode(OFF)
    models.Factor.delete().execute()
    world.set("chief", lost_factor=True)
    denied = set_mode(world, chief, REQUIRED, seen=OFF)
    assert "Set up two-factor authentication for yourself first" in denied.message
    assert models.Account.get().mode == "off"
    assert world.run(policy_settings.preview_mode, chief, REQUIRED).refusal == denied.message


def test_administrator_without_factor_changes_nothing(world):
    world.mode(OFF)
    chief = world.person("chief", SECURITY)
    for mode in (OPTIONAL, REQUIRED):
        denied = set_mode(world, chief, mode, seen=OFF)
        assert "you have not set up a second factor" in denied.message
    assert models.Account.get().mode == "off"


def test_operator_can_require(world):
    assert isinstance(set_mode(world, OPERATOR, REQUIRED), Done)


@pytest.mark.feature("off-rests")
def test_turning_off_keeps_factors(crowd):
    factors = models.Factor.select().count()
    set_mode(crowd, OPERATOR, OFF)
    set_mode(crowd, OPERATOR, OPTIONAL, seen=OFF)
    assert models.Factor.select().count() == factors
    assert crowd.run(user_summaries.user_detail, OPERATOR, "enrolled1").status is Status.ENABLED
