"""Temporary codes: made for others, good once and for a time, and fresh for replacing the phone alone."""

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.actors import Member
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.signin import admission, enrolment, first_factor, recovery_codes
from data.operations.signin.admission import Admitted
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeLapsed, CodeWrong
from data.operations.users import (
    credentials,
    factor_administration,
    google_authenticator_import,
    lifecycle,
    signin_explanation,
    temporary_codes,
)
from data.operations.users.temporary_codes import TemporaryCode
from data.rules.domain_types import Method, Mode
from data.rules.google_authenticator_file import AuthenticatorFile
from data.rules.policy import MustEnrol
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def boss(world: World) -> Member:
    """A system administrator with a fresh code."""
    return world.person("boss", SYSTEM)


@pytest.fixture
def anna(world: World, boss: Member) -> Member:
    """An enrolled user whose recovery codes are saved."""
    return world.enrol(world.user("anna"))


def make(world: World, actor=OPERATOR, name="anna", hours=24) -> str:
    """Have a temporary code made."""
    made = world.run(temporary_codes.make_temporary_code, actor, name, hours)
    assert isinstance(made, TemporaryCode), made
    return made.code


def sign_in(world: World, code: str, name="anna") -> Member:
    """Sign in with a code."""
    admitted = world.submit(world.attempt(name), code)
    assert isinstance(admitted, Admitted), admitted
    return Member(admitted.session.id)


def explained(world: World) -> str:
    found = world.run(signin_explanation.explain_user, OPERATOR, "anna")
    return "\n".join(reason.sentence for reason in found.reasons)


@pytest.mark.feature("temporary-code")
def test_it_signs_in_once_beside_the_factors(world, boss, anna):
    world.clock.forward(minutes=1)
    code = make(world, boss)
    stored = models.RecoveryCode.get(models.RecoveryCode.expires_at.is_null(False))
    assert code.split("-")[0] == stored.selector
    assert code.encode() not in world.file_bytes()
    admitted = world.submit(world.attempt("anna"), code.lower().replace("-", " "))
    assert admitted.session.temporary_code
    assert models.Session.get_by_id(admitted.session.id).methods == "password and temporary code"
    assert world.events(user="anna", last=3) == [
        "temporary_code.made",
        "temporary_code.used",
        "signin.admitted",
    ]
    assert isinstance(world.submit(world.attempt("anna"), code), CodeAlreadyUsed)
    assert world.events(user="anna", last=1) == ["signin.code_replayed"]
    assert world.row("anna").attempts_left == 7
    # What she has set up stays.
    assert not world.submit(world.attempt("anna"), world.live_code("anna")).session.temporary_code
    assert isinstance(world.submit(world.attempt("anna"), world.recovery["anna"][0]), Admitted)


@pytest.mark.feature("temporary-code")
@pytest.mark.parametrize(("asked", "given"), [(0, 1), (1, 1), (72, 72), (900, 72)])
def test_it_ends_by_its_time(world, anna, asked, given):
    code = make(world, hours=asked)
    world.clock.forward(hours=given)
    assert isinstance(world.submit(world.attempt("anna"), code), CodeLapsed)
    assert world.row("anna").attempts_left == 7
    world.clock.forward(microseconds=-1)
    assert isinstance(world.submit(world.attempt("anna"), code), Admitted)


def test_a_wrong_one_counts(world, anna):
    code = make(world)
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    assert world.submit(world.attempt("anna"), wrong) == CodeWrong(6)
    assert isinstance(world.submit(world.attempt("anna"), code), Admitted)


def test_an_unused_one_leaves_the_count_of_recovery_codes(world, anna):
    make(world)
    admitted = world.submit(world.attempt("anna"), world.recovery["anna"][0])
    assert admitted.session.notices == ()
    for code in world.recovery["anna"][1:3]:
        admitted = world.submit(world.attempt("anna"), code)
    assert "2 recovery codes left" in admitted.session.notices[0]
    assert world.row("anna").few_codes


VOIDING = {
    "a newer one": lambda world, me: make(world),
    "clear": lambda world, me: world.run(factor_administration.clear_two_factor, OPERATOR, "anna"),
    "disable": lambda world, me: world.run(factor_administration.disable_two_factor, OPERATOR, "anna"),
    "turning off": lambda world, me: world.run(enrolment.turn_off, me),
    "lock": lambda world, me: world.lock("anna"),
    "deactivation": lambda world, me: world.run(lifecycle.set_active, OPERATOR, "anna", active=False),
    "a new phone": lambda world, me: world.wizard("anna", me),
    "a second method": lambda world, me: world.enrol_email("anna", me),
}


