"""Every act on others against every role: who may, who may not, and that a denial changes nothing."""

from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import combinations

import pytest
from support.database import MASTER_KEY, OPERATOR, SECURITY, SUPPORT, SYSTEM, World, undone

from data.operations.actors import Actor, Member
from data.operations.applications import registry
from data.operations.applications.registry import NewSecret
from data.operations.audit import archiving, chain, trail, verification
from data.operations.certificates import authorities
from data.operations.certificates.authorities import AuthoritiesView
from data.operations.maintenance import accounts, master_key
from data.operations.policy import (
    auditor_report,
    certificate_policy,
    deadlines,
    delivery_tests,
    needs_attention,
    permanent_mode,
    policy_settings,
)
from data.operations.results import Denied, Done, SessionOver
from data.operations.signin import sessions
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
    user_acts,
    user_export,
    user_import,
    user_summaries,
)
from data.operations.users.bulk_actions import BulkResult
from data.operations.users.invitations import WrittenPassword
from data.operations.users.temporary_codes import TemporaryCode
from data.operations.users.user_search import UserQuery
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.domain_types import Method, Mode, PolicyNotice, Role
from data.rules.google_authenticator_file import AuthenticatorFile
from data.rules.permissions import UserAct
from data.rules.sent_codes import Envelope
from data.rules.ssh_certificates import Extension
from data.rules.targets import NewTarget
from data.storage import models
from data.storage.vault import Vault, check_value_of

AUTHENTICATOR = AuthenticatorFile(bytes(20), (), -1)
VPN = NewApplication("vpn", Protocol.RADIUS, Asks.CODE)
WEB1 = NewTarget("web1", "web1.clinic.example")
PORTAL = NewApplication("portal", Protocol.HTTP, Asks.PASSWORD_THEN_CODE)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna"
FINGERPRINT = credentials.public_keys.parse(KEY).fingerprint
WRITES = Done | BulkResult | WrittenPassword | TemporaryCode | Envelope | NewSecret | AuthoritiesView
ROLE_SETS = [frozenset(chosen) for size in range(4) for chosen in combinations(Role, size)]
WHO = [*ROLE_SETS, "operator"]


def changes(name: str):
    return lifecycle.UserChanges(full_name=name)


def new(*roles: Role) -> lifecycle.NewUser:
    return lifecycle.NewUser("new", "new@clinic.example", roles=frozenset(roles))


def named(who: frozenset[Role] | str) -> str:
    return who if isinstance(who, str) else "+".join(sorted(who)) or "user"


def roles(*held: Role) -> frozenset[Role]:
    return frozenset(held)


def rotate(world: World, me: Actor):
    new = bytes(32)
    world.store.services = replace(world.services, vault=Vault(MASTER_KEY, new))
    former, check = check_value_of(MASTER_KEY), check_value_of(new)
    return world.run(master_key.begin_rotation, me, former, check)


def import_nobody(world: World, me: Actor):
    """Stage an import, which writes nothing that anybody sees until it is published."""
    staged = world.run(user_import.stage_people, me, None, ())
    return world.run(user_import.publish_people, me, staged.batch) if hasattr(staged, "batch") else staged


def open_session(name: str) -> int:
    """Return the number of a session that a user has open."""
    return models.Session.get(models.Session.user == models.User.get(models.User.name == name).id).id


def set_deadline(world: World, me: Actor):
    """Put a deadline off; for whoever may, in the mode that can have one."""
    act = partial(world.run, deadlines.set_deadline, me, date(2027, 1, 1), seen=None, reason="late")
    refused = act()
    if isinstance(refused, Denied) and "changed the mode to optional" in refused.message:
        world.mode(Mode.REQUIRED)
    return act()


