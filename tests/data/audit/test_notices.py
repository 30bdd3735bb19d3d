"""Notices: which acts write one, to whom, and that they stand or fall with the act."""

import json
from dataclasses import replace

import pytest
from support.database import OPERATOR, SYSTEM, World

from data.operations.audit import notice_outbox
from data.operations.signin import enrolment, recovery_codes
from data.operations.users import (
    bulk_actions,
    credentials,
    factor_administration,
    google_authenticator_import,
    lifecycle,
)
from data.operations.users.bulk_actions import Bulk
from data.operations.users.lifecycle import Edited, UserChanges
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.google_authenticator_file import AuthenticatorFile
from data.rules.public_keys import PublicKey, parse
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def anna(world: World) -> str:
    """Somebody who is there for a while, without two-factor authentication."""
    name = world.user("anna")
    world.clock.forward(hours=1)
    return name


@pytest.fixture
def enrolled(world: World, anna: str) -> str:
    """Somebody who has set two-factor authentication up, and was told so."""
    world.enrol(anna)
    models.Notice.delete().execute()
    return anna


def told(name: str = "anna") -> list[str]:
    """Name the events that a user is to be told of, oldest first."""
    rows = models.Notice.select().join(models.User).where(models.User.name == name)
    return [row.event for row in rows.order_by(models.Notice.id)]


def messages(world: World) -> list[tuple[str, str]]:
    """Return address and words of everything that is to be sent now."""
    claimed = world.run(notice_outbox.claim)
    return [(one.envelope.to, " ".join(one.envelope.text.split())) for one in claimed]


@pytest.mark.feature("notice-2fa")
def test_setting_up_and_replacing_are_told(world, anna):
    me = world.enrol(anna)
    world.clock.forward(minutes=1)
    world.wizard(anna, me)
    assert told() == [Event.ENROLLED, Event.REPLACED]
    assert "A second factor was set up: authenticator app." in messages(world)[0][1]


@pytest.mark.feature("notice-2fa")
def test_turning_off_is_told(world, enrolled):
    me = world.session(enrolled)
    world.run(enrolment.turn_off, me)
    assert told() == [Event.TURNED_OFF]


@pytest.mark.feature("notice-2fa")
def test_disable_and_clear(world, enrolled):
    boss = world.person("boss", SYSTEM)
    world.run(factor_administration.clear_two_factor, boss, enrolled)
    world.run(factor_administration.disable_two_factor, OPERATOR, enrolled)
    assert told() == [Event.CLEARED, Event.DISABLED]
    words = [text for to, text in messages(world) if to == "anna@clinic.example"]
    assert "By: the administrator boss " in words[0]
    assert "By: the operator on the host (root) " in words[1]


@pytest.mark.feature("notice-recovery")
def test_new_recovery_codes_are_told(world, enrolled):
    me = world.session(enrolled)
    world.run(recovery_codes.renew_recovery_codes, me)
    assert told() == [Event.RECOVERY_RENEWED]


@pytest.mark.feature("notice-recovery")
def test_third_recovery_code_and_after(world, enrolled):
    """The third code used and each after it are told of."""
    for code in world.recovery[enrolled][:4]:
        world.submit(world.attempt(enrolled), code)
    assert told() == [Event.RECOVERY_USED] * 2
    left = [json.loads(row.detail)["left"] for row in models.Notice.select().order_by(models.Notice.id)]
    assert left == [2, 1]


@pytest.mark.feature("notice-locked")
def test_a_lock_is_told_and_a_wrong_code_is_not(world, enrolled):
    world.submit(world.attempt(enrolled), world.wrong_code(enrolled))
    assert told() == []
    world.set(enrolled, attempts_left=7)
    world.lock(enrolled)
    assert told() == [Event.LOCKED]


@pytest.mark.feature("notice-credentials")
def test_a_new_password_is_told_whoever_sets_it(world, anna):
    me = world.session(anna)
    world.run(credentials.store_password, me, "a hash")
    world.one_time_password(anna)
    assert told() == [Event.PASSWORD_CHANGED, Event.ONE_TIME_PASSWORD_SET]


@pytest.mark.feature("notice-credentials")
def test_keys_that_come_and_go_are_told(world, anna):
    world.run(credentials.add_key, OPERATOR, KEY, name=anna)
    key = parse(KEY)
    assert isinstance(key, PublicKey)
    world.run(credentials.remove_key, OPERATOR, key.fingerprint, name=anna)
    assert told() == [Event.KEY_ADDED, Event.KEY_REMOVED]
    assert all(key.fingerprint in text for _, text in messages(world))


def test_a_take_over_is_told(world, anna):
    world.run(google_authenticator_import.take_over, OPERATOR, [(anna, AuthenticatorFile(bytes(20), (), -1))])
    assert told() == [Event.TAKEN_OVER]


def test_new_user_is_told_nothing(world):
    key = parse(KEY)
    assert isinstance(key, PublicKey)
    world.user("new", key=key)
    assert told("new") == []


@pytest.mark.feature("contact-told")
def test_new_address_through_both(world, anna):
    """A notice of a new address goes to the old and to the new one."""
    changes = lifecycle.UserChanges(email="anna@new.example", phone="+49 30 12344711")
    world.run(lifecycle.edit_user, OPERATOR, anna, changes)
    sent = messages(world)
    assert [to for to, _ in sent] == ["anna@clinic.example", "anna@new.example"]
    for _, text in sent:
        assert "Your e-mail address is now a•••@new.example. Your phone number is now •••• 4711." in text
        assert "anna@" not in text


