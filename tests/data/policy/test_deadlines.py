"""The deadline of the mode `required`, and days of grace: both end by themselves, for all faces."""

from datetime import date, timedelta

import pytest
from support.database import OPERATOR, SUPPORT, World, statements, undone

from data.operations.maintenance import clock_jumps, kept_counts
from data.operations.policy import auditor_report, deadlines, overview, permanent_mode, policy_settings
from data.operations.policy.overview import Concern
from data.operations.results import Denied, Done, SessionOver
from data.operations.signin.admission import Admitted
from data.operations.users import (
    factor_administration,
    invitations,
    lifecycle,
    signin_explanation,
    user_export,
    user_summaries,
)
from data.operations.users.user_search import UserQuery
from data.rules.deadline import begins
from data.rules.doctor import Level
from data.rules.domain_types import Mode, Status
from data.rules.policy import MustEnrol, SignedIn
from data.storage import models

pytestmark = pytest.mark.feature("deadline")

DEADLINE = date(2026, 3, 13)
"""The worlds begin at nine on the second: eleven days before, of which the first has begun."""
LATER = date(2026, 4, 1)


def require(world: World, day: date | None = DEADLINE) -> Done:
    done = world.run(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, seen=Mode.OPTIONAL, day=day)
    assert isinstance(done, Done), done
    return done


def move(world: World, day: date | None, reason: str = "") -> Done | Denied:
    seen = models.Account.get().deadline
    return world.run(deadlines.set_deadline, OPERATOR, day, seen=seen, reason=reason)


def until(world: World, day: date, **before: float) -> None:
    """Move the clock to so long before a day begins."""
    world.clock.now = world.clock.now.replace(year=day.year, month=day.month, day=day.day, hour=0)
    world.clock.forward(**{unit: -count for unit, count in before.items()})


@pytest.fixture
def people(world: World) -> World:
    """Some of each: enrolled, required, free, and the operator's `admin`, who must set up too."""
    world.enrol(world.user("eva"))
    world.user("rob", required=True)
    for name in ("fay", "flo"):
        world.user(name)
    return world


def seen(world: World) -> dict[str, set[str]]:
    """Return who has which status; every list, count and filter says the same, and counts agree with rows."""
    page = world.run(user_summaries.list_users, OPERATOR, UserQuery(limit=500))
    found: dict[str, set[str]] = {}
    for row in page.rows:
        found.setdefault(row.status.value, set()).add(row.name)
        assert world.run(user_summaries.user_detail, OPERATOR, row.name).status is row.status
    for status in Status:
        for search in ("", "clinic"):
            query = UserQuery(status=status, search=search, limit=500)
            named = {row.name for row in world.run(user_summaries.list_users, OPERATOR, query).rows}
            assert named == found.get(status.value, set())
    exported = world.run(user_export.export_people, OPERATOR).records
    assert {(row.name, row.status) for row in exported} == {(row.name, row.status) for row in page.rows}
    counts = world.run(overview.show_overview, OPERATOR).counts
    expected = tuple(
        len(found.get(status.value, ()))
        for status in (Status.ENABLED, Status.PENDING, Status.NO, Status.LOCKED)
    )
    assert counts.by_status == expected
    report = world.run(auditor_report.summarise, OPERATOR)
    assert report.everyone == counts
    practices = world.run(overview.show_overview, OPERATOR).practices
    assert {group.name: group.counts for group in practices if group.counts.total} == {
        group.name: group.counts for group in report.practices if group.counts.total
    }
    view = world.run(policy_settings.show_policy, OPERATOR)
    assert view.people == {status: len(found[status.value]) for status in Status if status.value in found}
    asked = world.run(invitations.names_of, OPERATOR, invitations.Group.MUST_SET_UP)
    assert set(asked) == found.get(Status.PENDING.value, set())
    assert world.lags() == []
    return found


def step(world: World, name: str):
    result = world.first(name)
    assert isinstance(result, Admitted), result
    return result.session.step


