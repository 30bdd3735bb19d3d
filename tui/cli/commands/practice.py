"""`twofold practice`: the parts of an account."""

import click

from data.operations.users import practices
from data.storage.home import Home
from tui.cli.confirmation import changes
from tui.cli.open_installation import InAccount, confirmed, installation, say
from tui.cli.text_tables import echo_json, echo_table


@click.group(
    cls=InAccount,
    epilog="\b\nExamples:\n"
    '  twofold practice add "Clinic North"\n'
    '  twofold user move ben --practice "Clinic North"\n'
    "  twofold practice list --json\n",
)
def practice() -> None:
    """Manage practices: sites, departments. One policy reaches all of them."""


@practice.command(epilog='\b\nExample:\n  twofold practice add "Clinic North"\n')
@click.argument("name")
@changes
@click.pass_obj
def add(home: Home, name: str) -> None:
    """Add a practice."""
    with installation(home) as here:
        say(here.store.run_now(practices.add_practice, here.operator, name))


@practice.command(epilog='\b\nExample:\n  twofold practice rename Main "Clinic South"\n')
@click.argument("name")
@click.argument("new_name")
@changes
@click.pass_obj
def rename(home: Home, name: str, new_name: str) -> None:
    """Give a practice another name; its users stay in it."""
    with installation(home) as here:
        say(here.store.run_now(practices.rename_practice, here.operator, name, new_name))


@practice.command(epilog='\b\nExample:\n  twofold practice remove "Clinic South"\n')
@click.argument("name")
@changes
@click.pass_obj
def remove(home: Home, name: str) -> None:
    """Remove a practice that nobody is in."""
    with installation(home) as here:
        say(here.store.run_now(practices.remove_practice, here.operator, name))


@practice.command("list", epilog="\b\nExamples:\n  twofold practice list\n  twofold practice list --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_practices(home: Home, as_json: bool) -> None:
    """List the practices, with how many users each has."""
    with installation(home) as here:
        rows = confirmed(here.store.run_now(practices.list_practices, here.operator))
    if as_json:
        echo_json([{"name": row.name, "users": row.users, "active": row.active} for row in rows])
        return
    echo_table(("PRACTICE", "USERS", "ACTIVE"), [(row.name, str(row.users), str(row.active)) for row in rows])
