"""Creating and changing people, and the administrators who are kept."""

import pytest
from support.database import BOTH, OPERATOR, PASSWORD, SECURITY, SUPPORT, SYSTEM, World, unguarded

from data.operations.actors import Member, Operator
from data.operations.maintenance import master_key, setup
from data.operations.results import Denied, Done, SessionOver
from data.operations.signin import admission, enrolment, first_factor, recovery_codes
from data.operations.users import credentials, factor_administration, lifecycle, role_grants, user_summaries
from data.operations.users.credentials import OneTimePassword
from data.operations.users.lifecycle import NewUser, UserChanges
from data.rules import public_keys
from data.rules.domain_types import Mode, Role, Status
from data.rules.policy import MustChangePassword, MustEnrol, Refusal, SignedIn
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
NOTHING: frozenset[Role] = frozenset()


def shown(world: World, name: str) -> user_summaries.UserDetail:
    return world.run(user_summaries.user_detail, OPERATOR, name)


def test_a_new_user_is_folded_and_shown(world):
    new = NewUser(" Anna ", "Anna@Clinic.Example", "  Anna   Lee ", frozenset({SUPPORT}), required=True)
    assert world.run(lifecycle.create_user, OPERATOR, new) == Done("User anna created.")
    detail = shown(world, "ANNA")
    assert (detail.name, detail.email, detail.full_name) == ("anna", "anna@clinic.example", "Anna Lee")
    assert (detail.roles, detail.required, detail.attempts_left) == ({SUPPORT}, True, 7)
    assert (detail.account, detail.practice, detail.status) == ("Clinic", "Main", Status.PENDING)


@pytest.mark.parametrize(
    "new",
    [
        NewUser("admin", "other@clinic.example"),
        NewUser("ADMIN", "other@clinic.example"),
        NewUser("other", "Admin@clinic.example"),
        NewUser("no name", "other@clinic.example"),
        NewUser("other", "no address"),
        NewUser("other", "other@clinic.example", "x" * 121),
        NewUser("other", "other@clinic.example\x1b[2J"),
    ],
)
def test_clashing_or_malformed_user(world, new):
    """The user is denied, and nothing is left."""
    before = world.dump()
    assert isinstance(world.run(lifecycle.create_user, OPERATOR, new), Denied)
    after = world.dump()
    # The owner of an address that somebody asks for is told.
    before.pop("notice")
    after.pop("notice")
    assert after == before


@pytest.mark.parametrize("typed", ["\x1b]0;x\x07", "[bold]x[/]", "Ünï 测试", "a\u202eb", "\ud800"])
def test_full_name_of_any_characters(world, typed):
    """It is kept or denied, and raises nothing."""
    result = world.run(lifecycle.create_user, OPERATOR, NewUser("anna", "anna@clinic.example", typed))
    assert isinstance(result, Done | Denied)
    if isinstance(result, Done):
        assert shown(world, "anna").full_name == typed.replace("\ud800", "?")


def test_editing_says_what_changed_and_nothing_more(world):
    world.user("anna")
    before = world.dump()
    edited = world.run(lifecycle.edit_user, OPERATOR, "anna", UserChanges("ANNA@clinic.example"))
    assert edited == lifecycle.Edited("Nothing changed.")
    assert world.dump() == before
    changes = UserChanges("lee@clinic.example", "Anna Lee")
    assert world.run(lifecycle.edit_user, OPERATOR, "anna", changes) == lifecycle.Edited("User anna saved.")
    assert (shown(world, "anna").email, shown(world, "anna").full_name) == ("lee@clinic.example", "Anna Lee")
    assert shown(world, "anna").recent[0].sentence == "Edited: email, full_name"


def test_an_address_that_someone_else_has_is_denied(world):
    world.user("anna")
    assert isinstance(
        world.run(lifecycle.edit_user, OPERATOR, "anna", UserChanges("admin@clinic.example")), Denied
    )


def test_deactivate_and_activate(world):
    """Deactivating ends the sessions at once; activating opens none."""
    anna = world.person("anna")
    world.run(lifecycle.set_active, OPERATOR, "anna", active=False)
    assert isinstance(world.run(user_summaries.my_profile, anna), SessionOver)
    assert isinstance(world.first("anna"), first_factor.FirstFactorRejected)
    world.run(lifecycle.set_active, OPERATOR, "anna", active=True)
    assert isinstance(world.run(user_summaries.my_profile, anna), SessionOver)
    assert world.first("anna").session.step == SignedIn()


def test_nobody_deactivates_themselves(world):
    me = world.person("me", SYSTEM)
    assert isinstance(world.run(lifecycle.set_active, me, "me", active=False), Denied)