def test_until_the_deadline_nothing_is_asked(people):
    """Sign-ins go on and say how many days are left; at the deadline all changes, and nothing is written."""
    assert require(people).message == "The mode is now required from 2026-03-13."
    assert seen(people) == {
        "Enabled": {"eva"},
        "No": {"fay", "flo"},
        "Pending setup on next login": {"admin", "rob"},
    }
    for days, hours in ((11, 10 * 24 + 15), (2, 47), (1, 1)):
        until(people, DEADLINE, hours=hours)
        session = people.first("fay").session
        assert (session.step, session.days_left) == (SignedIn(), days)
        assert people.run(policy_settings.show_policy, OPERATOR).days_left == days
        assert people.run(user_summaries.user_detail, OPERATOR, "fay").days_left == days
        told = people.run(signin_explanation.explain_user, OPERATOR, "fay").reasons
        assert any("day" in reason.sentence and "left to set up" in reason.sentence for reason in told)
    assert people.attempt("eva")
    assert isinstance(step(people, "rob"), MustEnrol)
    fay = people.session("fay")
    before = people.dump()
    until(people, DEADLINE)
    assert seen(people) == {"Enabled": {"eva"}, "Pending setup on next login": {"admin", "rob", "fay", "flo"}}
    assert people.run(policy_settings.show_policy, OPERATOR).days_left is None
    assert isinstance(people.run(user_summaries.my_profile, fay), SessionOver)
    after = people.dump()
    assert {name for name in before if before[name] != after[name]} <= {"lease"}
    session = people.first("fay").session
    assert (session.step, session.days_left) == (MustEnrol(), None)


def test_who_has_been_pending_for_long(people):
    """Whoever could wait for the deadline has been pending since then, and no longer."""
    require(people)
    for days, expected in ((13, 2), (15, 4)):
        until(people, DEADLINE, days=-days)
        found = people.run(overview.show_overview, OPERATOR).attention
        assert [one.count for one in found if one.concern is Concern.PENDING_LONG] == [expected]
        query = UserQuery(pending_before=people.clock.now - overview.PENDING_FOR)
        assert people.run(user_summaries.list_users, OPERATOR, query).total == expected


def test_a_clock_that_goes_back_undoes_no_deadline(people):
    require(people)
    until(people, DEADLINE)
    assert isinstance(step(people, "fay"), MustEnrol)
    until(people, DEADLINE, days=5)
    assert isinstance(step(people, "flo"), MustEnrol)
    assert "No" not in seen(people)
    (ahead,) = people.run(clock_jumps.list_ahead, OPERATOR)
    assert ahead.until == begins(DEADLINE)
    # The operator says that the clock is right now; so does an administrator who sets a mode or a deadline.
    with undone(people):
        assert isinstance(people.run(clock_jumps.bring_back, OPERATOR), Done)
        assert step(people, "flo") == SignedIn()
        assert people.run(clock_jumps.list_ahead, OPERATOR) == ()
    with undone(people):
        assert isinstance(change(people, Mode.OPTIONAL), Done)
        assert people.run(clock_jumps.list_ahead, OPERATOR) == ()
    assert isinstance(move(people, LATER, "the clock was wrong"), Done)
    assert step(people, "flo") == SignedIn()


def test_no_more_statements_on_the_way_in(people):
    """A sign-in under a deadline costs what it costs without one."""

    def cost(name: str) -> int:
        with statements(people) as run:
            people.first(name)
        return len(run)

    for name in ("fay", "rob"):
        people.first(name)
    before = cost("fay"), cost("rob")
    require(people)
    people.run(deadlines.set_grace_days, OPERATOR, 7, seen=0)
    cost("rob")  # The first of an hour notes the hour.
    assert (cost("fay"), cost("rob")) == before


def test_the_preview_says_who_has_until_then(people):
    preview = people.run(policy_settings.preview_mode, OPERATOR, Mode.REQUIRED, DEADLINE)
    assert (preview.ready, preview.pending, preview.pending_names) == (1, 2, ("admin", "rob"))
    assert (preview.not_asked, preview.not_asked_names, preview.days_left) == (2, ("fay", "flo"), 11)


