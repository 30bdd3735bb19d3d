"""What to look at before a backup is restored of which nobody can tell whether it was changed."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click

from data.rules.database_comparison import DatabaseFacts, differences, role_holders
from data.rules.safe_text import safe

_LINE = 5_000
"""Characters of a line: all keys of a person fit."""


def show_unverified(file: Path, backup: DatabaseFacts, present: DatabaseFacts | None) -> None:
    """Say what it means that a backup carries no keyed hash, and list who would come in by it."""
    click.echo(
        f"{safe(file, 500)} carries no keyed hash: whoever could write to it may have changed passwords,\n"
        "roles, keys, policies and the audit log in it. Look at each of these before you go on."
    )
    _list(
        "Who holds a role in it:",
        (
            f"{name} ({person.account}): {', '.join(sorted(person.roles))}; "
            f"keys: {', '.join(sorted(person.keys)) or 'none'}"
            for name, person in role_holders(backup)
        ),
    )
    if present is None:
        click.echo("There is nothing to compare it with.")
        return
    _list(
        "How it differs from what is there now:",
        (f"{name}: {what}" for name, what in differences(backup, present)),
    )


def _list(heading: str, lines: Iterator[str]) -> None:
    """Print all lines: who changed a backup could fill a part of them with what matters less."""
    click.echo(heading)
    for line in chain([next(lines, "nothing")], lines):
        click.echo(f"  {safe(line, _LINE)}")
