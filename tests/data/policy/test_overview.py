"""The overview: how far an account is, and what needs attention."""

from datetime import timedelta

import pytest
from support.database import OPERATOR, SECURITY, START, SUPPORT, SYSTEM, World

from data.operations.policy import overview
from data.operations.policy.overview import Attention, Concern, Group, Overview, StatusCounts
from data.operations.results import Denied
from data.operations.users import lifecycle, practices
from data.rules.domain_types import Mode


def look(world: World, actor=OPERATOR) -> Overview:
    found = world.run(overview.show_overview, actor)
    assert isinstance(found, Overview), found
    return found


@pytest.fixture
def mixed(world: World) -> World:
    """Give every status to someone: admin is pending, anna enabled, ben no, cleo locked, dora deactivated."""
    for name in ("anna", "cleo"):
        world.user(name)
        world.enrol(name)
    world.lock("cleo")
    world.user("ben")
    world.user("dora")
    world.run(lifecycle.set_active, OPERATOR, "dora", active=False)
    return world


@pytest.mark.feature("overview")
def test_people_by_status(mixed):
    assert look(mixed).counts == StatusCounts(enabled=1, pending=1, no=1, locked=1)
    assert look(mixed).counts.share_enabled == 0.25
    mixed.mode(Mode.REQUIRED)
    assert look(mixed).counts == StatusCounts(enabled=1, pending=2, no=0, locked=1)
    mixed.mode(Mode.OFF)
    assert look(mixed).counts == StatusCounts(enabled=1, pending=0, no=2, locked=1)


@pytest.mark.feature("overview")
def test_people_by_practice_and_role(mixed):
    mixed.run(practices.add_practice, OPERATOR, "North Wing")
    mixed.run(practices.move_user, OPERATOR, "anna", "North Wing")
    mixed.user("eve", SUPPORT)
    seen = look(mixed)
    assert seen.practice_count == 2
    assert seen.practices == (
        Group("Main", StatusCounts(pending=2, no=1, locked=1)),
        Group("North Wing", StatusCounts(enabled=1)),
    )
    assert seen.roles == (
        Group("support", StatusCounts(pending=1)),
        Group("system administrator", StatusCounts(pending=1)),
        Group("security administrator", StatusCounts(pending=1)),
    )


@pytest.mark.feature("overview")
def test_signins_by_day(world):
    world.user("anna")
    world.enrol("anna")
    world.clock.forward(days=1)
    attempt = world.attempt("anna")
    world.submit(attempt, world.wrong_code("anna"))
    world.session("anna")
    world.clock.forward(days=1)
    days = look(world).days
    assert [day.date for day in days] == [START.date() + timedelta(days=n) for n in range(-27, 3)]
    assert [(day.successful, day.refused) for day in days[-4:]] == [(0, 0), (1, 0), (1, 1), (0, 0)]


@pytest.mark.feature("attention-list")
def test_what_needs_attention(mixed):
    assert look(mixed).attention[:4] == (
        Attention(Concern.LOCKED, 1),
        Attention(Concern.ADMIN_WITHOUT_FACTOR, 1, role=SECURITY),
        Attention(Concern.ADMIN_WITHOUT_FACTOR, 1, role=SYSTEM),
        Attention(Concern.ALONE_IN_ROLE, 1, role=SECURITY),
    )


@pytest.mark.feature("overview")
def test_only_role_holders_may_look(world):
    assert isinstance(world.run(overview.show_overview, world.person("anna")), Denied)
    for role in (SUPPORT, SYSTEM, SECURITY):
        assert look(world, world.person(role.value.replace("_", "-"), role)).counts.total
