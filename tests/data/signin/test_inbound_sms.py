"""Enrolment by a message that the user sends: the code, the sender, and the wizard that waits."""

import pytest
from support.database import OPERATOR, World

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


def test_awaited_code_is_hashed(world, anna):
    """The code goes to our number, is stored as a keyed hash and shown in no repr."""
    pending = begin(world, anna)
    assert pending.number == OURS
    assert pending.code.isdigit()
    assert len(pending.code) == 12
    assert pending.code not in repr(pending)
    assert pending.code.encode() not in world.file_bytes()


@pytest.mark.feature("enrol-sent-message")
def test_message_proves_the_number(world, anna):
    """A message with the code proves its sender's number, which goes to the profile."""
    pending = begin(world, anna)
    assert look(world, anna, pending) is Sighting.NOTHING
    assert receive(world, pending.code) == Done("The message was passed to the setup that is waiting for it.")
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


def test_proven_number_receives_codes(world, anna):
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


def test_nothing_before_the_message(world, anna):
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


def test_message_before_the_code(world, anna):
    """A message from long before the code was shown does not count."""
    pending = begin(world, anna)
    world.clock.forward(minutes=14, seconds=59)
    assert look(world, anna, pending) is Sighting.NOTHING
    world.clock.forward(seconds=1)
    assert look(world, anna, pending) is Sighting.TOO_LATE
    assert receive(world, pending.code) == IGNORED
    world.clock.forward(minutes=-17)
    assert receive(world, pending.code) == IGNORED


def test_host_clock_a_little_behind(world, anna):
    """A host whose clock is a little behind takes the message."""
    pending = begin(world, anna)
    world.clock.forward(seconds=-40)
    assert isinstance(receive(world, pending.code), Done)


def test_message_in_time_late_wizard(world, anna):
    """A message that came in time counts, though the wizard looks later."""
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


def test_first_of_several_messages_counts(world, anna):
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
def test_sender_without_a_number(world, anna, sender):
    """The message is refused, and the wizard is told."""
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


def test_unawaited_messages_write_nothing(world, anna):
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
    assert "Another user has this number too" in confirm(world, anna, of_anna).message


def test_a_number_in_another_account_is_not_told_of(world, anna):
    world.set(world.user("zoe"), phone=NUMBER)
    world.set("zoe", account=models.Account.create(name="Other", mode="off", created_at=world.clock.now).id)
    pending = begin(world, anna)
    receive(world, pending.code)
    assert "Another user" not in confirm(world, anna, pending).message


def test_restricted_session_replaces_nothing(world, anna):
    """It never replaces a factor that another session set up."""
    pending = begin(world, anna)
    other = Member(world.restricted("anna", MustEnrol).id)
    world.wizard("anna", other)
    world.run(recovery_codes.confirm_saved, other)
    receive(world, pending.code)
    before = world.dump()
    assert isinstance(confirm(world, anna, pending), Denied)
    assert isinstance(world.run(inbound_sms.begin_message, anna), Denied)
    assert world.dump() == before


def test_wizards_of_one_user_end_together(world, anna):
    other = Member(world.restricted("anna", MustEnrol).id)
    mine, theirs = begin(world, anna), begin(world, other)
    receive(world, mine.code)
    confirm(world, anna, mine)
    assert receive(world, theirs.code) == IGNORED


def test_second_method_from_the_profile(world):
    """It brings no new recovery codes."""
    carl = world.enrol(world.user("carl"))
    pending = begin(world, carl)
    receive(world, pending.code)
    assert confirm(world, carl, pending).recovery_codes == ()
    assert world.run(user_summaries.my_profile, carl).methods == {APP, SMS}


def test_from_the_profile_a_fresh_proof_is_asked_for(world):
    carl = world.enrol(world.user("carl"))
    world.clock.forward(minutes=6)
    assert isinstance(world.run(inbound_sms.begin_message, carl), FreshProofNeeded)


def test_another_number_replaces_the_first(world, anna):
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


def test_clearing_ends_the_wizard(world, anna):
    """It ends the wizard of a user who replaces a number."""
    pending = begin(world, anna)
    receive(world, pending.code)
    confirm(world, anna, pending)
    world.run(admission.advance, anna.session_id)
    again = begin(world, anna)
    world.run(lifecycle.edit_user, OPERATOR, "anna", lifecycle.UserChanges(phone=""))
    receive(world, again.code)
    assert isinstance(confirm(world, anna, again), SessionOver)


@pytest.mark.parametrize("reason", ["no number", "method off", "mode off"])
def test_offered_where_messages_come_in(world, reason):
    """It is offered only if messages can come in and the method is on."""
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
