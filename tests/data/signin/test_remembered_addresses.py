"""Remembered addresses: no code for a while from the same address with the same first factor."""

from datetime import timedelta

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.actors import Member
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded
from data.operations.signin import admission, enrolment, first_factor, recovery_codes, remembered_addresses
from data.operations.signin.admission import Admitted
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import credentials, factor_administration, lifecycle, user_summaries
from data.rules.domain_types import Application, FirstFactor, Method, Mode, Policy
from data.rules.policy import NeedCode, SignedIn
from data.rules.remembered_addresses import may_remember, still_holds
from data.rules.source_addresses import Origin
from data.storage import models

KEY = credentials.public_keys.parse(
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
)
OTHER_KEY = credentials.public_keys.parse(
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna"
)


def remember_days(world, days, actor=OPERATOR, seen=0):
    return world.run(policy_settings.set_remember_days, actor, days, seen=seen)


@pytest.fixture
def anna(world: World) -> str:
    """Anna, enrolled, whose sign-in by password and code from 192.0.2.1 was remembered for three days."""
    remember_days(world, 3)
    world.enrol(world.user("anna", key=KEY))
    world.clock.forward(minutes=5)
    world.submit(world.attempt("anna"), world.live_code("anna"))
    return "anna"


def asked(world, name="anna", **origin) -> bool:
    """Sign in by password and say whether a code was asked."""
    result = world.first(name, **origin)
    if isinstance(result, CodeNeeded):
        return True
    assert isinstance(result, Admitted), result
    assert result.session.step == SignedIn()
    return False


def lock(world):
    """Lock anna by seven wrong codes from another address."""
    attempt = world.attempt("anna", address="192.0.2.77")
    return [world.submit(attempt, world.wrong_code("anna")) for _ in range(7)][-1]


def rows():
    return models.RememberedAddress.select().count()


@pytest.mark.feature("remember-days")
def test_by_default_a_code_is_asked_every_time(world):
    world.enrol(world.user("anna"))
    world.submit(world.attempt("anna"), world.live_code("anna"))
    assert asked(world)
    assert rows() == 0


@pytest.mark.feature("remember-exactly")
def test_same_address_same_password(world, anna):
    assert not asked(world)
    entry = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()
    assert (entry.event, "password from a remembered address" in entry.detail) == ("signin.admitted", True)


def test_the_acceptance_is_audited_with_its_end(world, anna):
    entry = models.AuditEntry.get(models.AuditEntry.event == "address.remembered")
    assert entry.address == "192.0.2.1"
    assert "2026-03-05" in entry.detail


@pytest.mark.feature("remember-exactly")
@pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::1", "192.0.2.10", ""])
def test_another_address_asks(world, anna, address):
    assert asked(world, address=address)


@pytest.mark.feature("remember-ipv4-mapped")
def test_an_ipv4_mapped_address_is_the_same_address(world, anna):
    assert not asked(world, address="::ffff:192.0.2.1")


@pytest.mark.feature("remember-exactly")
def test_key_and_password_are_separate(world, anna):
    """A key asks where the password is remembered, and the other way round."""
    by_key = world.first_by_key("anna", KEY.fingerprint)
    assert isinstance(by_key, CodeNeeded)
    world.submit(by_key.attempt, world.live_code("anna"))
    assert isinstance(world.first_by_key("anna", KEY.fingerprint), Admitted)
    world.run(remembered_addresses.forget_my_addresses, world.session("anna"))
    by_key = world.first_by_key("anna", KEY.fingerprint)
    world.submit(by_key.attempt, world.live_code("anna"))
    assert asked(world)


@pytest.mark.feature("remember-exactly")
def test_another_user_from_the_same_address_is_asked(world, anna):
    world.enrol(world.user("ben"))
    models.RememberedAddress.delete().where(models.RememberedAddress.user == world.row("ben").id).execute()
    assert asked(world, "ben")


@pytest.mark.feature("remember-not-local")
def test_the_local_terminal_is_never_remembered(world, anna):
    for address in ("local", "192.0.2.1"):
        origin = {"application": Application.LOCAL, "address": address}
        world.submit(world.attempt("anna", **origin), world.live_code("anna"))
        assert asked(world, **origin)
    assert rows() == 1


def test_a_recovery_code_is_a_second_factor_too(world, anna):
    world.submit(world.attempt("anna", address="192.0.2.9"), world.recovery["anna"][0])
    assert not asked(world, address="192.0.2.9")


def test_a_wrong_code_remembers_nothing(world, anna):
    world.submit(world.attempt("anna", address="192.0.2.9"), world.wrong_code("anna"))
    assert asked(world, address="192.0.2.9")


