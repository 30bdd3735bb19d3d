"""`twofold user explain` and `export`: reports about one user, and about all."""

from collections.abc import Iterator
from pathlib import Path

import click

from data.operations.users import signin_explanation, user_export
from data.operations.users.user_export import PersonRecord
from data.rules.safe_text import safe
from data.storage.home import Home
from tui.cli.command_groups import examples
from tui.cli.open_installation import Installation, confirmed, installation
from tui.cli.output_formats import export_options, write_records
from tui.cli.text_tables import echo_json, iso


@click.command(epilog=examples("twofold user explain ben", "twofold user explain ben --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def explain(home: Home, name: str, as_json: bool) -> None:
    """Show whether a user can sign in now, and why.

    Then list the facts behind the answer, such as recent deliveries.
    """
    with installation(home) as here:
        answer = confirmed(here.run(signin_explanation.explain_user, name))
    if as_json:
        findings = [{"weight": reason.weight.value, "sentence": reason.sentence} for reason in answer.reasons]
        echo_json({"name": answer.name, "can_sign_in": answer.can_sign_in, "findings": findings})
        return
    for reason in answer.reasons:
        click.echo(f"{reason.weight.value:<6} {safe(reason.sentence, 400)}")


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


@click.command(
    short_help="Write all users as CSV or JSON Lines.",
    epilog=examples(
        "twofold user export > people.csv", "twofold user export --format jsonl --output people.jsonl"
    ),
)
@export_options
@click.pass_obj
def export(home: Home, form: str, output: Path | None) -> None:
    """Write all users as CSV or JSON Lines, sorted by name, without secrets.

    In CSV, cells that a spreadsheet would take for a formula start with an apostrophe.
    """
    with installation(home) as here:
        write_records(map(_record_json, _all_people(here)), _EXPORTED, form, output)


def _all_people(here: Installation) -> Iterator[PersonRecord]:
    after = ""
    while page := confirmed(here.run(user_export.export_people, after=after)):
        yield from page
        after = page[-1].name


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