@pytest.mark.feature("temporary-code-void")
@pytest.mark.parametrize("act", VOIDING.values(), ids=VOIDING)
def test_it_is_void(world, anna, act):
    """It does not sign in after what happened, even if that is undone."""
    world.methods(Method.APP, Method.EMAIL)
    code = make(world)
    assert not isinstance(act(world, anna), Denied)
    world.run(lifecycle.set_active, OPERATOR, "anna", active=True)
    world.run(factor_administration.unlock, OPERATOR, "anna", "a slip")
    if not models.Factor.select().where(models.Factor.user == world.row("anna").id).exists():
        world.enrol("anna")
    assert world.submit(world.attempt("anna"), code) == CodeWrong(6)


def test_new_recovery_codes_leave_it(world, anna):
    code = make(world)
    world.run(recovery_codes.renew_recovery_codes, anna)
    assert isinstance(world.submit(world.attempt("anna"), code), Admitted)


def test_an_imported_app_voids_it(world, anna):
    """An import is a new enrolment, here of a user who lost the factor but not the temporary code."""
    code = make(world)
    models.Factor.delete().execute()
    world.set("anna", lost_factor=True)
    file = AuthenticatorFile(bytes(20), (), -1)
    done = world.run(google_authenticator_import.take_over, OPERATOR, [("anna", file)])
    assert isinstance(done, Done), done
    assert world.submit(world.attempt("anna"), code) == CodeWrong(6)


@pytest.mark.feature("temporary-code-fresh")
def test_it_is_fresh_for_replacing_the_phone_alone(world, anna):
    world.methods(Method.APP, Method.EMAIL)
    code = make(world)
    session = sign_in(world, code)
    refused = {
        "new recovery codes": world.run(recovery_codes.renew_recovery_codes, session),
        "a key": world.run(credentials.add_key, session, KEY),
        "a password": world.run(credentials.store_password, session, "hash"),
        "turning off": world.run(enrolment.turn_off, session),
        "another method": world.run(enrolment.begin_email, session),
        "an address": world.run(lifecycle.edit_own, session, lifecycle.UserChanges(email="x@y.example")),
    }
    assert {name for name, result in refused.items() if not isinstance(result, FreshProofNeeded)} == set()
    assert isinstance(world.run(enrolment.begin_app, session), enrolment.PendingApp)
    world.clock.forward(minutes=6)
    asked = world.run(enrolment.begin_app, session)
    assert isinstance(asked, FreshProofNeeded)
    assert asked.replaces_phone


@pytest.mark.feature("temporary-code-fresh")
def test_a_new_phone_makes_the_session_as_any(world, anna):
    session = sign_in(world, make(world))
    world.wizard("anna", session)
    assert isinstance(
        world.run(recovery_codes.renew_recovery_codes, session), recovery_codes.NewRecoveryCodes
    )


def test_a_code_of_ones_own_makes_the_session_as_any(world, anna):
    session = sign_in(world, make(world))
    world.run(credentials.confirm_fresh_code, session, world.recovery["anna"][0])
    assert isinstance(world.run(credentials.add_key, session, KEY), Done)


@pytest.mark.feature("temporary-code-fresh")
def test_in_an_open_session(world, anna):
    """There it is taken to replace the phone; for anything else it is refused, and stays good."""
    world.clock.forward(minutes=6)
    code = make(world)
    refused = world.run(credentials.confirm_fresh_code, anna, code)
    assert isinstance(refused, Denied)
    assert "It was not used." in refused.message
    assert world.row("anna").attempts_left == 7
    assert world.run(credentials.confirm_fresh_code, anna, code, replaces_phone=True) == Done("Confirmed.")
    assert isinstance(world.run(credentials.add_key, anna, KEY), FreshProofNeeded)
    assert isinstance(world.run(enrolment.begin_app, anna), enrolment.PendingApp)
    again = world.run(credentials.confirm_fresh_code, anna, code, replaces_phone=True)
    assert isinstance(again, CodeAlreadyUsed)


def test_it_earns_no_new_recovery_codes(world, boss):
    """They are replaced after a code of the user's own, if they were not saved."""
    member = world.person("anna")
    world.wizard("anna", member)
    session = sign_in(world, make(world))
    assert world.run(recovery_codes.replace_unsaved_codes, session) is None
    assert world.run(recovery_codes.replace_unsaved_codes, world.session("anna")) is not None


