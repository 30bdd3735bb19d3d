"""`twofold practice`: the parts of an account."""

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.users import practices
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, for_members
from tui.cli.commands import principal
from tui.cli.confirmation import act, changes
from tui.cli.open_installation import confirmed
from tui.cli.text_tables import echo_json, echo_table


@click.group(
    short_help="Manage practices, such as sites or departments.",
    cls=InAccount,
    epilog="\b\nExamples:\n"
    '  twofold practice add "Clinic North"\n'
    '  twofold user move ben --practice "Clinic North"\n'
    "  twofold practice list --json\n",
)
def practice() -> None:
    """Manage practices, such as sites or departments. The account's policy applies to all of them."""


practice.add_command(principal.of_practice)


@for_members()
@practice.command(epilog='\b\nExample:\n  twofold practice add "Clinic North"\n')
@click.argument("name")
@changes
@act
def add(here: Caller, name: str) -> Done | RefusedOrStale:
    """Add a practice."""
    return here.run(practices.add_practice, name)


@for_members()
@practice.command(epilog='\b\nExample:\n  twofold practice rename Main "Clinic South"\n')
@click.argument("name")
@click.argument("new_name")
@changes
@act
def rename(here: Caller, name: str, new_name: str) -> Done | RefusedOrStale:
    """Rename a practice; its users stay in it."""
    return here.run(practices.rename_practice, name, new_name)


@for_members()
@practice.command(epilog='\b\nExample:\n  twofold practice remove "Clinic South"\n')
@click.argument("name")
@changes
@act
def remove(here: Caller, name: str) -> Done | RefusedOrStale:
    """Remove a practice that has no users."""
    return here.run(practices.remove_practice, name)


@for_members()
@practice.command("list", epilog="\b\nExamples:\n  twofold practice list\n  twofold practice list --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_practices(here: Caller, as_json: bool) -> None:
    """List the practices with their numbers of users."""
    rows = confirmed(here.read(practices.list_practices))
    if as_json:
        echo_json([{"name": row.name, "users": row.users, "active": row.active} for row in rows])
        return
    echo_table(("PRACTICE", "USERS", "ACTIVE"), [(row.name, str(row.users), str(row.active)) for row in rows])
