"""System administrators are told of locks: one message in ten minutes to each, and no lock is lost."""

import json
import re

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.audit import notice_outbox
from data.operations.policy import policy_settings
from data.operations.users import lifecycle, role_grants
from data.rules.audit_events import Event
from data.rules.domain_types import PolicyNotice
from data.rules.notices import NAMED_LOCKS
from data.rules.source_addresses import ON_HOST
from data.storage import models

pytestmark = pytest.mark.feature("notice-locks")

LOCKED = re.compile(r"^- (\w+), [-\d]{10} \d\d:\d\d UTC, over SSH from 192\.0\.2\.1$", re.MULTILINE)
TO_BOSS, TO_ADMIN = "boss@clinic.example", "admin@clinic.example"


@pytest.fixture
def people(world: World) -> World:
    """A clinic whose administrators want to be told, with people who can be locked."""
    world.user("boss", SYSTEM)
    for name in ("anna", "ben", "carla", "dora"):
        world.enrol(world.user(name))
    world.run(policy_settings.set_notice, OPERATOR, PolicyNotice.LOCKS, on=True)
    models.Notice.delete().execute()
    world.clock.forward(hours=1)
    return world


def send(world: World, *, failed: str | None = None) -> dict[str, list[str]]:
    """Do a round of sending; return who was named to whom, by the messages about locks."""
    batch = world.run(notice_outbox.claim)
    world.run(notice_outbox.settle, batch, {one.id: failed for one in batch} if failed else {})
    ours = [one for one in batch if one.act.event is Event.PEOPLE_LOCKED]
    assert not ours or not world.run(notice_outbox.is_due)
    made = {one.to: LOCKED.findall(one.envelope.text) for one in ours}
    assert len(made) == len(ours), "two messages to one administrator"
    return made


def test_a_lock_is_told(people):
    """Each system administrator learns who, when, from where and what to do; nobody else does."""
    people.user("secop", SECURITY)
    people.user("helper", SUPPORT)
    people.user("gone", SYSTEM)
    people.run(lifecycle.set_active, OPERATOR, "gone", active=False)
    models.Notice.delete().execute()
    people.lock("ben")
    batch = people.run(notice_outbox.claim)
    told = {one.to: one.envelope for one in batch if one.act.event is Event.PEOPLE_LOCKED}
    assert told.keys() == {TO_ADMIN, TO_BOSS}
    assert told[TO_BOSS].subject == "Twofold: 1 user locked"
    assert told[TO_BOSS].text == (
        "Hello boss,\n"
        "\n"
        "1 user locked after seven wrong codes:\n"
        "\n"
        f"- ben, {people.clock.now:%Y-%m-%d %H:%M} UTC, over SSH from 192.0.2.1\n"
        "\n"
        "Account: Clinic\n"
        "\n"
        "Ask them first: if they did not type the codes themselves, someone has\n"
        "their password or SSH key. To unlock a user, press u on their page in\n"
        "the app, or run this on the host: twofold user unlock NAME --reason\n"
        "REASON\n"
    )


def test_locks_within_ten_minutes_wait_for_the_next_message(people):
    people.lock("anna")
    assert send(people) == {TO_ADMIN: ["anna"], TO_BOSS: ["anna"]}
    sent = people.clock.now
    people.lock("ben")
    assert send(people) == {}
    people.lock("carla")
    while (people.clock.now - sent).total_seconds() < 590:
        assert send(people) == {}
        people.clock.forward(seconds=10)
    people.clock.forward(seconds=20)
    assert send(people) == {TO_ADMIN: ["ben", "carla"], TO_BOSS: ["ben", "carla"]}
    people.clock.forward(minutes=11)
    assert send(people) == {}
    people.lock("dora")
    assert send(people) == {TO_ADMIN: ["dora"], TO_BOSS: ["dora"]}


def test_locks_while_the_mail_server_is_down(people):
    """What was claimed is sent again as it is; later locks wait for ten minutes after that."""
    people.lock("anna")
    assert send(people, failed="down").keys() == {TO_ADMIN, TO_BOSS}
    people.lock("ben")
    people.clock.forward(minutes=1)
    assert send(people)[TO_BOSS] == ["anna"]
    people.lock("carla")
    people.clock.forward(minutes=9)
    assert send(people) == {}
    people.clock.forward(minutes=2)
    assert send(people)[TO_BOSS] == ["ben", "carla"]


def test_a_lock_while_a_message_is_delivered(people):
    people.lock("anna")
    batch = people.run(notice_outbox.claim)
    people.lock("ben")
    assert send(people) == {}
    people.run(notice_outbox.settle, batch, {})
    people.clock.forward(minutes=11)
    assert send(people)[TO_BOSS] == ["ben"]


def test_many_locks_are_counted(people):
    boss = people.row("boss")
    models.Notice.insert(
        user=boss.id,
        recipient=boss.email,
        event=Event.PEOPLE_LOCKED.value,
        actor="anna",
        application=ON_HOST.application,
        address=ON_HOST.address,
        detail=json.dumps({"count": NAMED_LOCKS, "locks": [f"user{i}" for i in range(NAMED_LOCKS)]}),
        at=people.clock.now,
        next_try_at=people.clock.now,
    ).execute()
    people.lock("ben")
    people.lock("carla")
    batch = people.run(notice_outbox.claim)
    (made,) = [one.envelope for one in batch if one.to == TO_BOSS]
    assert made.subject == "Twofold: 14 users locked"
    assert "- user11\n- and 2 more\n\nAccount: Clinic\n" in made.text


def test_a_locked_administrator_is_told_as_a_user(people):
    people.enrol("boss")
    people.clock.forward(minutes=1)
    models.Notice.delete().execute()
    people.lock("boss")
    told = {(row.recipient, row.event) for row in models.Notice.select()}
    assert told == {(TO_BOSS, Event.LOCKED), (TO_ADMIN, Event.PEOPLE_LOCKED)}


LEFT_OUT = {
    "role": lambda world: world.run(role_grants.set_roles, OPERATOR, "boss", frozenset({SUPPORT})),
    "deactivated": lambda world: world.run(lifecycle.set_active, OPERATOR, "boss", active=False),
    "policy": lambda world: world.run(policy_settings.set_notice, OPERATOR, PolicyNotice.LOCKS, on=False),
}


@pytest.mark.parametrize("change", LEFT_OUT)
def test_who_may_not_know_any_more_is_not_told(people, change):
    people.lock("ben")
    LEFT_OUT[change](people)
    assert TO_BOSS not in send(people)
    assert not models.Notice.select().where(
        (models.Notice.recipient == TO_BOSS) & models.Notice.done_at.is_null()
    )


def test_by_default_no_lock_is_told(people):
    models.Account.update(notify_locks=models.Account.notify_locks.default).execute()
    people.lock("ben")
    assert [row.event for row in models.Notice.select()] == [Event.LOCKED]


def test_other_accounts_are_not_told(people):
    models.Account.create(name="Surgery", mode="optional", created_at=people.clock.now)
    people.set("boss", account=models.Account.get(models.Account.name == "Surgery").id)
    people.lock("ben")
    assert send(people) == {TO_ADMIN: ["ben"]}
