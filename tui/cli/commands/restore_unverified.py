"""What to review before restoring a backup that cannot be verified."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from data.rules.database_comparison import DatabaseFacts, differences, role_holders
from data.rules.safe_text import safe
from tui.cli.streams import echo

_LINE = 5_000
"""Longest line, in characters: it holds all keys of a user."""


def show_unverified(file: Path, backup: DatabaseFacts, present: DatabaseFacts | None) -> None:
    """Warn that a backup has no keyed hash, and list who could sign in after it is restored."""
    echo(
        f"{safe(file, 500)} has no keyed hash: anyone who could write to it may have changed passwords,\n"
        "roles, keys, policies and the audit log in it. Review each of these before you continue."
    )
    _list(
        "Users with a role in the backup:",
        (
            f"{name} ({person.account}): {', '.join(sorted(person.roles))}; "
            f"keys: {', '.join(sorted(person.keys)) or 'none'}"
            for name, person in role_holders(backup)
        ),
    )
    if present is None:
        echo("There is no current database to compare it with.")
        return
    _list(
        "Differences from the current database:",
        (f"{name}: {what}" for name, what in differences(backup, present)),
    )


def _list(heading: str, lines: Iterator[str]) -> None:
    """Print all lines: in a shortened list, an attacker could hide a change behind harmless ones."""
    echo(heading)
    for line in chain([next(lines, "nothing")], lines):
        echo(f"  {safe(line, _LINE)}")