def test_brought_forward_and_put_off(people):
    """Earlier needs no reason; later does, is counted and logged, also once the deadline has passed."""
    require(people)
    assert "already" in move(people, DEADLINE).message
    assert "must be after today" in move(people, date(2026, 3, 2)).message
    assert move(people, date(2026, 3, 10)).message == "The mode is now required from 2026-03-10."
    assert people.events(last=1) == ["policy.deadline_changed"]
    assert isinstance(move(people, DEADLINE), Denied)
    assert isinstance(move(people, DEADLINE, " "), Denied)
    assert isinstance(move(people, DEADLINE, "New phones are late"), Done)
    until(people, DEADLINE)
    assert isinstance(move(people, LATER), Denied)
    assert isinstance(move(people, LATER, "Still late"), Done)
    assert people.events(last=1) == ["policy.deadline_put_off"]
    entry = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).first()
    assert "Still late" in entry.detail
    view = people.run(policy_settings.show_policy, OPERATOR)
    assert (view.put_off, view.policy.deadline.date()) == (2, LATER)
    # Someone who saw the former deadline decides about another one.
    stale = people.run(deadlines.set_deadline, OPERATOR, None, seen=None)
    assert "in the meantime" in stale.message
    assert move(people, None).message == "The mode is now required."
    assert isinstance(step(people, "fay"), MustEnrol)


def change(world: World, mode: Mode, day: date | None = None, reason: str = "") -> Done | Denied:
    seen = world.run(policy_settings.show_policy, OPERATOR).policy.mode
    return world.run(policy_settings.set_mode, OPERATOR, mode, seen=seen, day=day, reason=reason)


def test_putting_off_by_way_of_another_mode(people):
    """A deadline stays known after the mode was left before it, and is of no other use."""
    require(people)
    for mode in (Mode.OPTIONAL, Mode.OFF, Mode.OPTIONAL):
        assert change(people, mode).message == f"The mode is now {mode.value}."
    assert people.run(policy_settings.show_policy, OPERATOR).deadline_ahead is None
    assert people.run(overview.show_overview, OPERATOR).deadline is None
    assert len(people.run(permanent_mode.show_checklist, OPERATOR).items) == 3
    until(people, DEADLINE, hours=-5)
    assert seen(people)["No"] == {"fay", "flo"}
    assert step(people, "fay") == SignedIn()
    assert models.Account.get().seen_at < begins(DEADLINE)
    preview = people.run(policy_settings.preview_mode, OPERATOR, Mode.REQUIRED, LATER)
    assert (preview.puts_off, preview.deadline_before) == (True, begins(DEADLINE))
    for unsaid in ("", " ", "x" * 201):
        assert "give a reason" in change(people, Mode.REQUIRED, LATER, unsaid).message
    assert models.Account.get().mode == Mode.OPTIONAL.value
    assert isinstance(change(people, Mode.REQUIRED, LATER, "Late phones"), Done)
    assert people.events(last=2) == ["policy.deadline_put_off", "policy.mode_changed"]
    entry = models.AuditEntry.select().where(models.AuditEntry.event == "policy.deadline_put_off").get()
    assert all(said in entry.detail for said in (str(DEADLINE), str(LATER), "Late phones"))
    assert people.run(policy_settings.show_policy, OPERATOR).put_off == 1
    # Not later needs no reason, and the count goes on; so does a day after the mode was required at once.
    for day in (LATER, date(2026, 3, 20), None):
        change(people, Mode.OPTIONAL)
        assert isinstance(change(people, Mode.REQUIRED, day), Done)
    assert models.Account.get().put_off == 1
    # Left after the deadline has passed, nothing is known of it.
    change(people, Mode.OPTIONAL)
    assert (models.Account.get().deadline, models.Account.get().put_off) == (None, 0)
    assert isinstance(change(people, Mode.REQUIRED, LATER), Done)


def test_no_deadline_is_further_ahead_than_two_years(people):
    """The refusal says the latest day, also on the last day of February in a leap year."""
    people.clock.now = people.clock.now.replace(year=2028, month=2, day=29)
    latest = date(2030, 2, 28)
    for day in (latest + timedelta(days=1), date.max):
        refused = change(people, Mode.REQUIRED, day)
        assert refused.message == "The date must be at most 2 years ahead: 2030-02-28 or earlier."
    require(people, latest)
    assert "2030-02-28 or earlier" in move(people, latest + timedelta(days=1), "far").message