def test_an_administrator_acts_on_no_one_with_it(world, anna):
    session = sign_in(world, make(world, name="boss"), "boss")
    refused = world.run(factor_administration.clear_two_factor, session, "anna")
    assert isinstance(refused, FreshProofNeeded)
    assert not refused.replaces_phone


@pytest.mark.feature("temporary-code")
def test_it_is_never_remembered(world, anna):
    models.Account.update(remember_days=7).execute()
    sign_in(world, make(world))
    assert models.RememberedAddress.select().count() == 0
    assert isinstance(world.first("anna"), first_factor.CodeNeeded)
    world.submit(world.attempt("anna"), world.live_code("anna"))
    assert isinstance(world.first("anna"), Admitted)


@pytest.mark.feature("temporary-code-refused")
def test_who_can_have_one(world, boss, anna):
    chief = world.person("chief", SECURITY)
    world.user("new")
    world.person("helper", SUPPORT)
    world.enrol(world.user("locked"))
    world.lock("locked")
    world.enrol(world.user("gone"))
    world.run(lifecycle.set_active, OPERATOR, "gone", active=False)
    words = {
        "new": "has not set up a second factor",
        "boss": "for yourself",
        "chief": "holds a role that you do not",
        "admin": "holds a role that you do not",
        "locked": "is locked",
        "gone": "is deactivated",
        "nobody": "not found",
    }
    for name, part in words.items():
        refused = world.run(temporary_codes.make_temporary_code, boss, name)
        assert isinstance(refused, Denied), name
        assert part in refused.message
    for actor in (chief, world.session("helper")):
        refused = world.run(temporary_codes.make_temporary_code, actor, "anna")
        assert refused == Denied("Only a system administrator can make temporary codes.")
    assert make(world, boss, "helper")
    assert make(world, OPERATOR, "chief")
    world.mode(Mode.OFF)
    assert isinstance(world.run(temporary_codes.make_temporary_code, OPERATOR, "anna"), Denied)
    assert models.RecoveryCode.select().where(models.RecoveryCode.expires_at.is_null(False)).count() == 2


@pytest.mark.feature("temporary-code-lost-factor")
def test_last_factor_lost(world, anna):
    """Then a temporary code comes before the wizard; without one, and recovery codes, nothing does."""
    models.RecoveryCode.delete().execute()
    world.methods(Method.APP, Method.EMAIL)
    code = make(world, hours=2)
    change = policy_settings.set_methods
    both = frozenset({Method.APP, Method.EMAIL})
    world.run(change, OPERATOR, frozenset({Method.EMAIL}), seen=both)
    attempt = world.attempt("anna")
    assert attempt.methods == ()
    assert "with a temporary code, and must then set up 2FA again" in explained(world)
    admitted = world.submit(attempt, code)
    assert isinstance(admitted.session.step, MustEnrol)
    world.enrol_email("anna", Member(admitted.session.id))
    assert isinstance(world.run(admission.advance, admitted.session.id), Admitted)


@pytest.mark.feature("temporary-code-lost-factor")
def test_last_factor_lost_and_the_code_expired(world, anna):
    models.RecoveryCode.delete().execute()
    make(world, hours=2)
    models.Factor.delete().execute()
    world.set("anna", lost_factor=True)
    world.clock.forward(hours=2, microseconds=-1)
    assert isinstance(world.first("anna"), first_factor.CodeNeeded)
    world.clock.forward(microseconds=1)
    assert isinstance(world.first("anna").session.step, MustEnrol)


@pytest.mark.feature("temporary-code-explained")
def test_explained(world, anna):
    assert "temporary" not in explained(world)
    code = make(world, hours=3)
    assert "They have a temporary code, good for one sign-in until 2026-03-02 12:0" in explained(world)
    sign_in(world, code)
    assert "with password and temporary code" in explained(world)
    assert "They have a temporary code" not in explained(world)
    make(world, hours=1)
    world.clock.forward(hours=1)
    assert "They have a temporary code" not in explained(world)


@pytest.mark.feature("temporary-code-told")
def test_the_user_is_told(world, boss, anna):
    world.clock.forward(minutes=1)
    code = make(world, boss)
    sign_in(world, code)
    told = list(
        models.Notice.select().where(models.Notice.user == world.row("anna").id).order_by(models.Notice.id)
    )
    rows = [(row.event, row.actor, row.recipient) for row in told if row.event.startswith("temporary")]
    assert rows == [
        ("temporary_code.made", "boss", "anna@clinic.example"),
        ("temporary_code.used", "anna", "anna@clinic.example"),
    ]
    assert not any(code in row.detail for row in told)
