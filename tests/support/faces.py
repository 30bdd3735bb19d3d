"""Every act beside its command: what the app calls it, what is typed, and the operation behind both.

The tests drive each act as the app does, as a command on the host and as a command over SSH; the manual
shows the table. An operation that no act reaches fails the test that enumerates them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, totp

from data.operations.actors import Actor, Member
from data.operations.applications import registry
from data.operations.audit import chain, trail, verification
from data.operations.certificates import authorities, issuing, listing
from data.operations.policy import (
    auditor_report,
    certificate_policy,
    deadlines,
    delivery_tests,
    overview,
    permanent_mode,
    policy_settings,
)
from data.operations.signin import enrolment, recovery_codes, remembered_addresses, sessions
from data.operations.targets import registry as targets
from data.operations.users import (
    bulk_actions,
    credentials,
    deletion,
    factor_administration,
    invitations,
    lifecycle,
    practices,
    principals,
    role_grants,
    signin_explanation,
    temporary_codes,
    user_export,
    user_import,
    user_summaries,
)
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_search import UserQuery
from data.rules import public_keys, users_csv
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.domain_types import Method, Mode, PolicyNotice, Role, ThemeChoice
from data.rules.ssh_certificates import Extension
from data.rules.targets import NewTarget
from data.storage import models
from tui.keys import Act

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA ben"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ben"
FINGERPRINT = public_keys.parse(KEY).fingerprint
NEW_PASSWORD = "a wholly new password"
PEOPLE = "name,email\neve,eve@clinic.example\n"
WHO: dict[str, frozenset[Role]] = {
    "user": frozenset(),
    "support": frozenset({SUPPORT}),
    "system": frozenset({SYSTEM}),
    "security": frozenset({SECURITY}),
}
"""Those who try each act, by their names in the clinic: somebody of each role, with a fresh code."""
EVERYONE = frozenset(WHO) | {"ben", "kim"}
SEERS = frozenset(WHO) - {"user"}
EITHER = frozenset({"system", "security"})
SYSTEM_ONLY = frozenset({"system"})
SECURITY_ONLY = frozenset({"security"})

Perform = Callable[[World, Actor], Any]


@dataclass(frozen=True, slots=True)
class Face:
    """One act: where the app has it and what it calls it there, the command, and what the app does for it.

    `place` and `label` are empty where the app does not have it. `command` is what the manual shows, and
    `arguments` complete it; `stdin` is what the command reads. `perform` does as the screen does: it may
    return a coroutine. The operator has no profile, so the host does not have what users do to their own.
    `by` are those who try it, and `first` is done before: some acts need a state in which they can be done.
    """

    place: str
    label: str
    command: str
    arguments: str
    who: frozenset[str]
    perform: Perform
    stdin: str = ""
    has_host: bool = True
    by: tuple[str, ...] = tuple(WHO)
    first: Callable[[World], object] = lambda world: None

    @property
    def key(self) -> str:
        """The key that does it in the app."""
        return next((act.shown for act in Act if self.label in act.labels), "")

    @property
    def line(self) -> str:
        """The whole command line."""
        return f"{self.command} {self.arguments}".strip()


def on(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Perform:
    """Run one operation."""

    def perform(world: World, me: Actor) -> Any:
        return world.run(operation, me, *args, **kwargs)

    perform.__name__ = operation.__name__
    return perform


def with_certificate(world: World) -> None:
    """Have a certificate of the user that is called user."""
    now = world.clock.now
    models.Certificate.insert(
        serial=7, authority=1, user=world.row("user").id, key_id="x", fingerprint=FINGERPRINT,
        principals="user", issued_at=now, until=now + timedelta(hours=1),
    ).execute()  # fmt: skip


def on_many(act: Bulk, detail: str = "", names: tuple[str, ...] = ("ben", "kim")) -> Perform:
    """Do to several users as the app does to those who are marked."""
    return lambda world, me: bulk_actions.carry_out(world.store, me, names, act, detail=detail)


async def imported(world: World, me: Actor) -> object:
    """Import as the dialog does, in two steps."""
    found = users_csv.read_people(PEOPLE.encode())
    checked = await user_import.check_all(world.store, me, found.seen, lambda _more: None, found.faults)
    if checked is not None:
        return checked
    return await user_import.import_people(world.store, me, found.rows, lambda _more: None)


def roles_of(name: str, role: Role, *, grant: bool) -> Perform:
    """Tick one role in the dialog."""

    def perform(world: World, me: Actor) -> object:
        shown = world.run(user_summaries.user_detail, me, name)
        if not isinstance(shown, user_summaries.UserDetail):
            return shown
        wanted = shown.roles | {role} if grant else shown.roles - {role}
        return world.run(role_grants.set_roles, me, name, wanted, seen=shown.roles)

    return perform


def open_session(name: str) -> int:
    """Return the number of a session that a user has open."""
    user = models.User.get(models.User.name == name)
    return int(models.Session.get(models.Session.user == user.id).id)


def remembered_row(name: str, address: str) -> int:
    """Return the number of an address that is remembered for a user."""
    table = models.RememberedAddress
    user = models.User.get(models.User.name == name)
    return int(table.get((table.user == user.id) & (table.address == address)).id)


# Reading

# fmt: off
READING = (
    Face("", "Overview", "overview", "--json", SEERS, on(overview.show_overview)),
    Face("Users", "Users", "user list", "--practice main --json", SEERS,
        on(user_summaries.list_users, UserQuery(practice="Main"))),
    Face("Users", "Open", "user show", "ben --json", SEERS, on(user_summaries.user_detail, "ben")),
    Face("User", "", "user key list", "ben --json", SEERS, on(user_summaries.user_detail, "ben")),
    Face("User", "", "user principal list", "kim --json", SEERS, on(principals.list_principals, "kim")),
    Face("Practices", "", "practice principal list", "North --json", SEERS,
        on(principals.list_practice_principals, "North")),
    Face("Users", "Can sign in?", "user explain", "ben --json", SEERS,
        on(signin_explanation.explain_user, "ben")),
    Face("", "", "user export", "", SEERS, on(user_export.export_people)),
    Face("Practices", "Practices", "practice list", "--json", SEERS, on(practices.show_practices)),
    Face("Security", "Security", "policy show", "--json", SEERS, on(policy_settings.show_policy)),
    Face("Security", "", "policy checklist", "--json", SEERS, on(permanent_mode.show_checklist)),
    Face("Security", "", "delivery show", "--json", SEERS, on(delivery_tests.show_delivery)),
    Face("Applications", "Applications", "application list", "--json", SEERS,
        on(registry.list_applications)),
    Face("Applications", "Open", "application show", "portal --json", SEERS,
        on(registry.show_application, "portal")),
    Face("Targets", "Targets", "target list", "--json", EITHER, on(targets.list_targets)),
    Face("Targets", "Open", "target show", "db1 --json", EITHER, on(targets.show_target, "db1")),
    Face("Activity", "Activity", "audit list", "--json", SEERS, on(trail.list_entries, trail.Filter())),
    Face("", "", "audit export", "", SEERS, on(trail.export_entries, trail.Filter())),
    Face("", "", "audit head", "", SEERS, on(chain.heads)),
    Face("", "", "audit verify", "--json", SEERS, on(verification.plan_verification)),
    Face("", "", "report", "", SEERS, on(auditor_report.summarise)),
    Face("Sessions", "Sessions", "session list", "--json", SEERS, on(sessions.list_sessions)),
)

# On people

_ON_PEOPLE = (
    Face("Users", "New", "user add", "eve --email eve@clinic.example --key-file -", SYSTEM_ONLY,
        on(lifecycle.create_user, lifecycle.NewUser("eve", "eve@clinic.example",
            key=public_keys.parse(OTHER_KEY))),
        OTHER_KEY),
    Face("Users", "Import", "user import", "- --yes", SYSTEM_ONLY, imported, PEOPLE),
    Face("Users", "Edit", "user edit", "ben --name Benjamin", SYSTEM_ONLY,
        on(lifecycle.edit_user, "ben", lifecycle.UserChanges(full_name="Benjamin"))),
    Face("Users", "Edit", "user edit --email", "benjamin@clinic.example ben", SYSTEM_ONLY,
        on(lifecycle.edit_user, "ben", lifecycle.UserChanges(email="benjamin@clinic.example"))),
    Face("Users", "Move", "user move", "ben --practice North", SYSTEM_ONLY,
        on(practices.move_user, "ben", "North")),
    Face("Users", "Move", "user move", "ben kim --practice North", SYSTEM_ONLY,
        on_many(Bulk.MOVE, "North")),
    Face("Users", "Roles", "user role", "ben --grant support", SYSTEM_ONLY,
        roles_of("ben", SUPPORT, grant=True)),
    Face("Users", "Roles", "user role --take", "system_admin second", SYSTEM_ONLY,
        roles_of("second", SYSTEM, grant=False)),
    Face("Users", "Roles", "user role --grant security_admin", "ben", SECURITY_ONLY,
        roles_of("ben", SECURITY, grant=True)),
    Face("Users", "Require", "user require", "ben", EITHER,
        on(factor_administration.set_required, "ben", required=True)),
    Face("Users", "Require", "user require", "ben kim", EITHER, on_many(Bulk.REQUIRE)),
    Face("Users", "Stop requiring", "user require --no", "pending", EITHER,
        on(factor_administration.set_required, "pending", required=False)),
    Face("Users", "Disable", "user disable-2fa", "ben --yes", EITHER,
        on(factor_administration.disable_two_factor, "ben")),
    Face("Users", "Disable", "user disable-2fa", "ben kim --yes", EITHER, on_many(Bulk.DISABLE)),
    Face("Users", "Clear", "user clear-2fa", "ben --yes", EITHER,
        on(factor_administration.clear_two_factor, "ben")),
    Face("Users", "Clear", "user clear-2fa", "ben kim --yes", EITHER, on_many(Bulk.CLEAR)),
    Face("Users", "Unlock", "user unlock", "locked --reason 'called, known voice'", SYSTEM_ONLY,
        on(factor_administration.unlock, "locked", "called, known voice")),
    Face("Users", "Unlock", "user unlock", "locked ben --reason called", SYSTEM_ONLY,
        on_many(Bulk.UNLOCK, "called", ("locked", "ben"))),
    Face("Users", "One-time password", "user password", "ben", SYSTEM_ONLY,
        lambda world, me: credentials.give_one_time_password(world.store, me, "ben")),
    Face("Users", "One-time password", "user password", "ben kim", SYSTEM_ONLY, on_many(Bulk.PASSWORD)),
    Face("Users", "Temporary code", "user temporary-code", "ben --yes", SYSTEM_ONLY,
        on(temporary_codes.make_temporary_code, "ben")),
    Face("Users", "Invite", "user invite", "new", SYSTEM_ONLY, on(invitations.invite, "new")),
    Face("Users", "Invite", "user invite", "new ben --yes", SYSTEM_ONLY,
        on_many(Bulk.INVITE, names=("new", "ben"))),
    Face("Users", "Remind", "user remind", "pending", EITHER, on(invitations.remind, "pending")),
    Face("Users", "Remind", "user remind", "--pending --yes", EITHER,
        on_many(Bulk.REMIND, names=("pending",))),
    Face("Users", "Deactivate", "user deactivate", "ben --yes", SYSTEM_ONLY,
        on(lifecycle.set_active, "ben", active=False)),
    Face("Users", "Deactivate", "user deactivate", "ben kim --yes", SYSTEM_ONLY, on_many(Bulk.DEACTIVATE)),
    Face("Users", "Activate", "user activate", "gone", SYSTEM_ONLY,
        on(lifecycle.set_active, "gone", active=True)),
    Face("Users", "Add SSH key", "user key add", "kim -", SYSTEM_ONLY,
        on(credentials.add_key, OTHER_KEY, name="kim"), OTHER_KEY),
    Face("Users", "Remove SSH key", "user key remove", f"ben {FINGERPRINT}", SYSTEM_ONLY,
        on(credentials.remove_key, FINGERPRINT, name="ben")),
    Face("Users", "Resync", "user resync", "ben", EITHER, on(factor_administration.offer_resync, "ben")),
    Face("Users", "Forget addresses", "user forget", "ben", EITHER,
        on(factor_administration.forget_addresses, "ben")),
    Face("Users", "Forget addresses", "user forget --address", "192.0.2.9 ben", EITHER,
        lambda world, me: world.run(factor_administration.forget_addresses, me, "ben", remembered_row("ben",
            "192.0.2.9"))),
    Face("", "", "user delete", "ben --yes", SYSTEM_ONLY, on(deletion.delete_user, "ben")),
    Face("Users", "Principals", "user principal add", "ben deploy --yes", SECURITY_ONLY,
        on(principals.add_principal, "ben", "deploy")),
    Face("Users", "Principals", "user principal remove", "kim web --yes", SECURITY_ONLY,
        on(principals.remove_principal, "kim", "web")),
    Face("Sessions", "End", "session end", "{session}", SYSTEM_ONLY,
        lambda world, me: world.run(sessions.end_session_of, me, open_session("ben"))),
    Face("Sessions", "End", "session end --certificates", "{session}", SYSTEM_ONLY,
        lambda world, me: world.run(sessions.end_session_of, me, open_session("ben"), certificates=True)),
)

# On the account

_ON_ACCOUNT = (
    Face("Practices", "New", "practice add", "South", SYSTEM_ONLY, on(practices.add_practice, "South")),
    Face("Practices", "Rename", "practice rename", "North South", SYSTEM_ONLY,
        on(practices.rename_practice, "North", "South")),
    Face("Practices", "Remove", "practice remove", "North", SYSTEM_ONLY,
        on(practices.remove_practice, "North")),
    Face("Practices", "Principals", "practice principal add", "North deploy --yes", SECURITY_ONLY,
        on(principals.add_practice_principal, "North", "deploy")),
    Face("Practices", "Principals", "practice principal remove", "North web --yes", SECURITY_ONLY,
        on(principals.remove_practice_principal, "North", "web")),
    Face("Security", "Apply", "policy set --mode", "required --yes", SECURITY_ONLY,
        on(policy_settings.set_mode, Mode.REQUIRED, seen=Mode.OPTIONAL)),
    Face("Security", "Apply", "policy set --mode off", "--yes", EITHER,
        on(policy_settings.set_mode, Mode.OFF, seen=Mode.OPTIONAL)),
    Face("Security", "Methods", "policy set --methods", "app,email --yes", SECURITY_ONLY,
        on(policy_settings.set_methods, frozenset({Method.APP, Method.EMAIL}), seen=frozenset({Method.APP}))),
    Face("Security", "Methods", "policy set --notify-locks", "on", SECURITY_ONLY,
        on(policy_settings.set_notice, PolicyNotice.LOCKS, on=True)),
    Face("Security", "Methods", "policy set --notify-new-places", "off", SECURITY_ONLY,
        on(policy_settings.set_notice, PolicyNotice.NEW_PLACES, on=False)),
    Face("Applications", "New", "application add", "wiki --http --asks code", SECURITY_ONLY,
        on(registry.add_application, NewApplication("wiki", Protocol.HTTP, Asks.CODE))),
    Face("Applications", "New token", "application rotate", "portal --yes", SECURITY_ONLY,
        on(registry.rotate_secret, "portal")),
    Face("Applications", "Disable", "application disable", "portal --yes", SECURITY_ONLY,
        on(registry.disable_application, "portal")),
    Face("Applications", "Enable", "application enable", "vpn", SECURITY_ONLY,
        on(registry.enable_application, "vpn")),
    Face("Applications", "Remove", "application remove", "vpn --yes", SECURITY_ONLY,
        on(registry.remove_application, "vpn")),
    Face("Targets", "New", "target add", "web1 --host web1.clinic.example --user ben", SECURITY_ONLY,
        on(targets.add_target, NewTarget("web1", "web1.clinic.example", users=("ben",)))),
    Face("Targets", "Remove", "target remove", "db1 --yes", SECURITY_ONLY, on(targets.remove_target, "db1")),
    Face("Security", "Test", "delivery test", "--sms '+49 30 1234567'", EITHER,
        on(delivery_tests.prepare_test, Method.SMS, "+49 30 1234567")),
    Face("Security", "Deadline", "policy set --from", "2026-05-01 --mode required --reason phones --yes",
        SECURITY_ONLY, on(deadlines.set_deadline, date(2026, 5, 1), seen=None, reason="phones"),
        first=lambda world: world.mode(Mode.REQUIRED)),
    Face("Security", "Deadline", "policy set --grace-days", "7", SECURITY_ONLY,
        on(deadlines.set_grace_days, 7, seen=0)),
    Face("Security", "Days", "policy set --remember-days", "5", SECURITY_ONLY,
        on(policy_settings.set_remember_days, 5, seen=3)),
    Face("Security", "Certificates", "policy set --certificate-hours", "4", SECURITY_ONLY,
        on(certificate_policy.set_certificate_hours, 4, seen=8)),
    Face("Security", "Certificates", "policy set --certificate-extensions", "none", SECURITY_ONLY,
        on(certificate_policy.set_certificate_extensions, frozenset(), seen=frozenset({Extension.PTY}))),
)
# fmt: on


# For oneself


def wizard(world: World, me: Actor) -> object:
    """Set the app up as the wizard does, up to the saved recovery codes."""
    begun = world.run(enrolment.begin_app, me)
    if not isinstance(begun, enrolment.PendingApp):
        return begun
    enrolled = world.run(enrolment.confirm_app, me, begun, totp(begun.secret, world.clock.now))
    return world.run(recovery_codes.confirm_saved, me) if enrolled.recovery_codes else enrolled


def new_codes(world: World, me: Actor) -> object:
    """Make new recovery codes, and say that they are saved."""
    renewed = world.run(recovery_codes.renew_recovery_codes, me)
    if not isinstance(renewed, recovery_codes.NewRecoveryCodes):
        return renewed
    return world.run(recovery_codes.confirm_saved, me)


def own(
    label: str,
    command: str,
    arguments: str,
    perform: Perform,
    stdin: str = "",
    who: frozenset[str] = EVERYONE,
    by: tuple[str, ...] = ("user", "system"),
) -> Face:
    """Return an act on one's own things, which the operator has no part in."""
    return Face("My profile", label, command, arguments, who, perform, stdin, has_host=False, by=by)


