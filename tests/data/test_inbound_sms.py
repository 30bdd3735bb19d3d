"""Enrolment by a message that the user sends: the code, the sender, and the wizard that waits."""

import pytest
from support.data_world import OPERATOR, World

from data.operations.actors import Member
from data.operations.results import Denied, Done, FreshProofNeeded, SessionOver
from data.operations.signin import admission, enrolment, inbound_sms, recovery_codes, second_factor, sessions
from data.operations.signin.enrolment import Enrolled
from data.operations.signin.inbound_sms import NOBODY_WAITS, Sighting
from data.operations.users import lifecycle, user_summaries
from data.rules.domain_types import Method, Mode
from data.rules.policy import MustEnrol, SignedIn
from data.storage import models

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL
NUMBER = "+491701234711"
OURS = "+49301234567"
IGNORED = Denied(NOBODY_WAITS)


@pytest.fixture
def world(world: World) -> World:
    """Text messages are on beside the app, and come in; anna must enrol."""
    world.methods(APP, SMS)
    object.__setattr__(world.services, "sms_number", OURS)
    world.user("anna", required=True)
    return world


@pytest.fixture
def anna(world: World) -> Member:
    return Member(world.restricted("anna", MustEnrol).id)


def begin(world: World, actor: Member) -> enrolment.PendingMessage:
    pending = world.run(inbound_sms.begin_message, actor)
    assert isinstance(pending, enrolment.PendingMessage), pending
    return pending


def look(world: World, actor: Member, pending: enrolment.PendingMessage):
    return world.run(inbound_sms.look_for_message, actor, pending)


def receive(world: World, text: str, sender: str = NUMBER):
    return world.run(inbound_sms.receive_message, sender, text)


def confirm(world: World, actor: Member, pending: enrolment.PendingMessage):
    return world.run(inbound_sms.confirm_message, actor, pending)


def test_the_code_goes_to_our_number_is_stored_as_a_keyed_hash_and_shown_in_no_repr(world, anna):
    pending = begin(world, anna)
    assert pending.number == OURS
    assert pending.code.isdigit()
    assert len(pending.code) == 12
    assert pending.code not in repr(pending)
    assert pending.code.encode() not in world.file_bytes()


@pytest.mark.feature("enrol-sent-message")
def test_a_message_with_the_code_proves_its_senders_number_which_goes_to_the_profile(world, anna):
    pending = begin(world, anna)
    assert look(world, anna, pending) is Sighting.NOTHING
    assert receive(world, pending.code) == Done("The message was handed to the set-up that waits for it.")
    assert look(world, anna, pending) is Sighting.ARRIVED
    enrolled = confirm(world, anna, pending)
    assert isinstance(enrolled, Enrolled)
    assert len(enrolled.recovery_codes) == 5
    assert "•••• 4711" in enrolled.message
    assert world.row("anna").phone == NUMBER
    factor = models.Factor.get(models.Factor.user == world.row("anna").id)
    assert (factor.kind, factor.destination) == ("sms", NUMBER)
    assert world.run(admission.advance, anna.session_id).session.step == SignedIn()
    assert world.events(user="anna")[-4:-1] == ["message.received", "user.edited", "two_factor.enrolled"]


