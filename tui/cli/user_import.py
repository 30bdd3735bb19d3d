"""`twofold user import`: many people at once, from CSV."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from data.operations import importing
from data.operations.importing import Faulty, Told
from data.operations.results import Denied, Done, SessionOver
from data.rules import people_csv
from data.rules.people_csv import PersonRow, RowFault
from data.storage.home import Home
from tui.cli.installation import confirmed, installation, refuse, say
from tui.cli.tables import echo_table

_SHOWN_FAULTS = 100


@click.command(
    "import",
    epilog="\b\nExamples:\n"
    "  twofold user import people.csv --dry-run\n"
    "  twofold user import people.csv\n"
    "  twofold user import --encoding cp1252 old-excel.csv\n"
    "\n"
    "\b\nA file looks like this:\n"
    "  name,email,full_name,phone,practice,require_2fa,public_key\n"
    "  ben,ben@clinic.example,Ben Example,+49 30 1234567,Clinic North,yes,ssh-ed25519 AAAA...\n",
)
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, exists=True, readable=True, allow_dash=True)
)
@click.option("--dry-run", is_flag=True, help="Only say what is wrong with the file, and change nothing.")
@click.option(
    "--encoding",
    type=click.Choice(people_csv.ENCODINGS),
    default="utf-8",
    show_default=True,
    help="How the file's letters are written.",
)
@click.pass_obj
def import_people(home: Home, file: Path, dry_run: bool, encoding: str) -> None:
    """Create users from a CSV file (- for standard input): all of them, or none.

    The first row names the columns: name and email are needed; full_name, phone, practice, require_2fa
    and public_key may be left out. Roles are never taken from a file, and nobody gets a password: make a
    one-time password with `twofold user password` for those without a key.
    """
    found = people_csv.read_people(_contents(file), encoding)
    if found.faults:
        _refuse_faults(found.faults)
    with installation(home) as here:
        with _progress(len(found.rows), "Checking") as told:
            checked = asyncio.run(importing.check_all(here.store, here.operator, found.rows, told))
        _settled(checked)
        if dry_run:
            click.echo(f"{_people(found.rows)} can be imported. Nothing was changed.")
            return
        with _progress(len(found.rows), "Importing") as told:
            result = asyncio.run(importing.import_people(here.store, here.operator, found.rows, told))
        say(_settled(result) or Denied("Nothing was imported."))


def _contents(path: Path) -> bytes:
    """Read a file; how large it is, is looked at before, and never more than that is read."""
    if str(path) == "-":
        raw = getattr(sys.stdin, "buffer", sys.stdin).read(people_csv.MAX_BYTES + 1)
        return raw if isinstance(raw, bytes) else raw.encode()
    if fault := people_csv.too_large(path.stat().st_size):
        refuse(fault)
    with path.open("rb") as file:
        return file.read(people_csv.MAX_BYTES + 1)


def _settled(result: Done | Faulty | Denied | SessionOver | None) -> Done | None:
    if isinstance(result, Faulty):
        _refuse_faults(result.faults)
    return confirmed(result)


def _refuse_faults(faults: tuple[RowFault, ...]) -> NoReturn:
    """Say what is wrong with which cell, and end the command."""
    echo_table(
        ("ROW", "COLUMN", "WHAT IS WRONG"),
        [(str(fault.row or "-"), fault.column or "-", fault.wrong) for fault in faults[:_SHOWN_FAULTS]],
        limit=160,
    )
    more = len(faults) - _SHOWN_FAULTS
    if more > 0:
        click.echo(f"... and {more} more.")
    refuse("Nobody was imported. Mend what is listed, and import the file again.")


def _people(rows: tuple[PersonRow, ...]) -> str:
    return f"{len(rows)} user{'' if len(rows) == 1 else 's'}"


@contextmanager
def _progress(count: int, label: str) -> Iterator[Told]:
    """Show a bar to someone on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    with click.progressbar(length=count, label=f"{label:<9}", file=sys.stderr) as bar:
        yield bar.update
