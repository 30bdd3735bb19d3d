"""The five minutes of a fresh code, and what counts as one."""

from datetime import timedelta

import pytest
from support.database import OPERATOR, PASSWORD, SECURITY, SYSTEM, World

from data.operations.actors import Member
from data.operations.guards import FRESH_FOR
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin import enrolment, first_factor, recovery_codes, sessions
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.users import (
    bulk_actions,
    credentials,
    factor_administration,
    invitations,
    role_grants,
    user_summaries,
)
from data.operations.users.user_search import UserQuery
from data.rules import public_keys
from data.rules.domain_types import Mode
from data.rules.policy import Refusal
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
CODE, ASK_PASSWORD = FreshProofNeeded(FreshProof.CODE), FreshProofNeeded(FreshProof.PASSWORD)
CODE_FOR_PHONE = FreshProofNeeded(FreshProof.CODE, replaces_phone=True)
CODE_ASKED = SessionOver("You must now enter a code. Sign in again.")
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def boss(world: World) -> Member:
    """An enrolled administrator with every role that counts."""
    return world.person("boss", SYSTEM, SECURITY)


SENSITIVE = {
    "replacing the app": lambda world, me: world.run(enrolment.begin_app, me),
    "new recovery codes": lambda world, me: world.run(recovery_codes.renew_recovery_codes, me),
    "adding a key": lambda world, me: world.run(credentials.add_key, me, KEY),
    "removing a key": lambda world, me: world.run(credentials.remove_key, me, "SHA256:x"),
    "a new password": lambda world, me: world.run(credentials.store_password, me, "hash"),
    "a policy change": lambda world, me: world.run(
        policy_settings.set_mode, me, Mode.REQUIRED, seen=Mode.OPTIONAL
    ),
    "someone's one-time password": lambda world, me: world.one_time_password("anna", me),
    "clearing someone's data": lambda world, me: world.run(
        factor_administration.clear_two_factor, me, "anna"
    ),
    "disabling someone's": lambda world, me: world.run(factor_administration.disable_two_factor, me, "anna"),
    "inviting someone": lambda world, me: world.run(invitations.invite, me, "anna"),
    "inviting someone on paper": lambda world, me: world.run(invitations.check_written, me, "anna"),
    "inviting many": lambda world, me: world.run(
        bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.INVITE
    ),
    "adding someone's key": lambda world, me: world.run(credentials.add_key, me, KEY, name="anna"),
}


@pytest.mark.parametrize("act", SENSITIVE.values(), ids=SENSITIVE)
def test_fresh_code_lasts_five_minutes(world, boss, act):
    """A sensitive act asks for a code older than five minutes, and not before."""
    world.user("anna")
    world.clock.now += FRESH_FOR + INSTANT
    before = world.dump()
    assert act(world, boss) in (CODE, CODE_FOR_PHONE)
    assert world.dump() == before
    world.clock.now -= INSTANT
    assert not isinstance(act(world, boss), FreshProofNeeded)


def test_a_clock_that_went_back_makes_nothing_fresh(world, boss):
    world.clock.forward(seconds=-1)
    assert world.run(recovery_codes.renew_recovery_codes, boss) == CODE


async def test_password_before_the_new_one(world, boss):
    """The present password is asked before a new one is judged."""
    world.clock.forward(minutes=6)
    assert await credentials.change_password(world.store, boss, "short") == CODE


def test_a_fresh_code_opens_the_next_five_minutes(world, boss):
    world.clock.forward(minutes=6)
    assert world.run(credentials.confirm_fresh_code, boss, world.code("boss")) == Done("Confirmed.")
    assert world.events(user="boss", last=1) == ["signin.code_fresh"]
    world.clock.now += FRESH_FOR
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, boss), recovery_codes.NewRecoveryCodes)


def test_a_fresh_code_is_of_its_own_session_only(world, boss):
    other = world.session("boss")
    world.clock.forward(minutes=6)
    world.run(credentials.confirm_fresh_code, boss, world.code("boss"))
    assert world.run(recovery_codes.renew_recovery_codes, other) == CODE


