"""`me targets`: the hosts that one may reach through the server."""

import click

from data.operations.targets import registry
from data.wording.targets import NONE_OF_YOURS, way_to
from tui.cli.caller import Caller
from tui.cli.command_groups import examples
from tui.cli.confirmation import act
from tui.cli.open_installation import confirmed
from tui.cli.prompts import tell
from tui.cli.text_tables import echo_json


@click.command(epilog=examples("ssh gate me targets", "ssh gate me targets --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def targets(here: Caller, as_json: bool) -> None:
    """List the hosts that you may reach through the server, each with the command line for it."""
    mine = confirmed(here.read(registry.my_targets))
    if as_json:
        echo_json(
            [
                {
                    "name": row.name,
                    "host": row.host,
                    "port": row.port,
                    "command": row.command,
                    "reachable": row.reachable,
                }
                for row in mine.rows
            ]
        )
        return
    if mine.hindrance or not mine.rows:
        tell(mine.hindrance or NONE_OF_YOURS)
    for row in mine.rows:
        tell(f"{row.name}: {way_to(row)}", hang=2)
