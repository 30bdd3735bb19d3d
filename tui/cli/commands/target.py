"""`twofold target`: the hosts that users may reach through the server."""

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.targets import registry
from data.operations.targets.registry import TargetRow, whom_in_words
from data.rules.domain_types import Role
from data.rules.safe_text import safe
from data.rules.targets import LAST_PORT, SSH_PORT, NewTarget
from data.wording import targets as wording
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, examples, for_members
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.open_installation import confirmed, refuse
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_table, iso


@click.group(
    short_help="Manage the hosts that people reach with ssh -J.",
    cls=InAccount,
    epilog=examples(
        "twofold target add db1 --host db1.clinic.example",
        'twofold target add web1 --host 10.0.0.5 --port 2222 --practice "Clinic North" --user ben',
        "twofold target list --json",
    ),
)
def target() -> None:
    """Manage the targets: the hosts that people reach through the server with ssh -J, and no others.

    The manual says how: `twofold help forwarding`.
    """


@for_members()
@target.command(
    epilog=examples(
        "twofold target add db1 --host db1.clinic.example --port 22",
        'twofold target add web1 --host 10.0.0.5 --practice "Clinic North" --role system_admin --user ben',
    )
)
@click.argument("name")
@click.option("--host", required=True, help="The name or address that the server connects to.")
@click.option(
    "--port", type=click.IntRange(1, LAST_PORT), default=SSH_PORT, show_default=True, help="Its port."
)
@click.option("--practice", "practices", metavar="NAME", multiple=True, help="A practice it is for.")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="A role whose holders it is for.",
)
@click.option("--user", "users", metavar="NAME", multiple=True, help="A user it is for.")
@changes
@act
def add(
    here: Caller,
    name: str,
    host: str,
    port: int,
    practices: tuple[str, ...],
    roles: tuple[str, ...],
    users: tuple[str, ...],
) -> Done | RefusedOrStale:
    """Add a target. Without --practice, --role and --user it is for everyone in the account.

    Give each of these as often as needed: whoever is in one of the practices, holds one of the roles, or is
    one of the users may reach it. What the operator on the host adds may lead anywhere; what members add
    leads only into the networks that the operator allows.
    """
    granted = frozenset(Role(role) for role in roles)
    return here.run(registry.add_target, NewTarget(name, host, port, practices, granted, users))


@for_members()
@target.command("list", epilog=examples("twofold target list", "twofold target list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_targets(here: Caller, as_json: bool) -> None:
    """List the targets. `target show` says why one is unreachable."""
    rows = confirmed(here.run(registry.list_targets)).rows
    if as_json:
        echo_json([_as_json(row) for row in rows])
        return
    echo_table(
        ("TARGET", "HOST", "PORT", "FOR", "STATE"),
        [(row.name, row.host, str(row.port), whom_in_words(row), wording.state(row)) for row in rows],
    )


@for_members()
@target.command(epilog=examples("twofold target show db1", "twofold target show db1 --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show(here: Caller, name: str, as_json: bool) -> None:
    """Show a target, and whom it is for."""
    row = confirmed(here.run(registry.show_target, name))
    if as_json:
        echo_json(_as_json(row))
        return
    for label, value in wording.facts(row):
        echo(f"{label:12}  {safe(value, 1_000)}")


@for_members()
@target.command(epilog=examples("twofold target remove db1 --yes"))
@click.argument("name")
@asks_first
@act
def remove(here: Caller, name: str) -> Done | RefusedOrStale:
    """Remove a target; open connections to it are closed within five seconds."""
    view = confirmed(here.run(registry.list_targets))
    if not view.may_manage:
        refuse(view.who_can)
    confirm(wording.remove(confirmed(here.run(registry.show_target, name))))
    return here.run(registry.remove_target, name)


def _as_json(row: TargetRow) -> dict[str, object]:
    return {
        "name": row.name,
        "host": row.host,
        "port": row.port,
        "by_operator": row.by_operator,
        "everyone": row.everyone,
        "practices": list(row.practices),
        "roles": [role.value for role in row.roles],
        "users": list(row.users),
        "created_at": iso(row.created_at),
        "why_unreachable": row.why_unreachable,
    }