def test_a_wrong_fresh_code_counts_and_opens_nothing(world, boss):
    world.clock.forward(minutes=6)
    assert world.run(credentials.confirm_fresh_code, boss, world.wrong_code("boss")) == CodeWrong(6)
    still_asked = world.run(recovery_codes.renew_recovery_codes, boss)
    assert still_asked == FreshProofNeeded(FreshProof.CODE, attempts_left=6)


def test_a_fresh_code_is_spent_like_any_other(world, boss):
    world.clock.forward(minutes=6)
    world.run(credentials.confirm_fresh_code, boss, world.code("boss"))
    assert isinstance(world.submit(world.attempt("boss"), world.code("boss")), CodeAlreadyUsed)


def test_seventh_wrong_fresh_code(world, boss):
    """It locks the user and ends the session."""
    answers = [world.run(credentials.confirm_fresh_code, boss, world.wrong_code("boss")) for _ in range(7)]
    assert answers[-1] == SessionOver(Refusal.LOCKED.value)
    assert world.row("boss").locked_at is not None
    world.clock.forward(minutes=1)
    over = world.run(credentials.confirm_fresh_code, boss, world.code("boss"))
    assert over == SessionOver(Refusal.LOCKED.value)


async def test_password_without_second_factor(world):
    """A user without a second factor is asked for the password."""
    anna = world.person("anna")
    world.clock.forward(minutes=6)
    assert world.run(enrolment.begin_app, anna) == ASK_PASSWORD
    assert await credentials.confirm_fresh_password(world.store, anna, "wrong") == Denied("Wrong password.")
    assert world.run(enrolment.begin_app, anna) == ASK_PASSWORD
    assert models.FirstFactorFailures.get().count == 1
    assert await credentials.confirm_fresh_password(world.store, anna, PASSWORD) == Done("Confirmed.")
    assert isinstance(world.run(enrolment.begin_app, anna), enrolment.PendingApp)


async def test_password_is_no_substitute(world):
    """An enrolled user must give a code; the password does not do."""
    anna = world.enrol(world.user("anna"))
    world.clock.forward(minutes=6)
    assert isinstance(await credentials.confirm_fresh_password(world.store, anna, PASSWORD), Denied)
    assert world.run(enrolment.turn_off, anna) == CODE


async def test_password_while_off(world):
    """An enrolled user is asked for the password while the mode is off."""
    anna = world.enrol(world.user("anna"))
    world.mode(Mode.OFF)
    world.clock.forward(minutes=6)
    assert world.run(credentials.add_key, anna, KEY) == ASK_PASSWORD
    assert await credentials.confirm_fresh_password(world.store, anna, PASSWORD) == Done("Confirmed.")
    assert isinstance(world.run(credentials.add_key, anna, KEY), Done)


async def test_a_user_without_a_password_signs_in_anew(world):
    key = public_keys.parse(KEY)
    world.user("anna", password=None, key=key)
    member = Member(world.first_by_key("anna", key.fingerprint).session.id)
    world.clock.forward(minutes=6)
    denied = world.run(enrolment.begin_app, member)
    assert isinstance(denied, Denied)
    assert "Sign out, sign in again" in denied.message
    assert await credentials.confirm_fresh_password(world.store, member, "") == Denied("Wrong password.")


def test_no_app_no_attempts_to_lose(world):
    """A user without an app loses no attempts to fresh codes."""
    anna = world.person("anna")
    for _ in range(8):
        assert isinstance(world.run(credentials.confirm_fresh_code, anna, "123456"), Denied)
    assert world.row("anna").attempts_left == 7


def test_factor_lost_while_asked(world, boss):
    """A factor that is lost while its code is asked locks nobody."""
    anna = world.enrol(world.user("anna"))
    world.run(factor_administration.disable_two_factor, boss, "anna")
    over = world.run(credentials.confirm_fresh_code, anna, world.recovery["anna"][0])
    assert over == SessionOver("An administrator disabled your two-factor authentication. Sign in again.")
    assert world.row("anna").attempts_left == 7


