"""`twofold user list` and `show`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from data.operations.users import user_summaries
from data.operations.users.user_search import UserQuery
from data.operations.users.user_summaries import UserRow
from data.rules.safe_text import safe
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members
from tui.cli.commands.user_filters import filter_options, query_of, say_incomplete
from tui.cli.commands.user_rendering import detail_json, detail_lines, row_json
from tui.cli.confirmation import act
from tui.cli.open_installation import confirmed
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_json_list, echo_table, when

_PAGE = 500


@for_members()
@click.command(
    "list",
    epilog=examples(
        "twofold user list --search clinic",
        "twofold user list --status enabled --role support --json",
        "twofold user list --last-signin-before 90d --never-signed-in",
    ),
)
@filter_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_users(here: Caller, /, as_json: bool, **filters: Any) -> None:
    """List the users: all, or those who match all filters."""
    rows = _all_users(here, query_of(here, limit=_PAGE, **filters))
    if as_json:
        echo_json_list(map(row_json, rows))
        return
    echo_table(
        ("NAME", "2FA", "ROLES", "PRACTICE", "E-MAIL", "PHONE", "FULL NAME", "LAST SIGN-IN"),
        (
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
        ),
    )


@for_members()
@click.command(epilog=examples("twofold user show ben --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show(here: Caller, name: str, as_json: bool) -> None:
    """Show a user in detail."""
    detail = confirmed(here.read(user_summaries.user_detail, name))
    if as_json:
        echo_json(detail_json(detail))
        return
    for label, value in detail_lines(detail):
        echo(f"{label:<16}{safe(value)}")
    echo("Recent activity")
    for entry in detail.recent:
        echo(f"  {when(entry.at)}  {safe(entry.actor)}: {safe(entry.sentence)}")


def _all_users(here: Caller, query: UserQuery) -> Iterator[UserRow]:
    """Read page by page; if a search finds more than it returns, say so on stderr at the end."""
    count = 0
    while True:
        page = confirmed(here.read(user_summaries.list_users, query))
        yield from page.rows
        count += len(page.rows)
        if page.following is None:
            break
        query = replace(query, after=page.following)
    if query.search and page.uncounted:
        say_incomplete(count)
