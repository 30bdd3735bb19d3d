"""Which methods are on, and what becomes of those whose method is switched off."""

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.actors import Member
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded, SessionOver
from data.operations.signin import admission, enrolment
from data.operations.signin.code_verification import CodeLapsed, CodeWrong
from data.operations.signin.sent_codes import Lapse
from data.operations.users import credentials, factor_administration, lifecycle, role_grants, user_summaries
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Method, Mode, Status
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, SignedIn
from data.storage import models

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL
APP_ONLY = frozenset({APP})


@pytest.fixture
def world(world: World) -> World:
    """E-mail is on beside the app; anna has the app, bert has e-mail, carl both and dora nothing."""
    world.methods(APP, EMAIL)
    for name in ("anna", "bert", "carl", "dora"):
        world.user(name)
    world.enrol("anna")
    world.enrol_email("bert")
    world.enrol_email("carl", world.enrol("carl"))
    world.clock.forward(hours=1)
    return world


def change(world: World, *methods: Method):
    seen = world.run(policy_settings.show_policy, OPERATOR).policy.methods
    return world.run(policy_settings.set_methods, OPERATOR, frozenset(methods), seen=seen)


def status(world: World, name: str) -> Status:
    return world.run(user_summaries.user_detail, OPERATOR, name).status


@pytest.mark.feature("switch-methods")
def test_a_new_account_has_the_app_alone(tmp_path):
    new = World(tmp_path)
    try:
        assert new.run(policy_settings.show_policy, OPERATOR).policy.methods == APP_ONLY
    finally:
        new.close()


@pytest.mark.feature("switch-off-warns")
def test_switching_off_names_the_left(world):
    preview = world.run(policy_settings.preview_methods, OPERATOR, APP_ONLY)
    assert (preview.without, preview.without_names, preview.you_are_left) == (1, ("bert",), False)
    preview = world.run(policy_settings.preview_methods, OPERATOR, frozenset({EMAIL}))
    assert preview.without_names == ("anna",)


def test_administrator_among_the_left(world):
    """An administrator is told to be among those left without a method."""
    me = world.person("me", SECURITY)
    assert world.run(policy_settings.preview_methods, me, frozenset({EMAIL})).you_are_left
    assert not world.run(policy_settings.preview_methods, me, frozenset({APP, SMS})).you_are_left


@pytest.mark.feature("switch-off-warns")
def test_left_users_are_pending(world):
    """They never fall back to the password alone."""
    assert change(world, APP) == Done("The methods are now: authenticator app.")
    assert [status(world, name) for name in ("anna", "bert", "carl", "dora")] == [
        Status.ENABLED,
        Status.PENDING,
        Status.ENABLED,
        Status.NO,
    ]
    assert world.attempt("bert").methods == ()
    assert world.first("dora").session.step == SignedIn()
    rows = world.run(user_summaries.list_users, OPERATOR, UserQuery(status=Status.PENDING)).rows
    assert "bert" in [row.name for row in rows]
    assert "policy.methods_changed" in world.events(last=2)


def test_recovery_codes_outlive_the_switching_off(world):
    change(world, APP)
    world.wizard("bert", enters_by_recovery_code(world, "bert"))
    assert isinstance(world.submit(world.attempt("bert"), world.recovery["bert"][1]), admission.Admitted)


def enters_by_recovery_code(world: World, name: str) -> Member:
    """Sign in with the first recovery code, into the wizard and no further."""
    result = world.submit(world.attempt(name), world.recovery[name][0])
    assert isinstance(result, admission.Admitted), result
    assert result.session.step == MustEnrol()
    return Member(result.session.id)


@pytest.mark.feature("left-with-codes")
def test_stolen_password_replaces_nothing(world):
    """It cannot set up another method in the place of one that was switched off."""
    change(world, APP)
    attempt = world.attempt("bert")
    for answer in ("123456", "AAAA-AAAA-AAAA-AAAA", world.wrong_code("anna"), world.recovery["carl"][0]):
        assert isinstance(world.submit(attempt, answer), CodeWrong)
    assert models.Session.select().where(models.Session.user == world.row("bert").id).count() == 1
    for _ in range(3):
        world.submit(attempt, world.wrong_code("anna"))
    assert status(world, "bert") is Status.LOCKED


def test_recovery_code_opens_the_wizard(world):
    """A wizard that it opened leads all the way in."""
    change(world, APP)
    me = enters_by_recovery_code(world, "bert")
    assert world.run(enrolment.wizard_choice, me).methods == (APP,)
    assert world.wizard("bert", me).recovery_codes == ()
    assert world.run(admission.advance, me.session_id).session.step == SignedIn()
    assert status(world, "bert") is Status.ENABLED


def test_recovery_code_after_one_time_password(world):
    """The recovery code is asked after a one-time password too."""
    change(world, APP)
    world.one_time_password("bert")
    session = world.restricted("bert", MustChangePassword)
    world.run(credentials.store_password, Member(session.id), world.services.hasher.hash("x" * 12))
    waiting = world.run(admission.advance, session.id).session
    assert waiting.step == NeedCode(())
    assert isinstance(world.run(enrolment.begin_app, Member(session.id)), Denied)
    assert world.submit(waiting.attempt, world.recovery["bert"][0]).session.step == MustEnrol()
    assert isinstance(world.run(enrolment.begin_app, Member(session.id)), enrolment.PendingApp)