ACTS = {
    "see the practices' names": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(practices.practice_names, me),
    ),
    "see the users": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(user_summaries.list_users, me, UserQuery()),
    ),
    "see a user": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(user_summaries.user_detail, me, "anna"),
    ),
    "ask why": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(signin_explanation.explain_user, me, "anna"),
    ),
    "see the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(trail.list_entries, me, trail.Filter()),
    ),
    "export the users": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(user_export.export_people, me),
    ),
    "report adoption": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(auditor_report.summarise, me),
    ),
    "see the applications": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(registry.list_applications, me),
    ),
    "see an application": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(registry.show_application, me, "vpn"),
    ),
    "add an application": ({SECURITY}, lambda world, me: world.run(registry.add_application, me, PORTAL)),
    "rotate a secret": ({SECURITY}, lambda world, me: world.run(registry.rotate_secret, me, "vpn")),
    "enable an application": (
        {SECURITY},
        lambda world, me: world.run(registry.enable_application, me, "suspended"),
    ),
    "disable an application": (
        {SECURITY},
        lambda world, me: world.run(registry.disable_application, me, "vpn"),
    ),
    "remove an application": (
        {SECURITY},
        lambda world, me: world.run(registry.remove_application, me, "vpn"),
    ),
    "see the targets": ({SYSTEM, SECURITY}, lambda world, me: world.run(targets.list_targets, me)),
    "see a target": ({SYSTEM, SECURITY}, lambda world, me: world.run(targets.show_target, me, "db1")),
    "add a target": ({SECURITY}, lambda world, me: world.run(targets.add_target, me, WEB1)),
    "remove a target": ({SECURITY}, lambda world, me: world.run(targets.remove_target, me, "db1")),
    "report who has no second factor": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(auditor_report.list_unprotected, me),
    ),
    "report exceptions": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(auditor_report.list_exceptions, me),
    ),
    "export the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(trail.export_entries, me, trail.Filter()),
    ),
    "see the heads of the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(chain.heads, me),
    ),
    "verify the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(verification.plan_verification, me),
    ),
    "have certificates issued": (
        {SECURITY},
        lambda world, me: world.run(certificate_policy.set_certificate_hours, me, 8, seen=0),
    ),
    "change what certificates permit": (
        {SECURITY},
        lambda world, me: world.run(
            certificate_policy.set_certificate_extensions, me, frozenset(), seen=frozenset({Extension.PTY})
        ),
    ),
    "make an authority": (set(), lambda world, me: world.run(authorities.init_authority, me)),
    "archive the log": (
        set(),
        lambda world, me: world.run(archiving.plan_archive, me, world.clock.now + timedelta(1)),
    ),
    "rotate the master key": (set(), rotate),
    "check an import": ({SYSTEM}, lambda world, me: world.run(user_import.check_people, me, ())),
    "stage an import": ({SYSTEM}, import_nobody),
    "take over a file": (
        set(),
        lambda world, me: world.run(google_authenticator_import.take_over, me, [("system", AUTHENTICATOR)]),
    ),
    "require of many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.REQUIRE),
    ),
    "clear many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.CLEAR),
    ),
    "disable many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.DISABLE),
    ),
    "unlock many": (
        {SYSTEM},
        lambda world, me: world.run(
            bulk_actions.act_on_many, me, ["locked"], bulk_actions.Bulk.UNLOCK, "on the phone"
        ),
    ),
    "give one-time passwords to many": (
        {SYSTEM},
        lambda world, me: world.run(
            bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.PASSWORD, hashes={"anna": "hash"}
        ),
    ),
    "move many": (
        {SYSTEM},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.MOVE, "North"),
    ),
    "deactivate many": (
        {SYSTEM},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["anna"], bulk_actions.Bulk.DEACTIVATE),
    ),
    "invite": ({SYSTEM}, lambda world, me: world.run(invitations.invite, me, "empty")),
    "invite on paper": (
        {SYSTEM},
        lambda world, me: world.run(invitations.store_written, me, "empty", "secret", "hash"),
    ),
    "invite many": (
        {SYSTEM},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["empty"], bulk_actions.Bulk.INVITE),
    ),
    "remind": ({SYSTEM, SECURITY}, lambda world, me: world.run(invitations.remind, me, "pending")),
    "remind many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk_actions.act_on_many, me, ["pending"], bulk_actions.Bulk.REMIND),
    ),
    "see who can be invited": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(invitations.names_of, me, invitations.Group.NOT_INVITED),
    ),
    "see the sessions": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(sessions.list_sessions, me),
    ),
    "end a session": (
        {SYSTEM},
        lambda world, me: world.run(sessions.end_session_of, me, open_session("anna")),
    ),
    "see the policy": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(policy_settings.show_policy, me),
    ),
    "see the delivery": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(delivery_tests.show_delivery, me),
    ),
    "send a test message": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(delivery_tests.prepare_test, me, Method.EMAIL, "eva@elsewhere.example"),
    ),
    "see the checklist": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(permanent_mode.show_checklist, me),
    ),
    "preview a mode": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(policy_settings.preview_mode, me, Mode.REQUIRED),
    ),
    "create a user": ({SYSTEM}, lambda world, me: world.run(lifecycle.create_user, me, new())),
    "create a supporter": ({SYSTEM}, lambda world, me: world.run(lifecycle.create_user, me, new(SUPPORT))),
    "edit a user": ({SYSTEM}, lambda world, me: world.run(lifecycle.edit_user, me, "anna", changes("Anna"))),
    "see who stands out": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(needs_attention.show_needs_attention, me),
    ),
    "see the accounts": (set(), lambda world, me: world.run(accounts.list_accounts, me)),
    "see an account": (set(), lambda world, me: world.run(accounts.show_account, me, "Clinic")),
    "add an account": (
        set(),
        lambda world, me: world.run(accounts.add_account, me, "Other", "Main", new()),
    ),
    "see the practices": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(practices.list_practices, me),
    ),
    "add a practice": ({SYSTEM}, lambda world, me: world.run(practices.add_practice, me, "South")),
    "rename a practice": (
        {SYSTEM},
        lambda world, me: world.run(practices.rename_practice, me, "North", "South"),
    ),
    "remove a practice": (
        {SYSTEM},
        lambda world, me: world.run(practices.remove_practice, me, "North"),
    ),
    "rename an account": (set(), lambda world, me: world.run(accounts.rename_account, me, "Clinic", "Ward")),
    "move a user": ({SYSTEM}, lambda world, me: world.run(practices.move_user, me, "anna", "North")),
    "deactivate": ({SYSTEM}, lambda world, me: world.run(lifecycle.set_active, me, "anna", active=False)),
    "delete": ({SYSTEM}, lambda world, me: world.run(deletion.delete_user, me, "anna")),
    "activate": ({SYSTEM}, lambda world, me: world.run(lifecycle.set_active, me, "gone", active=True)),
    "give a one-time password": ({SYSTEM}, lambda world, me: world.one_time_password("anna", me)),
    "add a key": ({SYSTEM}, lambda world, me: world.run(credentials.add_key, me, OTHER_KEY, name="anna")),
    "remove a key": (
        {SYSTEM},
        lambda world, me: world.run(credentials.remove_key, me, FINGERPRINT, name="anna"),
    ),
    "grant support": (
        {SYSTEM},
        lambda world, me: world.run(role_grants.set_roles, me, "anna", roles(SUPPORT)),
    ),
    "take support": ({SYSTEM}, lambda world, me: world.run(role_grants.set_roles, me, "helper", roles())),
    "grant system administrator": (
        {SYSTEM},
        lambda world, me: world.run(role_grants.set_roles, me, "anna", roles(SYSTEM)),
    ),
    "take system administrator": (
        {SYSTEM},
        lambda world, me: world.run(role_grants.set_roles, me, "system", roles()),
    ),
    "grant security administrator": (
        {SECURITY},
        lambda world, me: world.run(role_grants.set_roles, me, "anna", roles(SECURITY)),
    ),
    "take security administrator": (
        {SECURITY},
        lambda world, me: world.run(role_grants.set_roles, me, "security", roles()),
    ),
    "require": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(factor_administration.set_required, me, "anna", required=True),
    ),
    "require no more": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(factor_administration.set_required, me, "locked", required=False),
    ),
    "disable": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(factor_administration.disable_two_factor, me, "anna"),
    ),
    "clear": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(factor_administration.clear_two_factor, me, "anna"),
    ),
    "unlock": ({SYSTEM}, lambda world, me: world.run(factor_administration.unlock, me, "locked", "a slip")),
    "make a temporary code": (
        {SYSTEM},
        lambda world, me: world.run(temporary_codes.make_temporary_code, me, "anna"),
    ),
    "set the mode": (
        {SECURITY},
        lambda world, me: world.run(policy_settings.set_mode, me, Mode.REQUIRED, seen=Mode.OPTIONAL),
    ),
    "set the deadline": (
        {SECURITY},
        set_deadline,
    ),
    "set the days of grace": (
        {SECURITY},
        lambda world, me: world.run(deadlines.set_grace_days, me, 2, seen=0),
    ),
    "remember addresses": (
        {SECURITY},
        lambda world, me: world.run(policy_settings.set_remember_days, me, 2, seen=0),
    ),
    "switch notices": (
        {SECURITY},
        lambda world, me: world.run(policy_settings.set_notice, me, PolicyNotice.NEW_PLACES, on=False),
    ),
    "give a principal": (
        {SECURITY},
        lambda world, me: world.run(principals.add_principal, me, "anna", "deploy"),
    ),
    "take a principal": (
        {SECURITY},
        lambda world, me: world.run(principals.remove_principal, me, "helper", "web"),
    ),
    "give a practice a principal": (
        {SECURITY},
        lambda world, me: world.run(principals.add_practice_principal, me, "North", "deploy"),
    ),
    "take a principal from a practice": (
        {SECURITY},
        lambda world, me: world.run(principals.remove_practice_principal, me, "Main", "web"),
    ),
    "see the principals": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(principals.list_principals, me, "anna"),
    ),
    "see the principals of a practice": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(principals.list_practice_principals, me, "Main"),
    ),
    "offer a resync": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(factor_administration.offer_resync, me, "anna"),
    ),
    "forget addresses": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(factor_administration.forget_addresses, me, "anna"),
    ),
    "preview methods": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(policy_settings.preview_methods, me, frozenset({Method.EMAIL})),
    ),
    "set the methods": (
        {SECURITY},
        lambda world, me: world.run(
            policy_settings.set_methods,
            me,
            frozenset({Method.APP, Method.EMAIL}),
            seen=frozenset({Method.APP}),
        ),
    ),
    "turn off": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(policy_settings.set_mode, me, Mode.OFF, seen=Mode.OPTIONAL),
    ),
}