# fmt: off
READING_OWN = (
    own("My profile", "me", "--json", on(user_summaries.my_profile)),
    own("", "me key list", "--json", on(user_summaries.my_profile)),
    own("", "me sessions", "--json", on(user_summaries.my_profile)),
    own("", "me targets", "--json", on(targets.my_targets)),
    Face("My profile", "Certificates", "cert list", "--json", EVERYONE, on(listing.list_certificates)),
)
_ON_OWN = (
    own("Set up 2FA", "me enrol", "", wizard, "{first code}\ny\n", by=("kim",)),
    own("Replace the phone", "me replace-phone", "", wizard, "{first code}\n"),
    own("Methods", "me enrol --method", "app", wizard, "{first code}\n"),
    own("Turn off 2FA", "me turn-off", "--yes", on(enrolment.turn_off), who=frozenset({"user"})),
    own("Recovery codes", "me codes", "--yes", new_codes, "y\n"),
    own("Password", "me password", "",
        lambda world, me: credentials.change_password(world.store, me, NEW_PASSWORD), f"{NEW_PASSWORD}\n"),
    own("Edit", "me edit", "--name Sam", on(lifecycle.edit_own, lifecycle.UserChanges(full_name="Sam"))),
    own("Add SSH key", "me key add", "-", on(credentials.add_key, OTHER_KEY), OTHER_KEY),
    own("Remove SSH key", "me key remove", f"{FINGERPRINT} --yes",
        on(credentials.remove_key, FINGERPRINT), by=("ben",)),
    own("Forget addresses", "me forget", "", on(remembered_addresses.forget_my_addresses), by=("ben",)),
    own("Forget addresses", "me forget", "192.0.2.9",
        lambda world, me: world.run(remembered_addresses.forget_my_addresses, me, remembered_row("ben",
            "192.0.2.9")),
        by=("ben",)),
    own("End sessions", "me sessions end", "--others", on(sessions.end_my_sessions), by=("ben",)),
    own("End sessions", "me sessions end --certificates", "--others",
        on(sessions.end_my_sessions, certificates=True), by=("ben",)),
    own("Theme", "me theme", "dark", on(lifecycle.choose_theme, ThemeChoice.DARK)),
    own("Plain mode", "me plain-mode", "on", on(lifecycle.choose_plain_mode, on=True)),
    own("Certificates", "cert -", "", on(issuing.issue_certificate, KEY), KEY),
    Face("My profile", "Certificates", "cert withdraw", "7 --yes", SYSTEM_ONLY | {"user"},
        on(listing.withdraw_certificate, 7), by=("support", "system", "security"), first=with_certificate),
    own("", "me confirm", "",
        lambda world, me: world.run(credentials.confirm_fresh_code, me, world.code("ben", 1)),
        "{next code}",
        by=("ben",)),
)
# fmt: on
FACES = (*READING_OWN, *_ON_OWN, *READING, *_ON_PEOPLE, *_ON_ACCOUNT)
PARTS = {
    "own_certificates": "list_certificates",
    "act_on_many": "carry_out",
    "names_of": "carry_out",
    "check_people": "check_all",
    "tell_owners": "check_all",
    "stage_people": "import_people",
    "publish_people": "import_people",
    "practice_named": "list_users",
    "list_practices": "show_practices",
    "practice_names": "show_practices",
    "set_one_time_password": "give_one_time_password",
    "preview_mode": "set_mode",
    "preview_act": "carry_out",
    "preview_key_removal": "remove_key",
    "preview_principal": "add_principal",
    "preview_practice_principal": "add_practice_principal",
    "preview_methods": "set_methods",
    "show_needs_attention": "show_policy",
    "list_unprotected": "summarise",
    "list_exceptions": "summarise",
    "verify": "plan_verification",
    "verify_batch": "plan_verification",
    "store_password": "change_password",
    "wizard_choice": "confirm_app",
    "begin_email": "confirm_app",
    "begin_sms": "confirm_app",
    "send_enrolment_code": "confirm_app",
    "confirm_sent": "confirm_app",
    "begin_message": "confirm_app",
    "look_for_message": "confirm_app",
    "confirm_message": "confirm_app",
    "stop_awaiting": "confirm_app",
    "replace_unsaved_codes": "confirm_saved",
    "proof_to_give": "confirm_fresh_code",
    "send_fresh_code": "confirm_fresh_code",
    "confirm_fresh_password": "confirm_fresh_code",
    "unfinished_session": "confirm_fresh_code",
}
"""What is a part of an act, or another way to read the same, with the operation of that act."""
BY_SSH = {"open_jump"}
"""What `ssh -J` does: it is neither a command nor an act of the app."""
INTO_A_FILE = {"check_written", "write_password", "store_written"}
"""What is only done on the host, because it writes a file there; the app does not have it."""
WITHOUT_COMMAND = {
    *(Act.HELP, Act.COMMANDS, Act.SIGN_OUT, Act.QUIT, Act.BACK, Act.YES, Act.NO, Act.CHECK, Act.COPY),
    *(Act.SEARCH, Act.FILTER, Act.SORT, Act.MARK, Act.MARK_ALL, Act.ATTENTION, Act.QR_CODE),
    *(Act.NEXT_PAGE, Act.PREVIOUS_PAGE, Act.UP, Act.DOWN, Act.SCREEN_UP, Act.SCREEN_DOWN),
    *(Act.FIRST_ROW, Act.LAST_ROW),
}
"""Keys that move about in the app, and change nothing but what is shown."""
MEANWHILE = {"Continue", "Close", "New code"}
"""What other acts are called within a dialog."""


