"""`twofold user`: people, as the operator manages them."""

from collections.abc import Iterator
from pathlib import Path

import click

from data.operations.users import (
    credentials,
    deletion,
    factor_administration,
    lifecycle,
    practices,
    role_grants,
    signin_explanation,
    user_export,
    user_summaries,
)
from data.operations.users.user_export import PersonRecord
from data.operations.users.user_search import UserQuery
from data.operations.users.user_summaries import UserDetail, UserRow
from data.rules import passwords
from data.rules.domain_types import Role, Status
from data.rules.safe_text import safe
from data.storage.home import Home
from data.wording import consequences
from tui.cli.commands.user_import import import_people
from tui.cli.commands.user_invite import invite, remind
from tui.cli.commands.user_key import KEY_FILE, key, key_text, parsed_key
from tui.cli.confirmation import asks_first, changes, confirm
from tui.cli.open_installation import (
    InAccount,
    Installation,
    confirmed,
    hours_option,
    installation,
    on_a_terminal,
    read_password_line,
    refuse,
    say,
)
from tui.cli.output_formats import export_options, write_records
from tui.cli.text_tables import echo_json, echo_table, iso, when
from tui.cli.user_rendering import detail_json, detail_lines, row_json

_PAGE = 500


@click.group(
    cls=InAccount,
    epilog="\b\nExamples:\n"
    "  twofold user add ben --email ben@clinic.example --key-file ben.pub --require-2fa\n"
    "  twofold user list --status Locked\n"
    "  twofold user unlock ben\n",
)
def user() -> None:
    """Manage people."""


@user.command(
    epilog="\b\nExamples:\n"
    "  twofold user add ben --email ben@clinic.example\n"
    "  twofold user add eve --email eve@clinic.example --role support --key-file eve.pub\n"
    '  twofold user add joe --email joe@clinic.example --practice "Clinic North" --phone "+49 30 1234567"\n'
)
@click.argument("name")
@click.option("--email", required=True, help="The e-mail address; each user has their own.")
@click.option("--name", "full_name", default="", help="The full name.")
@click.option("--phone", default="", help="The phone number, with + and the country.")
@click.option("--practice", help="The practice they belong to.  [default: the account's first]")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="A role to hold; may be given several times.",
)
@click.option("--require-2fa", is_flag=True, help="Require two-factor authentication from the first sign-in.")
@click.option("--password-stdin", is_flag=True, help="Read a one-time password from standard input.")
@hours_option()
@click.option("--key-file", type=KEY_FILE, help="A file with an SSH public key (- for standard input).")
@changes
@click.pass_obj
def add(
    home: Home,
    name: str,
    email: str,
    full_name: str,
    phone: str,
    practice: str | None,
    roles: tuple[str, ...],
    require_2fa: bool,
    password_stdin: bool,
    hours: int,
    key_file: Path | None,
) -> None:
    """Create a user.

    Without a password and without a key, a one-time password is made and printed once. The user
    replaces it at the first sign-in.
    """
    if password_stdin and str(key_file) == "-":
        raise click.UsageError("Only one of the password and the key can come from standard input.")
    given = read_password_line() if password_stdin else None
    key = parsed_key(key_text(key_file)) if key_file else None
    with installation(home) as here:
        made = None if given or key else passwords.one_time_from_random(here.store.services.random_bytes(20))
        if given and (fault := passwords.fault(given, about=(name, email, full_name))):
            refuse(fault)
        password = given or made
        new = lifecycle.NewUser(
            name=name,
            email=email,
            full_name=full_name,
            roles=frozenset(Role(role) for role in roles),
            required=require_2fa,
            password_hash=here.store.services.hasher.hash(password) if password else None,
            hours=hours,
            key=key,
            phone=phone,
            practice=practice,
        )
        say(here.store.run_now(lifecycle.create_user, here.operator, new))
    if made:
        click.echo(f"One-time password: {made}")


