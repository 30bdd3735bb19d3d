"""Codes by e-mail at sign-in, for fresh proof and in the wizard: good once, for a while, within limits."""

from dataclasses import replace

import pytest
from support.database import OPERATOR, PASSWORD, World, code_in

from data.operations.actors import Member
from data.operations.maintenance import accounts
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded
from data.operations.signin import admission, enrolment, second_factor, sent_codes
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeLapsed, CodeWrong
from data.operations.signin.sent_codes import CodeToSend, Lapse, NotSent
from data.operations.users import credentials, user_summaries
from data.operations.users.lifecycle import NewUser, create_user
from data.rules.domain_types import Method, Mode, Status
from data.rules.policy import MustEnrol, SignedIn
from data.rules.sent_codes import PER_DESTINATION, Purpose
from data.storage import models

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL
NUMBER = "+491701234711"


@pytest.fixture
def world(world: World) -> World:
    """E-mail is on beside the app; anna has both, bert has e-mail alone."""
    world.methods(APP, EMAIL)
    world.user("anna")
    world.enrol("anna")
    world.enrol_email("anna")
    world.user("bert")
    world.enrol_email("bert")
    world.clock.forward(hours=2)
    return world


def other(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06}"


def test_question_offers_what_is_set_up(world):
    assert world.attempt("anna").methods == (APP, EMAIL)
    assert world.attempt("bert").methods == (EMAIL,)


def test_a_sent_code_signs_in_and_is_good_once(world):
    attempt = world.attempt("bert")
    code = world.sent(attempt)
    assert isinstance(world.submit(attempt, f" {code[:3]} {code[3:]} "), admission.Admitted)
    assert world.row("bert").attempts_left == 7
    again = world.attempt("bert")
    assert world.submit(again, code) == CodeAlreadyUsed(None)
    assert world.row("bert").attempts_left == 7
    assert world.events(user="bert", last=1) == ["signin.code_replayed"]


@pytest.mark.feature("masked")
def test_log_of_methods_and_masked_destinations(world):
    attempt = world.attempt("bert")
    world.submit(attempt, world.sent(attempt))
    rows = world.run(user_summaries.user_detail, OPERATOR, "bert").recent
    said = [row.sentence for row in rows]
    assert "Signed in with password and e-mail code" in said
    assert "Code sent by e-mail to b•••@clinic.example" in said


@pytest.mark.feature("sent-code-any")
def test_outstanding_codes(world):
    """Each is good until one succeeds, and then none."""
    attempt = world.attempt("bert")
    first = world.sent(attempt)
    world.clock.forward(seconds=60)
    second = world.sent(attempt)
    world.clock.forward(seconds=60)
    third = world.sent(attempt)
    assert isinstance(world.submit(attempt, second), admission.Admitted)
    for code in {first, third} - {second}:
        assert world.submit(world.attempt("bert"), code) == CodeLapsed(Lapse.REPLACED)
    assert world.row("bert").attempts_left == 7


def test_a_right_code_of_the_app_voids_what_was_sent(world):
    attempt = world.attempt("anna")
    code = world.sent(attempt)
    assert isinstance(world.submit(attempt, world.live_code("anna")), admission.Admitted)
    assert world.submit(world.attempt("anna"), code) == CodeLapsed(Lapse.REPLACED)


@pytest.mark.feature("sent-code-form")
def test_a_sent_code_is_good_for_fifteen_minutes(world):
    attempt = world.attempt("bert")
    code = world.sent(attempt)
    world.clock.forward(minutes=15)
    assert world.submit(attempt, code) == CodeLapsed(Lapse.EXPIRED)
    assert world.row("bert").attempts_left == 7
    world.clock.forward(seconds=-1)
    assert isinstance(world.submit(attempt, code), admission.Admitted)


def test_a_code_that_expired_a_day_ago_is_a_wrong_one(world):
    attempt = world.attempt("bert")
    code = world.sent(attempt)
    world.clock.forward(hours=24)
    assert world.submit(attempt, code) == CodeWrong(6)


def test_code_that_enrolled_is_replaced(world):
    """At a sign-in it counts as replaced, not as wrong."""
    member = world.session("anna")
    pending = world.run(enrolment.begin_email, member)
    code = code_in(world.run(enrolment.send_enrolment_code, member, pending))
    world.run(enrolment.confirm_sent, member, pending, code)
    assert world.submit(world.attempt("anna"), code) == CodeLapsed(Lapse.REPLACED)


@pytest.mark.feature("sending-no-attempt")
def test_asking_does_not_count(world):
    attempt = world.attempt("bert")
    code = world.sent(attempt)
    for by, left in enumerate((6, 5, 4), 1):
        assert world.submit(attempt, other(code, by)) == CodeWrong(left)
    world.clock.forward(seconds=60)
    fresh = world.sent(attempt)
    assert world.row("bert").attempts_left == 4
    assert world.submit(attempt, other(fresh)) == CodeWrong(3)