def test_the_sign_in_itself_is_fresh(world):
    world.enrol(world.user("anna"))
    world.clock.forward(hours=1)
    attempt = world.attempt("anna")
    session = world.submit(attempt, world.code("anna")).session
    member = Member(session.id)
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, member), recovery_codes.NewRecoveryCodes)
    assert isinstance(world.first("anna"), first_factor.CodeNeeded)


def test_enrolment_ends_password_sessions(world):
    """A session by password ends when another one enrols."""
    thief = world.person("anna")
    world.wizard("anna", world.session("anna"))
    assert world.run(enrolment.begin_app, thief) == CODE_ASKED


def test_password_changed_while_judged(world):
    """It is no fresh proof."""
    anna = world.person("anna")
    looked_at = world.row("anna").credential
    assert isinstance(world.run(credentials.store_password, anna, "hash"), Done)
    world.clock.forward(minutes=6)
    assert isinstance(world.run(credentials._mark_fresh_by_password, anna, looked_at), Denied)
    assert world.run(enrolment.begin_app, anna) == ASK_PASSWORD


def test_one_time_password_in_a_session_by_key(world):
    """It is no fresh proof."""
    key = public_keys.parse(KEY)
    world.user("anna", key=key, one_time=True)
    member = Member(world.first_by_key("anna", key.fingerprint).session.id)
    world.clock.forward(minutes=6)
    assert isinstance(world.run(enrolment.begin_app, member), Denied)


def test_app_enrolled_while_password_is_judged(world):
    """The password is no fresh proof then."""
    anna = world.person("anna")
    world.wizard("anna", world.session("anna"))
    looked_at = world.row("anna").credential
    assert world.run(credentials._mark_fresh_by_password, anna, looked_at) == CODE_ASKED


@pytest.mark.feature("fresh-code")
async def test_password_never_allows_acts_on_others(world, boss):
    """It is no fresh proof for acts on others in any mode."""
    world.user("anna")
    world.mode(Mode.OFF)
    weak = world.session("boss")
    assert world.run(factor_administration.clear_two_factor, weak, "anna") == CODE
    assert isinstance(world.run(credentials.add_key, weak, KEY), Done)
    world.clock.forward(minutes=6)
    assert await credentials.confirm_fresh_password(world.store, boss, PASSWORD) == Done("Confirmed.")
    assert world.run(factor_administration.clear_two_factor, boss, "anna") == CODE
    world.run(credentials.confirm_fresh_code, weak, world.code("boss"))
    assert isinstance(world.run(factor_administration.clear_two_factor, weak, "anna"), Done)


@pytest.mark.feature("fresh-code")
async def test_password_given_while_off(world, boss):
    """It is not fresh once the mode is on."""
    world.run(policy_settings.set_mode, OPERATOR, Mode.OFF, seen=Mode.OPTIONAL)
    weak = world.session("boss")
    world.clock.forward(minutes=6)
    assert await credentials.confirm_fresh_password(world.store, boss, PASSWORD) == Done("Confirmed.")
    world.run(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, seen=Mode.OFF)
    assert world.run(recovery_codes.renew_recovery_codes, boss) == CODE
    assert world.run(recovery_codes.renew_recovery_codes, weak) == CODE_ASKED
    assert world.run(sessions.ended_among, [boss.session_id, weak.session_id]) == {
        weak.session_id: CODE_ASKED.message
    }


def test_no_factor_no_acts_on_others_while_off(world):
    """A user without a second factor acts on nobody while the mode is off."""
    world.mode(Mode.OFF)
    me = world.person("me", SYSTEM)
    refused = world.run(role_grants.set_roles, me, "admin", frozenset())
    assert isinstance(refused, Denied)
    assert "not set up a second factor" in refused.message
    assert isinstance(world.run(user_summaries.list_users, me, UserQuery()), user_summaries.UserPage)