def test_activating_unlocks_nobody(world):
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    world.lock("anna")
    world.run(lifecycle.set_active, OPERATOR, "anna", active=False)
    world.run(lifecycle.set_active, OPERATOR, "anna", active=True)
    assert world.first("anna") == admission.TurnedAway(Refusal.LOCKED.value)


@pytest.mark.feature("last-administrators")
@pytest.mark.parametrize("role", [SYSTEM, SECURITY])
def test_last_administrators_stay(world, role):
    """They are neither demoted nor deactivated."""
    before = world.dump()
    assert isinstance(world.run(lifecycle.set_active, OPERATOR, "admin", active=False), Denied)
    assert isinstance(world.run(role_grants.set_roles, OPERATOR, "admin", BOTH - {role}), Denied)
    assert isinstance(world.run(role_grants.set_roles, OPERATOR, "admin", NOTHING), Denied)
    assert world.dump() == before
    world.user("deputy", role)
    assert isinstance(world.run(role_grants.set_roles, OPERATOR, "admin", BOTH - {role}), Done)


def test_deactivated_admin_is_no_substitute(world):
    """A deactivated administrator does not count beside the last one."""
    world.user("deputy", *BOTH)
    world.run(lifecycle.set_active, OPERATOR, "deputy", active=False)
    assert isinstance(world.run(lifecycle.set_active, OPERATOR, "admin", active=False), Denied)
    assert isinstance(world.run(role_grants.set_roles, OPERATOR, "deputy", NOTHING), Done)


def test_admin_of_another_account_is_no_substitute(world):
    world.user("stranger", *BOTH)
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    practice = models.Practice.create(account=other, name="Main")
    world.set("stranger", account=other, practice=practice)
    clinic = Operator("root", "Clinic")
    denied = world.run(role_grants.set_roles, clinic, "admin", NOTHING)
    assert "admin is the last active" in denied.message


def test_role_requires_enrolment(world):
    """A role makes its holder enrol at the next sign-in."""
    world.user("anna")
    assert world.first("anna").session.step == SignedIn()
    world.run(role_grants.set_roles, OPERATOR, "anna", frozenset({SECURITY}))
    assert world.first("anna").session.step == MustEnrol()


def test_requiring_makes_pending_and_is_reversible(world):
    world.user("anna")
    world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    assert shown(world, "anna").status is Status.PENDING
    assert world.first("anna").session.step == MustEnrol()
    world.run(factor_administration.set_required, OPERATOR, "anna", required=False)
    assert shown(world, "anna").status is Status.NO


def test_flag_rests_while_off(world):
    """It may be set while the mode is off."""
    world.user("anna")
    world.mode(Mode.OFF)
    done = world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    assert "Takes effect when 2FA is turned on" in done.message
    assert world.first("anna").session.step == SignedIn()
    world.mode(Mode.OPTIONAL)
    assert world.first("anna").session.step == MustEnrol()


@pytest.mark.feature("require-disable-clear")
@pytest.mark.parametrize("required", [False, True])
def test_disable_and_clear(world, required):
    """Disabling removes flag and factors; clearing keeps the flag."""
    for name, act in (
        ("anna", factor_administration.disable_two_factor),
        ("bob", factor_administration.clear_two_factor),
    ):
        world.enrol(world.user(name, required=required))
        world.run(act, OPERATOR, name)
    assert models.Factor.select().count() == models.RecoveryCode.select().count() == 0
    assert not world.row("anna").required
    assert world.row("bob").required == required
    assert shown(world, "anna").status is Status.NO
    assert shown(world, "bob").status is Status.PENDING


def test_lost_factor_never_means_password_alone(world):
    """A user who lost the last factor never falls back to the password alone."""
    world.enrol(world.user("anna"))
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    assert world.first("anna").session.step == MustEnrol()
    world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    world.run(factor_administration.set_required, OPERATOR, "anna", required=False)
    assert world.first("anna").session.step == MustEnrol()
    world.run(factor_administration.disable_two_factor, OPERATOR, "anna")
    assert world.first("anna").session.step == SignedIn()


def test_clearing_nothing(world):
    """A user without factors is asked nothing new."""
    world.user("anna")
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    assert shown(world, "anna").status is Status.NO


def test_enrolling_again(world):
    world.enrol(world.user("anna"))
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    member = world.enrol("anna")
    assert isinstance(world.run(enrolment.turn_off, member), Done)
    assert shown(world, "anna").status is Status.NO


