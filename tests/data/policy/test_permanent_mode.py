"""The mode `permanent`: entered from `required`, through a checklist and a typed name, and never left."""

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.actors import Operator
from data.operations.policy import permanent_mode, policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.users import lifecycle, user_summaries
from data.rules.domain_types import Mode
from data.rules.permanent_mode import People, checklist
from data.storage import models

NOBODY = People(0, ())


@pytest.fixture
def ready(world: World) -> World:
    """Everyone enrolled, two system administrators, the mode required."""
    world.mode(Mode.REQUIRED)
    world.enrol("admin")
    world.user("boss", SYSTEM)
    world.enrol("boss")
    world.enrol(world.user("anna"))
    return world


def make_permanent(world, actor=OPERATOR, *, seen=Mode.REQUIRED, confirmation="Clinic"):
    return world.run(policy_settings.set_mode, actor, Mode.PERMANENT, seen=seen, confirmation=confirmation)


def lacking(world):
    items = world.run(permanent_mode.show_checklist, Operator("root", "Clinic")).items
    return [item.lacking for item in items if not item.met]


def test_entering_remembers_when_and_by_whom(ready):
    chief = ready.person("chief", SECURITY)
    assert make_permanent(ready, chief) == Done("The mode is now permanent.")
    view = ready.run(policy_settings.show_policy, chief)
    assert (view.policy.mode, view.permanent_since, view.permanent_by) == (
        Mode.PERMANENT,
        ready.clock.now,
        "chief",
    )
    assert ready.events(last=1) == ["policy.mode_changed"]


@pytest.mark.feature("permanent-stays")
def test_after_that_the_mode_stays_for_everyone(ready):
    make_permanent(ready)
    chief = ready.person("chief", SECURITY, SYSTEM)
    for actor in (OPERATOR, chief):
        for mode in Mode:
            before = ready.dump()
            denied = ready.run(
                policy_settings.set_mode, actor, mode, seen=Mode.PERMANENT, confirmation="Clinic"
            )
            assert isinstance(denied, Denied)
            assert ready.dump() == before


def test_who_joins_a_permanent_account_must_set_up(ready):
    make_permanent(ready)
    ready.user("late")
    assert (
        ready.run(user_summaries.user_detail, OPERATOR, "late").status.value == "Pending setup on next login"
    )


@pytest.mark.feature("permanent-from-required")
@pytest.mark.parametrize("mode", [Mode.OFF, Mode.OPTIONAL])
def test_permanent_is_entered_from_required_only(ready, mode):
    ready.mode(mode)
    denied = make_permanent(ready, seen=mode)
    assert "must be required before" in denied.message
    assert ready.run(policy_settings.preview_mode, OPERATOR, Mode.PERMANENT).refusal == denied.message


@pytest.mark.feature("permanent-confirmed")
@pytest.mark.parametrize("typed", ["", "clinic", "Clinic 2", "yes"])
def test_wrong_account_name(ready, typed):
    before = ready.dump()
    assert "type the name of the account, Clinic" in make_permanent(ready, confirmation=typed).message
    assert ready.dump() == before


def test_spaces_around_the_name(ready):
    assert isinstance(make_permanent(ready, confirmation="  Clinic "), Done)


@pytest.mark.feature("permanent-checklist")
def test_unenrolled_user_is_named(ready):
    ready.user("dora")
    assert lacking(ready) == ["missing dora"]
    before = ready.dump()
    assert (
        make_permanent(ready).message
        == "Not yet. Every active user has 2FA or can be sent codes: missing dora."
    )
    assert ready.dump() == before
    ready.run(lifecycle.set_active, OPERATOR, "dora", active=False)
    assert isinstance(make_permanent(ready), Done)


@pytest.mark.feature("permanent-checklist")
def test_unenrolled_admin_stands_in_both_items(ready):
    ready.user("chief", SECURITY)
    assert lacking(ready) == ["missing chief", "missing chief"]


def test_five_are_named_the_others_counted(ready):
    for name in "cdefghi":
        ready.user(f"{name}1")
    assert lacking(ready) == ["missing c1, d1, e1, f1, g1 and 2 more"]


@pytest.mark.feature("permanent-checklist")
def test_a_single_system_administrator_is_not_enough(ready):
    ready.run(lifecycle.set_active, OPERATOR, "boss", active=False)
    assert lacking(ready) == ["only admin has set up 2FA and is not locked"]


def test_locked_system_admin_cannot_unlock_the_other(ready):
    ready.set("boss", locked_at=ready.clock.now)
    assert lacking(ready) == ["only admin has set up 2FA and is not locked"]


def test_people_of_another_account_do_not_count(ready):
    ready.user("stranger")
    other = models.Account.create(name="Other", mode="required", created_at=ready.clock.now)
    assert lacking(ready) == ["missing stranger"]
    ready.set("stranger", account=other)
    assert lacking(ready) == []


def test_it_asks_for_a_fresh_code(ready):
    chief = ready.person("chief", SECURITY)
    ready.clock.forward(minutes=6)
    assert isinstance(make_permanent(ready, chief), FreshProofNeeded)
    assert models.Account.get().mode == "required"


def test_a_change_of_mode_meanwhile_is_noticed(ready):
    ready.mode(Mode.OPTIONAL)
    assert "Someone else changed the mode to optional" in make_permanent(ready).message


def test_nobody_at_all_can_unlock_is_said():
    items = checklist(admins_without=NOBODY, users_without=NOBODY, unlockers=NOBODY)
    assert [item.met for item in items] == [True, True, False]
    assert items[2].sentence == "At least 2 system administrators can unlock each other: no one can yet"
