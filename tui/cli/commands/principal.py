"""`twofold user principal` and `twofold practice principal`: the names that certificates are valid for."""

from collections.abc import Sequence

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.users import principals
from data.operations.users.principals import PrincipalRow
from data.wording import principals as wording
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, examples, for_members
from tui.cli.commands.user_rendering import principal_json
from tui.cli.confirmation import act, asks_first, confirm
from tui.cli.open_installation import confirmed
from tui.cli.text_tables import echo_json, echo_table


@click.group(
    "principal",
    cls=InAccount,
    short_help="Manage a user's principals.",
    help=f"Manage a user's principals.\n\n{wording.WHAT} A user's own name is one.",
    epilog=examples("twofold user principal add ben deploy", "twofold user principal list ben"),
)
def of_user() -> None:
    """Group the commands."""


@click.group(
    "principal",
    cls=InAccount,
    short_help="Manage the principals of everyone in a practice.",
    help=f"Manage the principals of everyone in a practice.\n\n{wording.WHAT} Whoever moves people into a "
    "practice gives them its principals.",
    epilog=examples(
        'twofold practice principal add "Clinic North" deploy',
        'twofold practice principal list "Clinic North"',
    ),
)
def of_practice() -> None:
    """Group the commands."""


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@for_members()
@of_user.command("add", epilog=examples("twofold user principal add ben deploy"))
@click.argument("name")
@click.argument("principal")
@asks_first
@act
def add_to_user(here: Caller, name: str, principal: str) -> Done | RefusedOrStale:
    """Give a user a principal; the operator alone gives root and those that are reserved."""
    confirm(wording.give(confirmed(here.read(principals.preview_principal, name, principal))))
    return here.run(principals.add_principal, name, principal)


@for_members()
@of_user.command("remove", epilog=examples("twofold user principal remove ben deploy"))
@click.argument("name")
@click.argument("principal")
@asks_first
@act
def remove_from_user(here: Caller, name: str, principal: str) -> Done | RefusedOrStale:
    """Remove a principal from a user, and withdraw the certificates that include it."""
    preview = confirmed(here.read(principals.preview_principal, name, principal, removes=True))
    confirm(wording.remove(preview))
    return here.run(principals.remove_principal, name, principal)


@for_members()
@of_user.command("list", epilog=examples("twofold user principal list ben --json"))
@click.argument("name")
@_JSON
@act
def list_of_user(here: Caller, name: str, as_json: bool) -> None:
    """List the principals of a user, with where each comes from."""
    _show(confirmed(here.read(principals.list_principals, name)), as_json=as_json)


@for_members()
@of_practice.command("add", epilog=examples('twofold practice principal add "Clinic North" deploy'))
@click.argument("practice")
@click.argument("principal")
@asks_first
@act
def add_to_practice(here: Caller, practice: str, principal: str) -> Done | RefusedOrStale:
    """Give everyone in a practice a principal, now and later."""
    preview = confirmed(here.read(principals.preview_practice_principal, practice, principal))
    confirm(wording.give(preview))
    return here.run(principals.add_practice_principal, practice, principal)


@for_members()
@of_practice.command("remove", epilog=examples('twofold practice principal remove "Clinic North" deploy'))
@click.argument("practice")
@click.argument("principal")
@asks_first
@act
def remove_from_practice(here: Caller, practice: str, principal: str) -> Done | RefusedOrStale:
    """Remove a principal from a practice, and withdraw the certificates that include it."""
    preview = confirmed(here.read(principals.preview_practice_principal, practice, principal, removes=True))
    confirm(wording.remove(preview))
    return here.run(principals.remove_practice_principal, practice, principal)


@for_members()
@of_practice.command("list", epilog=examples('twofold practice principal list "Clinic North" --json'))
@click.argument("practice")
@_JSON
@act
def list_of_practice(here: Caller, practice: str, as_json: bool) -> None:
    """List the principals of a practice."""
    _show(confirmed(here.read(principals.list_practice_principals, practice)), as_json=as_json)


def _show(rows: Sequence[PrincipalRow], *, as_json: bool) -> None:
    if as_json:
        echo_json([principal_json(row) for row in rows])
        return
    echo_table(("PRINCIPAL", "FROM"), [(row.principal, wording.origin(row)) for row in rows])
