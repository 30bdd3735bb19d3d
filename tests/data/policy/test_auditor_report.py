"""What an auditor is told: adoption, who has no second factor, and exceptions since when and by whom."""

from datetime import timedelta

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, statements

from data.operations.maintenance import accounts
from data.operations.policy import auditor_report, overview, policy_settings
from data.operations.policy.auditor_report import Exempt
from data.operations.policy.overview import Group, StatusCounts
from data.operations.results import Denied
from data.operations.signin import enrolment
from data.operations.users import deletion, factor_administration, practices
from data.operations.users.lifecycle import NewUser
from data.rules.domain_types import Mode, Status


def furnish(world):
    """Put people of every kind into two practices."""
    world.run(practices.add_practice, OPERATOR, "North")
    admin = world.enrol("admin")
    for name in ("anna", "ben", "carl", "dora", "emil", "gone"):
        world.user(name)
    world.user("chief", SYSTEM, SECURITY)
    for name in ("ben", "carl"):
        world.enrol(name)
        world.run(practices.move_user, OPERATOR, name, "North")
    world.set("dora", required=True)
    world.set("gone", active=False)
    world.lock("carl")
    return admin


@pytest.mark.feature("report")
def test_adoption_by_practice_and_role(world):
    """It is counted from the rows, and agrees with what the overview was told."""
    admin = furnish(world)
    seen = world.run(auditor_report.summarise, admin)
    assert seen.account == "Clinic"
    assert seen.everyone == StatusCounts(enabled=2, pending=2, no=2, locked=1)
    assert seen.practices == (
        Group("Main", StatusCounts(enabled=1, pending=2, no=2)),
        Group("North", StatusCounts(enabled=1, locked=1)),
    )
    administrators = StatusCounts(enabled=1, pending=1)
    assert seen.roles == (
        Group("support", StatusCounts()),
        Group("system administrator", administrators),
        Group("security administrator", administrators),
        Group("no role", StatusCounts(enabled=1, pending=1, no=2, locked=1)),
    )
    for mode in Mode:
        world.mode(mode)
        told, shown = (
            world.run(operation, OPERATOR) for operation in (auditor_report.summarise, overview.show_overview)
        )
        assert told.everyone == shown.counts
        assert sorted(told.practices, key=str) == sorted(shown.practices, key=str)


@pytest.mark.feature("report")
def test_one_practice(world):
    admin = furnish(world)
    north = world.run(auditor_report.summarise, admin, "north")
    assert north.practices == (Group("North", StatusCounts(enabled=1, locked=1)),)
    assert north.everyone == north.roles[-1].counts == north.practices[0].counts
    assert world.run(auditor_report.list_unprotected, admin, "North") == ()
    for ask in (auditor_report.summarise, auditor_report.list_unprotected, auditor_report.list_exceptions):
        assert isinstance(world.run(ask, admin, "South"), Denied)


def test_settings_say_since_when_and_by_whom(world):
    began = world.clock.now
    admin = world.enrol("admin")
    world.clock.forward(minutes=3)
    world.run(policy_settings.set_mode, admin, Mode.REQUIRED, seen=Mode.OPTIONAL)
    mode, methods, _ = world.run(auditor_report.summarise, OPERATOR).settings
    assert (mode.value, mode.since, mode.by) == ("required", world.clock.now, "admin")
    assert (methods.value, methods.since, methods.by) == ("authenticator app", began, "operator:root")


@pytest.mark.feature("report")
def test_who_has_no_second_factor(world):
    """Page by page by name, whatever the mode; who is deactivated or of another account is not there."""
    admin = furnish(world)
    eve = NewUser("eve", "eve@other.example", password_hash="hash")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", eve)
    found, after = [], ""
    while page := world.run(auditor_report.list_unprotected, admin, after=after, limit=2):
        assert len(page) <= 2
        found += [(row.name, row.practice, row.status, len(row.roles)) for row in page]
        after = page[-1].name
    assert found == [
        ("anna", "Main", Status.NO, 0),
        ("chief", "Main", Status.PENDING, 2),
        ("dora", "Main", Status.PENDING, 0),
        ("emil", "Main", Status.NO, 0),
    ]


