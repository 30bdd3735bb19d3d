"""`me sessions`: one's own open sessions."""

import click

from data.operations.results import Denied, Done, SessionOver
from data.operations.signin import sessions
from data.wording.user_lines import session_words
from tui.cli.caller import Caller
from tui.cli.command_groups import examples
from tui.cli.commands.me import own_session_json, read_profile
from tui.cli.confirmation import act, changes
from tui.cli.prompts import tell
from tui.cli.text_tables import echo_json


@click.group(
    "sessions",
    invoke_without_command=True,
    epilog=examples(
        "ssh gate me sessions",
        "ssh gate me sessions end 42",
        "ssh gate me sessions end --others",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def sessions_(here: Caller, as_json: bool) -> None:
    """List your open sessions, newest first, each after its number."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    page = read_profile(here).sessions
    if as_json:
        echo_json([own_session_json(row) for row in page.rows])
        return
    for row in page.rows:
        tell(f"{row.id}: {session_words(row)}", hang=2)
    if page.more:
        tell(f"and {page.total - len(page.rows)} more")


@sessions_.command(
    epilog=examples("ssh gate me sessions end 42", "ssh gate me sessions end --others --certificates")
)
@click.argument("number", type=click.IntRange(min=1, max=2**63 - 1), metavar="[ID]", required=False)
@click.option("--others", is_flag=True, help="End all your sessions but this one.")
@click.option(
    "--certificates",
    is_flag=True,
    help="Also withdraw the certificates obtained in it; with --others, in all but this one.",
)
@changes
@act
def end(here: Caller, number: int | None, others: bool, certificates: bool) -> Done | Denied | SessionOver:
    """End another session of yours, or all others; a server closes them within five seconds."""
    if (number is None) is not others:
        raise click.UsageError("Give either the number of a session or --others.")
    return here.run(sessions.end_my_sessions, number, certificates=certificates)
