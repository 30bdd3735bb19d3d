"""A restricted session may do what it was opened for, and nothing else at all."""

from dataclasses import replace

import pytest
from support.database import OPERATOR, PASSWORD, SECURITY, START, SUPPORT, SYSTEM, World, totp, undone
from support.operations import OF_THE_OPERATOR, every_operation

from data.operations.actors import Member, Operator
from data.operations.applications import registry
from data.operations.audit import archiving, chain, trail, verification
from data.operations.certificates import authorities, issuing, listing, revocation_list
from data.operations.maintenance import accounts, kept_counts, master_key
from data.operations.policy import (
    auditor_report,
    certificate_policy,
    deadlines,
    needs_attention,
    overview,
    permanent_mode,
    policy_settings,
)
from data.operations.policy import delivery_tests as policy_delivery
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.signin import (
    admission,
    enrolment,
    inbound_sms,
    recovery_codes,
    remembered_addresses,
    sessions,
)
from data.operations.targets import jumps
from data.operations.targets import registry as targets
from data.operations.users import (
    bulk_actions,
    credentials,
    deletion,
    factor_administration,
    google_authenticator_import,
    invitations,
    lifecycle,
    practices,
    principals,
    role_grants,
    signin_explanation,
    temporary_codes,
    uniqueness,
    user_export,
    user_import,
    user_summaries,
)
from data.operations.users.user_search import UserQuery
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.domain_types import Method, Mode, PolicyNotice, ThemeChoice
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, SignedIn
from data.rules.ssh_certificates import Extension
from data.rules.targets import NewTarget
from data.rules.users_csv import PersonRow
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
ONE_MORE = PersonRow(2, "more", "more@clinic.example", "", None, "", required=False, key=None)
NEW_PASSWORD = "a wholly new password"
BOTH_METHODS = frozenset({Method.APP, Method.EMAIL})
VPN = NewApplication("vpn", Protocol.RADIUS, Asks.CODE)
DB1 = NewTarget("db1", "10.0.0.5")
TO_DB1 = jumps.JumpTarget(1, "db1", "10.0.0.5", 22, by_operator=False)
NEW = lifecycle.NewUser("new", "new@clinic.example")


def pending(world: World, me: Member):
    """Try to enrol, by a wizard as a full session of the same moment would have had it."""
    begun = enrolment.PendingApp(me.session_id, world.clock.now, None, "Clinic", "", "A" * 32, "")
    return world.run(enrolment.confirm_app, me, begun, totp("A" * 32, world.clock.now))


def reasons(result):
    """Leave out the names that were asked about: to repeat them tells nothing."""
    return Denied(result.refused[0][1]) if isinstance(result, bulk_actions.BulkResult) else result


async def reasons_of(work):
    """Wait for what is said, without the names."""
    return reasons(await work)


def destination(world: World, me: Member):
    """Make what the wizard would hold of an address, as a full session of the same moment would have it."""
    email = models.Session.get_by_id(me.session_id).user.email
    return enrolment.PendingDestination(me.session_id, world.clock.now, None, Method.EMAIL, "", email)


def awaited(me: Member):
    """Make what the wizard would hold of a code that is to be sent in."""
    return enrolment.PendingMessage(me.session_id, START, None, "+49301234567", "471108152342")


def stretch_and_start(world: World):
    """Return what there is to verify, as someone who may see it would have it."""
    (stretch,) = world.run(verification.plan_verification, OPERATOR).stretches
    return stretch, verification.Position(stretch.begin)


