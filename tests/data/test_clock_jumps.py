"""A clock that was set: no code is good twice, and whoever is stuck is brought back by the operator."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.data_world import OPERATOR, World

from data.operations.actors import Operator
from data.operations.maintenance import accounts, clock_jumps
from data.operations.results import Denied, Done
from data.operations.signin.admission import Admitted
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.users import factor_administration, lifecycle, signin_explanation
from data.rules import clock_jumps as rules
from data.rules import totp
from data.storage import models

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def anna(world: World) -> str:
    """An enrolled user whose last code is half an hour old."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=30)
    return "anna"


def sign_in(world, name, code):
    return world.submit(world.attempt(name), code)


def by_another_node(world, seconds):
    """Let the next operations be those of a node whose clock differs."""
    now = world.clock.now
    world.clock.now = now + timedelta(seconds=seconds)
    return now


@pytest.mark.parametrize("ahead", [40, -40])
def test_nodes_whose_clocks_are_forty_seconds_apart_take_no_code_twice(world, anna, ahead):
    code = world.code(anna)
    now = by_another_node(world, ahead)
    first = sign_in(world, anna, code)
    world.clock.now = now
    second = sign_in(world, anna, code)
    by_another_node(world, ahead)
    third = sign_in(world, anna, code)
    # Where the node that is behind saw the code first, it is wrong everywhere until the next one comes.
    assert [type(answer) for answer in (first, second, third)].count(Admitted) == (1 if ahead > 0 else 0)


def test_after_an_hour_back_no_code_of_that_hour_is_good_again(world, anna):
    used = world.code(anna)
    assert isinstance(sign_in(world, anna, used), Admitted)
    seen = world.clock.now
    world.clock.forward(hours=-1)
    for _ in range(125):
        assert not isinstance(sign_in(world, anna, used), Admitted)
        models.User.update(attempts_left=7).execute()
        world.clock.forward(seconds=30)
        if world.clock.now > seen + timedelta(minutes=2):
            break


def test_who_signed_in_a_day_ahead_is_refused_without_an_attempt_until_brought_back(world, anna):
    world.clock.forward(days=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1, minutes=5)
    assert isinstance(sign_in(world, anna, world.code(anna)), CodeAlreadyUsed)
    assert world.row(anna).attempts_left == 7
    stops = [
        f for f in world.run(signin_explanation.explain_user, OPERATOR, anna).findings if f.weight == "stops"
    ]
    assert len(stops) == 1
    assert "twofold clock repair" in stops[0].sentence
    stuck = world.run(clock_jumps.list_stuck, OPERATOR)
    assert [(user.account, user.name) for user in stuck] == [("Clinic", "anna")]
    assert stuck[0].until > world.clock.now + timedelta(hours=23)
    done = world.run(clock_jumps.bring_back, OPERATOR)
    assert done == Done(
        "1 user can sign in again within a minute, from the second next code of their phone on."
    )
    assert world.events(user=anna, last=1) == ["two_factor.steps_brought_back"]
    world.clock.forward(minutes=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)


def test_codes_that_were_accepted_ahead_of_time_stay_spent_when_that_time_comes(world, anna):
    world.clock.forward(days=1)
    first, ahead = world.code(anna), world.clock.now
    assert isinstance(sign_in(world, anna, first), Admitted)
    world.clock.forward(minutes=3)
    second = world.code(anna, 1)
    assert isinstance(sign_in(world, anna, second), Admitted)
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    world.clock.now = ahead
    assert isinstance(sign_in(world, anna, first), CodeAlreadyUsed)
    world.clock.forward(minutes=3)
    assert isinstance(sign_in(world, anna, second), CodeAlreadyUsed)
    world.clock.forward(minutes=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)


def test_a_resync_takes_no_code_that_was_accepted_ahead_of_time(world, anna):
    world.clock.forward(days=1)
    pair = f"{world.code(anna)} {world.code(anna, 1)}"
    ahead = world.clock.now
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    world.clock.now = ahead + timedelta(minutes=5)
    world.run(factor_administration.offer_resync, OPERATOR, anna)
    assert isinstance(sign_in(world, anna, pair), CodeWrong)


