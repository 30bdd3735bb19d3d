"""A phone whose clock is off comes back by two consecutive codes, while an offer stands."""

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, totp

from data.operations.actors import Member
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.signin import second_factor
from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.attempts import NotACode, WrongBefore
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.signin.resync import NextCodeWanted
from data.operations.users import credentials, factor_administration, user_summaries
from data.rules import totp as rules
from data.rules.domain_types import Application
from data.storage import models


@pytest.fixture
def anna(world: World) -> str:
    """An enrolled user whose last code is half an hour old."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=30)
    return "anna"


@pytest.fixture
def offered(world: World, anna: str) -> str:
    assert isinstance(offer(world), Done)
    return anna


def offer(world, actor=OPERATOR):
    return world.run(factor_administration.offer_resync, actor, "anna")


def factor() -> models.Factor:
    return models.Factor.get()


def pair(world, steps: int) -> str:
    """Return two consecutive codes of a phone that is some steps ahead."""
    return f"{world.code('anna', steps)} {world.code('anna', steps + 1)}"


@pytest.mark.feature("resync")
@pytest.mark.parametrize("ahead", [-20, -7, 3, 19])
def test_two_codes_in_one_answer(world, offered, ahead):
    result = world.submit(world.attempt("anna"), pair(world, ahead))
    assert isinstance(result, Admitted)
    assert (factor().drift, factor().resync_until) == (ahead + 1, None)
    assert world.events(user="anna")[-2:] == ["two_factor.resynced", "signin.admitted"]
    world.clock.forward(minutes=2)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna", ahead + 1)), Admitted)


@pytest.mark.feature("resync")
def test_two_codes_in_two_answers(world, offered):
    attempt = world.attempt("anna")
    first = world.submit(attempt, world.code("anna", -12))
    assert isinstance(first, NextCodeWanted)
    assert first.message.endswith("Wait until your app shows the next one, then type it.")
    world.clock.forward(seconds=30)
    assert isinstance(world.submit(attempt, world.code("anna", -12)), Admitted)
    assert factor().drift == -12


def test_two_sign_ins_and_applications(world, offered):
    """The two answers may come in two sign-ins and applications."""
    world.submit(world.attempt("anna"), world.code("anna", 8))
    world.clock.forward(seconds=30)
    there = world.attempt("anna", application=Application.LOCAL, address="local")
    assert isinstance(world.submit(there, world.code("anna", 8)), Admitted)


@pytest.mark.feature("resync")
@pytest.mark.parametrize("ahead", [-21, 20, 40])
def test_beyond_ten_minutes_nothing_comes_back(world, offered, ahead):
    assert isinstance(world.submit(world.attempt("anna"), pair(world, ahead)), CodeWrong)
    assert factor().drift == 0


def test_codes_that_are_not_consecutive_are_wrong(world, offered):
    typed = f"{world.code('anna', -9)} {world.code('anna', -7)}"
    assert world.submit(world.attempt("anna"), typed) == CodeWrong(6)
    backwards = f"{world.code('anna', -8)} {world.code('anna', -9)}"
    assert world.submit(world.attempt("anna"), backwards) == CodeWrong(5)


def test_two_codes_without_an_offer(world, anna):
    """They are no code, and one of them is wrong."""
    attempt = world.attempt("anna")
    assert world.submit(attempt, pair(world, -9)) == NotACode()
    assert world.submit(attempt, world.code("anna", -9)) == CodeWrong(6)


@pytest.mark.feature("resync-offer")
def test_offer_ends_after_an_hour(world, offered):
    """It does not come back with the clock."""
    world.clock.forward(minutes=59, seconds=59)
    assert world.run(user_summaries.user_detail, OPERATOR, "anna").resync_until is not None
    world.clock.forward(seconds=1)
    assert world.submit(world.attempt("anna"), pair(world, -9)) == NotACode()
    world.clock.forward(hours=-2)
    assert world.submit(world.attempt("anna"), pair(world, -9)) == NotACode()


def test_any_accepted_code_ends_the_offer(world, offered):
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), Admitted)
    world.clock.forward(minutes=1)
    assert world.submit(world.attempt("anna"), pair(world, 9)) == NotACode()


def test_a_right_code_of_the_window_signs_in_at_once(world, offered):
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna", 1)), Admitted)
    assert factor().drift == 0


@pytest.mark.feature("resync-offer")
def test_only_the_first_code_is_free(world, offered):
    """The first code of an offer is not counted, and every further one is."""
    attempt = world.attempt("anna")
    assert world.submit(attempt, world.code("anna", -12)) == NextCodeWanted(7)
    assert world.submit(attempt, world.code("anna", -12)) == NextCodeWanted(6)
    assert world.submit(attempt, world.code("anna", -12)) == WrongBefore()
    assert world.submit(attempt, world.code("anna", -9)) == NextCodeWanted(5)
    assert NextCodeWanted(5).message.endswith("then type it. 5 attempts left.")
    assert "1 attempt left." in NextCodeWanted(1).message
    for left, steps in zip((4, 3, 2, 1), (6, 8, 10, 12), strict=True):
        assert world.submit(attempt, world.code("anna", steps)) == NextCodeWanted(left)
    assert isinstance(world.submit(attempt, world.code("anna", 14)), TurnedAway)
    assert world.row("anna").locked_at is not None


def test_the_last_attempt_suffices_for_a_pair(world, offered):
    world.set("anna", attempts_left=1)
    attempt = world.attempt("anna")
    assert world.submit(attempt, world.code("anna", -12)) == NextCodeWanted(1)
    world.clock.forward(seconds=30)
    assert isinstance(world.submit(attempt, world.code("anna", -12)), Admitted)
    assert world.row("anna").attempts_left == 7


def test_a_wrong_code_counts_while_an_offer_stands(world, offered):
    assert world.submit(world.attempt("anna"), world.wrong_code("anna")) == CodeWrong(6)


def test_both_codes_of_a_pair_are_dead_afterwards(world, offered):
    typed = pair(world, -9)
    world.submit(world.attempt("anna"), typed)
    offer(world)
    assert isinstance(world.submit(world.attempt("anna"), typed), CodeWrong)
    for half in typed.split():
        assert isinstance(world.submit(world.attempt("anna"), half), CodeAlreadyUsed)


def test_used_codes_make_no_pair(world, anna):
    """Codes at or before the last accepted one make no pair."""
    world.submit(world.attempt("anna"), world.code("anna"))
    offer(world)
    assert isinstance(world.submit(world.attempt("anna"), pair(world, -1)), CodeWrong)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna", -5)), CodeWrong)


def test_a_corrected_phone_is_brought_back_again(world, offered):
    world.submit(world.attempt("anna"), pair(world, -10))
    world.clock.forward(minutes=1)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), CodeWrong)
    offer(world)
    assert isinstance(world.submit(world.attempt("anna"), pair(world, 0)), Admitted)
    assert factor().drift == 1


def test_a_new_phone_begins_without_drift(world, offered):
    result = world.submit(world.attempt("anna"), pair(world, -10))
    world.wizard("anna", signin_member(result))
    assert (factor().drift, factor().last_offset) == (0, 0)


def signin_member(result):
    return Member(result.session.id)


def test_a_locked_user_gains_nothing_by_an_offer_alone(world, anna):
    world.lock("anna")
    assert offer(world).message.endswith("anna is locked; unlock them too.")
    assert isinstance(world.first("anna"), TurnedAway)


def test_it_works_at_the_question_for_a_code_only(world, offered):
    me = Member(world.submit(world.attempt("anna"), world.recovery["anna"][0]).session.id)
    offer(world)
    assert world.run(credentials.confirm_fresh_code, me, pair(world, -9)) == NotACode()


@pytest.mark.feature("resync-offer")
def test_who_may_offer(world, anna):
    """Administrators with fresh proof may, and it is audited."""
    chief = world.person("chief", SECURITY)
    assert offer(world, chief).message == "For an hour, anna can sign in with two consecutive codes."
    assert world.events(user="anna", last=1) == ["two_factor.resync_offered"]
    assert isinstance(offer(world, world.person("helper", SUPPORT)), Denied)
    assert isinstance(
        world.run(factor_administration.offer_resync, world.person("boss", SYSTEM), "chief"), Denied
    )
    world.clock.forward(minutes=6)
    assert isinstance(offer(world, chief), FreshProofNeeded)
    world.user("ben")
    assert (
        "not set up an authenticator app"
        in world.run(factor_administration.offer_resync, OPERATOR, "ben").message
    )


def test_a_pair_of_a_changed_key_is_not_admitted(world, offered):
    attempt = world.attempt("anna")
    world.one_time_password("anna")
    assert isinstance(world.run(second_factor.submit_code, attempt, pair(world, -9)), TurnedAway)
    assert factor().drift == 0


@pytest.mark.parametrize("typed", ["12345", "1234567890123", "123456 12345x", "\ud800" * 12])
def test_what_has_another_form_than_a_pair_is_no_code(world, offered, typed):
    assert world.submit(world.attempt("anna"), typed) == NotACode()
    assert world.row("anna").attempts_left == 7


def test_a_pair_in_other_digits_is_judged_as_one(world, offered):
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    assert isinstance(world.submit(world.attempt("anna"), pair(world, -9).translate(arabic)), Admitted)


def test_the_reach_is_ten_minutes_either_way(world, anna):
    secret, now = world.secrets["anna"], world.clock.now
    reached = [
        steps
        for steps in range(-30, 31)
        if rules.match_lone(secret, totp(secret, now, steps), at=now, after=-1) == rules.step_at(now) + steps
    ]
    assert reached == list(range(-20, 21))
