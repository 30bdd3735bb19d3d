"""A clock that was set: no code is good twice, and whoever is stuck is brought back by the operator."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.database import OPERATOR, World

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
def test_clocks_forty_seconds_apart(world, anna, ahead):
    """Nodes with such clocks take no code twice."""
    code = world.code(anna)
    now = by_another_node(world, ahead)
    first = sign_in(world, anna, code)
    world.clock.now = now
    second = sign_in(world, anna, code)
    by_another_node(world, ahead)
    third = sign_in(world, anna, code)
    # Where the node that is behind saw the code first, it is wrong everywhere until the next one comes.
    assert [type(answer) for answer in (first, second, third)].count(Admitted) == (1 if ahead > 0 else 0)


def test_clock_back_by_an_hour(world, anna):
    """No code of that hour is good again."""
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


def test_signed_in_a_day_ahead(world, anna):
    """The user is refused without an attempt until brought back."""
    world.clock.forward(days=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1, minutes=5)
    assert isinstance(sign_in(world, anna, world.code(anna)), CodeAlreadyUsed)
    assert world.row(anna).attempts_left == 7
    stops = [
        f for f in world.run(signin_explanation.explain_user, OPERATOR, anna).reasons if f.weight == "stops"
    ]
    assert len(stops) == 1
    assert "twofold clock repair" in stops[0].sentence
    stuck = world.run(clock_jumps.list_stuck, OPERATOR)
    assert [(user.account, user.name) for user in stuck] == [("Clinic", "anna")]
    assert stuck[0].until > world.clock.now + timedelta(hours=23)
    done = world.run(clock_jumps.bring_back, OPERATOR)
    assert done == Done(
        "1 user can sign in again within a minute. The phone's next code is skipped; the one after it works."
    )
    assert world.events(user=anna, last=1) == ["two_factor.steps_brought_back"]
    world.clock.forward(minutes=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)


def test_codes_accepted_ahead_stay_spent(world, anna):
    """Codes that were accepted ahead of time stay spent when that time comes."""
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


def test_resync_refuses_codes_accepted_ahead(world, anna):
    """A resync takes no code that was accepted ahead of time."""
    world.clock.forward(days=1)
    pair = f"{world.code(anna)} {world.code(anna, 1)}"
    ahead = world.clock.now
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    world.clock.now = ahead + timedelta(minutes=5)
    world.run(factor_administration.offer_resync, OPERATOR, anna)
    assert isinstance(sign_in(world, anna, pair), CodeWrong)


def test_codes_of_now_die_when_brought_back(world, anna):
    world.clock.forward(days=1)
    assert isinstance(sign_in(world, anna, world.code(anna)), Admitted)
    world.clock.forward(days=-1)
    world.run(clock_jumps.bring_back, OPERATOR)
    for steps in (-1, 0, 1):
        assert isinstance(sign_in(world, anna, world.code(anna, steps)), CodeAlreadyUsed)


def test_brought_back_twice(world, anna):
    """No spent code is forgotten."""
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


def test_right_clock_leaves_nobody_stuck(world, anna):
    assert isinstance(sign_in(world, anna, world.code(anna, 1)), Admitted)
    assert world.run(clock_jumps.list_stuck, OPERATOR) == ()
    before = world.dump()
    assert isinstance(world.run(clock_jumps.bring_back, OPERATOR), Denied)
    assert world.dump() == before


def test_operator_sees_all_accounts_or_one(world, anna):
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


def test_codes_sent_ahead_do_not_count(world, anna):
    """Codes that were sent ahead of time do not count against new ones."""
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
def test_every_step_ahead_is_barred(seconds, drift, off):
    """Every step that a fast clock can have accepted is barred."""
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
def test_clock_jump_and_passing_time(wall, passed, words):
    """A jump of the clock is told apart from time that passes."""
    moved = rules.jump(timedelta(seconds=wall), timedelta(seconds=passed))
    assert (moved and rules.in_words(moved)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "Code already used."),
        (41, "Code already used. Wait 41 s for the next one."),
        (3000, "No code works for 50 min, because the server's clock was ahead."),
        (86_397, "No code works for 23 h 59 min, because the server's clock was ahead."),
    ],
)
def test_implausible_wait(seconds, words):
    """A wait that no phone causes is called what it is."""
    assert words in rules.used_code_in_words(seconds)