def test_new_number_with_what_was_withdrawn(world, anna):
    """The notice goes to the address and names what the new number withdrew."""
    world.methods(Method.SMS)
    me = world.session(anna)
    world.confirm_destination(me, world.run(enrolment.begin_sms, me, "+49 30 12345678"))
    models.Notice.delete().execute()
    world.run(lifecycle.edit_user, OPERATOR, anna, lifecycle.UserChanges(phone=""))
    ((to, text),) = messages(world)
    assert to == "anna@clinic.example"
    assert "Your phone number was removed. Codes by text message were withdrawn; two-factor" in text


def test_another_full_name_is_not_told(world, anna):
    world.run(lifecycle.edit_user, OPERATOR, anna, lifecycle.UserChanges(full_name="Anna B."))
    assert told() == []


def test_many_cleared_at_once_are_each_told(world, enrolled):
    world.enrol(world.user("ben"))
    world.clock.forward(minutes=1)
    models.Notice.delete().execute()
    world.run(bulk_actions.act_on_many, OPERATOR, ["anna", "ben"], Bulk.CLEAR)
    assert told("anna") == told("ben") == [Event.CLEARED]


class WentWrongError(Exception):
    """Stands for anything that fails after the act."""


def test_a_notice_stands_or_falls_with_its_act(world, enrolled):
    def clear_and_fail(tx):
        factor_administration.clear_two_factor(tx, OPERATOR, enrolled)
        assert told() == [Event.CLEARED]
        raise WentWrongError

    with pytest.raises(WentWrongError):
        world.run(clear_and_fail)
    assert told() == []


def test_nothing_without_a_mail_server(world, enrolled):
    world.store.services = replace(world.services, sends=frozenset({Method.SMS}))
    world.run(factor_administration.clear_two_factor, OPERATOR, enrolled)
    world.run(lifecycle.edit_user, OPERATOR, enrolled, lifecycle.UserChanges(email="anna@new.example"))
    assert told() == []


def test_no_notice_holds_a_secret(world, anna):
    me = world.enrol(anna)
    renewed = world.run(recovery_codes.renew_recovery_codes, me)
    password = credentials.passwords.one_time_from_random(bytes(20))
    world.one_time_password(anna, password=password)
    rows = repr(list(models.Notice.select().tuples()))
    for secret in (world.secrets[anna], password, *renewed.recovery_codes):
        assert secret not in rows


# Editing offers to clear


@pytest.mark.feature("contact-clears")
@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        (lifecycle.UserChanges(email="anna@new.example"), True),
        (lifecycle.UserChanges(phone="+49 30 12345678"), True),
        (lifecycle.UserChanges(full_name="Anna B."), False),
        (lifecycle.UserChanges(email="anna@clinic.example"), False),
    ],
)
def test_new_contact_offers_to_clear(world, enrolled, changes, offered):
    """A new address or number of a user with a second factor offers to clear it."""
    assert world.run(lifecycle.edit_user, OPERATOR, enrolled, changes).offers_clearing is offered


def test_nothing_to_clear_without_a_factor(world, anna):
    changes = lifecycle.UserChanges(email="anna@new.example")
    assert not world.run(lifecycle.edit_user, OPERATOR, anna, changes).offers_clearing


def test_clearing_is_offered_to_who_can(world):
    """It is not offered to others, nor for oneself."""
    boss = world.person("boss", SYSTEM)
    for name in ("admin", "boss"):
        changes = lifecycle.UserChanges(email=f"{name}@new.example")
        world.enrol(name)
        saved = world.run(lifecycle.edit_user, boss, name, changes)
        assert saved == lifecycle.Edited(f"User {name} saved.", offers_clearing=False)


def addresses() -> list[str]:
    return [row.recipient for row in models.Notice.select().order_by(models.Notice.id)]


@pytest.mark.feature("notice-limit")
def test_changing_addresses_fills_no_mailbox(world, anna):
    """One address, and one mailbox behind many: edits are told six times an hour, and done all the same."""
    me = world.session(anna)
    for number in range(8):
        email = ("victim@example.org", "anna@clinic.example")[number % 2]
        assert isinstance(world.run(lifecycle.edit_own, me, UserChanges(email=email)), Edited)
    assert addresses().count("victim@example.org") == 3
    models.Notice.delete().execute()
    for number in range(8):
        email = f"victim+{number}@example.org"
        assert isinstance(world.run(lifecycle.edit_own, me, UserChanges(email=email)), Edited)
    assert len(addresses()) == 6
    world.clock.forward(hours=1)
    world.run(lifecycle.edit_user, OPERATOR, anna, UserChanges(email="anna@clinic.example"))
    assert len(addresses()) == 8


def test_changing_keys_is_told_six_times_an_hour(world, anna):
    me = world.session(anna)
    for _ in range(9):
        world.run(credentials.add_key, me, KEY)
        world.run(credentials.remove_key, me, parse(KEY).fingerprint)
    assert told() == [Event.KEY_ADDED, Event.KEY_REMOVED] * 6
    world.run(credentials.store_password, me, "hash")
    assert told()[-1] == Event.PASSWORD_CHANGED


@pytest.mark.feature("notice-limit")
def test_new_address_silences_no_old_one(world, anna):
    """Someone has the new address told of edits of their own, so that the old one is not told of this one."""
    mallory = world.person("mallory")
    for number in range(3):
        world.run(lifecycle.edit_own, mallory, UserChanges(email="new@example.org"))
        world.run(lifecycle.edit_own, mallory, UserChanges(email=f"old{number}@example.org"))
    models.User.update(email="mallory@clinic.example").where(models.User.name == "mallory").execute()
    models.Notice.update(recipient="new@example.org").execute()
    world.catch_up()
    world.run(lifecycle.edit_user, OPERATOR, anna, UserChanges(email="new@example.org"))
    assert addresses()[-1] == "anna@clinic.example"
    assert told() == [Event.USER_EDITED]