OPERATIONS = {
    "list_applications": lambda world, me: world.run(registry.list_applications, me),
    "show_application": lambda world, me: world.run(registry.show_application, me, "vpn"),
    "add_application": lambda world, me: world.run(registry.add_application, me, VPN),
    "rotate_secret": lambda world, me: world.run(registry.rotate_secret, me, "vpn"),
    "enable_application": lambda world, me: world.run(registry.enable_application, me, "vpn"),
    "disable_application": lambda world, me: world.run(registry.disable_application, me, "vpn"),
    "remove_application": lambda world, me: world.run(registry.remove_application, me, "vpn"),
    "init_authority": lambda world, me: world.run(authorities.init_authority, me),
    "show_authorities": lambda world, me: world.run(authorities.show_authorities, me),
    "rotate_authority": lambda world, me: world.run(authorities.rotate_authority, me, "SHA256:x"),
    "show_revocation_list": lambda world, me: world.run(revocation_list.show_revocation_list, me),
    "set_certificate_hours": lambda world, me: world.run(
        certificate_policy.set_certificate_hours, me, 4, seen=0
    ),
    "set_certificate_extensions": lambda world, me: world.run(
        certificate_policy.set_certificate_extensions, me, frozenset(), seen=frozenset({Extension.PTY})
    ),
    "issue_certificate": lambda world, me: world.run(issuing.issue_certificate, me, KEY),
    "own_certificates": lambda world, me: world.run(listing.own_certificates, me),
    "list_certificates": lambda world, me: world.run(listing.list_certificates, me),
    "withdraw_certificate": lambda world, me: world.run(listing.withdraw_certificate, me, 1),
    "list_targets": lambda world, me: world.run(targets.list_targets, me),
    "show_target": lambda world, me: world.run(targets.show_target, me, "db1"),
    "add_target": lambda world, me: world.run(targets.add_target, me, DB1),
    "remove_target": lambda world, me: world.run(targets.remove_target, me, "db1"),
    "my_targets": lambda world, me: world.run(targets.my_targets, me),
    "open_jump": lambda world, me: world.run(jumps.open_jump, me, TO_DB1, "10.0.0.5"),
    "begin_message": lambda world, me: world.run(inbound_sms.begin_message, me),
    "look_for_message": lambda world, me: world.run(inbound_sms.look_for_message, me, awaited(me)),
    "confirm_message": lambda world, me: world.run(inbound_sms.confirm_message, me, awaited(me)),
    "stop_awaiting": lambda world, me: world.run(inbound_sms.stop_awaiting, me, awaited(me)),
    "preview_methods": lambda world, me: world.run(policy_settings.preview_methods, me, BOTH_METHODS),
    "set_methods": lambda world, me: world.run(
        policy_settings.set_methods, me, BOTH_METHODS, seen=frozenset({Method.APP})
    ),
    "send_fresh_code": lambda world, me: world.run(credentials.send_fresh_code, me, Method.EMAIL),
    "wizard_choice": lambda world, me: world.run(enrolment.wizard_choice, me),
    "begin_email": lambda world, me: world.run(enrolment.begin_email, me),
    "begin_sms": lambda world, me: world.run(enrolment.begin_sms, me, "+49 170 1234567"),
    "send_enrolment_code": lambda world, me: world.run(
        enrolment.send_enrolment_code, me, destination(world, me)
    ),
    "confirm_sent": lambda world, me: world.run(enrolment.confirm_sent, me, destination(world, me), "123456"),
    "show_delivery": lambda world, me: world.run(policy_delivery.show_delivery, me),
    "prepare_test": lambda world, me: world.run(
        policy_delivery.prepare_test, me, Method.EMAIL, "x@y.example"
    ),
    "show_policy": lambda world, me: world.run(policy_settings.show_policy, me),
    "preview_mode": lambda world, me: world.run(policy_settings.preview_mode, me, Mode.OFF),
    "set_mode": lambda world, me: world.run(policy_settings.set_mode, me, Mode.OFF, seen=Mode.OPTIONAL),
    "show_checklist": lambda world, me: world.run(permanent_mode.show_checklist, me),
    "list_entries": lambda world, me: world.run(trail.list_entries, me, trail.Filter()),
    "list_users": lambda world, me: world.run(user_summaries.list_users, me, UserQuery()),
    "user_detail": lambda world, me: world.run(user_summaries.user_detail, me, "bob"),
    "export_people": lambda world, me: world.run(user_export.export_people, me),
    "export_entries": lambda world, me: world.run(trail.export_entries, me, trail.Filter()),
    "heads": lambda world, me: world.run(chain.heads, me),
    "plan_verification": lambda world, me: world.run(verification.plan_verification, me),
    "verify_batch": lambda world, me: world.run(verification.verify_batch, me, *stretch_and_start(world)),
    "verify": lambda world, me: verification.verify(
        world.store, me, verification.Plan(stretch_and_start(world)[:1], None), lambda _more: None
    ),
    "plan_archive": lambda world, me: world.run(archiving.plan_archive, me, world.clock.now),
    "read_batch": lambda world, me: world.run(archiving.read_batch, me, *stretch_and_start(world)),
    "cut": lambda world, me: world.run(archiving.cut, me, stretch_and_start(world)[:1], world.clock.now),
    "plan_archive_verification": lambda world, me: world.run(archiving.plan_archive_verification, me, ()),
    "verify_archived": lambda world, me: world.run(
        archiving.verify_archived, me, *stretch_and_start(world), ()
    ),
    "begin_rotation": lambda world, me: world.run(
        master_key.begin_rotation, me, world.services.vault.check_value, "new"
    ),
    "count_sealed": lambda world, me: world.run(master_key.count_sealed, me),
    "reseal_batch": lambda world, me: world.run(master_key.reseal_batch, me, 0),
    "finish_rotation": lambda world, me: world.run(master_key.finish_rotation, me, 0),
    "check_people": lambda world, me: world.run(user_import.check_people, me, ()),
    "check_all": lambda world, me: user_import.check_all(world.store, me, (ONE_MORE,), lambda _more: None),
    "import_people": lambda world, me: user_import.import_people(
        world.store, me, (ONE_MORE,), lambda _: None
    ),
    "stage_people": lambda world, me: world.run(
        user_import.stage_people, me, None, user_import.newcomers([ONE_MORE])
    ),
    "tell_owners": lambda world, me: world.run(uniqueness.tell_owners, me, ()),
    "publish_people": lambda world, me: world.run(user_import.publish_people, me, 1),
    "take_over": lambda world, me: world.run(google_authenticator_import.take_over, me, ()),
    "find_unfit": lambda world, me: world.run(google_authenticator_import.find_unfit, me, ()),
    "act_on_many": lambda world, me: reasons(
        world.run(bulk_actions.act_on_many, me, ["bob"], bulk_actions.Bulk.REQUIRE)
    ),
    "carry_out": lambda world, me: reasons_of(
        bulk_actions.carry_out(world.store, me, ["bob"], bulk_actions.Bulk.REQUIRE)
    ),
    "invite": lambda world, me: world.run(invitations.invite, me, "bob"),
    "remind": lambda world, me: world.run(invitations.remind, me, "bob"),
    "names_of": lambda world, me: world.run(invitations.names_of, me, invitations.Group.ALL),
    "write_password": lambda world, me: invitations.write_password(world.store, me, "bob"),
    "check_written": lambda world, me: world.run(invitations.check_written, me, "bob"),
    "store_written": lambda world, me: world.run(invitations.store_written, me, "bob", "secret", "hash"),
    "list_principals": lambda world, me: world.run(principals.list_principals, me, "bob"),
    "list_practice_principals": lambda world, me: world.run(principals.list_practice_principals, me, "Main"),
    "preview_act": lambda world, me: world.run(
        bulk_actions.preview_act, me, ("bob",), bulk_actions.Bulk.CLEAR
    ),
    "preview_key_removal": lambda world, me: world.run(
        credentials.preview_key_removal, me, "SHA256:x", name="bob"
    ),
    "preview_principal": lambda world, me: world.run(principals.preview_principal, me, "bob", "deploy"),
    "preview_practice_principal": lambda world, me: world.run(
        principals.preview_practice_principal, me, "North", "deploy"
    ),
    "add_principal": lambda world, me: world.run(principals.add_principal, me, "bob", "deploy"),
    "remove_principal": lambda world, me: world.run(principals.remove_principal, me, "bob", "deploy"),
    "add_practice_principal": lambda world, me: world.run(
        principals.add_practice_principal, me, "North", "deploy"
    ),
    "remove_practice_principal": lambda world, me: world.run(
        principals.remove_practice_principal, me, "North", "deploy"
    ),
    "list_sessions": lambda world, me: world.run(sessions.list_sessions, me),
    "end_session_of": lambda world, me: world.run(sessions.end_session_of, me, 1),
    "choose_theme": lambda world, me: world.run(lifecycle.choose_theme, me, ThemeChoice.DARK),
    "choose_plain_mode": lambda world, me: world.run(lifecycle.choose_plain_mode, me, on=True),
    "end_my_sessions": lambda world, me: world.run(sessions.end_my_sessions, me),
    "my_profile": lambda world, me: world.run(user_summaries.my_profile, me),
    "create_user": lambda world, me: world.run(lifecycle.create_user, me, NEW),
    "edit_user": lambda world, me: world.run(
        lifecycle.edit_user, me, "bob", lifecycle.UserChanges(full_name="Bob")
    ),
    "edit_own": lambda world, me: world.run(lifecycle.edit_own, me, lifecycle.UserChanges(full_name="Anna")),
    "add_account": lambda world, me: world.run(accounts.add_account, me, "Third", "Main", NEW),
    "rename_account": lambda world, me: world.run(accounts.rename_account, me, "Clinic", "Ward"),
    "list_accounts": lambda world, me: world.run(accounts.list_accounts, me),
    "show_account": lambda world, me: world.run(accounts.show_account, me, "Clinic"),
    "summarise": lambda world, me: world.run(auditor_report.summarise, me),
    "list_unprotected": lambda world, me: world.run(auditor_report.list_unprotected, me),
    "list_exceptions": lambda world, me: world.run(auditor_report.list_exceptions, me),
    "show_needs_attention": lambda world, me: world.run(needs_attention.show_needs_attention, me),
    "repair_counts": lambda world, me: world.run(kept_counts.repair_counts, me),
    "show_overview": lambda world, me: world.run(overview.show_overview, me),
    "practice_names": lambda world, me: world.run(practices.practice_names, me),
    "practice_named": lambda world, me: world.run(practices.practice_named, me, "Main"),
    "list_practices": lambda world, me: world.run(practices.list_practices, me),
    "show_practices": lambda world, me: world.run(practices.show_practices, me),
    "add_practice": lambda world, me: world.run(practices.add_practice, me, "North"),
    "delete_user": lambda world, me: world.run(deletion.delete_user, me, "bob"),
    "rename_practice": lambda world, me: world.run(practices.rename_practice, me, "Main", "South"),
    "remove_practice": lambda world, me: world.run(practices.remove_practice, me, "Main"),
    "move_user": lambda world, me: world.run(practices.move_user, me, "bob", "Main"),
    "set_active": lambda world, me: world.run(lifecycle.set_active, me, "bob", active=False),
    "set_roles": lambda world, me: world.run(role_grants.set_roles, me, "bob", frozenset({SYSTEM})),
    "set_required": lambda world, me: world.run(factor_administration.set_required, me, "bob", required=True),
    "disable_two_factor": lambda world, me: world.run(factor_administration.disable_two_factor, me, "bob"),
    "clear_two_factor": lambda world, me: world.run(factor_administration.clear_two_factor, me, "bob"),
    "set_deadline": lambda world, me: world.run(deadlines.set_deadline, me, None, seen=None),
    "set_grace_days": lambda world, me: world.run(deadlines.set_grace_days, me, 2, seen=0),
    "set_remember_days": lambda world, me: world.run(policy_settings.set_remember_days, me, 2, seen=0),
    "set_notice": lambda world, me: world.run(
        policy_settings.set_notice, me, PolicyNotice.NEW_PLACES, on=False
    ),
    "forget_addresses": lambda world, me: world.run(factor_administration.forget_addresses, me, "bob"),
    "forget_my_addresses": lambda world, me: world.run(remembered_addresses.forget_my_addresses, me),
    "explain_user": lambda world, me: world.run(signin_explanation.explain_user, me, "bob"),
    "offer_resync": lambda world, me: world.run(factor_administration.offer_resync, me, "bob"),
    "make_temporary_code": lambda world, me: world.run(temporary_codes.make_temporary_code, me, "bob"),
    "unlock": lambda world, me: world.run(factor_administration.unlock, me, "bob", "a slip"),
    "set_one_time_password": lambda world, me: world.one_time_password("bob", me),
    "add_key": lambda world, me: world.run(credentials.add_key, me, KEY),
    "add_key of someone": lambda world, me: world.run(credentials.add_key, me, KEY, name="bob"),
    "remove_key": lambda world, me: world.run(credentials.remove_key, me, "SHA256:x"),
    "remove_key of someone": lambda world, me: world.run(credentials.remove_key, me, "SHA256:x", name="bob"),
    "unfinished_session": lambda world, me: world.run(admission.unfinished_session, me),
    "proof_to_give": lambda world, me: world.run(credentials.proof_to_give, me),
    "confirm_fresh_code": lambda world, me: world.run(credentials.confirm_fresh_code, me, "000000"),
    "confirm_fresh_password": lambda world, me: credentials.confirm_fresh_password(world.store, me, PASSWORD),
    "give_one_time_password": lambda world, me: credentials.give_one_time_password(world.store, me, "bob"),
    "replace_unsaved_codes": lambda world, me: world.run(recovery_codes.replace_unsaved_codes, me),
    "renew_recovery_codes": lambda world, me: world.run(recovery_codes.renew_recovery_codes, me),
    "turn_off": lambda world, me: world.run(enrolment.turn_off, me),
    "change_password": lambda world, me: credentials.change_password(world.store, me, NEW_PASSWORD),
    "store_password": lambda world, me: world.run(credentials.store_password, me, "hash"),
    "begin_app": lambda world, me: world.run(enrolment.begin_app, me),
    "confirm_app": pending,
    "confirm_saved": lambda world, me: world.run(recovery_codes.confirm_saved, me),
}
WAITED_FOR = (
    "carry_out",
    "verify",
    "check_all",
    "import_people",
    "confirm_fresh_password",
    "give_one_time_password",
    "change_password",
    "write_password",
)
"""Operations of several transactions, which are carried out by other threads."""
WIZARD = {
    "wizard_choice",
    "begin_app",
    "confirm_app",
    "begin_email",
    "begin_sms",
    "send_enrolment_code",
    "confirm_sent",
    "begin_message",
    "look_for_message",
    "confirm_message",
    "stop_awaiting",
}
PASSWORD_CHANGE = {"change_password", "store_password"}