def actor(world: World, who: frozenset[Role] | str) -> Actor:
    """Return someone who holds these roles, enrolled and with fresh proof."""
    if isinstance(who, str):
        return OPERATOR
    world.user("me", *who)
    return world.enrol("me")


@pytest.fixture
def people_there(world: World) -> World:
    world.user("anna", key=credentials.public_keys.parse(KEY))
    world.enrol("anna")
    world.run(practices.add_practice, OPERATOR, "North")
    models.RememberedAddress.create(
        user=world.row("anna"),
        address="192.0.2.1",
        credential=FINGERPRINT,
        accepted_at=world.clock.now,
        until=world.clock.now,
    )
    world.run(registry.add_application, OPERATOR, VPN)
    world.run(registry.add_application, OPERATOR, replace(VPN, name="suspended"))
    models.Application.update(suspended_at=world.clock.now).where(
        models.Application.name == "suspended"
    ).execute()
    world.run(targets.add_target, OPERATOR, replace(WEB1, name="db1"))
    world.user("helper", SUPPORT)
    world.run(principals.add_principal, OPERATOR, "helper", "web")
    world.run(principals.add_practice_principal, OPERATOR, "Main", "web")
    world.user("system", SYSTEM)
    world.user("security", SECURITY)
    world.user("empty", password=None)
    world.user("pending", required=True)
    world.user("gone")
    world.set("gone", active=False)
    world.user("locked", required=True)
    world.set("locked", locked_at=world.clock.now, attempts_left=0)
    return world