def test_ends_to_the_second(world, anna):
    """Using it does not lengthen it."""
    for _ in range(2):
        world.clock.forward(days=1)
        assert not asked(world)
    world.clock.forward(hours=23, minutes=59, seconds=59)
    assert not asked(world)
    world.clock.forward(seconds=1)
    assert asked(world)


@pytest.mark.feature("remember-clock")
def test_a_clock_that_goes_back_never_lengthens_it(world, anna):
    world.clock.forward(days=2)
    assert not asked(world)
    world.clock.forward(days=-1)
    assert asked(world)
    assert world.events(user="anna", last=1) == ["address.forgotten"]
    world.clock.forward(days=1, seconds=1)
    assert asked(world)


def test_node_whose_clock_is_ahead(world, anna):
    """A sign-in there ends no session, and the next one is asked."""
    me = world.session("anna")
    world.clock.forward(seconds=2)
    assert not asked(world)
    world.clock.forward(seconds=-1)
    assert world.run(user_summaries.my_profile, me).detail.name == "anna"
    assert asked(world)


def test_a_clock_before_the_acceptance_asks(world, anna):
    world.set("anna", last_signin_at=None)
    world.clock.forward(hours=-1)
    assert asked(world)


def test_judged_again_at_admission(world, anna):
    """It is judged again in the transaction that admits."""
    candidate = world.run(first_factor.find_candidate, "anna", world.origin())
    remember_days(world, 0, seen=3)
    assert isinstance(world.run(first_factor.settle_password, candidate, right=True), CodeNeeded)


def test_look_up_asks_nobody_whose_address_is_remembered(world, anna):
    """The transaction that admits decides there; elsewhere it is clear that a code is asked."""

    def is_asked(address):
        candidate = world.run(first_factor.find_candidate, "anna", world.origin(address=address))
        return first_factor.code_needed(candidate, FirstFactor.PASSWORD, "password:1") is not None

    assert (is_asked("192.0.2.1"), is_asked("192.0.2.5")) == (False, True)


def test_a_remembered_address_is_no_fresh_proof(world, anna):
    session = Member(world.first("anna").session.id)
    assert world.run(recovery_codes.renew_recovery_codes, session) == FreshProofNeeded(FreshProof.CODE)


def test_unsaved_recovery_codes_are_not_shown(world, anna):
    """A sign-in without a code does not show them again."""
    world.set("anna", recovery_saved=False)
    session = Member(world.first("anna").session.id)
    assert world.run(recovery_codes.replace_unsaved_codes, session) is None
    assert isinstance(
        world.run(recovery_codes.replace_unsaved_codes, world.session("anna", address="192.0.2.5")),
        recovery_codes.NewRecoveryCodes,
    )


def test_locked_or_deactivated(world, anna):
    world.set("anna", locked_at=world.clock.now)
    assert isinstance(world.first("anna"), admission.TurnedAway)
    world.set("anna", locked_at=None, active=False)
    assert isinstance(world.first("anna"), first_factor.FirstFactorRejected)


FORGETTING = {
    "clearing": lambda world, _: world.run(factor_administration.clear_two_factor, OPERATOR, "anna"),
    "disabling": lambda world, _: world.run(factor_administration.disable_two_factor, OPERATOR, "anna"),
    "turning off": lambda world, me: world.run(enrolment.turn_off, me),
    "locking": lambda world, _: lock(world),
    "a new password": lambda world, me: world.run(credentials.store_password, me, "hash"),
    "a one-time password": lambda world, _: world.one_time_password("anna"),
    "deactivating": lambda world, _: world.run(lifecycle.set_active, OPERATOR, "anna", active=False),
    "remembering no more": lambda world, _: remember_days(world, 0, seen=3),
    "the user": lambda world, me: world.run(remembered_addresses.forget_my_addresses, me),
    "an administrator": lambda world, _: world.run(factor_administration.forget_addresses, OPERATOR, "anna"),
}


@pytest.mark.feature("remember-forget")
@pytest.mark.parametrize("how", FORGETTING)
def test_it_is_forgotten_by(world, anna, how):
    me = world.session("anna", address="192.0.2.200")
    assert rows() == 2
    assert isinstance(FORGETTING[how](world, me), Done | admission.TurnedAway)
    assert rows() == 0


def test_unlocking_brings_nothing_back(world, anna):
    lock(world)
    world.set("anna", locked_at=None, attempts_left=7)
    assert asked(world)


def test_removed_key_forgets_its_own_only(world, anna):
    world.submit(world.first_by_key("anna", KEY.fingerprint).attempt, world.live_code("anna"))
    assert rows() == 2
    world.run(credentials.remove_key, OPERATOR, KEY.fingerprint, name="anna")
    assert rows() == 1
    assert not asked(world)


