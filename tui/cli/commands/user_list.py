"""`twofold user list` and `show`."""

from dataclasses import replace
from typing import Any

import click

from data.operations.users import user_summaries
from data.operations.users.user_search import UserQuery
from data.operations.users.user_summaries import UserRow
from data.rules.safe_text import safe
from data.storage.home import Home
from tui.cli.command_groups import examples
from tui.cli.commands.user_filters import filter_options, query_of, say_incomplete
from tui.cli.commands.user_rendering import detail_json, detail_lines, row_json
from tui.cli.open_installation import Installation, confirmed, installation
from tui.cli.text_tables import echo_json, echo_table, when

_PAGE = 500


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
@click.pass_obj
def list_users(home: Home, /, as_json: bool, **filters: Any) -> None:
    """List the users: all, or those who match all filters."""
    with installation(home) as here:
        rows = _all_users(here, query_of(here, limit=_PAGE, **filters))
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


@click.command(epilog=examples("twofold user show ben --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(home: Home, name: str, as_json: bool) -> None:
    """Show a user in detail."""
    with installation(home) as here:
        detail = confirmed(here.run(user_summaries.user_detail, name))
    if as_json:
        echo_json(detail_json(detail))
        return
    for label, value in detail_lines(detail):
        click.echo(f"{label:<16}{safe(value)}")
    click.echo("Recent activity")
    for entry in detail.recent:
        click.echo(f"  {when(entry.at)}  {safe(entry.actor)}: {safe(entry.sentence)}")


def _all_users(here: Installation, query: UserQuery) -> list[UserRow]:
    """Read all pages; if a search finds more than it returns, say so on stderr."""
    rows: list[UserRow] = []
    while True:
        page = confirmed(here.run(user_summaries.list_users, query))
        rows.extend(page.rows)
        if page.following is None:
            break
        query = replace(query, after=page.following)
    if query.search and page.uncounted:
        say_incomplete(len(rows))
    return rows