def test_what_was_proven_so_receives_the_codes_of_the_next_sign_in(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    confirm(world, anna, pending)
    attempt = world.attempt("anna")
    made = world.run(second_factor.send_code, attempt, SMS)
    assert made.envelope.to == NUMBER


def test_a_message_alone_sets_nothing_up(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    assert not models.Factor.select().where(models.Factor.user == world.row("anna").id).exists()
    assert world.row("anna").phone is None
    assert world.first("anna").session.step == MustEnrol()


def test_nothing_is_confirmed_before_the_message_has_come(world, anna):
    pending = begin(world, anna)
    assert isinstance(confirm(world, anna, pending), Denied)
    assert world.row("anna").phone is None


def test_a_message_is_ignored_once_its_session_is_over(world, anna):
    pending = begin(world, anna)
    world.run(sessions.end_session, anna.session_id)
    assert receive(world, pending.code) == IGNORED


def test_a_message_is_ignored_once_the_wizard_was_left(world, anna):
    pending = begin(world, anna)
    world.run(inbound_sms.stop_awaiting, anna, pending)
    assert receive(world, pending.code) == IGNORED
    assert look(world, anna, pending) is Sighting.TOO_LATE


def test_a_code_is_awaited_for_fifteen_minutes_and_not_long_before_it_was_shown(world, anna):
    pending = begin(world, anna)
    world.clock.forward(minutes=14, seconds=59)
    assert look(world, anna, pending) is Sighting.NOTHING
    world.clock.forward(seconds=1)
    assert look(world, anna, pending) is Sighting.TOO_LATE
    assert receive(world, pending.code) == IGNORED
    world.clock.forward(minutes=-17)
    assert receive(world, pending.code) == IGNORED


def test_a_host_whose_clock_is_a_little_behind_takes_the_message_in(world, anna):
    pending = begin(world, anna)
    world.clock.forward(seconds=-40)
    assert isinstance(receive(world, pending.code), Done)


def test_a_message_that_came_in_time_counts_though_the_wizard_looks_later(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    world.clock.forward(minutes=16)
    assert look(world, anna, pending) is Sighting.ARRIVED
    assert isinstance(confirm(world, anna, pending), Enrolled)


def test_a_new_code_kills_the_one_before(world, anna):
    first = begin(world, anna)
    second = begin(world, anna)
    assert receive(world, first.code) == IGNORED
    receive(world, second.code)
    assert isinstance(confirm(world, anna, first), Denied)
    assert isinstance(confirm(world, anna, second), Enrolled)


def test_of_several_messages_with_one_code_the_first_counts(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    assert receive(world, pending.code, "+491701234999") == IGNORED
    assert receive(world, pending.code) == IGNORED
    confirm(world, anna, pending)
    assert world.row("anna").phone == NUMBER


def test_a_code_is_dead_once_it_was_used(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    confirm(world, anna, pending)
    assert isinstance(confirm(world, anna, pending), Denied)
    assert receive(world, pending.code, "+491701234999") == IGNORED
    assert world.row("anna").phone == NUMBER


@pytest.mark.parametrize(
    "sender",
    ["", "Clinic", "4711", "01701234711", "491701234711", "+49CLINIC", "+4917", "+49 170 1234711 x5"],
)
def test_a_sender_that_is_no_phone_number_is_refused_and_the_wizard_told(world, anna, sender):
    pending = begin(world, anna)
    refused = receive(world, pending.code, sender)
    assert isinstance(refused, Denied)
    assert refused != IGNORED
    assert look(world, anna, pending) is Sighting.SENDER_REFUSED
    assert isinstance(confirm(world, anna, pending), Denied)
    assert world.events(last=1) == ["message.refused"]
    receive(world, pending.code, sender)
    assert world.events().count("message.refused") == 1
    receive(world, pending.code)
    assert look(world, anna, pending) is Sighting.ARRIVED


def test_messages_without_an_awaited_code_write_nothing(world, anna):
    begin(world, anna)
    before = world.dump()
    for text in ("", "hello", "123456", "000000000000", "1234 5678 9012 3456", "1" * 100_000):
        assert receive(world, text) == IGNORED
    assert world.dump() == before


def test_each_of_two_who_wait_gets_their_own_message(world, anna):
    world.user("bert", required=True)
    bert = Member(world.restricted("bert", MustEnrol).id)
    of_anna, of_bert = begin(world, anna), begin(world, bert)
    receive(world, of_bert.code)
    assert look(world, anna, of_anna) is Sighting.NOTHING
    assert isinstance(confirm(world, anna, of_bert), Denied)
    receive(world, of_anna.code)
    assert isinstance(confirm(world, bert, of_bert), Enrolled)
    assert "Another person uses this number too" in confirm(world, anna, of_anna).message


def test_a_number_in_another_account_is_not_told_of(world, anna):
    world.set(world.user("zoe"), phone=NUMBER)
    world.set("zoe", account=models.Account.create(name="Other", mode="off", created_at=world.clock.now).id)
    pending = begin(world, anna)
    receive(world, pending.code)
    assert "Another person" not in confirm(world, anna, pending).message


def test_a_restricted_session_never_replaces_a_factor_that_another_one_set_up(world, anna):
    pending = begin(world, anna)
    other = Member(world.restricted("anna", MustEnrol).id)
    world.wizard("anna", other)
    world.run(recovery_codes.confirm_saved, other)
    receive(world, pending.code)
    before = world.dump()
    assert isinstance(confirm(world, anna, pending), Denied)
    assert isinstance(world.run(inbound_sms.begin_message, anna), Denied)
    assert world.dump() == before


def test_the_wizards_of_one_user_end_when_one_of_them_is_done(world, anna):
    other = Member(world.restricted("anna", MustEnrol).id)
    mine, theirs = begin(world, anna), begin(world, other)
    receive(world, mine.code)
    confirm(world, anna, mine)
    assert receive(world, theirs.code) == IGNORED


def test_a_second_method_is_added_from_the_profile_and_brings_no_new_recovery_codes(world):
    carl = world.enrol(world.user("carl"))
    pending = begin(world, carl)
    receive(world, pending.code)
    assert confirm(world, carl, pending).recovery_codes == ()
    assert world.run(user_summaries.my_profile, carl).methods == {APP, SMS}


def test_from_the_profile_a_fresh_proof_is_asked_for(world):
    carl = world.enrol(world.user("carl"))
    world.clock.forward(minutes=6)
    assert isinstance(world.run(inbound_sms.begin_message, carl), FreshProofNeeded)


def test_another_number_takes_the_place_of_the_one_before(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    confirm(world, anna, pending)
    world.run(recovery_codes.confirm_saved, anna)
    world.run(admission.advance, anna.session_id)
    again = begin(world, anna)
    receive(world, again.code, "+491701234999")
    assert isinstance(confirm(world, anna, again), Enrolled)
    assert [row.destination for row in models.Factor.select().where(models.Factor.kind == "sms")] == [
        "+491701234999"
    ]
    assert world.row("anna").phone == "+491701234999"


def test_clearing_meanwhile_ends_the_wizard_of_someone_who_replaces_a_number(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    confirm(world, anna, pending)
    world.run(admission.advance, anna.session_id)
    again = begin(world, anna)
    world.run(lifecycle.edit_user, OPERATOR, "anna", lifecycle.UserChanges(phone=""))
    receive(world, again.code)
    assert isinstance(confirm(world, anna, again), SessionOver)


@pytest.mark.parametrize("reason", ["no number", "method off", "mode off"])
def test_it_is_offered_only_where_messages_can_come_in_and_are_on(world, reason):
    carl = world.session(world.user("carl"))
    if reason == "no number":
        object.__setattr__(world.services, "sms_number", None)
    elif reason == "method off":
        world.methods(APP, EMAIL)
    else:
        world.mode(Mode.OFF)
    assert isinstance(world.run(inbound_sms.begin_message, carl), Denied)
    assert not models.AwaitedMessage.select().exists()


def test_switching_text_messages_off_ends_the_waiting(world, anna):
    pending = begin(world, anna)
    receive(world, pending.code)
    world.methods(APP)
    assert isinstance(confirm(world, anna, pending), Denied)


def test_old_codes_are_cleared_away(world, anna):
    begin(world, anna)
    world.clock.forward(minutes=15)
    world.user("bert", required=True)
    begin(world, Member(world.restricted("bert", MustEnrol).id))
    assert models.AwaitedMessage.select().count() == 1