@pytest.mark.feature("acts-by-role")
@pytest.mark.parametrize("who", WHO, ids=named)
def test_every_act_by_every_role(people_there, who):
    """It is done for those of the table and changes nothing for others."""
    world = people_there
    me = actor(world, who)
    before = world.dump()
    for act, (allowed_roles, perform) in ACTS.items():
        with undone(world):
            result = perform(world, me)
            if who == "operator" or who & allowed_roles:
                assert not isinstance(result, Denied | SessionOver), (act, result)
                wrote = isinstance(result, WRITES)
                assert wrote == (world.dump() != before), act
            else:
                assert isinstance(result, Denied), act
                assert result.message.startswith("Only "), act
                assert world.dump() == before, act


@pytest.mark.feature("permanent-stays")
@pytest.mark.parametrize("who", [frozenset(Role), "operator"], ids=named)
def test_permanent_mode_never_changes(people_there, who):
    world = people_there
    me = actor(world, who)
    world.mode(Mode.PERMANENT)
    for _, perform in ACTS.values():
        perform(world, me)
        assert models.Account.get().mode == "permanent"


def test_demotion_ends_the_session(world):
    """It counts in the next session."""
    me = world.person("me", SYSTEM)
    world.run(role_grants.set_roles, OPERATOR, "me", roles())
    assert isinstance(world.run(lifecycle.create_user, me, new()), SessionOver)
    assert isinstance(world.run(lifecycle.create_user, world.session("me"), new()), Denied)