def test_wrong_codes_lock_for_every_method(world):
    attempt = world.attempt("anna")
    code = world.sent(attempt)
    for by in range(1, 8):
        last = world.submit(attempt, other(code, by))
    assert isinstance(last, admission.TurnedAway)
    assert isinstance(world.run(second_factor.send_code, attempt, EMAIL), admission.TurnedAway)
    assert isinstance(world.submit(attempt, code), admission.TurnedAway)


@pytest.mark.feature("sent-code-limits")
def test_limits_of_a_user(world):
    """A user is sent one code a minute and five an hour."""
    attempt = world.attempt("bert")
    for _ in range(5):
        world.sent(attempt)
        assert isinstance(world.run(second_factor.send_code, attempt, EMAIL), NotSent)
        world.clock.forward(minutes=1)
    refused = world.run(second_factor.send_code, attempt, EMAIL)
    assert refused == NotSent("5 codes were sent within an hour. The next one can be sent in 55 min.")
    world.clock.forward(minutes=55)
    world.sent(attempt)


@pytest.mark.feature("sent-code-limits")
def test_limits_of_a_destination(world):
    """It is sent twenty codes an hour by any users."""
    attempt = world.attempt("bert")
    for _ in range(20):
        models.SentCode.insert(
            user=world.row("anna").id,
            account_id=world.row("anna").account_id,
            purpose="proof",
            method="email",
            destination="bert@clinic.example",
            digest="",
            sent_at=world.clock.now,
        ).execute()
    assert "Too many codes were sent there" in world.run(second_factor.send_code, attempt, EMAIL).reason


@pytest.mark.feature("sent-code-limits")
def test_limits_of_an_account(world):
    """Each account has its own number of codes a day."""
    object.__setattr__(world.services, "codes_per_day", 1)
    models.SentCode.delete().execute()
    world.sent(world.attempt("bert"))
    assert "today" in world.run(second_factor.send_code, world.attempt("anna"), EMAIL).reason
    stranger = strangers(world, 1)[0]
    world.enrol_email(stranger)
    world.clock.forward(minutes=1)
    world.sent(world.attempt(stranger))
    world.clock.forward(hours=24)
    world.sent(world.attempt("anna"))


def strangers(world: World, count: int) -> list[str]:
    """Create users of another account, which has all methods on; return their names."""
    hashed = world.services.hasher.hash(PASSWORD)
    admin = NewUser("stranger0", "stranger0@surgery.example", password_hash=hashed, one_time_password=False)
    assert isinstance(world.run(accounts.add_account, OPERATOR, "Surgery", "Main", admin), Done)
    surgery = replace(OPERATOR, account="Surgery")
    for number in range(1, count):
        name = f"stranger{number}"
        new = replace(admin, name=name, email=f"{name}@surgery.example")
        assert isinstance(world.run(create_user, surgery, new), Done)
    models.Account.update(mode="optional", app_on=True, sms_on=True, email_on=True).execute()
    models.UserRole.delete().where(models.UserRole.user == world.row("stranger0").id).execute()
    world.catch_up()
    return [f"stranger{number}" for number in range(count)]


@pytest.mark.feature("proof-code-limits")
def test_strangers_who_enrol_a_number(world):
    """An account's people have all be sent to someone's number that can be; its owner still signs in."""
    mine = strangers(world, 8)
    world.set("bert", phone=NUMBER)
    member = world.session("anna")
    pending = world.run(enrolment.begin_sms, member, NUMBER)
    world.confirm_destination(member, pending)
    world.clock.forward(hours=1)
    answers = []
    for name in mine:
        member = world.session(name)
        pending = world.run(enrolment.begin_sms, member, NUMBER)
        for _ in range(6):
            answers.append(world.run(enrolment.send_enrolment_code, member, pending))
            world.clock.forward(minutes=1)
        world.clock.forward(minutes=-6)
    world.clock.forward(minutes=6)
    sent = [answer for answer in answers if isinstance(answer, CodeToSend)]
    assert len(sent) == PER_DESTINATION[Purpose.ENROL] == 3
    for _ in range(5):
        attempt = world.attempt("anna")
        assert isinstance(world.submit(attempt, world.sent(attempt, SMS)), admission.Admitted)
        world.clock.forward(minutes=1)