def exceptions(world, **options):
    found, after = [], ""
    while after is not None:
        page = world.run(auditor_report.list_exceptions, OPERATOR, after=after, **options)
        found += [(row.name, row.exempt, row.since, row.by) for row in page.rows]
        after = page.following
    return found


@pytest.mark.feature("report")
def test_exceptions_since_when_and_by_whom(world):
    """Of several events the newest one counts; who has set 2FA up again is no exception."""
    admin = world.enrol("admin")
    for name in ("anna", "ben", "carl", "dora", "emil", "fritz"):
        world.enrol(world.user(name))
    world.clock.forward(minutes=1)
    began = world.clock.now
    world.run(factor_administration.set_required, admin, "anna", required=True)
    world.clock.forward(minutes=1)
    world.run(factor_administration.clear_two_factor, OPERATOR, "ben")
    world.run(factor_administration.clear_two_factor, OPERATOR, "fritz")
    world.clock.forward(minutes=1)
    world.run(factor_administration.disable_two_factor, OPERATOR, "ben")
    world.run(enrolment.turn_off, world.session("carl"))
    turned_off = world.clock.now
    world.run(factor_administration.disable_two_factor, OPERATOR, "dora")
    world.session("fritz")  # Sets it up again on the way.
    world.user("gus", required=True)
    expected = [
        ("anna", Exempt.REQUIRED, began, "admin"),
        ("ben", Exempt.DISABLED, began + timedelta(minutes=2), "operator:root"),
        ("carl", Exempt.TURNED_OFF, turned_off, "carl"),
        ("dora", Exempt.DISABLED, turned_off, "operator:root"),
        ("gus", Exempt.REQUIRED, world.clock.now, "operator:root"),
    ]
    assert exceptions(world) == exceptions(world, limit=2) == expected
    world.mode(Mode.REQUIRED)
    assert [row[0] for row in exceptions(world)] == ["ben", "carl", "dora"]


def test_an_earlier_user_of_the_same_name_tells_nothing(world):
    world.enrol(world.user("anna"))
    world.run(factor_administration.disable_two_factor, OPERATOR, "anna")
    assert len(exceptions(world)) == 1
    world.run(deletion.delete_user, OPERATOR, "anna")
    world.clock.forward(days=8)
    world.user("anna")
    assert exceptions(world) == []


@pytest.mark.feature("report")
def test_one_report_of_a_user_at_a_time(world):
    """The pages of a user's report are an export."""
    admin = furnish(world)
    first = world.run(auditor_report.list_unprotected, admin, limit=1)
    refused = world.run(auditor_report.list_exceptions, admin, limit=1)
    assert isinstance(refused, Denied)
    assert "Another export of yours" in refused.message
    while first:
        first = world.run(auditor_report.list_unprotected, admin, after=first[-1].name, limit=1)
    assert not isinstance(world.run(auditor_report.list_exceptions, admin), Denied)


@pytest.mark.feature("report")
@pytest.mark.only_on("sqlite")
def test_page_is_read_in_the_order_of_names(world):
    """Otherwise each page would read and sort all users. PostgreSQL chooses by the number of rows."""
    admin = world.enrol("admin")
    for ask in (auditor_report.list_unprotected, auditor_report.list_exceptions):
        with statements(world) as seen:
            world.run(ask, admin)
        (page,) = [statement for statement in seen if '"full_name"' in statement and "LIMIT" in statement]
        plan = world.database.execute_sql(f"EXPLAIN QUERY PLAN {page}", [None] * page.count("?"))
        assert not any("TEMP B-TREE" in step[3] for step in plan)
