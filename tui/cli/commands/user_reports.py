"""`twofold user explain` and `export`: reports about one user, and about all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from data.operations.users import signin_explanation, user_export
from data.operations.users.user_export import PAGE, PersonRecord
from data.operations.users.user_search import UserQuery
from data.rules.safe_text import safe
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members
from tui.cli.commands.user_filters import filter_options, query_of, say_incomplete
from tui.cli.confirmation import act
from tui.cli.open_installation import confirmed
from tui.cli.output_formats import export_options, write_records
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, iso


@for_members()
@click.command(epilog=examples("twofold user explain ben", "twofold user explain ben --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def explain(here: Caller, name: str, as_json: bool) -> None:
    """Show whether a user can sign in now, and why.

    Then list the facts behind the answer, such as recent deliveries.
    """
    answer = confirmed(here.read(signin_explanation.explain_user, name))
    if as_json:
        findings = [{"weight": reason.weight.value, "sentence": reason.sentence} for reason in answer.reasons]
        echo_json({"name": answer.name, "can_sign_in": answer.can_sign_in, "findings": findings})
        return
    for reason in answer.reasons:
        echo(f"{reason.weight.value:<6} {safe(reason.sentence, 400)}")


_EXPORTED = (
    "name",
    "email",
    "full_name",
    "phone",
    "practice",
    "require_2fa",
    "roles",
    "status",
    "active",
    "created_at",
    "last_signin_at",
)


@for_members()
@click.command(
    short_help="Write users as CSV or JSON Lines.",
    epilog=examples(
        "twofold user export > people.csv",
        "twofold user export --format jsonl --output people.jsonl",
        "twofold user export --last-signin-before 90d --never-signed-in > stale.csv",
    ),
)
@filter_options
@export_options
@act
def export(here: Caller, /, form: str, output: Path | None, **filters: Any) -> None:
    """Write users as CSV or JSON Lines, sorted by name, without secrets: all, or those who match all filters.

    In CSV, cells that a spreadsheet would take for a formula start with an apostrophe.
    """
    query = query_of(here, limit=PAGE, **filters)
    write_records(map(_record_json, _people(here, query)), _EXPORTED, form, output)


def _people(here: Caller, query: UserQuery) -> Iterator[PersonRecord]:
    count = 0
    while True:
        page = confirmed(here.run(user_export.export_people, query))
        yield from page.records
        count += len(page.records)
        if page.following is None:
            break
        query = replace(query, after=page.following)
    if page.uncounted:
        say_incomplete(count)


def _record_json(person: PersonRecord) -> dict[str, object]:
    return {
        "name": person.name,
        "email": person.email,
        "full_name": person.full_name,
        "phone": person.phone,
        "practice": person.practice,
        "require_2fa": person.require_2fa,
        "roles": sorted(role.value for role in person.roles),
        "status": person.status.value,
        "active": person.active,
        "created_at": iso(person.created_at),
        "last_signin_at": iso(person.last_signin_at),
    }