@pytest.mark.feature("disable-when-required")
def test_disabled_user_is_pending_if_mode_requires(world):
    world.enrol(world.user("anna"))
    world.mode(Mode.REQUIRED)
    world.run(factor_administration.disable_two_factor, OPERATOR, "anna")
    assert world.first("anna").session.step == MustEnrol()


def test_cleared_user_enrols_again(world):
    """The old app and codes are dead."""
    world.enrol(world.user("anna", required=True))
    old_codes = world.recovery["anna"]
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    member = world.enrol("anna")
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, member), recovery_codes.NewRecoveryCodes)
    world.clock.forward(minutes=1)
    assert world.submit(world.attempt("anna"), old_codes[0]).attempts_left == 6
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), admission.Admitted)


async def test_one_time_password_is_replaced(world):
    """It kills the old password and must be replaced at the sign-in."""
    world.user("anna")
    given = await credentials.give_one_time_password(world.store, OPERATOR, "anna")
    assert isinstance(given, OneTimePassword)
    assert given.password not in repr(given)
    assert isinstance(world.first("anna"), first_factor.FirstFactorRejected)
    session = world.first("anna", given.password).session
    assert session.step == MustChangePassword()
    member = Member(session.id)
    for bad in ("short", given.password, "password1234", "anna@clinic.example"):
        assert isinstance(await credentials.change_password(world.store, member, bad), Denied), bad
    assert await credentials.change_password(world.store, member, "a wholly new password") == Done(
        "Password changed."
    )
    assert world.run(admission.advance, session.id).session.step == SignedIn()
    assert isinstance(world.first("anna", given.password), first_factor.FirstFactorRejected)
    assert world.first("anna", "a wholly new password").session.step == SignedIn()


async def test_own_password(world):
    anna = world.person("anna")
    same = await credentials.change_password(world.store, anna, PASSWORD)
    assert same == Denied("That is your current password. Choose a new one.")
    assert isinstance(await credentials.change_password(world.store, anna, "a wholly new password"), Done)
    assert world.has_hash_of("anna", "a wholly new password")
    assert world.events(user="anna", last=1) == ["password.changed"]


def test_nobody_gives_themselves_a_one_time_password(world):
    me = world.person("me", SYSTEM)
    assert isinstance(world.one_time_password("me", me), Denied)


def test_own_keys_are_added_listed_and_removed(world):
    anna = world.person("anna")
    fingerprint = public_keys.parse(KEY).fingerprint
    assert world.run(credentials.add_key, anna, KEY) == Done(f"Key {fingerprint} added.")
    assert isinstance(world.run(credentials.add_key, anna, KEY), Denied)
    key = world.run(user_summaries.my_profile, anna).detail.keys[0]
    assert (key.fingerprint, key.comment, key.algorithm) == (fingerprint, "anna", "ssh-ed25519")
    assert isinstance(world.run(credentials.remove_key, anna, fingerprint), Done)
    assert isinstance(world.run(credentials.remove_key, anna, fingerprint), Denied)
    assert world.events(user="anna", last=2) == ["key.added", "key.removed"]


def test_a_private_key_is_refused_and_stored_nowhere(world):
    anna = world.person("anna")
    pasted = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END"
    assert world.run(credentials.add_key, anna, pasted) == Denied(public_keys.KeyFault.PRIVATE.value)
    assert b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmU" not in world.file_bytes()


def test_only_credential_stays(world):
    """Its owner cannot remove the only way to sign in."""
    key = public_keys.parse(KEY)
    world.user("anna", password=None, key=key)
    member = Member(world.first_by_key("anna", key.fingerprint).session.id)
    assert isinstance(world.run(credentials.remove_key, member, key.fingerprint), Denied)
    assert models.PublicKey.select().count() == 1


def test_an_installation_is_made_once(world):
    admin = NewUser("second", "second@clinic.example", roles=BOTH)
    before = world.dump()
    assert isinstance(world.run(setup.install, OPERATOR, "Second", admin), Denied)
    assert world.dump() == before


def test_refused_init_leaves_nothing(world):
    with unguarded(world):
        for table in reversed(models.TABLES):
            table.delete().execute()
    bad = NewUser("not a name", "x@clinic.example", roles=BOTH)
    with pytest.raises(setup.InstallRefusedError):
        world.run(setup.install, OPERATOR, "Clinic", bad)
    assert all(rows == [] for rows in world.dump().values())
    good = NewUser("admin", "x@clinic.example", roles=BOTH)
    assert isinstance(world.run(setup.install, OPERATOR, "Clinic", good), Done)
    assert models.Account.get().mode == "optional"
    assert world.run(master_key.fits)
