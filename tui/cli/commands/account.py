"""`twofold account`: the organisations of an installation."""

import click

from data.operations.maintenance import accounts
from data.operations.maintenance.setup import FIRST_PRACTICE
from data.operations.results import Done, RefusedOrStale
from data.operations.users.lifecycle import NewUser
from data.rules import passwords
from data.rules.safe_text import safe
from data.storage.home import Home
from tui.cli.caller import Caller
from tui.cli.confirmation import act, changes
from tui.cli.open_installation import (
    confirmed,
    hours_option,
    installation,
    read_password_line,
    refuse,
    say,
)
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_table, iso, when


@click.group(
    short_help="Manage accounts, which are isolated from each other.",
    epilog="\b\nExamples:\n"
    "  twofold account add Surgery --admin eve --email eve@surgery.example\n"
    "  twofold account list\n"
    "  twofold user list --account Surgery\n",
)
def account() -> None:
    """Manage accounts: organisations that are isolated from each other."""


@account.command(
    short_help="Create an account and its first administrator.",
    epilog="\b\nExamples:\n"
    "  twofold account add Surgery --admin eve --email eve@surgery.example\n"
    '  twofold account add Surgery --admin eve --email eve@surgery.example --practice "Old Town"\n',
)
@click.argument("name")
@click.option("--admin", required=True, help="The first administrator's user name.")
@click.option("--email", required=True, help="The first administrator's e-mail address.")
@click.option("--practice", default=FIRST_PRACTICE, show_default=True, help="The first practice.")
@click.option("--password-stdin", is_flag=True, help="Read the one-time password from standard input.")
@hours_option()
@changes
@click.pass_obj
def add(
    home: Home, name: str, admin: str, email: str, practice: str, password_stdin: bool, hours: int
) -> None:
    """Create an account with its first practice and first administrator.

    A one-time password is printed once. The administrator must change it at first sign-in.
    """
    given = read_password_line() if password_stdin else None
    if given and (fault := passwords.fault(given, about=(admin, email, name))):
        refuse(fault)
    with installation(home) as here:
        services = here.store.services
        password = given or passwords.one_time_from_random(services.random_bytes(20))
        hashed = services.hasher.hash(password)
        new = NewUser(name=admin, email=email, password_hash=hashed, hours=hours)
        say(here.run(accounts.add_account, name, practice, new))
    if not given:
        echo(f"One-time password of {safe(admin.strip().lower())}: {password}")


@account.command(epilog="\b\nExample:\n  twofold account rename Surgery Theatre\n")
@click.argument("name")
@click.argument("new_name")
@changes
@act
def rename(here: Caller, name: str, new_name: str) -> Done | RefusedOrStale:
    """Rename an account; hosts then fetch its list of withdrawn certificates under the new name."""
    return here.run(accounts.rename_account, name, new_name)


@account.command("list", epilog="\b\nExamples:\n  twofold account list\n  twofold account list --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_accounts(home: Home, as_json: bool) -> None:
    """List the accounts with their numbers of practices and users."""
    with installation(home) as here:
        rows = confirmed(here.run(accounts.list_accounts))
    if as_json:
        echo_json(
            [
                {"name": row.name, "mode": row.mode.value, "practices": row.practices, "users": row.users}
                for row in rows
            ]
        )
        return
    echo_table(
        ("ACCOUNT", "MODE", "PRACTICES", "USERS"),
        [(row.name, row.mode.value, str(row.practices), str(row.users)) for row in rows],
    )


@account.command(epilog="\b\nExample:\n  twofold account show Surgery --json\n")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(home: Home, name: str, as_json: bool) -> None:
    """Show an account in detail."""
    with installation(home) as here:
        view = confirmed(here.run(accounts.show_account, name))
    if as_json:
        echo_json(
            {
                "name": view.name,
                "mode": view.mode.value,
                "created_at": iso(view.created_at),
                "administrators": list(view.administrators),
                "practices": [{"name": row.name, "users": row.users} for row in view.practices],
                "people": {status.value: count for status, count in sorted(view.people.items())},
            }
        )
        return
    people = ", ".join(f"{status.value} {count}" for status, count in sorted(view.people.items()))
    for label, value in (
        ("Account", view.name),
        ("Mode", view.mode.value),
        ("Created", when(view.created_at)),
        ("Administrators", ", ".join(view.administrators)),
        ("Practices", ", ".join(f"{row.name} ({row.users})" for row in view.practices)),
        ("People", people or "-"),
    ):
        echo(f"{label:<16}{safe(value)}")
