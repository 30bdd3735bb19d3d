"""The table of the design, section 2, and what must hold of any such table."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.domain_types import FirstFactor, Mode, Policy, Proof, Role, Status, UserFacts
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

PASSWORD, KEY = FirstFactor.PASSWORD, FirstFactor.KEY
OFF, OPTIONAL, REQUIRED, PERMANENT = Mode
LOST = UserFacts(lost_factor=True)
LOST_WITH_CODES = UserFacts(lost_factor=True, recovery_codes=True)
DEMANDED = (
    UserFacts(required=True),
    *(UserFacts(roles=frozenset({role})) for role in Role),
)
FREE = (UserFacts(),)

modes = st.sampled_from(Mode)
users = st.builds(
    UserFacts,
    active=st.booleans(),
    locked=st.booleans(),
    one_time_password=st.booleans(),
    required=st.booleans(),
    enrolled=st.booleans(),
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
    flags = list(product((False, True), repeat=5))
    role_sets = [frozenset(), *({role} for role in Role), frozenset(Role)]
    return [
        UserFacts(*flag, roles=frozenset(roles), lost_factor=lost, recovery_codes=codes)
        for flag in flags
        for roles in role_sets
        for lost in (False, True)
        for codes in (False, True)
    ]


def expected(mode, user, proof):
    """The table once more, written as a list of rows."""
    demanded = user.required or bool(user.roles) or user.lost_factor
    strict = mode in {REQUIRED, PERMANENT}
    rows = [
        (not user.active, Refused(Refusal.DEACTIVATED), Status.DEACTIVATED),
        (user.locked, Refused(Refusal.LOCKED), Status.LOCKED),
        (user.one_time_password and proof.first_factor is PASSWORD, MustChangePassword(), None),
        (mode is OFF, SignedIn(), Status.NOT_AVAILABLE),
        (mode is OPTIONAL and not user.enrolled and not demanded, SignedIn(), Status.NO),
        (
            not user.enrolled and user.lost_factor and user.recovery_codes and not proof.code,
            NeedCode(),
            Status.PENDING,
        ),
        (not user.enrolled and (demanded or strict), MustEnrol(), Status.PENDING),
        (user.enrolled and (proof.code or proof.address_remembered), SignedIn(), Status.ENABLED),
        (user.enrolled, NeedCode(), Status.ENABLED),
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


@pytest.mark.parametrize(
    ("mode", "user", "step", "shown"),
    [
        (OPTIONAL, UserFacts(active=False, enrolled=True), Refused(Refusal.DEACTIVATED), "Deactivated"),
        (OFF, UserFacts(active=False, locked=True), Refused(Refusal.DEACTIVATED), "Deactivated"),
        (OFF, UserFacts(locked=True), Refused(Refusal.LOCKED), "Locked"),
        (REQUIRED, UserFacts(locked=True, one_time_password=True), Refused(Refusal.LOCKED), "Locked"),
        (OFF, UserFacts(one_time_password=True), MustChangePassword(), "Not available"),
        (OPTIONAL, UserFacts(one_time_password=True), MustChangePassword(), "No"),
        (OPTIONAL, UserFacts(one_time_password=True, enrolled=True), MustChangePassword(), "Enabled"),
        (
            REQUIRED,
            UserFacts(one_time_password=True),
            MustChangePassword(),
            "Pending setup on next login",
        ),
        (OFF, UserFacts(enrolled=True), SignedIn(), "Not available"),
        (OFF, UserFacts(required=True), SignedIn(), "Not available"),
        *[(OPTIONAL, user, SignedIn(), "No") for user in FREE],
        *[(OPTIONAL, user, MustEnrol(), "Pending setup on next login") for user in (*DEMANDED, LOST)],
        (OFF, LOST, SignedIn(), "Not available"),
        (OFF, LOST_WITH_CODES, SignedIn(), "Not available"),
        *[
            (mode, LOST_WITH_CODES, NeedCode(), "Pending setup on next login")
            for mode in (OPTIONAL, REQUIRED, PERMANENT)
        ],
        *[(REQUIRED, user, MustEnrol(), "Pending setup on next login") for user in FREE + DEMANDED],
        *[(PERMANENT, user, MustEnrol(), "Pending setup on next login") for user in FREE + DEMANDED],
        *[
            (mode, UserFacts(enrolled=True), NeedCode(), "Enabled")
            for mode in (OPTIONAL, REQUIRED, PERMANENT)
        ],
    ],
)
def test_each_row_of_the_table_in_its_own_words(mode, user, step, shown):
    assert next_step(Policy(mode), user, Proof(PASSWORD)) == step
    assert status(Policy(mode), user).value == shown


def test_key_asks_for_no_new_password():
    user = UserFacts(one_time_password=True, enrolled=True)
    assert next_step(Policy(OPTIONAL), user, Proof(KEY)) == NeedCode()


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


@pytest.mark.parametrize("mode", Mode)
def test_a_remembered_address_is_no_recovery_code(mode):
    remembered = Proof(PASSWORD, address_remembered=True)
    assert next_step(Policy(mode), LOST_WITH_CODES, remembered) == (SignedIn() if mode is OFF else NeedCode())


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
    assert all(may_turn_off(Policy(mode), user) == (mode is OPTIONAL) for user in FREE)
    assert not any(may_turn_off(Policy(mode), user) for user in DEMANDED)
