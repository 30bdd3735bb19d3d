"""Reminders of a deadline: of each day once, to whoever is missing, and only of the nearest after a pause."""

from datetime import date, timedelta

import pytest
from support.database import OPERATOR, World

from data.operations.audit import notice_outbox
from data.operations.policy import deadline_reminders, deadlines, policy_settings
from data.operations.users.lifecycle import NewUser, create_user
from data.rules.audit_events import Event
from data.rules.deadline import begins
from data.rules.domain_types import Mode
from data.storage import models

pytestmark = pytest.mark.feature("deadline-reminders")

DAY = date(2026, 3, 22)
"""Twenty days after the worlds begin."""
TO_ALL = {"anna", "ben", "carla"}


@pytest.fixture
def people(world: World, monkeypatch) -> World:
    """Three who may wait for the deadline, and the administrator, who must set up at the next sign-in."""
    monkeypatch.setattr(deadline_reminders, "_PART", 2)
    for name in ("anna", "ben", "carla"):
        world.user(name)
    world.user("gone")
    world.set("gone", active=False)
    world.run(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, seen=Mode.OPTIONAL, day=DAY)
    models.Notice.delete().execute()
    return world


def told(world: World, days_before: int, hour: int = 9) -> dict[str, set[str]]:
    """Do a round of sending on a day; return who was told what."""
    world.clock.now = begins(DAY - timedelta(days=days_before)) + timedelta(hours=hour)
    while world.run(deadline_reminders.is_due):
        world.run(deadline_reminders.remind)
    said: dict[str, set[str]] = {}
    must: set[str] = set()
    while batch := world.run(notice_outbox.claim):
        for claimed in batch:
            if claimed.act.event is Event.DEADLINE_NEAR and (
                made := world.run(deadline_reminders.word, claimed)
            ):
                name, text = made.to.partition("@")[0], " ".join(made.text.split())
                if "You have not set it up yet, and must at your next sign-in." in text:
                    assert made.subject == "Twofold: set up two-factor authentication"
                    must.add(name)
                else:
                    said.setdefault(made.subject, set()).add(name)
                assert "From 2026-03-22 on, everyone in Clinic must use" in text
                assert f"ssh -p 2222 {name}@ssh.clinic.example" in made.text
        world.run(notice_outbox.settle, batch, {})
    assert must == ({"admin"} if said else set())
    return said


def left(days: str) -> str:
    return f"Twofold: {days} left to set up two-factor authentication"


def test_each_day_once_to_who_is_missing(people):
    assert told(people, 15) == {}
    assert told(people, 14) == {left("14 days"): TO_ALL}
    assert told(people, 14, hour=23) == {}
    people.enrol("anna")
    assert told(people, 7) == {left("7 days"): TO_ALL - {"anna"}}
    assert told(people, 4) == {}
    assert told(people, 3) == {left("3 days"): TO_ALL - {"anna"}}
    people.enrol("ben")
    assert told(people, 1) == {left("1 day"): {"carla"}}
    assert told(people, 1, hour=23) == {}
    assert told(people, 0) == {}


def test_only_the_nearest_after_a_pause(people):
    assert told(people, 2) == {left("2 days"): TO_ALL}
    assert told(people, 1) == {left("1 day"): TO_ALL}


def test_days_before_the_deadline_was_set_are_over(people):
    """A new deadline is reminded of by its own days."""
    assert told(people, 7) == {left("7 days"): TO_ALL}
    seen = models.Account.get().deadline
    people.run(deadlines.set_deadline, OPERATOR, DAY - timedelta(days=2), seen=seen)
    assert told(people, 7, hour=10) == {}
    seen = models.Account.get().deadline
    people.run(deadlines.set_deadline, OPERATOR, DAY, seen=seen, reason="ill")
    people.clock.forward(hours=1)
    assert told(people, 3) == {left("3 days"): TO_ALL}


def test_whoever_sets_up_meanwhile_is_not_told(people):
    people.clock.now = begins(DAY - timedelta(days=7))
    people.run(deadline_reminders.remind)
    people.enrol("anna")
    assert told(people, 7, hour=1) == {left("7 days"): TO_ALL - {"anna"}}


def test_days_of_grace_are_told_as_everywhere_else(people):
    people.clock.now = begins(DAY - timedelta(days=1))
    people.run(deadlines.set_grace_days, OPERATOR, 9, seen=0)
    people.run(create_user, OPERATOR, NewUser("dora", "dora@clinic.example"))
    assert told(people, 1) == {left("1 day"): TO_ALL, left("9 days"): {"dora"}}


@pytest.mark.feature("deadline")
def test_the_time_is_noted_without_a_sign_in(people):
    """What a server has seen holds after its clock went back."""
    people.clock.now = begins(DAY)
    people.run(deadline_reminders.note_time)
    people.clock.forward(days=-3)
    assert people.run(policy_settings.show_policy, OPERATOR).days_left is None
