"""Every act on others against every role: who may, who may not, and that a denial changes nothing."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest
from support.data_world import MASTER_KEY, OPERATOR, SECURITY, SUPPORT, SYSTEM, World, undone

from data.operations.actors import Actor, Member
from data.operations.people import (
    bulk,
    credentials,
    deleting,
    directory,
    explanation,
    exporting,
    granting,
    importing,
    invitations,
    practices,
    reading,
    takeover,
    two_factor,
)
from data.operations.people.bulk import BulkResult
from data.operations.people.finding import UserQuery
from data.operations.people.invitations import WrittenPassword
from data.operations.policy import account, delivery, permanence, protection
from data.operations.record import audit, audit_archive, audit_chain, audit_verification
from data.operations.results import Denied, Done, SessionOver
from data.operations.signing_in import sessions
from data.operations.upkeep import accounts, master_key
from data.rules.facts import Method, Mode, Role
from data.rules.google_authenticator import AuthenticatorFile
from data.rules.sending import Envelope
from data.storage import models
from data.storage.vault import Vault, check_value_of

AUTHENTICATOR = AuthenticatorFile(bytes(20), (), -1)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna"
FINGERPRINT = credentials.publickeys.parse(KEY).fingerprint
ROLE_SETS = [frozenset(chosen) for size in range(4) for chosen in combinations(Role, size)]
WHO = [*ROLE_SETS, "operator"]


def changes(name: str):
    return directory.UserChanges(full_name=name)


def new(*roles: Role) -> directory.NewUser:
    return directory.NewUser("new", "new@clinic.example", roles=frozenset(roles))


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
    staged = world.run(importing.stage_people, me, None, ())
    return world.run(importing.publish_people, me, staged.batch) if hasattr(staged, "batch") else staged


def open_session(name: str) -> int:
    """Return the number of a session that a user has open."""
    return models.Session.get(models.Session.user == models.User.get(models.User.name == name).id).id


ACTS = {
    "see the practices' names": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(practices.practice_names, me),
    ),
    "see the users": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(reading.list_users, me, UserQuery()),
    ),
    "see a user": ({SUPPORT, SYSTEM, SECURITY}, lambda world, me: world.run(reading.user_detail, me, "anna")),
    "ask why": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(explanation.explain_user, me, "anna"),
    ),
    "see the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(audit.list_entries, me, audit.Filter()),
    ),
    "export the users": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(exporting.export_people, me),
    ),
    "export the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(audit.export_entries, me, audit.Filter()),
    ),
    "see the heads of the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(audit_chain.heads, me),
    ),
    "verify the log": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(audit_verification.plan_verification, me),
    ),
    "archive the log": (
        set(),
        lambda world, me: world.run(audit_archive.plan_archive, me, world.clock.now + timedelta(1)),
    ),
    "rotate the master key": (set(), rotate),
    "check an import": ({SYSTEM}, lambda world, me: world.run(importing.check_people, me, ())),
    "stage an import": ({SYSTEM}, import_nobody),
    "take over a file": (
        set(),
        lambda world, me: world.run(takeover.take_over, me, [("system", AUTHENTICATOR)]),
    ),
    "require of many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk.act_on_many, me, ["anna"], bulk.Bulk.REQUIRE),
    ),
    "clear many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk.act_on_many, me, ["anna"], bulk.Bulk.CLEAR),
    ),
    "deactivate many": (
        {SYSTEM},
        lambda world, me: world.run(bulk.act_on_many, me, ["anna"], bulk.Bulk.DEACTIVATE),
    ),
    "invite": ({SYSTEM}, lambda world, me: world.run(invitations.invite, me, "empty")),
    "invite on paper": (
        {SYSTEM},
        lambda world, me: world.run(invitations.store_written, me, "empty", "secret", "hash"),
    ),
    "invite many": (
        {SYSTEM},
        lambda world, me: world.run(bulk.act_on_many, me, ["empty"], bulk.Bulk.INVITE),
    ),
    "remind": ({SYSTEM, SECURITY}, lambda world, me: world.run(invitations.remind, me, "pending")),
    "remind many": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(bulk.act_on_many, me, ["pending"], bulk.Bulk.REMIND),
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
    "see the policy": ({SUPPORT, SYSTEM, SECURITY}, lambda world, me: world.run(account.show_policy, me)),
    "see the delivery": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(delivery.show_delivery, me),
    ),
    "send a test message": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(delivery.prepare_test, me, Method.EMAIL, "eva@elsewhere.example"),
    ),
    "see the checklist": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(permanence.show_checklist, me),
    ),
    "preview a mode": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(account.preview_mode, me, Mode.REQUIRED),
    ),
    "create a user": ({SYSTEM}, lambda world, me: world.run(directory.create_user, me, new())),
    "create a supporter": ({SYSTEM}, lambda world, me: world.run(directory.create_user, me, new(SUPPORT))),
    "edit a user": ({SYSTEM}, lambda world, me: world.run(directory.edit_user, me, "anna", changes("Anna"))),
    "see who stands out": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(protection.show_standing_out, me),
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
    "deactivate": ({SYSTEM}, lambda world, me: world.run(directory.set_active, me, "anna", active=False)),
    "delete": ({SYSTEM}, lambda world, me: world.run(deleting.delete_user, me, "anna")),
    "activate": ({SYSTEM}, lambda world, me: world.run(directory.set_active, me, "gone", active=True)),
    "give a one-time password": ({SYSTEM}, lambda world, me: world.one_time_password("anna", me)),
    "add a key": ({SYSTEM}, lambda world, me: world.run(credentials.add_key, me, OTHER_KEY, name="anna")),
    "remove a key": (
        {SYSTEM},
        lambda world, me: world.run(credentials.remove_key, me, FINGERPRINT, name="anna"),
    ),
    "grant support": (
        {SYSTEM},
        lambda world, me: world.run(granting.set_roles, me, "anna", roles(SUPPORT)),
    ),
    "take support": ({SYSTEM}, lambda world, me: world.run(granting.set_roles, me, "helper", roles())),
    "grant system administrator": (
        {SYSTEM},
        lambda world, me: world.run(granting.set_roles, me, "anna", roles(SYSTEM)),
    ),
    "take system administrator": (
        {SYSTEM},
        lambda world, me: world.run(granting.set_roles, me, "system", roles()),
    ),
    "grant security administrator": (
        {SECURITY},
        lambda world, me: world.run(granting.set_roles, me, "anna", roles(SECURITY)),
    ),
    "take security administrator": (
        {SECURITY},
        lambda world, me: world.run(granting.set_roles, me, "security", roles()),
    ),
    "require": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(two_factor.set_required, me, "anna", required=True),
    ),
    "require no more": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(two_factor.set_required, me, "locked", required=False),
    ),
    "disable": ({SYSTEM, SECURITY}, lambda world, me: world.run(two_factor.disable_two_factor, me, "anna")),
    "clear": ({SYSTEM, SECURITY}, lambda world, me: world.run(two_factor.clear_two_factor, me, "anna")),
    "unlock": ({SYSTEM}, lambda world, me: world.run(two_factor.unlock, me, "locked", "a slip")),
    "set the mode": (
        {SECURITY},
        lambda world, me: world.run(account.set_mode, me, Mode.REQUIRED, seen=Mode.OPTIONAL),
    ),
    "remember addresses": (
        {SECURITY},
        lambda world, me: world.run(account.set_remember_days, me, 2, seen=0),
    ),
    "offer a resync": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(two_factor.offer_resync, me, "anna"),
    ),
    "forget addresses": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(two_factor.forget_addresses, me, "anna"),
    ),
    "preview methods": (
        {SUPPORT, SYSTEM, SECURITY},
        lambda world, me: world.run(account.preview_methods, me, frozenset({Method.EMAIL})),
    ),
    "set the methods": (
        {SECURITY},
        lambda world, me: world.run(
            account.set_methods, me, frozenset({Method.APP, Method.EMAIL}), seen=frozenset({Method.APP})
        ),
    ),
    "turn off": (
        {SYSTEM, SECURITY},
        lambda world, me: world.run(account.set_mode, me, Mode.OFF, seen=Mode.OPTIONAL),
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
    world.user("anna", key=credentials.publickeys.parse(KEY))
    world.enrol("anna")
    world.run(practices.add_practice, OPERATOR, "North")
    models.RememberedAddress.create(
        user=world.row("anna"),
        address="192.0.2.1",
        credential=FINGERPRINT,
        accepted_at=world.clock.now,
        until=world.clock.now,
    )
    world.user("helper", SUPPORT)
    world.user("system", SYSTEM)
    world.user("security", SECURITY)
    world.user("empty", password=None)
    world.user("pending", required=True)
    world.user("gone")
    world.set("gone", active=False)
    world.user("locked", required=True)
    world.set("locked", locked_at=world.clock.now, attempts_left=0)
    return world


@pytest.mark.parametrize("who", WHO, ids=named)
def test_every_act_is_done_for_those_of_the_table_and_changes_nothing_for_others(people_there, who):
    world = people_there
    me = actor(world, who)
    before = world.dump()
    for act, (allowed_roles, perform) in ACTS.items():
        with undone(world):
            result = perform(world, me)
            if who == "operator" or who & allowed_roles:
                assert not isinstance(result, Denied | SessionOver), (act, result)
                wrote = isinstance(result, Done | BulkResult | WrittenPassword | Envelope)
                assert wrote == (world.dump() != before), act
            else:
                assert isinstance(result, Denied), act
                assert result.message.startswith("Only "), act
                assert world.dump() == before, act


@pytest.mark.parametrize("who", [frozenset(Role), "operator"], ids=named)
def test_no_act_of_anyone_changes_the_mode_once_it_is_permanent(people_there, who):
    world = people_there
    me = actor(world, who)
    world.mode(Mode.PERMANENT)
    for _, perform in ACTS.values():
        perform(world, me)
        assert models.Account.get().mode == "permanent"


def test_a_demotion_ends_the_open_session_and_counts_in_the_next_one(world):
    me = world.person("me", SYSTEM)
    world.run(granting.set_roles, OPERATOR, "me", roles())
    assert isinstance(world.run(directory.create_user, me, new()), SessionOver)
    assert isinstance(world.run(directory.create_user, world.session("me"), new()), Denied)


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
def test_nobody_resets_someone_who_holds_a_role_they_lack(world, mine):
    me = world.person("me", *mine)
    resets = [lambda: world.run(two_factor.clear_two_factor, me, "them")]
    resets.append(lambda: world.run(two_factor.disable_two_factor, me, "them"))
    resets.append(lambda: world.run(two_factor.set_required, me, "them", required=True))
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
                    assert "holds a role that you lack" in result.message
                    assert world.dump() == before