@pytest.mark.feature("proof-code-limits")
def test_strangers_with_the_same_number(world):
    """Whoever can forge the sender of a text message proves any number by one."""
    world.methods(APP, SMS, EMAIL)
    member = world.session("anna")
    world.confirm_destination(member, world.run(enrolment.begin_sms, member, NUMBER))
    world.clock.forward(minutes=1)
    stranger = world.row(strangers(world, 1)[0])
    for _ in range(20):
        models.SentCode.insert(
            user=stranger.id,
            account_id=stranger.account_id,
            purpose="proof",
            method="sms",
            destination=NUMBER,
            digest="",
            sent_at=world.clock.now,
        ).execute()
    attempt = world.attempt("anna")
    assert isinstance(world.submit(attempt, world.sent(attempt, SMS)), admission.Admitted)


@pytest.mark.feature("proof-code-limits")
def test_setting_up_uses_up_no_codes_to_sign_in(world):
    object.__setattr__(world.services, "codes_per_day", 5)
    models.SentCode.delete().execute()
    members = [world.person(f"colleague{number}") for number in range(2)]
    for member in members:
        pending = world.run(enrolment.begin_email, member)
        for _ in range(3):
            world.run(enrolment.send_enrolment_code, member, pending)
            world.clock.forward(minutes=1)
    assert models.SentCode.select().where(models.SentCode.purpose == "enrol").count() == 5
    for _ in range(5):
        world.sent(world.attempt("bert"))
        world.clock.forward(minutes=1)
    assert "5 codes" in world.run(second_factor.send_code, world.attempt("bert"), EMAIL).reason


def test_undelivered_code(world):
    """It frees the minute and still works."""
    attempt = world.attempt("bert")
    made = world.run(second_factor.send_code, attempt, EMAIL)
    world.run(sent_codes.record_failure, made, "mail.example:587: no answer in time")
    assert world.row("bert").attempts_left == 7
    assert world.events(user="bert", last=1) == ["code.not_sent"]
    assert isinstance(world.run(second_factor.send_code, attempt, EMAIL), CodeToSend)
    assert isinstance(world.submit(attempt, code_in(made)), admission.Admitted)


def test_code_of_another_user(world):
    code = world.sent(world.attempt("bert"))
    assert isinstance(world.submit(world.attempt("anna"), code), CodeWrong)


@pytest.mark.feature("no-code-logged")
def test_the_code_lies_nowhere_in_the_files(world):
    made = world.run(second_factor.send_code, world.attempt("bert"), EMAIL)
    assert code_in(made) not in repr(made)
    assert code_in(made).encode() not in b"".join(
        row.digest.encode() for row in models.SentCode.select() if not row.void
    )
    stored = models.SentCode.get_by_id(made.id)
    assert stored.digest == world.services.vault.digest_code(
        code_in(made), user_id=stored.user_id, purpose="proof"
    )
    details = [row.detail for row in models.AuditEntry.select()]
    assert not any(code_in(made) in detail for detail in details)


def test_method_switched_off(world):
    """It sends no more, and its codes are wrong."""
    attempt = world.attempt("anna")
    code = world.sent(attempt)
    world.methods(APP)
    assert "no longer" in world.run(second_factor.send_code, attempt, EMAIL).reason
    assert world.submit(attempt, code) == CodeLapsed(Lapse.REPLACED)


def test_app_switched_off(world):
    world.methods(EMAIL)
    attempt = world.attempt("anna")
    assert attempt.methods == (EMAIL,)
    assert isinstance(world.submit(attempt, world.live_code("anna")), CodeWrong)


@pytest.mark.feature("same-field")
def test_a_recovery_code_goes_into_the_same_field(world):
    assert isinstance(world.submit(world.attempt("bert"), world.recovery["bert"][0]), admission.Admitted)


def test_a_fresh_code_can_be_a_sent_one(world):
    world.clock.forward(minutes=2)
    attempt = world.attempt("bert")
    member = Member(world.submit(attempt, world.sent(attempt)).session.id)
    world.clock.forward(minutes=6)
    assert world.run(enrolment.begin_email, member) == FreshProofNeeded(FreshProof.CODE, (EMAIL,))
    made = world.run(credentials.send_fresh_code, member, EMAIL)
    assert world.run(credentials.confirm_fresh_code, member, other(code_in(made))) == CodeWrong(6)
    assert world.run(credentials.confirm_fresh_code, member, code_in(made)).message == "Confirmed."
    assert isinstance(world.run(enrolment.begin_email, member), enrolment.PendingDestination)
    assert isinstance(world.run(credentials.send_fresh_code, member, APP), NotSent)


# The wizard


