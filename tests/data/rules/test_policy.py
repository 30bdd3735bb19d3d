"""The table of `data/rules/policy.py`, and what must hold of any such table."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.domain_types import FirstFactor, Method, Mode, Policy, Proof, Role, Status, UserFacts
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

modes = st.sampled_from(Mode)
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


def expected(mode, user, proof):
    """The first row that matches: state, outcome, and the status unless that of a later row is shown."""
    demanded = user.required or user.roles or user.lost_factor or mode in {REQUIRED, PERMANENT}
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


@pytest.mark.parametrize("mode", Mode)
def test_every_row_of_the_table(mode):
    """Each state has the outcome and the status of the first matching row."""
    for user in every_user():
        for factor, code, remembered in product(FirstFactor, (False, True), (False, True)):
            proof = Proof(factor, code=code, address_remembered=remembered)
            step, shown = expected(mode, user, proof)
            assert next_step(Policy(mode), user, proof) == step, (user, proof)
            assert status(Policy(mode), user) == shown, user


@given(users, proofs, modes, modes)
def test_a_stricter_policy_never_admits_more(user, proof, one, other):
    looser, stricter = sorted((one, other), key=lambda mode: mode.strictness)
    if isinstance(next_step(Policy(stricter), user, proof), SignedIn):
        assert isinstance(next_step(Policy(looser), user, proof), SignedIn)


@given(users, modes, st.sampled_from(FirstFactor), st.booleans(), st.booleans())
def test_more_proof_never_asks_for_more(user, mode, factor, code, remembered):
    little = next_step(Policy(mode), user, Proof(factor, code=code, address_remembered=remembered))
    for more in (
        Proof(factor, code=True, address_remembered=remembered),
        Proof(factor, code=code, address_remembered=True),
    ):
        assert burden(next_step(Policy(mode), user, more), user) <= burden(little, user)


@given(users, proofs, modes)
def test_no_enrolled_user_without_a_code(user, proof, mode):
    """An enrolled user needs a code or a remembered address."""
    if isinstance(next_step(Policy(mode), user, proof), SignedIn) and user.enrolled and mode is not OFF:
        assert proof.code or proof.address_remembered


@pytest.mark.feature("left-with-codes")
@given(users, proofs, modes)
def test_lost_factor(user, proof, mode):
    """The first factor alone leads to the wizard only without recovery codes."""
    if isinstance(next_step(Policy(mode), user, proof), MustEnrol):
        assert proof.code or not (user.lost_factor and user.recovery_codes)


@given(users, proofs, modes)
def test_locked_or_deactivated_never_gets_in(user, proof, mode):
    if user.locked or not user.active:
        assert isinstance(next_step(Policy(mode), user, proof), Refused)


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
