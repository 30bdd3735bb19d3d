"""A sign-in from a network or with a key that its user has not used for 90 days is told them by e-mail."""

from dataclasses import replace

import pytest
from support.database import OPERATOR, PASSWORD, SECURITY, SYSTEM, World, statements

from data.operations.actors import Member
from data.operations.audit import notice_outbox
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.signin import admission
from data.operations.users import credentials, deletion
from data.rules.domain_types import Application, FirstFactor, PolicyNotice
from data.rules.known_places import MOST_PLACES, places_of, read_places, write_places
from data.rules.policy import MustChangePassword
from data.rules.public_keys import parse
from data.rules.source_addresses import Origin
from data.storage import models

pytestmark = pytest.mark.feature("notice-places")

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna"
HOME, NEAR, AWAY = "192.0.2.1", "192.0.2.200", "198.51.100.7"


@pytest.fixture
def anna(world: World) -> str:
    """Somebody who has signed in from home, by password."""
    world.session(world.user("anna", key=parse(KEY)), address=HOME)
    assert told(world) == []
    return "anna"


def told(world: World) -> list[str]:
    """Return the words of each new message about a new place."""
    claimed = world.run(notice_outbox.claim)
    assert {(one.act.event, one.to) for one in claimed} <= {("signin.new_place", "anna@clinic.example")}
    return [" ".join(one.envelope.text.split()) for one in claimed]


def by_key(world: World, key: str = KEY, **origin) -> None:
    result = world.first_by_key("anna", parse(key).fingerprint, **origin)
    assert isinstance(result, admission.Admitted), result


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("::ffff:192.0.2.9", "192.0.2.0/24"),
        ("64:ff9b::192.0.2.9", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48%eth0"),
        ("local", None),
        ("", None),
    ],
)
def test_network_of_an_address(address, network):
    places = places_of(Origin(Application.SSH, address), FirstFactor.PASSWORD, "password:1")
    assert places == ({network} if network else set())
    assert places_of(Origin(Application.LOCAL, address), FirstFactor.PASSWORD, "password:1") == set()


def test_places_are_read_as_written():
    """The latest ones are kept, each for 90 days; one from the future counts as today's."""
    days = {f"192.0.{number}.0/24": 1_000 + number for number in range(MOST_PLACES + 5)}
    text = write_places(days)
    assert read_places(text, 1_000 + 94) == dict(list(days.items())[:4:-1])
    assert read_places(text, 1_000 + 97).keys() == dict(list(days.items())[8:]).keys()
    assert read_places("2000=x", 1_500) == {"x": 1_500}
    assert read_places("", 1_500) == {}
    longest = write_places({f"{number:02}{'x' * 41}": 99_999 for number in range(MOST_PLACES)})
    assert len(longest) <= 50 * MOST_PLACES


def test_another_network_is_told_once(world, anna):
    world.session(anna, address=NEAR)
    assert told(world) == []
    world.clock.forward(minutes=5)
    world.session(anna, address=AWAY)
    (text,) = told(world)
    assert (
        "You signed in from an address that you have not used in the last 90 days (198.51.100.0/24)" in text
    )
    assert f"When: {world.clock.now:%Y-%m-%d %H:%M} UTC By: anna, over SSH from {AWAY}" in text
    assert "If not, tell an administrator of Clinic at once: someone can sign in as you." in text
    assert "On My profile, change your password, remove SSH keys that you do not know, and end" in text
    world.session(anna, address="198.51.100.8")
    world.session(anna, address="2001:db8:1::1")
    world.session(anna, address="2001:db8:1:ffff::1")
    assert len(told(world)) == 1


def test_another_key_is_told(world, anna):
    by_key(world)
    (text,) = told(world)
    assert "signed in with an SSH key that you have not used in the last 90 days" in text
    assert f"({parse(KEY).fingerprint})." in text
    world.run(credentials.add_key, OPERATOR, OTHER_KEY, name=anna)
    models.Notice.delete().execute()
    by_key(world, OTHER_KEY, address=AWAY)
    (text,) = told(world)
    assert "from an address that you have not" in text
    assert f"({parse(OTHER_KEY).fingerprint})" in text
    by_key(world, address=AWAY)
    assert told(world) == []


def test_after_90_days(world, anna):
    """Each use, at most one a day is written, makes a place known for longer."""
    world.clock.forward(days=60)
    world.session(anna, address=HOME)
    world.clock.forward(days=89)
    world.session(anna, address=HOME)
    assert told(world) == []
    world.clock.forward(days=90)
    world.session(anna, address=HOME)
    assert len(told(world)) == 1