@pytest.mark.feature("enrol-email")
def test_enrolment_by_email(world):
    """It brings recovery codes."""
    world.user("carl", required=True)
    session = world.restricted("carl", MustEnrol)
    member = Member(session.id)
    assert world.run(enrolment.wizard_choice, member).methods == (APP, EMAIL)
    pending = world.run(enrolment.begin_email, member)
    assert "carl" not in repr(pending)
    enrolled = world.confirm_destination(member, pending)
    assert len(enrolled.recovery_codes) == 5
    assert world.run(user_summaries.user_detail, OPERATOR, "carl").status is Status.ENABLED
    assert world.run(admission.advance, member.session_id).session.step == SignedIn()
    assert world.attempt("carl").methods == (EMAIL,)


def test_a_second_method_brings_no_new_recovery_codes(world):
    world.user("dora")
    member = world.enrol("dora")
    assert world.confirm_destination(member, world.run(enrolment.begin_email, member)).recovery_codes == ()
    assert isinstance(world.submit(world.attempt("dora"), world.recovery["dora"][0]), admission.Admitted)


def test_codes_to_enrol_and_to_sign_in(world):
    """Neither does the other's work."""
    member = world.session("anna")
    pending = world.run(enrolment.begin_email, member)
    to_enrol = code_in(world.run(enrolment.send_enrolment_code, member, pending))
    assert isinstance(world.submit(world.attempt("anna"), to_enrol), CodeWrong)
    world.clock.forward(minutes=1)
    to_prove = world.sent(world.attempt("anna"))
    wrong = world.run(enrolment.confirm_sent, member, pending, to_prove)
    assert wrong == enrolment.EnrolmentCodeWrong(None)


def test_seven_wrong_answers_to_enrol(world):
    """They use up the code and count as no attempt."""
    member = world.session("anna")
    pending = world.run(enrolment.begin_email, member)
    code = code_in(world.run(enrolment.send_enrolment_code, member, pending))
    for _ in range(7):
        world.run(enrolment.confirm_sent, member, pending, other(code))
    refused = world.run(enrolment.confirm_sent, member, pending, code)
    assert refused == enrolment.EnrolmentCodeWrong(None)
    assert world.row("anna").attempts_left == 7


def test_set_up_ends_with_its_address(world):
    """It ends when the address changes meanwhile."""
    member = world.session("anna")
    pending = world.run(enrolment.begin_email, member)
    code = code_in(world.run(enrolment.send_enrolment_code, member, pending))
    world.set("anna", email="new@clinic.example")
    assert isinstance(world.run(enrolment.confirm_sent, member, pending, code), Denied)


def test_restricted_session_replaces_nothing(world):
    """It never replaces a method that another session set up."""
    world.user("carl", required=True)
    mine = Member(world.restricted("carl", MustEnrol).id)
    thief = Member(world.restricted("carl", MustEnrol).id)
    begun = world.run(enrolment.begin_email, thief)
    world.enrol_email("carl", mine)
    for result in (
        world.run(enrolment.send_enrolment_code, thief, begun),
        world.run(enrolment.confirm_sent, thief, begun, "123456"),
        world.run(enrolment.begin_app, thief),
        world.run(enrolment.begin_email, thief),
        world.run(enrolment.wizard_choice, thief),
    ):
        assert isinstance(result, Denied)


@pytest.mark.feature("choose-method")
def test_a_method_that_is_off_cannot_be_set_up(world):
    member = world.session("anna")
    assert isinstance(world.run(enrolment.begin_sms, member, "+49 170 1234711"), Denied)
    world.methods(EMAIL)
    assert isinstance(world.run(enrolment.begin_app, member), Denied)


def test_turning_off_removes_everything(world):
    """Every method goes, and what was sent."""
    member = world.session("anna")
    attempt = world.attempt("anna")
    code = world.sent(attempt)
    world.run(enrolment.turn_off, member)
    assert isinstance(world.first("anna"), admission.Admitted)
    world.mode(Mode.REQUIRED)
    assert models.SentCode.select().where(models.SentCode.void == False).count() == 0  # noqa: E712
    assert code


@pytest.mark.feature("enrol-text-message")
def test_shared_phone_number(world):
    """It is allowed with a warning and kept on the profile."""
    world.methods(APP, SMS, EMAIL)
    for name, shared in (("anna", False), ("bert", True)):
        attempt = world.attempt(name)
        member = Member(world.submit(attempt, world.sent(attempt)).session.id)
        assert isinstance(world.run(enrolment.begin_sms, member, "0170"), Denied)
        pending = world.run(enrolment.begin_sms, member, "+49 170 1234711")
        assert (pending.shared, pending.masked) == (shared, "•••• 4711")
        world.clock.forward(minutes=1)
        world.confirm_destination(member, pending)
        assert world.row(name).phone == "+491701234711"
    assert world.attempt("anna").methods == (APP, SMS, EMAIL)
    assert world.attempt("bert").methods == (SMS, EMAIL)