def test_permanent_only_after_the_deadline(people):
    require(people)
    (item,) = people.run(permanent_mode.show_checklist, OPERATOR).items[3:]
    assert (item.met, item.sentence) == (False, "The deadline has passed: it is 2026-03-13")
    refused = people.run(
        policy_settings.set_mode, OPERATOR, Mode.PERMANENT, seen=Mode.REQUIRED, confirmation="Clinic"
    )
    assert isinstance(refused, Denied)
    until(people, DEADLINE)
    assert len(people.run(permanent_mode.show_checklist, OPERATOR).items) == 3


@pytest.mark.feature("grace-days")
def test_days_of_grace(people):
    """They are for people created under `required`, from their creation, and end by themselves."""
    people.user("before")
    require(people, None)
    assert isinstance(people.run(deadlines.set_grace_days, OPERATOR, 15, seen=0), Denied)
    assert isinstance(people.run(deadlines.set_grace_days, OPERATOR, 3, seen=0), Done)
    people.clock.forward(minutes=20)
    models.Practice.create(account=models.Account.get(), name="South")
    people.user("nick")
    people.run(
        lifecycle.create_user, OPERATOR, lifecycle.NewUser("nora", "nora@clinic.example", practice="South")
    )
    people.set("nora", password_hash=people.row("nick").password_hash)
    people.user("head", SUPPORT)
    people.user("flagged", required=True)
    spared = {"nick", "nora"}
    assert seen(people)["No"] == spared
    session = people.first("nick").session
    assert (session.step, session.days_left) == (SignedIn(), 3)
    assert isinstance(step(people, "before"), MustEnrol)
    # The flag ends it, and so does any factor that they ever had.
    people.run(factor_administration.set_required, OPERATOR, "nora", required=True)
    assert seen(people)["No"] == {"nick"}
    people.run(factor_administration.set_required, OPERATOR, "nora", required=False)
    people.user("once")
    people.enrol("once")
    people.run(factor_administration.disable_two_factor, OPERATOR, "once")
    assert isinstance(step(people, "once"), MustEnrol)
    assert seen(people)["No"] == spared
    people.clock.forward(days=3, minutes=39)
    assert seen(people)["No"] == spared
    people.clock.forward(minutes=1)
    assert "No" not in seen(people)
    assert isinstance(step(people, "nick"), MustEnrol)
    people.clock.forward(days=-1)
    assert isinstance(step(people, "nora"), MustEnrol)
    people.run(kept_counts.forget_old_days)
    assert people.run(kept_counts.check_counts).level is Level.FINE


@pytest.mark.feature("grace-days")
def test_setting_days_of_grace_says_that_the_clock_is_right(people):
    """After a clock that was ahead, they are counted by the clock and not by the hour that was seen."""
    require(people, None)
    people.run(deadlines.set_grace_days, OPERATOR, 3, seen=0)
    people.clock.forward(days=300)
    assert isinstance(step(people, "fay"), MustEnrol)
    people.clock.forward(days=-300)
    people.user("nick")
    assert isinstance(step(people, "nick"), MustEnrol)
    assert isinstance(people.run(deadlines.set_grace_days, OPERATOR, 5, seen=3), Done)
    assert (step(people, "nick"), seen(people)["No"]) == (SignedIn(), {"nick"})
    assert people.run(clock_jumps.list_ahead, OPERATOR) == ()
    assert "policy.seen_time_corrected" in people.events()
    # Where nothing was seen ahead of the clock, nothing is corrected.
    people.run(deadlines.set_grace_days, OPERATOR, 6, seen=5)
    assert people.events().count("policy.seen_time_corrected") == 1


@pytest.mark.feature("grace-days")
def test_permanent_gives_no_grace(people):
    require(people, None)
    people.run(deadlines.set_grace_days, OPERATOR, 14, seen=0)
    people.user("nick")
    people.mode(Mode.PERMANENT)
    assert isinstance(step(people, "nick"), MustEnrol)
    assert "No" not in seen(people)
