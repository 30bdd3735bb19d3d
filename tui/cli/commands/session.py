"""`twofold session`: listing and ending sessions."""

from collections.abc import Iterator

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.signin import sessions
from data.operations.signin.sessions import SessionRow
from data.rules.source_addresses import source_in_words
from data.wording.certificates import are_withdrawn
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, for_members
from tui.cli.confirmation import act, announce, changes
from tui.cli.open_installation import confirmed
from tui.cli.text_tables import echo_json_list, echo_table, iso, when

_PAGE = 500


@click.group(cls=InAccount, epilog="\b\nExamples:\n  twofold session list\n  twofold session end 42\n")
def session() -> None:
    """List and end sessions."""


@for_members()
@session.command("list", epilog="\b\nExamples:\n  twofold session list\n  twofold session list --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_sessions(here: Caller, as_json: bool) -> None:
    """List the open sessions with their jumps to targets, newest first."""
    rows = _all_sessions(here)
    if as_json:
        echo_json_list(map(session_json, rows))
        return
    echo_table(
        ("ID", "USER", "FROM", "SINCE", "BY", "STATE"),
        (
            (
                str(row.id),
                row.user,
                source_in_words(row.application, row.address),
                when(row.started_at),
                row.methods,
                _state(row),
            )
            for row in rows
        ),
    )


@for_members()
@session.command(epilog="\b\nExamples:\n  twofold session end 42\n  twofold session end 42 --certificates\n")
@click.argument("number", type=click.IntRange(min=1, max=2**63 - 1), metavar="ID")
@click.option("--certificates", is_flag=True, help="Also withdraw the certificates obtained in it.")
@changes
@act
def end(here: Caller, number: int, certificates: bool) -> Done | RefusedOrStale:
    """End an open session; a running server closes it within five seconds."""
    if certificates:
        found = next((row for row in _all_sessions(here) if row.id == number), None)
        announce(are_withdrawn(found.certificates if found else 0))
    return here.run(sessions.end_session_of, number, certificates=certificates)


def _all_sessions(here: Caller) -> Iterator[SessionRow]:
    before: int | None = None
    while True:
        page = confirmed(here.read(sessions.list_sessions, before=before, limit=_PAGE))
        yield from page.rows
        if not page.more:
            return
        before = page.rows[-1].id


def _state(row: SessionRow) -> str:
    state = "signing in" if row.restricted else "signed in"
    return f"{state}, jumps to {', '.join(jump.target for jump in row.jumps)}" if row.jumps else state


def session_json(row: SessionRow) -> dict[str, object]:
    """Return an open session for JSON."""
    return {
        "id": row.id,
        "user": row.user,
        "application": row.application,
        "address": row.address,
        "methods": row.methods,
        "restricted": row.restricted,
        "started_at": iso(row.started_at),
        "certificates": row.certificates,
        "jumps": [
            {
                "target": jump.target,
                "opened_at": iso(jump.opened_at),
                "sent": jump.sent,
                "received": jump.received,
            }
            for jump in row.jumps
        ],
    }