@pytest.mark.parametrize("dead", ["ended", "unknown", "deactivated", "locked"])
def test_nobody_acts_through_a_session_that_is_over(people_there, dead):
    world = people_there
    me = world.person("me", SYSTEM, SECURITY)
    if dead == "ended":
        world.run(audit_end, me)
    elif dead == "unknown":
        me = Member(4711)
    elif dead == "deactivated":
        world.set("me", active=False)
    else:
        world.set("me", locked_at=world.clock.now)
    before = world.dump()
    for _, perform in ACTS.values():
        assert isinstance(perform(world, me), SessionOver)
    assert world.dump() == before


def audit_end(tx, me):
    models.Session.update(ended_at=tx.now).where(models.Session.id == me.session_id).execute()


@pytest.mark.parametrize("mine", [held for held in ROLE_SETS if held & {SYSTEM, SECURITY}], ids=named)
def test_resets_need_the_roles_of_the_target(world, mine):
    me = world.person("me", *mine)
    resets = [lambda: world.run(factor_administration.clear_two_factor, me, "them")]
    resets.append(lambda: world.run(factor_administration.disable_two_factor, me, "them"))
    resets.append(lambda: world.run(factor_administration.set_required, me, "them", required=True))
    if SYSTEM in mine:
        resets.append(lambda: world.one_time_password("them", me))
        resets.append(lambda: world.run(credentials.add_key, me, KEY, name="them"))
        resets.append(lambda: world.run(credentials.remove_key, me, FINGERPRINT, name="them"))
    for theirs in ROLE_SETS:
        with undone(world):
            world.user("them", *theirs)
            for reset in resets:
                before = world.dump()
                result = reset()
                within_reach = theirs <= mine | {SUPPORT}
                assert isinstance(result, Done) == within_reach, (theirs, result)
                if not within_reach:
                    assert "holds a role that you do not" in result.message
                    assert world.dump() == before


def test_every_act_that_resets(world):
    """Whatever the state of a user leaves to do, the roles of the target come first."""
    me = world.person("me", SYSTEM)
    world.user("chief", SECURITY)
    acts = [act for act in UserAct if act.permission.roles & {SYSTEM}]
    found = {act: world.run(user_acts.find_target, me, "chief", act) for act in acts}
    assert {act.value for act, result in found.items() if "role that you do not" in str(result)} == {
        "require",
        "stop_requiring",
        "disable",
        "clear",
        "one_time_password",
        "temporary_code",
        "invite",
        "invite_on_paper",
        "add_key",
        "remove_key",
        "resync",
        "delete",
    }