def must_enrol(world: World) -> Member:
    return Member(world.restricted(world.user("anna", SYSTEM, SECURITY), MustEnrol).id)


def must_enrol_by_key(world: World) -> Member:
    key = credentials.public_keys.parse(KEY)
    world.user("anna", SYSTEM, SECURITY, key=key, one_time=True)
    session = world.first_by_key("anna", key.fingerprint).session
    assert session.step == MustEnrol()
    return Member(session.id)


def must_change_password(world: World) -> Member:
    return Member(
        world.restricted(world.user("anna", SYSTEM, SECURITY, one_time=True), MustChangePassword).id
    )


def must_give_code(world: World) -> Member:
    """An enrolled administrator, whose codes are not saved, after replacing a one-time password."""
    world.session(world.user("anna", SYSTEM, SECURITY))
    world.one_time_password("anna")
    session = world.restricted("anna", MustChangePassword)
    world.run(credentials.store_password, Member(session.id), world.services.hasher.hash("x" * 12))
    assert world.run(admission.advance, session.id).session.step == NeedCode((Method.APP,))
    return Member(session.id)


def must_give_recovery_code(world: World) -> Member:
    """An administrator whose method was switched off, after replacing a one-time password."""
    world.session(world.user("anna", SYSTEM, SECURITY))
    world.methods(Method.EMAIL)
    world.set("anna", lost_factor=True)
    world.one_time_password("anna")
    session = world.restricted("anna", MustChangePassword)
    world.run(credentials.store_password, Member(session.id), world.services.hasher.hash("x" * 12))
    assert world.run(admission.advance, session.id).session.step == NeedCode(())
    return Member(session.id)


