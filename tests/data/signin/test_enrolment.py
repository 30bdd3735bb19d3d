"""The enrolment wizard: proving an app, replacing it, turning it off."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.database import BOTH, OPERATOR, World, clipped, totp

from data.operations.actors import Member
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin import admission, enrolment, first_factor, recovery_codes
from data.operations.signin.attempts import NotACode
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.signin.enrolment import WIZARD_LIFE, Enrolled, EnrolmentCodeWrong, PendingApp
from data.operations.users import credentials, factor_administration
from data.rules import policy
from data.rules.domain_types import Method, Mode
from data.rules.policy import MustEnrol, NeedCode, SignedIn
from data.storage import models


def shown(world: World, pending: PendingApp, steps: int = 0) -> str:
    return totp(pending.secret, world.clock.now, steps)


def begin(world: World, member: Member) -> PendingApp:
    pending = world.run(enrolment.begin_app, member)
    assert isinstance(pending, PendingApp), pending
    return pending


@pytest.fixture
def anna(world: World) -> Member:
    """A user of her own free will, signed in and not enrolled."""
    return world.person("anna")


def test_secret_is_not_stored_until_confirmed(world, anna):
    before = world.dump()
    pending = begin(world, anna)
    assert world.dump() == before
    assert len(pending.secret) == 32
    assert f"secret={pending.secret}" in pending.uri
    assert isinstance(world.first("anna"), admission.Admitted)


@pytest.mark.feature("five-codes")
def test_right_code_enables(world, anna):
    """It brings five recovery codes."""
    pending = begin(world, anna)
    enrolled = world.run(enrolment.confirm_app, anna, pending, shown(world, pending))
    assert isinstance(enrolled, Enrolled)
    assert len(enrolled.recovery_codes) == 5
    assert world.events(user="anna", last=1) == ["two_factor.enrolled"]
    assert isinstance(world.first("anna"), first_factor.CodeNeeded)


def test_each_wizard_shows_a_new_secret(world, anna):
    assert begin(world, anna).secret != begin(world, anna).secret


def test_confirming_code_is_spent(world, anna):
    """It is dead for a sign-in, and the wait is announced."""
    world.clock.forward(seconds=13)
    enrolled = world.wizard("anna", anna)
    assert enrolled.next_code_in_seconds == 17
    assert world.submit(world.attempt("anna"), world.code("anna")) == CodeAlreadyUsed(17)
    world.clock.forward(seconds=17)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), admission.Admitted)


def test_wrong_code(world, anna):
    """It enables nothing and counts nothing."""
    pending = begin(world, anna)
    near = {shown(world, pending, steps) for steps in range(-25, 26)}
    wrong = next(code for code in ("000000", "111111") if code not in near)
    before = world.dump()
    assert world.run(enrolment.confirm_app, anna, pending, wrong) == EnrolmentCodeWrong(None)
    assert world.dump() == before


@pytest.mark.parametrize("minutes", [-9, -2, 4])
def test_phone_with_a_wrong_clock(world, anna, minutes):
    """Its code is refused with a hint."""
    pending = begin(world, anna)
    code = shown(world, pending, minutes * 2)
    assert world.run(enrolment.confirm_app, anna, pending, code) == EnrolmentCodeWrong(minutes * 60)
    assert models.Factor.select().count() == 0


@pytest.mark.parametrize("rubbish", ["", "12345", "\ud800", "x" * 5000], ids=clipped)
def test_rubbish_is_no_code(world, anna, rubbish):
    pending = begin(world, anna)
    assert world.run(enrolment.confirm_app, anna, pending, rubbish) == NotACode()


def test_a_wizard_lives_thirty_minutes_and_no_longer(world, anna):
    pending = begin(world, anna)
    world.clock.now += WIZARD_LIFE
    late = world.clock.now
    world.clock.forward(microseconds=1)
    assert isinstance(world.run(enrolment.confirm_app, anna, pending, shown(world, pending)), Denied)
    world.clock.now = late
    assert isinstance(world.run(enrolment.confirm_app, anna, pending, shown(world, pending)), Enrolled)


def test_a_wizard_of_a_clock_that_went_back_is_refused(world, anna):
    pending = begin(world, anna)
    world.clock.forward(seconds=-60)
    assert isinstance(world.run(enrolment.confirm_app, anna, pending, shown(world, pending)), Denied)


def test_a_wizard_belongs_to_its_session(world, anna):
    other = world.session("anna")
    pending = begin(world, anna)
    assert isinstance(world.run(enrolment.confirm_app, other, pending, shown(world, pending)), Denied)
    assert models.Factor.select().count() == 0


def test_confirming_ends_the_users_other_open_wizard(world, anna):
    other = world.session("anna")
    theirs = begin(world, other)
    world.wizard("anna", anna)
    assert isinstance(world.run(enrolment.confirm_app, other, theirs, shown(world, theirs)), SessionOver)
    world.clock.forward(minutes=1)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), admission.Admitted)


def test_confirming_ends_the_other_replacement(world, anna):
    world.wizard("anna", anna)
    world.clock.forward(minutes=1)
    other = world.session("anna")
    theirs = begin(world, other)
    world.clock.forward(seconds=30)
    world.run(credentials.confirm_fresh_code, anna, world.live_code("anna"))
    world.wizard("anna", anna)
    late = world.run(enrolment.confirm_app, other, theirs, shown(world, theirs))
    assert late == SessionOver("Your authenticator app was replaced by a new one. Sign in again.")
    world.clock.forward(minutes=1)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), admission.Admitted)


def test_replacement_ends_when_disabled(world, anna):
    world.wizard("anna", anna)
    pending = begin(world, anna)
    world.run(factor_administration.disable_two_factor, OPERATOR, "anna")
    assert isinstance(world.run(enrolment.confirm_app, anna, pending, shown(world, pending)), SessionOver)
    later = world.enrol("anna")
    again = replace(pending, session_id=later.session_id)
    assert isinstance(world.run(enrolment.confirm_app, later, again, shown(world, again)), Denied)


def test_restricted_session_replaces_nothing(world):
    world.user("anna", required=True)
    slow = Member(world.restricted("anna", MustEnrol).id)
    pending = begin(world, slow)
    world.enrol("anna")
    assert isinstance(world.run(enrolment.begin_app, slow), Denied)
    assert isinstance(world.run(enrolment.confirm_app, slow, pending, shown(world, pending)), Denied)
    advanced = world.run(admission.advance, slow.session_id).session
    assert advanced.step == NeedCode((Method.APP,))


def test_wizard_makes_the_session_full(world):
    """It does so without another code."""
    world.user("anna", required=True)
    session = world.restricted("anna", MustEnrol)
    world.wizard("anna", Member(session.id))
    world.run(recovery_codes.confirm_saved, Member(session.id))
    advanced = world.run(admission.advance, session.id).session
    assert (advanced.id, advanced.step) == (session.id, SignedIn())


def test_replacing_the_app(world, anna):
    """It needs a fresh code and kills the old app."""
    world.wizard("anna", anna)
    old = world.secrets["anna"]
    world.clock.forward(minutes=6)
    asked = FreshProofNeeded(FreshProof.CODE, replaces_phone=True)
    assert world.run(enrolment.begin_app, anna) == asked
    world.run(credentials.confirm_fresh_code, anna, world.code("anna"))
    pending = begin(world, anna)
    assert totp(old, world.clock.now, 1) != shown(world, pending, 1)
    world.clock.forward(seconds=30)
    assert isinstance(world.submit(world.attempt("anna"), totp(old, world.clock.now)), admission.Admitted)
    replaced = world.run(enrolment.confirm_app, anna, pending, shown(world, pending))
    assert isinstance(replaced, Enrolled)
    assert replaced.recovery_codes == ()
    assert world.events(user="anna", last=1) == ["two_factor.replaced"]
    world.clock.forward(minutes=1)
    assert world.submit(world.attempt("anna"), totp(old, world.clock.now)) == CodeWrong(6)
    new = totp(pending.secret, world.clock.now)
    assert isinstance(world.submit(world.attempt("anna"), new), admission.Admitted)


def test_the_recovery_codes_outlive_a_replacement(world, anna):
    world.wizard("anna", anna)
    world.wizard("anna", anna)
    assert isinstance(world.submit(world.attempt("anna"), world.recovery["anna"][0]), admission.Admitted)


def test_nobody_sets_up_while_the_mode_is_off(world, anna):
    pending = begin(world, anna)
    world.mode(Mode.OFF)
    assert world.run(enrolment.begin_app, anna) == Denied(policy.NOT_AVAILABLE)
    assert world.run(enrolment.confirm_app, anna, pending, shown(world, pending)) == Denied(
        policy.NOT_AVAILABLE
    )


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (lambda world: world.user("anna"), "your choice"),
        (lambda world: world.user("anna", required=True), "required by an administrator"),
        (lambda world: world.user("anna", *BOTH), "required for everyone who holds a role"),
        (lambda world: (world.user("anna"), world.mode(Mode.REQUIRED)), "required by Clinic"),
    ],
)
def test_wizard_says_why(world, prepare, because):
    prepare(world)
    session = world.first("anna").session
    assert begin(world, Member(session.id)).because == because


def test_a_secret_is_shown_by_no_repr(world, anna):
    pending = begin(world, anna)
    assert pending.secret not in repr(pending)
    enrolled = world.run(enrolment.confirm_app, anna, pending, shown(world, pending))
    assert not any(code in repr(enrolled) for code in enrolled.recovery_codes)


def test_turning_off(world, anna):
    """It removes everything, and the password is enough again."""
    world.wizard("anna", anna)
    assert world.run(enrolment.turn_off, anna) == Done("Two-factor authentication is turned off.")
    assert models.Factor.select().count() == models.RecoveryCode.select().count() == 0
    assert world.first("anna").session.step == SignedIn()
    assert world.events(user="anna", last=2)[0] == "two_factor.turned_off"


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.REQUIRED, Mode.PERMANENT])
def test_nobody_turns_it_off_outside_of_mode_optional(world, anna, mode):
    world.wizard("anna", anna)
    world.mode(mode)
    denied = world.run(enrolment.turn_off, anna)
    assert isinstance(denied, Denied)
    assert "your choice" not in denied.message
    assert models.Factor.select().count() == 1


def test_a_required_user_cannot_turn_it_off(world, anna):
    world.wizard("anna", anna)
    world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    assert isinstance(world.run(enrolment.turn_off, anna), Denied)
    assert models.Factor.select().count() == 1


def test_turning_off_what_is_not_set_up_is_denied(world, anna):
    assert isinstance(world.run(enrolment.turn_off, anna), Denied)


def test_turning_off_asks_for_a_fresh_code(world, anna):
    world.wizard("anna", anna)
    world.clock.now += timedelta(minutes=5, microseconds=1)
    assert world.run(enrolment.turn_off, anna) == FreshProofNeeded(FreshProof.CODE)
    assert models.Factor.select().count() == 1


def test_enrolling_again_resets_attempts(world, anna):
    world.wizard("anna", anna)
    world.clock.forward(minutes=1)
    for _ in range(6):
        world.submit(world.attempt("anna"), world.wrong_code("anna"))
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    world.enrol("anna")
    world.clock.forward(minutes=1)
    assert world.submit(world.attempt("anna"), world.wrong_code("anna")) == CodeWrong(6)


def test_clearing_does_not_unlock(world, anna):
    world.enrol("anna")
    world.clock.forward(minutes=1)
    world.lock("anna")
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    assert isinstance(world.first("anna"), admission.TurnedAway)
    assert world.row("anna").attempts_left == 0


def test_session_that_became_restricted(world, anna):
    """It replaces nothing through a wizard that was open."""
    world.wizard("anna", anna)
    pending = begin(world, anna)
    world.mode(Mode.OFF)
    later = world.session("anna")
    pending = replace(pending, session_id=later.session_id)
    world.mode(Mode.OPTIONAL)
    assert isinstance(world.run(enrolment.confirm_app, later, pending, shown(world, pending)), SessionOver)
    assert world.run(admission.advance, later.session_id).session.step == NeedCode((Method.APP,))
    before = world.dump()
    assert isinstance(world.run(enrolment.confirm_app, later, pending, shown(world, pending)), Denied)
    assert world.dump() == before