def test_session_ends_with_its_method(world):
    """Another method is set up with a recovery code only."""
    me = world.enrol_email("dora")
    change(world, APP)
    over = SessionOver("You must now set up two-factor authentication. Sign in again.")
    assert world.run(enrolment.begin_app, me) == over
    attempt = world.attempt("dora")
    assert attempt.methods == ()
    admitted = world.submit(attempt, world.recovery["dora"][0])
    assert admitted.session.step == MustEnrol()
    again = Member(admitted.session.id)
    assert isinstance(world.run(enrolment.begin_app, again), enrolment.PendingApp)


@pytest.mark.feature("left-without-codes")
@pytest.mark.parametrize("way_out", ["all are used", "cleared"])
def test_wizard_without_recovery_codes(world, way_out):
    """A user without any left is led into the wizard."""
    change(world, APP)
    if way_out == "cleared":
        world.run(factor_administration.clear_two_factor, OPERATOR, "bert")
    else:
        for code in world.recovery["bert"]:
            world.submit(world.attempt("bert"), code)
    assert world.first("bert").session.step == MustEnrol()


def test_method_switched_on_again(world):
    """What was set up is good again when its method comes back."""
    change(world, APP)
    change(world, APP, EMAIL)
    assert status(world, "bert") is Status.ENABLED
    assert not world.row("bert").lost_factor
    assert world.attempt("bert").methods == (EMAIL,)


def test_at_least_one_method_stays_on(world):
    assert isinstance(change(world), Denied)


@pytest.mark.feature("method-settings")
def test_a_method_without_a_carrier_is_not_switched_on(world):
    object.__setattr__(world.services, "sends", frozenset({EMAIL}))
    refused = change(world, APP, SMS, EMAIL)
    assert "must set [sms] in twofold.toml" in refused.message
    assert change(world, EMAIL) == Done("The methods are now: e-mail.")


@pytest.mark.feature("two-editors")
def test_concurrent_change_is_kept(world):
    """A change that someone else made meanwhile is not undone."""
    refused = world.run(policy_settings.set_methods, OPERATOR, APP_ONLY, seen=APP_ONLY)
    assert refused == Denied("Someone else changed the methods in the meantime. Check them, then try again.")


def test_a_change_asks_for_fresh_proof(world):
    me = world.person("me", SECURITY)
    world.clock.forward(minutes=6)
    seen = frozenset({APP, EMAIL})
    result = world.run(policy_settings.set_methods, me, APP_ONLY, seen=seen)
    assert isinstance(result, FreshProofNeeded)
    assert result.methods == (APP,)


def test_mode_off_keeps_factors(world):
    change(world, APP)
    world.mode(Mode.OFF)
    assert world.first("bert").session.step == SignedIn()
    assert models.Factor.select().where(models.Factor.kind == "email").count() == 2


# A changed address or number


def edit(world: World, actor, name: str, **fields: str):
    return world.run(lifecycle.edit_user, actor, name, lifecycle.UserChanges(**fields))


@pytest.mark.feature("contact-withdraws")
def test_changed_address(world):
    """It withdraws the codes that went there and leaves the user pending."""
    done = edit(world, OPERATOR, "bert", email="bert@new.example")
    assert done.message == (
        "User bert saved. Codes by e-mail were withdrawn; two-factor authentication must be set up again."
    )
    assert status(world, "bert") is Status.PENDING
    assert world.events(user="bert")[-2:] == ["user.edited", "two_factor.withdrawn"]
    enters_by_recovery_code(world, "bert")


def test_another_method_survives_a_changed_address(world):
    assert edit(world, OPERATOR, "carl", email="carl@new.example").message.endswith(
        "by e-mail were withdrawn."
    )
    assert world.attempt("carl").methods == (APP,)
    assert edit(world, OPERATOR, "anna", email="anna@new.example").message == "User anna saved."
    assert edit(world, OPERATOR, "carl", full_name="Carl").message == "User carl saved."


@pytest.mark.feature("contact-withdraws")
def test_code_to_the_old_address(world):
    attempt = world.attempt("carl")
    code = world.sent(attempt)
    edit(world, OPERATOR, "carl", email="carl@new.example")
    assert world.submit(attempt, code) == CodeLapsed(Lapse.REPLACED)


@pytest.mark.feature("contact-withdraws")
def test_a_changed_number_withdraws_text_messages(world):
    world.methods(APP, SMS, EMAIL)
    member = world.session("anna")
    world.confirm_destination(member, world.run(enrolment.begin_sms, member, "+49 170 1234711"))
    assert world.attempt("anna").methods == (APP, SMS)
    assert edit(world, OPERATOR, "anna", phone="+49 170 1234711").message == "Nothing changed."
    edit(world, OPERATOR, "anna", phone="")
    assert world.attempt("anna").methods == (APP,)


def test_changing_an_address_is_a_reset(world):
    """Turning someone's codes elsewhere needs rank and fresh proof."""
    me = world.person("me", SYSTEM)
    world.clock.forward(minutes=6)
    assert isinstance(edit(world, me, "bert", email="bert@new.example"), FreshProofNeeded)
    world.run(credentials.confirm_fresh_code, me, world.live_code("me"))
    assert isinstance(edit(world, me, "dora", email="dora@new.example"), Done)
    world.run(role_grants.set_roles, OPERATOR, "bert", frozenset({SECURITY}))
    refused = edit(world, me, "bert", email="bert@new.example")
    assert "holds a role that you do not" in refused.message