def test_a_key_that_comes_back_asks_again(world, anna):
    world.submit(world.first_by_key("anna", KEY.fingerprint).attempt, world.live_code("anna"))
    world.run(credentials.remove_key, OPERATOR, KEY.fingerprint, name="anna")
    world.run(credentials.add_key, OPERATOR, f"{KEY.algorithm} {KEY.blob}", name="anna")
    assert isinstance(world.first_by_key("anna", KEY.fingerprint), CodeNeeded)


def test_new_password_asks_for_a_code(world, anna):
    """After a one-time password the new one asks for a code."""
    world.one_time_password("anna")
    session = world.first("anna").session
    world.run(credentials.store_password, Member(session.id), "hash")
    assert world.run(admission.advance, session.id).session.step == NeedCode((Method.APP,))


def test_shorter_and_longer_terms(world, anna):
    """Shortening the days shortens what is remembered; lengthening lengthens nothing."""
    remember_days(world, 1, seen=3)
    remember_days(world, 7, seen=1)
    world.clock.forward(hours=23)
    assert not asked(world)
    world.clock.forward(hours=1)
    assert asked(world)


@pytest.mark.feature("remember-days")
def test_days_are_changed(world):
    """The change needs the days that were seen, stays within bounds and is audited."""
    chief = world.person("chief", SECURITY)
    assert "0 to 7 days" in remember_days(world, 8, chief).message
    assert "0 to 7 days" in remember_days(world, -1, chief).message
    assert remember_days(world, 2, chief).message.startswith("From now on: no code for 2 days")
    assert world.events(last=1) == ["policy.remember_days_changed"]
    assert "Someone else changed the days to 2" in remember_days(world, 5, chief).message
    assert "already" in remember_days(world, 2, chief, seen=2).message
    world.clock.forward(minutes=6)
    assert isinstance(remember_days(world, 0, chief, seen=2), FreshProofNeeded)


def test_days_while_permanent(world):
    world.mode(Mode.PERMANENT)
    assert isinstance(remember_days(world, 1), Done)


@pytest.mark.feature("remember-list")
def test_lists_on_profile_and_for_administrators(world, anna):
    until = world.clock.now + timedelta(days=3)
    listed = world.run(user_summaries.user_detail, OPERATOR, "anna").remembered
    assert [(row.address, row.first_factor, row.until) for row in listed] == [
        ("192.0.2.1", "password", until)
    ]
    by_key = world.first_by_key("anna", KEY.fingerprint)
    world.submit(by_key.attempt, world.live_code("anna"))
    mine = world.run(user_summaries.my_profile, world.session("anna")).detail.remembered
    assert [row.first_factor for row in mine] == ["password", KEY.fingerprint]
    world.clock.forward(days=4)
    assert world.run(user_summaries.user_detail, OPERATOR, "anna").remembered == ()


def test_forgetting_one_of_several(world, anna):
    """Nobody forgets the address of someone else as their own."""
    me = world.session("anna", address="192.0.2.200")
    world.enrol(world.user("ben"))
    ben = world.session("ben")
    first, second = world.run(user_summaries.my_profile, me).detail.remembered
    assert (
        world.run(remembered_addresses.forget_my_addresses, ben, first.id).message
        == "No address is remembered."
    )
    world.run(remembered_addresses.forget_my_addresses, me, first.id)
    assert world.run(user_summaries.my_profile, me).detail.remembered == (second,)
    assert world.events(user="anna", last=1) == ["address.forgotten"]


def test_support_forgets_nothing(world, anna):
    helper = world.person("helper", SUPPORT)
    assert isinstance(world.run(factor_administration.forget_addresses, helper, "anna"), Denied)
    assert isinstance(
        world.run(factor_administration.forget_addresses, world.person("boss", SYSTEM), "anna"), Done
    )


@pytest.mark.parametrize("application", [Application.SSH, Application.LOCAL, Application.HOST])
@pytest.mark.parametrize("address", ["192.0.2.1", "local", "", "host"])
@pytest.mark.parametrize("days", [0, 1])
def test_the_rule_remembers_network_addresses_only(application, address, days):
    expected = bool(days) and application is Application.SSH and address == "192.0.2.1"
    assert may_remember(Policy(Mode.REQUIRED, days), Origin(application, address)) == expected


def test_rule_before_and_after_its_term(world):
    """The rule asks before the acceptance and after the end."""
    now = world.clock.now
    times = {"accepted_at": now, "until": now + timedelta(days=2), "last_signin_at": None}
    policy = Policy(Mode.REQUIRED, 2)
    assert still_holds(policy, now=now, **times)
    assert not still_holds(policy, now=now - timedelta(microseconds=1), **times)
    assert not still_holds(policy, now=now + timedelta(days=2), **times)
    assert not still_holds(Policy(Mode.REQUIRED, 1), now=now + timedelta(days=1), **times)
    assert not still_holds(Policy(Mode.REQUIRED, 0), now=now, **times)