@user.command(
    "list", epilog="\b\nExamples:\n  twofold user list --search clinic\n  twofold user list --json\n"
)
@click.option(
    "--search",
    default="",
    help="Only who has words beginning like these in name, full name, e-mail, phone or practice.",
)
@click.option("--practice", help="Only who is in this practice.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in Status], case_sensitive=False),
    help="Only who stands so.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_users(home: Home, search: str, practice: str | None, status: str | None, as_json: bool) -> None:
    """List the users."""
    with installation(home) as here:
        rows = _all_users(here, search, Status(status) if status else None, practice)
    if as_json:
        echo_json([row_json(row) for row in rows])
        return
    echo_table(
        ("NAME", "2FA", "ROLES", "PRACTICE", "E-MAIL", "PHONE", "FULL NAME", "LAST SIGN-IN"),
        [
            (
                row.name,
                row.status.value,
                ",".join(sorted(row.roles)) or "-",
                row.practice,
                row.email,
                row.phone or "-",
                row.full_name or "-",
                when(row.last_signin_at),
            )
            for row in rows
        ],
    )


@user.command(epilog="\b\nExample:\n  twofold user show ben --json\n")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(home: Home, name: str, as_json: bool) -> None:
    """Show all about one user."""
    with installation(home) as here:
        detail = _detail(here, name)
    if as_json:
        echo_json(detail_json(detail))
        return
    for label, value in detail_lines(detail):
        click.echo(f"{label:<16}{safe(value)}")
    click.echo("Lately")
    for entry in detail.recent:
        click.echo(f"  {when(entry.at)}  {safe(entry.actor)}: {safe(entry.sentence)}")


@user.command(epilog="\b\nExamples:\n  twofold user explain ben\n  twofold user explain ben --json\n")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def explain(home: Home, name: str, as_json: bool) -> None:
    """Say whether a user can sign in now, and why; then the facts behind it, deliveries among them."""
    with installation(home) as here:
        answer = confirmed(here.store.run_now(signin_explanation.explain_user, here.operator, name))
    if as_json:
        findings = [
            {"weight": finding.weight.value, "sentence": finding.sentence} for finding in answer.findings
        ]
        echo_json({"name": answer.name, "can_sign_in": answer.can_sign_in, "findings": findings})
        return
    for finding in answer.findings:
        click.echo(f"{finding.weight.value:<6} {safe(finding.sentence, 400)}")


@user.command(
    epilog="\b\nExamples:\n"
    "  twofold user edit ben --email ben@practice.example\n"
    '  twofold user edit ben --phone "+49 30 1234567"\n'
)
@click.argument("name")
@click.option("--email", help="The new e-mail address.")
@click.option("--name", "full_name", help="The new full name.")
@click.option("--phone", help="The new phone number, with + and the country; empty for none.")
@changes
@click.pass_obj
def edit(home: Home, name: str, email: str | None, full_name: str | None, phone: str | None) -> None:
    """Change a user's e-mail address, full name or phone number."""
    changes = lifecycle.UserChanges(email=email, full_name=full_name, phone=phone)
    if not changes.given():
        raise click.UsageError("Say what to change: --email, --name or --phone.")
    with installation(home) as here:
        saved = confirmed(here.store.run_now(lifecycle.edit_user, here.operator, name, changes))
    say(saved)
    if saved.offers_clearing:
        clear, password = (home.command(f"user {command} {name}") for command in ("clear-2fa", "password"))
        click.echo(
            "Whatever else they have set up stays good, and so do the recovery codes. If the phone or the "
            f"mailbox may be in other hands now: {clear} and then {password}",
            err=True,
        )


@user.command(epilog='\b\nExample:\n  twofold user move ben --practice "Clinic North"\n')
@click.argument("name")
@click.option("--practice", required=True, help="The practice they belong to from now on.")
@changes
@click.pass_obj
def move(home: Home, name: str, practice: str) -> None:
    """Move a user to another practice of the account."""
    with installation(home) as here:
        say(here.store.run_now(practices.move_user, here.operator, name, practice))


_ROLE = click.Choice([role.value for role in Role])


@user.command(
    epilog="\b\nExamples:\n"
    "  twofold user role ben --grant support\n"
    "  twofold user role ben --grant security_admin --take support\n"
)
@click.argument("name")
@click.option("--grant", type=_ROLE, multiple=True, help="A role to give; may be given several times.")
@click.option("--take", type=_ROLE, multiple=True, help="A role to take away; may be given several times.")
@changes
@click.pass_obj
def role(home: Home, name: str, grant: tuple[str, ...], take: tuple[str, ...]) -> None:
    """Grant and take roles; the last administrators are kept."""
    given, taken = frozenset(map(Role, grant)), frozenset(map(Role, take))
    if not given | taken:
        raise click.UsageError("Say what to change: --grant ROLE or --take ROLE.")
    if both := given & taken:
        raise click.UsageError(f"{', '.join(sorted(both))} cannot be granted and taken at once.")
    with installation(home) as here:
        held = _detail(here, name).roles
        wanted = (held | given) - taken
        say(here.store.run_now(role_grants.set_roles, here.operator, name, wanted, seen=held))


@user.command(epilog="\b\nExamples:\n  twofold user require ben\n  twofold user require ben --no\n")
@click.argument("name")
@click.option("--no", "release", is_flag=True, help="Leave it to the policy again.")
@changes
@click.pass_obj
def require(home: Home, name: str, release: bool) -> None:
    """Require two-factor authentication of a user."""
    with installation(home) as here:
        say(here.store.run_now(factor_administration.set_required, here.operator, name, required=not release))


@user.command(
    "disable-2fa",
    short_help="Remove a user's flag and what they have set up.",
    epilog="\b\nExample:\n  twofold user disable-2fa ben\n",
)
@click.argument("name")
@asks_first
@click.pass_obj
def disable_two_factor(home: Home, name: str) -> None:
    """Remove a user's flag, all that they have set up, and the recovery codes."""
    with installation(home) as here:
        confirm(consequences.disable(_detail(here, name)))
        say(here.store.run_now(factor_administration.disable_two_factor, here.operator, name))


@user.command(
    "clear-2fa",
    short_help="Remove what a user has set up, and keep the flag.",
    epilog="\b\nExample:\n  twofold user clear-2fa ben\n",
)
@click.argument("name")
@asks_first
@click.pass_obj
def clear_two_factor(home: Home, name: str) -> None:
    """Remove all that a user has set up and the recovery codes, and keep the flag: for a new phone."""
    with installation(home) as here:
        detail = _detail(here, name)
        confirm(consequences.clear(detail))
        say(here.store.run_now(factor_administration.clear_two_factor, here.operator, name))
    if detail.has_password:
        click.echo(
            "Whoever knows their password could set it up first; a new one-time password prevents that: "
            f"{home.command(f'user password {name}')}",
            err=True,
        )


@user.command(epilog='\b\nExample:\n  twofold user unlock ben --reason "typed the old phone\'s codes"\n')
@click.argument("name")
@click.option("--reason", help="Why, for the audit log; asked for on a terminal when it is not given.")
@changes
@click.pass_obj
def unlock(home: Home, name: str, reason: str | None) -> None:
    """Let a locked user sign in again."""
    if reason is None:
        if not on_a_terminal():
            raise click.UsageError("Say why with --reason: the audit log keeps it.")
        reason = str(click.prompt("Why", err=True))
    with installation(home) as here:
        say(here.store.run_now(factor_administration.unlock, here.operator, name, reason))


@user.command(
    short_help="Let two codes bring back a phone whose clock is off.",
    epilog="\b\nExample:\n  twofold user resync ben\n",
)
@click.argument("name")
@changes
@click.pass_obj
def resync(home: Home, name: str) -> None:
    """Let two consecutive codes bring back a phone whose clock is up to ten minutes off, for an hour."""
    with installation(home) as here:
        say(here.store.run_now(factor_administration.offer_resync, here.operator, name))


@user.command(
    short_help="Forget a user's remembered addresses.", epilog="\b\nExample:\n  twofold user forget ben\n"
)
@click.argument("name")
@changes
@click.pass_obj
def forget(home: Home, name: str) -> None:
    """Forget the addresses from which a user is not asked for a code."""
    with installation(home) as here:
        say(here.store.run_now(factor_administration.forget_addresses, here.operator, name))


@user.command(epilog="\b\nExample:\n  twofold user deactivate ben\n")
@click.argument("name")
@asks_first
@click.pass_obj
def deactivate(home: Home, name: str) -> None:
    """Shut a user out, and keep everything about them."""
    with installation(home) as here:
        confirm(consequences.deactivate(_detail(here, name)))
        say(here.store.run_now(lifecycle.set_active, here.operator, name, active=False))


@user.command(epilog="\b\nExample:\n  twofold user delete ben\n")
@click.argument("name")
@asks_first
@click.pass_obj
def delete(home: Home, name: str) -> None:
    """Delete a user and all that is known of them; the audit log keeps the name."""
    with installation(home) as here:
        confirm(consequences.delete(_detail(here, name)))
        say(here.store.run_now(deletion.delete_user, here.operator, name))


@user.command(epilog="\b\nExample:\n  twofold user activate ben\n")
@click.argument("name")
@changes
@click.pass_obj
def activate(home: Home, name: str) -> None:
    """Let a deactivated user sign in again."""
    with installation(home) as here:
        say(here.store.run_now(lifecycle.set_active, here.operator, name, active=True))


@user.command(short_help="Set a new one-time password.", epilog="\b\nExample:\n  twofold user password ben\n")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the one-time password from standard input.")
@hours_option()
@changes
@click.pass_obj
def password(home: Home, name: str, password_stdin: bool, hours: int) -> None:
    """Set a new one-time password, and print it once unless it was given."""
    given = read_password_line() if password_stdin else None
    if given and (fault := passwords.fault(given, about=(name,))):
        refuse(fault)
    with installation(home) as here:
        chosen = given or passwords.one_time_from_random(here.store.services.random_bytes(20))
        hashed = here.store.services.hasher.hash(chosen)
        say(here.store.run_now(credentials.set_one_time_password, here.operator, name, hashed, hours))
    if not given:
        click.echo(f"One-time password: {chosen}")


_EXPORTED = (
    "name",
    "email",
    "full_name",
    "phone",
    "practice",
    "require_2fa",
    "roles",
    "status",
    "active",
    "created_at",
    "last_signin_at",
)


@user.command(
    short_help="Write all users as CSV or JSON Lines.",
    epilog="\b\nExamples:\n"
    "  twofold user export > people.csv\n"
    "  twofold user export --format jsonl --output people.jsonl\n",
)
@export_options
@click.pass_obj
def export(home: Home, form: str, output: Path | None) -> None:
    """Write all users as CSV or JSON Lines, by name; no secret is among it.

    In CSV, cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    with installation(home) as here:
        write_records(map(_record_json, _all_people(here)), _EXPORTED, form, output)


def _detail(here: Installation, name: str) -> UserDetail:
    return confirmed(here.store.run_now(user_summaries.user_detail, here.operator, name))


def _all_people(here: Installation) -> Iterator[PersonRecord]:
    after = ""
    while page := confirmed(here.store.run_now(user_export.export_people, here.operator, after=after)):
        yield from page
        after = page[-1].name


def _record_json(person: PersonRecord) -> dict[str, object]:
    return {
        "name": person.name,
        "email": person.email,
        "full_name": person.full_name,
        "phone": person.phone,
        "practice": person.practice,
        "require_2fa": person.require_2fa,
        "roles": sorted(role.value for role in person.roles),
        "status": person.status.value,
        "active": person.active,
        "created_at": iso(person.created_at),
        "last_signin_at": iso(person.last_signin_at),
    }


def _all_users(here: Installation, search: str, status: Status | None, practice: str | None) -> list[UserRow]:
    """Read all pages; where a search finds more than it shows, that is said on stderr."""
    rows: list[UserRow] = []
    while True:
        after = rows[-1].cursor if rows else None
        query = UserQuery(search, status, after=after, limit=_PAGE, practice=practice)
        page = confirmed(here.store.run_now(user_summaries.list_users, here.operator, query))
        rows.extend(page.rows)
        if not page.more:
            break
    if search and page.uncounted:
        click.echo(f"More than {len(rows)} are found. Search for longer or more words to see them.", err=True)
    return rows


for command in (import_people, invite, remind, key):
    user.add_command(command)