# The clinic in which all of this can be done


def build(world: World) -> dict[str, Member]:
    """Fill a clinic with somebody of each role, and with people to act on; return the open sessions."""
    members = {}
    world.run(authorities.init_authority, OPERATOR)
    models.Account.update(certificate_hours=8).execute()
    for name, roles in WHO.items():
        world.user(name, *roles)
        members[name] = world.enrol(name)
    world.enrol("admin")
    world.enrol(world.user("second", SYSTEM, SECURITY))
    world.user("ben", key=public_keys.parse(KEY))
    world.enrol("ben")
    members["ben"] = world.session("ben")
    for name in ("kim", "gone", "locked"):
        world.user(name)
    members["kim"] = world.session("kim")
    world.enrol("locked")
    world.lock("locked")
    world.user("pending", required=True)
    world.user("new", password=None)
    world.set("gone", active=False)
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(principals.add_principal, OPERATOR, "kim", "web")
    world.run(principals.add_practice_principal, OPERATOR, "North", "web")
    for application in ("portal", "vpn"):
        asked = NewApplication(application, Protocol.HTTP, Asks.CODE)
        world.run(registry.add_application, OPERATOR, asked)
    world.run(registry.disable_application, OPERATOR, "vpn")
    world.run(targets.add_target, OPERATOR, NewTarget("db1", "db1.clinic.example"))
    models.Account.update(remember_days=3).execute()
    for address in ("192.0.2.9", "192.0.2.10"):
        models.RememberedAddress.create(
            user=world.row("ben"),
            address=address,
            credential=FINGERPRINT,
            accepted_at=world.clock.now,
            until=world.clock.now.replace(year=2030),
        )
    return members