def must_change_password_enrolled(world: World) -> Member:
    world.session(world.user("anna", SYSTEM, SECURITY))
    world.one_time_password("anna")
    return Member(world.restricted("anna", MustChangePassword).id)


@pytest.mark.parametrize(
    ("restrict", "step", "allowed"),
    [
        (must_enrol, MustEnrol(), WIZARD),
        (must_enrol_by_key, MustEnrol(), WIZARD),
        (must_change_password, MustChangePassword(), PASSWORD_CHANGE),
        (must_change_password_enrolled, MustChangePassword(), PASSWORD_CHANGE),
        (must_give_code, NeedCode((Method.APP,)), set()),
        (must_give_recovery_code, NeedCode(()), set()),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_nothing_but_its_purpose(world, restrict, step, allowed):
    """A restricted session can do nothing but what it is for, and can read what that is."""
    world.user("bob")
    me = restrict(world)
    before = world.dump()
    assert world.run(admission.unfinished_session, me).step == step
    for name in OPERATIONS.keys() - allowed - {"unfinished_session"}:
        result = OPERATIONS[name](world, me)
        if hasattr(result, "__await__"):
            result = await result
        assert isinstance(result, Denied), name
        assert world.dump() == before, name


@pytest.mark.feature("account-walls")
def test_every_operation_is_tried():
    assert every_operation() == {name.removesuffix(" of someone") for name in OPERATIONS}


def rows_of_the_clinic(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Return every row that belongs to the account `Clinic`."""
    clinic = models.Account.get(models.Account.name == "Clinic")
    users = [user.id for user in clinic.users]
    rows = {"account": [(clinic.name, clinic.mode)]}
    for table in models.TABLES:
        fields = table._meta.fields
        if "account" in fields:
            which = table.account == clinic.id
        elif "user" in fields:
            which = table.user.in_(users)
        else:
            continue
        rows[table._meta.table_name] = sorted(table.select().where(which).tuples(), key=repr)
    return rows


@pytest.fixture
def stranger(world: World) -> Member:
    """Someone with all roles and fresh proof in an account of their own, beside one with an enrolled user."""
    world.user("bob", SUPPORT)
    world.enrol("bob")
    world.clock.forward(minutes=1)
    chief = lifecycle.NewUser("chief", "chief@other.example", password_hash=world.row("bob").password_hash)
    chief = replace(chief, one_time_password=False)
    world.run(accounts.add_account, OPERATOR, "Other", "Secret Wing", chief)
    other = Operator("root", "Other")
    deputy = replace(chief, name="deputy", email="deputy@other.example", roles=frozenset({SYSTEM, SECURITY}))
    world.run(lifecycle.create_user, other, deputy)
    world.run(role_grants.set_roles, other, "chief", frozenset({SUPPORT, SYSTEM, SECURITY}))
    return world.enrol("chief")


def touches_nothing(world: World, name: str, result: object, before: object) -> None:
    """Assert that an operation has neither shown nor changed anything of the clinic."""
    assert rows_of_the_clinic(world) == before, name
    assert "bob" not in repr(result), name
    assert "Clinic" not in repr(result), name
    if "bob" in OPERATIONS[name].__code__.co_consts:
        assert result == Denied("The user was not found."), name


@pytest.mark.feature("account-walls")
def test_another_account_is_out_of_reach(world, stranger):
    """An administrator neither sees nor touches it."""
    before = rows_of_the_clinic(world)
    for name in OPERATIONS.keys() - WAITED_FOR:
        with undone(world):
            touches_nothing(world, name, OPERATIONS[name](world, stranger), before)


@pytest.mark.parametrize("name", WAITED_FOR)
async def test_another_account_in_several_transactions(world, stranger, name):
    """What takes several transactions does not touch another account either."""
    before = rows_of_the_clinic(world)
    touches_nothing(world, name, await OPERATIONS[name](world, stranger), before)


async def test_what_a_restricted_session_is_for_works(world):
    world.user("bob")
    me = must_change_password(world)
    assert await credentials.change_password(world.store, me, NEW_PASSWORD) == Done("Password changed.")
    assert isinstance(await credentials.change_password(world.store, me, "yet another password"), Denied)
    assert world.run(admission.advance, me.session_id).session.step == MustEnrol()
    world.wizard("anna", me)
    assert isinstance(world.run(recovery_codes.confirm_saved, me), Done)
    assert isinstance(world.run(policy_settings.show_policy, me), Denied)
    assert world.run(admission.advance, me.session_id).session.step == SignedIn()
    assert isinstance(world.run(policy_settings.show_policy, me), policy_settings.PolicyView)


def test_restricted_until_its_work_is_done(world):
    me = must_enrol(world)
    assert world.run(admission.advance, me.session_id).session.step == MustEnrol()
    assert models.Session.get_by_id(me.session_id).restricted


def test_leaving_the_wizard_leaves_the_user_pending(world):
    me = must_enrol(world)
    world.run(enrolment.begin_app, me)
    world.run(sessions.end_session, me.session_id)
    assert world.first("anna").session.step == MustEnrol()


def test_released_by_a_looser_policy(world):
    """The rules alone release it."""
    world.user("anna")
    world.mode(Mode.REQUIRED)
    session = world.restricted("anna", MustEnrol)
    world.mode(Mode.OPTIONAL)
    assert isinstance(world.run(user_summaries.my_profile, Member(session.id)), Denied)
    assert world.run(admission.advance, session.id).session.step == SignedIn()
    assert isinstance(world.run(user_summaries.my_profile, Member(session.id)), user_summaries.Profile)


def test_wizard_after_a_looser_policy(world):
    """A wizard can be finished though the policy was loosened meanwhile."""
    world.user("anna")
    world.mode(Mode.REQUIRED)
    member = Member(world.restricted("anna", MustEnrol).id)
    world.mode(Mode.OPTIONAL)
    world.wizard("anna", member)
    assert world.run(admission.advance, member.session_id).session.step == SignedIn()


def test_password_changed_elsewhere(world):
    """It ends what a restricted session began."""
    me = must_enrol(world)
    world.one_time_password("anna")
    result = world.run(admission.advance, me.session_id)
    assert result == admission.TurnedAway("An administrator reset your password. Sign in again.")


WITHOUT_PROOF = {
    "heads",  # Reading, here and below.
    "plan_verification",
    "verify_batch",
    "verify",
    "preview_methods",
    "show_policy",
    "preview_mode",
    "show_checklist",
    "list_entries",
    "list_applications",
    "show_application",
    "list_targets",
    "show_target",
    "my_targets",
    "open_jump",  # What `ssh -J` does all day.
    "list_users",
    "user_detail",
    "export_people",
    "export_entries",
    "check_people",
    "check_all",
    "tell_owners",  # A part of checking an import.
    "list_principals",
    "list_practice_principals",
    "preview_act",
    "preview_key_removal",
    "preview_principal",
    "preview_practice_principal",
    "list_sessions",
    "my_profile",
    "show_needs_attention",
    "summarise",
    "list_unprotected",
    "list_exceptions",
    "show_overview",
    "practice_names",
    "practice_named",
    "list_practices",
    "show_practices",
    "explain_user",
    "names_of",
    "wizard_choice",
    "unfinished_session",
    "replace_unsaved_codes",  # Answers that nothing is to be replaced.
    "act_on_many",  # Requires, here and below; clearing asks for proof (see test_bulk).
    "carry_out",
    "set_required",  # Requires, here; to stop asks for proof (see test_fresh_proof).
    "remind",  # A message without a secret, once a day.
    "set_active",  # Deactivates, here; to activate asks for proof (see test_fresh_proof).
    "edit_user",  # Changes a full name, here; contact data ask for proof (see test_fresh_proof).
    "edit_own",  # The same.
    "add_practice",
    "rename_practice",
    "remove_practice",
    "show_delivery",
    "prepare_test",  # It empowers nobody, and an hour has five of them.
    "move_user",
    "end_session_of",
    "end_my_sessions",
    "own_certificates",
    "list_certificates",
    "withdraw_certificate",  # It takes away, and gives nothing.
    "choose_theme",
    "choose_plain_mode",
    "forget_addresses",
    "forget_my_addresses",
    "confirm_saved",
    "stop_awaiting",
    "proof_to_give",
    "confirm_fresh_code",  # Proof itself, here and below.
    "send_fresh_code",
    "confirm_fresh_password",
}
"""What someone who is signed in may do with proof that is five minutes old."""
AFTER_PROOF = {
    "confirm_app",
    "send_enrolment_code",
    "confirm_sent",
    "look_for_message",
    "confirm_message",
    "publish_people",
}
"""What goes on with a wizard or an import that was begun with proof."""


@pytest.mark.feature("fresh-code")
async def test_every_operation_needs_a_fresh_code(world):
    """Every operation asks for one unless it is known to need none."""
    world.user("bob")
    world.session(world.user("mallory"))
    me = world.enrol(world.user("anna", SYSTEM, SECURITY))
    world.methods(*Method)
    models.Account.update(certificate_hours=8).execute()
    world.run(authorities.init_authority, OPERATOR)
    world.clock.forward(minutes=6)
    before = world.dump()
    for name, perform in OPERATIONS.items():
        if name in WITHOUT_PROOF | AFTER_PROOF:
            continue
        result = perform(world, me)
        if hasattr(result, "__await__"):
            result = await result
        if name in OF_THE_OPERATOR | {"turn_off"}:  # No administrator turns their own off.
            assert isinstance(result, Denied), name
        else:
            assert isinstance(result, FreshProofNeeded), (name, result)
        assert world.dump() == before, name