@pytest.mark.parametrize("enrolled", [False, True])
def test_first_sign_in(world, enrolled):
    """It tells nothing: not when a new password and the wizard come before it, either."""
    world.user("anna", one_time=True, required=enrolled)
    session = world.restricted("anna", MustChangePassword)
    world.run(credentials.store_password, Member(session.id), world.services.hasher.hash(PASSWORD))
    models.Notice.delete().execute()
    result = world.run(admission.advance, session.id)
    if enrolled:
        world.wizard("anna", Member(session.id))
        models.Notice.delete().execute()
        result = world.run(admission.advance, session.id)
    assert isinstance(result, admission.Admitted)
    assert told(world) == []
    assert world.row("anna").known_places is not None


def test_sign_ins_from_a_remembered_address_count(world, anna):
    world.run(policy_settings.set_remember_days, OPERATOR, 7, seen=0)
    world.enrol(anna)
    models.Notice.delete().execute()
    world.session(anna, address=AWAY)
    assert len(told(world)) == 1
    world.clock.forward(days=5)
    assert isinstance(world.first(anna, address=AWAY), admission.Admitted), "no code was asked for"
    world.clock.forward(days=88)
    world.session(anna, address=AWAY)
    assert told(world) == []


def test_a_wrong_code_makes_no_place_known(world, anna):
    world.enrol(anna)
    models.Notice.delete().execute()
    world.submit(world.attempt(anna, address=AWAY), world.wrong_code(anna))
    assert told(world) == []
    world.session(anna, address=AWAY)
    assert len(told(world)) == 1


def test_the_app_on_the_host_has_no_address(world, anna):
    before = world.row(anna).known_places
    world.session(anna, application=Application.LOCAL, address="local")
    assert told(world) == []
    assert world.row(anna).known_places == before


def test_a_known_place_costs_no_statement(world, anna):
    world.clock.forward(days=1)
    with statements(world) as on_host:
        world.session(anna, application=Application.LOCAL, address="local")
    with statements(world) as seen:
        world.session(anna, address=HOME)
    assert seen == on_host


def test_after_an_update_places_are_read_from_the_sessions(world, anna):
    """Restricted sessions proved too little, and those of 90 days ago are too old."""
    world.session(anna, address=AWAY)
    models.Notice.delete().execute()
    models.Session.update(restricted=True).where(models.Session.address == AWAY).execute()
    world.set(anna, known_places=None)
    world.session(anna, address=HOME)
    assert told(world) == []
    world.session(anna, address=AWAY)
    assert len(told(world)) == 1
    world.set(anna, known_places=None)
    world.clock.forward(days=90)
    world.session(anna, address=HOME)
    assert len(told(world)) == 1


@pytest.mark.parametrize("how", ["policy", "smtp"])
def test_places_are_noted_while_nobody_is_told(world, anna, how):
    sends = world.services.sends
    if how == "policy":
        world.run(policy_settings.set_notice, OPERATOR, PolicyNotice.NEW_PLACES, on=False)
    else:
        world.store.services = replace(world.services, sends=frozenset())
    world.session(anna, address=AWAY)
    world.run(policy_settings.set_notice, OPERATOR, PolicyNotice.NEW_PLACES, on=True)
    world.store.services = replace(world.services, sends=sends)
    world.session(anna, address=AWAY)
    assert told(world) == []


def test_who_switches_the_notice(world):
    """A security administrator, with a fresh code; it is audited."""
    secop, sysop = world.person("secop", SECURITY), world.person("sysop", SYSTEM)

    def switch(actor, *, on):
        return world.run(policy_settings.set_notice, actor, PolicyNotice.NEW_PLACES, on=on)

    assert switch(sysop, on=False) == Denied(
        "Only a security administrator can turn two-factor authentication on or change its mode."
    )
    assert switch(secop, on=False) == Done("E-mail about sign-ins from new places is now off.")
    assert switch(secop, on=False) == Denied("E-mail about sign-ins from new places is already off.")
    assert world.events(last=1) == ["policy.notices_changed"]
    world.clock.forward(minutes=6)
    assert isinstance(switch(secop, on=True), FreshProofNeeded)


def test_a_deleted_user_leaves_no_places(world, anna):
    number = world.row(anna).id
    world.run(deletion.delete_user, OPERATOR, anna)
    rows = dict(models.database.execute_sql('SELECT id, known_places FROM "user"').fetchall())
    assert rows[number] is None
