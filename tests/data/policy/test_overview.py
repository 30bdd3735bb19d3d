"""The overview: how far an account is, and what needs attention."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.database import OPERATOR, SECURITY, START, SUPPORT, SYSTEM, World

from data.operations.policy import overview, policy_settings
from data.operations.policy.overview import Attention, Concern, Group, Overview, StatusCounts
from data.operations.results import Denied, Done
from data.operations.signin import enrolment, recovery_codes, sent_codes
from data.operations.users import factor_administration, lifecycle, practices, user_summaries
from data.operations.users.user_search import UserQuery
from data.rules.audit_events import Event
from data.rules.doctor import Finding, Level
from data.rules.domain_types import Method, Mode, Status
from data.storage import models
from data.wording import overview as wording


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


@pytest.mark.parametrize(
    ("enabled", "others", "percent"),
    [(0, 0, 0), (0, 5, 0), (1, 999, 1), (29, 71, 29), (2, 1, 66), (999, 1, 99), (99_999, 1, 99), (7, 0, 100)],
)
def test_percent(enabled, others, percent):
    """None and all are said of none and all alone, and every face says the same."""
    counts = StatusCounts(enabled=enabled, no=others)
    assert counts.percent_enabled == percent
    assert (counts.share_enabled == 1) == (percent == 100)


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


def test_counts_of_days_to_come_are_left_out(world):
    """A clock that was wrong, or a hand in the database, does not end the overview."""
    for day in (models.day_number(world.clock.now) + 1, 99_999_999):
        models.EventCount.insert(
            account_id=1, day=day, event=Event.SIGNED_IN.value, chain="", count=7
        ).execute()
    assert sum(day.successful for day in look(world).days) == 0


def concerns(world: World, concern: Concern) -> list[Attention]:
    return [found for found in look(world).attention if found.concern is concern]


@pytest.mark.feature("attention-list")
def test_what_needs_attention(mixed):
    mixed.methods(Method.APP, Method.EMAIL)
    mixed.clock.forward(days=15)
    anna = mixed.session("anna")
    code = mixed.run(enrolment.send_enrolment_code, anna, mixed.run(enrolment.begin_email, anna))
    mixed.run(sent_codes.record_failure, code, "refused")
    mixed.services.check_up.findings = (
        Finding("disk", Level.PROBLEM, "The disk is full."),
        Finding("clock", Level.FINE, "It is noon."),
    )
    kinds = [(found.concern, found.count, found.role, found.event) for found in look(mixed).attention]
    assert kinds == [
        (Concern.LOCKED, 1, None, None),
        (Concern.PENDING_LONG, 1, None, None),
        (Concern.ADMIN_WITHOUT_FACTOR, 1, SECURITY, None),
        (Concern.ADMIN_WITHOUT_FACTOR, 1, SYSTEM, None),
        (Concern.ALONE_IN_ROLE, 1, SECURITY, None),
        (Concern.ALONE_IN_ROLE, 1, SYSTEM, None),
        (Concern.FAILED_DELIVERIES, 1, None, Event.CODE_NOT_SENT),
        (Concern.DOCTOR, 1, None, None),
    ]
    assert [wording.attention(found) for found in look(mixed).attention] == [
        "1 person is locked.",
        "1 person has been pending for more than 14 days.",
        "1 security administrator has no second factor.",
        "1 system administrator has no second factor.",
        "There is only one security administrator. Appoint a second one.",
        "There is only one system administrator. Appoint a second one.",
        "1 code could not be delivered since yesterday.",
        "The disk is full.",
    ]


@pytest.mark.feature("attention-list")
def test_pending_counts_from_the_standing_and_the_mode(world):
    """Whoever is free is pending since everyone must; whoever must, since there is something to set up."""

    def pending() -> int:
        return sum(found.count for found in concerns(world, Concern.PENDING_LONG))

    def enter(mode: Mode) -> None:
        before = Mode(models.Account.get().mode)
        assert isinstance(world.run(policy_settings.set_mode, OPERATOR, mode, seen=before), Done)

    world.user("anna")
    world.clock.forward(days=14, seconds=1)
    assert pending() == 1
    world.user("ben", required=True)
    enter(Mode.REQUIRED)
    assert pending() == 1
    world.clock.forward(days=14, seconds=1)
    assert pending() == 3
    enter(Mode.OFF)
    assert pending() == 0
    enter(Mode.OPTIONAL)
    world.clock.forward(days=13)
    assert pending() == 0
    world.clock.forward(days=1, seconds=1)
    assert pending() == 2
    found = concerns(world, Concern.PENDING_LONG)[0]
    query = UserQuery(status=Status.PENDING, pending_before=found.pending_before)
    behind = world.run(user_summaries.list_users, OPERATOR, query).rows
    assert [row.name for row in behind] == ["admin", "ben"]
    world.run(factor_administration.set_required, OPERATOR, "ben", required=False)
    world.run(factor_administration.set_required, OPERATOR, "ben", required=True)
    assert pending() == 1


@pytest.mark.feature("attention-list")
def test_more_people_than_are_counted(mixed, monkeypatch):
    monkeypatch.setattr(overview, "COUNTED", 1)
    mixed.mode(Mode.REQUIRED)
    mixed.clock.forward(days=15)
    (found,) = concerns(mixed, Concern.PENDING_LONG)
    assert (found.count, found.more) == (1, True)
    assert wording.attention(found) == "More than 1 people have been pending for more than 14 days."


@pytest.mark.feature("attention-list")
def test_few_recovery_codes(world):
    def few() -> int:
        return sum(found.count for found in concerns(world, Concern.FEW_RECOVERY_CODES))

    world.user("anna")
    member = world.enrol("anna")
    for left, code in zip((4, 3, 2), world.recovery["anna"], strict=False):
        assert few() == 0, left
        world.submit(world.attempt("anna"), code)
    assert few() == 1
    behind = world.run(user_summaries.list_users, OPERATOR, UserQuery(few_recovery_codes=True)).rows
    assert [row.name for row in behind] == ["anna"]
    world.submit(world.attempt("anna"), world.live_code("anna"))
    member = world.session("anna")
    world.run(recovery_codes.renew_recovery_codes, member)
    assert few() == 0


@pytest.mark.feature("attention-list")
def test_what_is_not_set_up_needs_attention(world):
    """The mode off, and a method that nothing can send."""
    world.store.services = replace(world.services, sends=frozenset())
    world.methods(Method.APP, Method.SMS)
    world.mode(Mode.OFF)
    said = [wording.attention(found) for found in concerns(world, Concern.DOCTOR)]
    assert said == [
        "The mode is off. A key or password alone signs in.",
        "Codes by text message are on, but nothing is set up to send them.",
    ]


def test_largest_practices_are_shown(world, monkeypatch):
    monkeypatch.setattr(overview, "PRACTICES", 2)
    for number, name in enumerate(("North", "South", "west")):
        world.run(practices.add_practice, OPERATOR, name)
        for person in range(number):
            world.run(practices.move_user, OPERATOR, world.user(f"u{number}{person}"), name)
    world.user("ben")
    world.user("cleo")
    seen = look(world)
    assert ([group.name for group in seen.practices], seen.practice_count) == (["Main", "west"], 4)


@pytest.mark.feature("overview")
def test_only_role_holders_may_look(world):
    assert isinstance(world.run(overview.show_overview, world.person("anna")), Denied)
    for role in (SUPPORT, SYSTEM, SECURITY):
        assert look(world, world.person(role.value.replace("_", "-"), role)).counts.total