def test_codes_of_now_are_dead_when_someone_is_brought_back(world, anna):
    world.clock.forward(days=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    for steps in (-1, 0, 1):
        assert isinstance(sign_in(world, anna, world.code(anna, steps)), CodeAlreadyUsed)


def test_being_brought_back_twice_forgets_no_spent_code(world, anna):
    world.clock.forward(days=2)
    code, ahead = world.code(anna), world.clock.now
    assert isinstance(sign_in(world, anna, code), Admitted)
    world.clock.forward(days=-2)
    world.run(clock_jumps.bring_back, OPERATOR)
    world.clock.forward(days=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    world.clock.now = ahead
    assert isinstance(sign_in(world, anna, code), CodeAlreadyUsed)


def test_nobody_is_stuck_who_signed_in_by_a_clock_that_is_right(world, anna):
    assert isinstance(sign_in(world, anna, world.code(anna, 1)), Admitted)
    assert world.run(clock_jumps.list_stuck, OPERATOR) == ()
    before = world.dump()
    assert isinstance(world.run(clock_jumps.bring_back, OPERATOR), Denied)
    assert world.dump() == before


def test_the_operator_sees_all_accounts_or_the_one_that_is_named(world, anna):
    chief = lifecycle.NewUser("chief", "chief@other.example", password_hash=world.row(anna).password_hash)
    world.run(accounts.add_account, OPERATOR, "Other", "Main", chief)
    world.clock.forward(days=1)
    sign_in(world, anna, world.code(anna))
    world.clock.forward(days=-1)
    assert len(world.run(clock_jumps.list_stuck, OPERATOR)) == 1
    assert world.run(clock_jumps.list_stuck, Operator("root", "Other")) == ()
    assert isinstance(world.run(clock_jumps.list_stuck, Operator("root", "Nowhere")), Denied)
    assert isinstance(world.run(clock_jumps.bring_back, Operator("root", "Other")), Denied)
    assert isinstance(world.run(clock_jumps.bring_back, Operator("root", "Clinic")), Done)


def test_codes_that_were_sent_ahead_of_time_do_not_count_against_new_ones(world, anna):
    world.clock.forward(days=1)
    sign_in(world, anna, world.code(anna))
    user = world.row(anna)
    for _ in range(5):
        models.SentCode.insert(
            user=user.id,
            account_id=user.account_id,
            purpose="proof",
            method="email",
            destination="x",
            digest="x",
            sent_at=world.clock.now,
        ).execute()
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    assert models.SentCode.select().count() == 0


@given(
    st.lists(st.integers(0, 86_400), max_size=8),
    st.integers(-20, 20),
    st.integers(-totp.WINDOW, totp.WINDOW),
)
@example([90, 120], -totp.RESYNC_STEPS, -totp.WINDOW)
def test_every_step_that_a_clock_ahead_can_have_accepted_is_barred(seconds, drift, off):
    moments = [NOON + timedelta(seconds=ahead) for ahead in seconds]
    accepted = {totp.step_at(moment) + drift + off for moment in moments}
    last = max(accepted, default=0)
    barred = rules.spent_ahead(moments, last, now=NOON, drift=drift)
    honest = rules.last_honest_step(NOON, drift)
    assert {step for step in accepted if step > honest} <= barred
    assert all(step > honest for step in barred)
    assert rules.read_steps(rules.write_steps(barred)) == barred


@pytest.mark.parametrize(
    ("wall", "passed", "words"),
    [(5, 5, None), (14, 5, None), (-3600, 5, "3605 s back"), (86_405, 5, "86400 s forward")],
)
def test_a_jump_of_the_clock_is_told_apart_from_time_that_passes(wall, passed, words):
    moved = rules.jump(timedelta(seconds=wall), timedelta(seconds=passed))
    assert (moved and rules.in_words(moved)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "That code was already used."),
        (41, "That code was already used, next one in 41 s."),
        (3000, "and none is good for 50 min: the server's clock was ahead."),
        (86_397, "and none is good for 23 h 59 min: the server's clock was ahead."),
    ],
)
def test_a_wait_that_no_phone_makes_is_called_what_it_is(seconds, words):
    assert words in rules.used_code_in_words(seconds)
