"""The second factor: counted, verified and spent, in whichever application it is given."""

import pytest
from support.database import OPERATOR, PASSWORD, SUPPORT, SYSTEM, World

from data.operations.actors import Member
from data.operations.results import Denied, Done
from data.operations.signin import admission, first_factor, sessions
from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.attempts import NotACode, WrongBefore
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import credentials, factor_administration, lifecycle, user_summaries
from data.rules import public_keys, recovery_codes
from data.rules.domain_types import Application, Method, Mode
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, Refusal, SignedIn
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def anna(world: World) -> str:
    """An enrolled user whose last code is a minute old."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    return "anna"


def test_a_right_code_signs_in(world, anna):
    admitted = world.submit(world.attempt(anna), world.code(anna))
    assert isinstance(admitted, Admitted)
    assert admitted.session.step == SignedIn()
    entry = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()
    assert (entry.event, entry.detail) == ("signin.admitted", '{"methods": "password and code"}')


def test_spaces_in_a_code_are_ignored(world, anna):
    code = world.code(anna)
    assert isinstance(world.submit(world.attempt(anna), f" {code[:3]} {code[3:]}\t"), Admitted)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_of_a_neighbouring_step_is_good(world, anna, steps):
    assert isinstance(world.submit(world.attempt(anna), world.code(anna, steps)), Admitted)


@pytest.mark.parametrize("steps", [-2, 2])
def test_code_of_a_farther_step(world, anna, steps):
    """It is wrong, and no hint at the clock is given."""
    assert world.submit(world.attempt(anna), world.code(anna, steps)) == CodeWrong(6)


def test_replay(world, anna):
    """It is refused and audited and does not count."""
    code = world.code(anna)
    world.submit(world.attempt(anna), code)
    world.clock.forward(seconds=13)
    assert world.submit(world.attempt(anna), code) == CodeAlreadyUsed(next_in_seconds=17)
    assert world.events(user=anna, last=1) == ["signin.code_replayed"]
    assert world.row(anna).attempts_left == 7


def test_a_replay_does_not_set_the_count_back(world, anna):
    world.submit(world.attempt(anna), world.code(anna))
    world.submit(world.attempt(anna), world.wrong_code(anna))
    world.submit(world.attempt(anna), world.code(anna))
    assert world.row(anna).attempts_left == 6


def test_accepting_a_later_step_kills_the_earlier_ones(world, anna):
    world.submit(world.attempt(anna), world.code(anna, 1))
    assert isinstance(world.submit(world.attempt(anna), world.code(anna, 0)), CodeAlreadyUsed)
    assert isinstance(world.submit(world.attempt(anna), world.code(anna, -1)), CodeAlreadyUsed)


def test_a_code_is_good_once_whatever_the_application(world, anna):
    code = world.code(anna)
    ssh, local = world.attempt(anna), world.attempt(anna, application=Application.LOCAL)
    assert isinstance(world.submit(ssh, code), Admitted)
    assert isinstance(world.submit(local, code), CodeAlreadyUsed)


@pytest.mark.feature("attempts")
def test_seven_wrong_codes_over_applications(world, anna):
    applications = [Application.SSH, Application.LOCAL]
    attempts = [world.attempt(anna, application=each, address=f"192.0.2.{each}") for each in applications]
    answers = [world.submit(attempts[number % 2], world.wrong_code(anna)) for number in range(7)]
    assert answers == [*(CodeWrong(left) for left in (6, 5, 4, 3, 2, 1)), TurnedAway(Refusal.LOCKED.value)]
    assert world.events(user=anna, last=2) == ["signin.code_wrong", "signin.locked"]
    for attempt in attempts:
        assert world.submit(attempt, world.code(anna)) == TurnedAway(Refusal.LOCKED.value)
    assert world.row(anna).attempts_left == 0


def test_fresh_codes_count_too(world, anna):
    """Fresh codes inside a session count on the same count."""
    member = world.session(anna)
    for left in (6, 5, 4):
        assert world.run(credentials.confirm_fresh_code, member, world.wrong_code(anna)) == CodeWrong(left)
    assert world.submit(world.attempt(anna), world.wrong_code(anna)) == CodeWrong(3)


@pytest.mark.feature("attempts")
def test_a_right_code_sets_the_count_back_to_seven(world, anna):
    for _ in range(6):
        world.submit(world.attempt(anna), world.wrong_code(anna))
    assert isinstance(world.submit(world.attempt(anna), world.code(anna)), Admitted)
    assert world.row(anna).attempts_left == 7


def test_first_factor_resets_nothing(world, anna):
    world.submit(world.attempt(anna), world.wrong_code(anna))
    world.attempt(anna)
    assert world.row(anna).attempts_left == 6


@pytest.mark.feature("guesses-only")
@pytest.mark.parametrize(
    "rubbish",
    ["", "12345", "1234567", "12345678", "123456123456", "\ud800", "x" * 5000, "'; --", PASSWORD, "e"],
)
def test_what_has_no_form_of_a_code_is_no_attempt(world, anna, rubbish):
    assert world.submit(world.attempt(anna), rubbish) == NotACode()
    assert world.row(anna).attempts_left == 7
    assert world.events(user=anna, last=1) != ["signin.code_wrong"]


@pytest.mark.feature("same-field")
def test_recovery_code_in_the_same_field(world, anna):
    typed = world.recovery[anna][0].lower().replace("-", " ")
    admitted = world.submit(world.attempt(anna), typed)
    assert isinstance(admitted, Admitted)
    assert world.events(user=anna, last=2) == ["recovery.used", "signin.admitted"]
    assert world.submit(world.attempt(anna), typed) == CodeAlreadyUsed(None)
    assert world.row(anna).attempts_left == 7


@pytest.mark.feature("five-codes")
def test_five_recovery_codes(world, anna):
    """Each is good once, and few left is said."""
    codes = world.recovery[anna]
    assert len(set(codes)) == recovery_codes.CODES == 5
    notices = [world.submit(world.attempt(anna), code).session.notices for code in codes]
    assert notices[:2] == [(), ()]
    assert [notice[0][: notice[0].index(".")] for notice in notices[2:]] == [
        "2 recovery codes left",
        "1 recovery code left",
        "0 recovery codes left",
    ]
    assert all(isinstance(world.submit(world.attempt(anna), code), CodeAlreadyUsed) for code in codes)


@pytest.mark.feature("few-codes-left")
def test_few_left_is_said_with_the_app_too(world, anna):
    for code in world.recovery[anna][:3]:
        world.submit(world.attempt(anna), code)
    assert "2 recovery codes left" in world.submit(world.attempt(anna), world.code(anna)).session.notices[0]


def test_wrong_recovery_code_with_right_selector(world, anna):
    selector = world.recovery[anna][0][:5]
    assert world.submit(world.attempt(anna), selector + "0000-0000-0000") == CodeWrong(6)


def test_nobody_signs_in_with_someone_elses_code(world, anna):
    world.enrol(world.user("bob"))
    world.clock.forward(minutes=1)
    assert world.submit(world.attempt(anna), world.code("bob")) == CodeWrong(6)
    assert world.submit(world.attempt(anna), world.recovery["bob"][0]) == CodeWrong(5)


def test_unlocking_gives_all_attempts_back(world, anna):
    world.lock(anna)
    assert world.run(factor_administration.unlock, world.person("boss", SYSTEM), anna, "a slip") == Done(
        "User anna unlocked, with 7 attempts again."
    )
    assert world.row(anna).attempts_left == 7
    world.clock.forward(minutes=1)
    assert isinstance(world.submit(world.attempt(anna), world.code(anna)), Admitted)


@pytest.mark.feature("support-role")
def test_support_never_unlocks_and_the_operator_can(world, anna):
    world.lock(anna)
    assert isinstance(
        world.run(factor_administration.unlock, world.person("helper", SUPPORT), anna, "a slip"), Denied
    )
    assert world.row(anna).locked_at is not None
    assert isinstance(world.run(factor_administration.unlock, OPERATOR, anna, "a slip"), Done)


def test_unlocking_who_is_not_locked(world, anna):
    """It is denied and resets nothing."""
    world.submit(world.attempt(anna), world.wrong_code(anna))
    assert isinstance(world.run(factor_administration.unlock, OPERATOR, anna, "a slip"), Denied)
    assert world.row(anna).attempts_left == 6


def test_locked_admin_cannot_unlock_themselves(world):
    boss = world.person("boss", SYSTEM)
    world.clock.forward(minutes=1)
    world.lock("boss")
    denied = world.run(factor_administration.unlock, boss, "boss", "a slip")
    assert denied.message == Refusal.LOCKED.value
    assert world.row("boss").locked_at is not None


def test_password_changed_before_the_code(world, anna):
    attempt = world.attempt(anna)
    world.one_time_password(anna)
    result = world.submit(attempt, world.code(anna))
    assert isinstance(result, TurnedAway)
    assert world.events(user=anna, last=1) == ["signin.turned_away"]


def test_key_removed_before_the_code(world):
    key = public_keys.parse(KEY)
    world.user("anna", key=key)
    world.enrol("anna")
    world.clock.forward(minutes=1)
    attempt = world.first_by_key("anna", key.fingerprint).attempt
    world.run(credentials.remove_key, OPERATOR, key.fingerprint, name="anna")
    assert isinstance(world.submit(attempt, world.code("anna")), TurnedAway)
    assert world.events(user="anna", last=1) == ["signin.turned_away"]


def test_a_key_stands_when_the_password_changes(world):
    key = public_keys.parse(KEY)
    world.user("anna", key=key)
    world.enrol("anna")
    world.clock.forward(minutes=1)
    attempt = world.first_by_key("anna", key.fingerprint).attempt
    world.one_time_password("anna")
    assert isinstance(world.submit(attempt, world.code("anna")), Admitted)


def test_user_deactivated_before_the_code(world, anna):
    attempt = world.attempt(anna)
    world.run(lifecycle.set_active, OPERATOR, anna, active=False)
    assert world.submit(attempt, world.code(anna)) == TurnedAway(Refusal.DEACTIVATED.value)


def test_user_cleared_before_the_code(world):
    """The rules are asked again."""
    world.enrol(world.user("anna", required=True))
    attempt = world.attempt("anna")
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    admitted = world.submit(attempt, "000000")
    assert admitted.session.step == MustEnrol()
    assert models.Session.get_by_id(admitted.session.id).restricted


def test_mode_off_before_the_code(world, anna):
    """The rules are asked again."""
    attempt = world.attempt(anna)
    world.mode(Mode.OFF)
    assert world.submit(attempt, "").session.step == SignedIn()
    assert world.row(anna).attempts_left == 7


def test_one_time_password_comes_before_the_code(world, anna):
    world.one_time_password(anna)
    session = world.restricted(anna, MustChangePassword)
    member = Member(session.id)
    world.run(credentials.store_password, member, world.services.hasher.hash("another long password"))
    advanced = world.run(admission.advance, session.id).session
    assert (advanced.id, advanced.step) == (session.id, NeedCode((Method.APP,)))
    assert models.Session.get_by_id(session.id).restricted
    wrong = world.submit(advanced.attempt, world.wrong_code(anna))
    assert wrong == CodeWrong(6)
    done = world.submit(advanced.attempt, world.code(anna)).session
    assert (done.id, done.step) == (session.id, SignedIn())
    assert not models.Session.get_by_id(session.id).restricted
    assert isinstance(world.first(anna, "another long password"), CodeNeeded)
    assert isinstance(world.first(anna, PASSWORD), first_factor.FirstFactorRejected)


def test_session_ended_before_the_code(world, anna):
    world.one_time_password(anna)
    session = world.restricted(anna, MustChangePassword)
    world.run(credentials.store_password, Member(session.id), world.services.hasher.hash("another long one"))
    attempt = world.run(admission.advance, session.id).session.attempt
    world.run(sessions.end_session, session.id)
    assert isinstance(world.submit(attempt, world.code(anna)), TurnedAway)
    assert models.Session.get_by_id(session.id).restricted
    assert world.events(user=anna)[-1] != "signin.admitted"


def test_a_code_is_shown_by_no_result(world, anna):
    code = world.code(anna)
    assert code not in repr(world.submit(world.attempt(anna), code))
    assert code.encode() not in world.file_bytes()


@pytest.mark.feature("unlock-reason")
@pytest.mark.parametrize("reason", ["", "  ", "x" * 121])
def test_unlocking_without_a_reason_changes_nothing(world, reason):
    world.enrol(world.user("anna"))
    world.lock("anna")
    before = world.dump()
    assert (
        "Enter a reason; it is logged"
        in world.run(factor_administration.unlock, OPERATOR, "anna", reason).message
    )
    assert world.dump() == before


@pytest.mark.feature("unlock-reason")
def test_the_activity_keeps_the_reason_of_an_unlocking(world):
    world.enrol(world.user("anna"))
    world.lock("anna")
    world.run(factor_administration.unlock, OPERATOR, "anna", " spoke\n on the phone ")
    recent = world.run(user_summaries.user_detail, OPERATOR, "anna").recent
    assert recent[0].sentence == "Unlocked: spoke on the phone"


@pytest.mark.feature("guesses-only")
def test_wrong_answer_is_not_judged_again(world, anna):
    """This holds for five minutes."""
    wrong = world.wrong_code(anna)
    assert world.submit(world.attempt(anna), wrong) == CodeWrong(6)
    spelled = f"{wrong[:3]}-{wrong[3:]}\u200b"
    assert world.submit(world.attempt(anna, application=Application.LOCAL), spelled) == WrongBefore()
    assert world.run(credentials.confirm_fresh_code, world.session(anna), wrong) == WrongBefore()
    world.clock.forward(minutes=5)
    assert world.submit(world.attempt(anna), wrong) == CodeWrong(6)


def test_wrong_answer_that_became_right(world, anna):
    """It is not judged either."""
    early = world.code(anna, 2)
    assert world.submit(world.attempt(anna), early) == CodeWrong(6)
    world.clock.forward(seconds=60)
    assert world.submit(world.attempt(anna), early) == WrongBefore()
    assert world.row(anna).attempts_left == 6


FORGETTING = {
    "a code is sent": lambda world: world.sent(world.attempt("anna")),
    "a resync is offered": lambda world: world.run(factor_administration.offer_resync, OPERATOR, "anna"),
}


@pytest.mark.parametrize("act", FORGETTING.values(), ids=FORGETTING.keys())
def test_what_was_wrong_is_judged_again_once(world, anna, act):
    world.methods(Method.APP, Method.EMAIL)
    world.enrol_email(anna)
    world.clock.forward(minutes=2)
    wrong = world.wrong_code(anna)
    assert world.submit(world.attempt(anna), wrong) == CodeWrong(6)
    act(world)
    assert world.submit(world.attempt(anna), wrong) == CodeWrong(5)


def test_wrong_answers_after_a_lock(world, anna):
    """What was wrong before a lock is judged again after it."""
    wrong = world.wrong_code(anna)
    world.submit(world.attempt(anna), wrong)
    world.lock(anna)
    world.run(factor_administration.unlock, OPERATOR, anna, "a slip")
    assert world.submit(world.attempt(anna), wrong) == CodeWrong(6)


def test_wrong_recovery_code_is_not_judged_again(world, anna):
    """Its text is stored nowhere."""
    typed = "AAAA-BBBB-CCCC-DDDD"
    assert world.submit(world.attempt(anna), typed) == CodeWrong(6)
    assert world.submit(world.attempt(anna), typed.lower().replace("-", " ")) == WrongBefore()
    assert "AAAABBBB" not in world.row(anna).wrong_answers.upper()


def test_the_last_two_attempts_are_warned_of(world, anna):
    said = [world.submit(world.attempt(anna), world.wrong_code(anna)).message for _ in range(6)]
    assert said[3] == "Wrong code, 3 attempts left."
    assert said[4:] == [
        f"Wrong code, {left} left. After that, a system administrator must unlock you."
        for left in ("2 attempts", "1 attempt")
    ]
