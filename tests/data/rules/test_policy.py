"""The table of `data/rules/policy.py`, and what must hold of any such table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.deadline import MOST_GRACE_DAYS, days_left, demand_of, newly_seen
from data.rules.domain_types import NEVER, FirstFactor, Method, Mode, Policy, Proof, Role, Status, UserFacts
from data.rules.policy import (
    MustChangePassword,
    MustEnrol,
    NeedCode,
    Refusal,
    Refused,
    SignedIn,
    Step,
    may_enter_mode,
    may_set_up,
    may_turn_off,
    next_step,
    status,
)

OFF, OPTIONAL, REQUIRED, PERMANENT = Mode
APP = (Method.APP,)
DEMANDED = (
    UserFacts(required=True),
    *(UserFacts(roles=frozenset({role})) for role in Role),
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(days=1), NOW + timedelta(days=1)

modes = st.sampled_from(Mode)
hours = st.integers(-400, 400).map(lambda hours: NOW.replace(minute=0) + timedelta(hours=hours))
moments = st.integers(-24_000, 24_000).map(lambda minutes: NOW + timedelta(minutes=minutes))
policies = st.builds(
    Policy,
    modes,
    deadline=st.none() | hours,
    grace_days=st.integers(0, MOST_GRACE_DAYS),
    seen_at=st.just(NEVER) | hours,
)
users = st.builds(
    UserFacts,
    active=st.booleans(),
    locked=st.booleans(),
    one_time_password=st.booleans(),
    required=st.booleans(),
    methods=st.lists(st.sampled_from(Method), unique=True).map(tuple),
    roles=st.frozensets(st.sampled_from(Role)),
    lost_factor=st.booleans(),
    recovery_codes=st.booleans(),
    grace_from=st.just(NEVER) | hours,
)
proofs = st.builds(Proof, st.sampled_from(FirstFactor), code=st.booleans(), address_remembered=st.booleans())


def burden(step: Step, user: UserFacts) -> int:
    """How much a step still asks for; a refusal asks for the most.

    A code that is asked of someone who is not enrolled stands before the wizard.
    """
    of_both = [NeedCode, MustEnrol] if user.enrolled else [MustEnrol, NeedCode]
    return [SignedIn, *of_both, MustChangePassword, Refused].index(type(step))


def every_user():
    flags = list(product((False, True), repeat=4))
    role_sets = [frozenset(), *({role} for role in Role), frozenset(Role)]
    return [
        UserFacts(*flag, methods, roles=frozenset(roles), lost_factor=lost, recovery_codes=codes)
        for flag in flags
        for methods in ((), APP, (Method.SMS, Method.EMAIL))
        for roles in role_sets
        for lost in (False, True)
        for codes in (False, True)
    ]


def expected(policy, user, proof):
    """The first row that matches: state, outcome, and the status unless that of a later row is shown."""
    mode = policy.mode
    is_ahead = policy.deadline is not None and max(NOW, policy.seen_at) < policy.deadline
    in_grace = max(NOW, policy.seen_at) < user.grace_from + timedelta(days=policy.grace_days)
    by_mode = mode is PERMANENT or (mode is REQUIRED and not is_ahead and not in_grace)
    demanded = user.required or user.roles or user.lost_factor or by_mode
    codes_left = user.lost_factor and user.recovery_codes
    rows = [
        (not user.active, Refused(Refusal.DEACTIVATED), Status.DEACTIVATED),
        (user.locked, Refused(Refusal.LOCKED), Status.LOCKED),
        (user.one_time_password and proof.first_factor is FirstFactor.PASSWORD, MustChangePassword(), None),
        (mode is OFF, SignedIn(), Status.NOT_AVAILABLE),
        (user.enrolled and (proof.code or proof.address_remembered), SignedIn(), Status.ENABLED),
        (user.enrolled, NeedCode(user.methods), Status.ENABLED),
        (codes_left and not proof.code, NeedCode(()), Status.PENDING),
        (demanded, MustEnrol(), Status.PENDING),
        (True, SignedIn(), Status.NO),
    ]
    step = next(outcome for state, outcome, _ in rows if state)
    shown = next(words for state, _, words in rows if state and words)
    return step, shown


@pytest.mark.feature("deadline")
@pytest.mark.parametrize("mode", Mode)
def test_every_row_of_the_table(mode):
    """Each state has the outcome and the status of the first matching row."""
    timed = [Policy(mode)]
    if mode is REQUIRED:
        timed += [
            *(Policy(mode, deadline=deadline) for deadline in (EARLIER, NOW, LATER)),
            Policy(mode, deadline=LATER, seen_at=LATER),
            Policy(mode, grace_days=2),
        ]
    for policy, user in product(timed, every_user()):
        grace = (NEVER, EARLIER) if policy.grace_days else (NEVER,)
        for factor, code, remembered, since in product(FirstFactor, *[(False, True)] * 2, grace):
            proof = Proof(factor, code=code, address_remembered=remembered)
            known = replace(user, grace_from=since)
            step, shown = expected(policy, known, proof)
            assert next_step(policy, known, proof, NOW) == step, (policy, known, proof)
            assert status(policy, known, NOW) == shown, (policy, known)


def stricter_of(one, other):
    """The strictest of two policies in each regard: their mode, their deadline and their days of grace."""
    return Policy(
        max(one.mode, other.mode, key=lambda mode: mode.strictness),
        deadline=min(one.deadline or NEVER, other.deadline or NEVER),
        grace_days=min(one.grace_days, other.grace_days),
        seen_at=max(one.seen_at, other.seen_at),
    )


@pytest.mark.feature("deadline")
@given(users, proofs, policies, policies, moments, moments)
def test_a_stricter_policy_never_admits_more(user, proof, one, other, at, then):
    """Neither does the same policy later, nor one with a deadline admit more than none required."""
    for policy in (one, other):
        if isinstance(next_step(stricter_of(one, other), user, proof, max(at, then)), SignedIn):
            assert isinstance(next_step(policy, user, proof, min(at, then)), SignedIn)


@pytest.mark.feature("deadline")
@given(users, policies, moments, moments)
def test_a_clock_that_goes_back_undoes_nothing(user, policy, at, back):
    """Once an hour was seen, the rules say at any earlier moment what they said in it."""
    seen = replace(policy, seen_at=newly_seen(policy, at) or policy.seen_at)
    before, after = (demand_of(each, when) for each, when in ((policy, at), (seen, min(at, back))))
    assert before.is_of(user.grace_from) == after.is_of(user.grace_from)


@pytest.mark.feature("deadline")
@given(policies, hours, moments)
def test_days_left(policy, grace_from, at):
    """Days are left exactly while a choice is left under `required`, and then at least one."""
    left = days_left(policy, grace_from, at)
    may_wait = policy.mode is REQUIRED and not demand_of(policy, at).is_of(grace_from)
    assert (left is not None) == may_wait
    assert left is None or left >= 1


@given(users, modes, st.sampled_from(FirstFactor), st.booleans(), st.booleans())
def test_more_proof_never_asks_for_more(user, mode, factor, code, remembered):
    little = next_step(Policy(mode), user, Proof(factor, code=code, address_remembered=remembered), NOW)
    for more in (
        Proof(factor, code=True, address_remembered=remembered),
        Proof(factor, code=code, address_remembered=True),
    ):
        assert burden(next_step(Policy(mode), user, more, NOW), user) <= burden(little, user)


@given(users, proofs, modes)
def test_no_enrolled_user_without_a_code(user, proof, mode):
    """An enrolled user needs a code or a remembered address."""
    if isinstance(next_step(Policy(mode), user, proof, NOW), SignedIn) and user.enrolled and mode is not OFF:
        assert proof.code or proof.address_remembered


@pytest.mark.feature("left-with-codes")
@given(users, proofs, modes)
def test_lost_factor(user, proof, mode):
    """The first factor alone leads to the wizard only without recovery codes."""
    if isinstance(next_step(Policy(mode), user, proof, NOW), MustEnrol):
        assert proof.code or not (user.lost_factor and user.recovery_codes)


@given(users, proofs, modes)
def test_locked_or_deactivated_never_gets_in(user, proof, mode):
    if user.locked or not user.active:
        assert isinstance(next_step(Policy(mode), user, proof, NOW), Refused)


@pytest.mark.parametrize(
    ("current", "allowed"),
    [
        (OFF, {OFF, OPTIONAL, REQUIRED}),
        (OPTIONAL, {OFF, OPTIONAL, REQUIRED}),
        (REQUIRED, set(Mode)),
        (PERMANENT, {PERMANENT}),
    ],
)
def test_permanent_is_entered_from_required(current, allowed):
    assert {wanted for wanted in Mode if may_enter_mode(current, wanted)} == allowed


def test_setting_up_is_possible_in_every_mode_but_off():
    assert [may_set_up(Policy(mode)) for mode in Mode] == [False, True, True, True]


@pytest.mark.parametrize("mode", Mode)
def test_turning_off_is_for_optional_users(mode):
    """A user may turn it off in mode optional while not required."""
    assert may_turn_off(Policy(mode), UserFacts()) == (mode is OPTIONAL)
    assert not any(may_turn_off(Policy(mode), user) for user in DEMANDED)
