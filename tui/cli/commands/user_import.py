"""`twofold user import`: creating many users from CSV."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NoReturn

import click

from data.operations.results import Denied, Done, RefusedOrStale, SessionOver
from data.operations.users import google_authenticator_import, user_import
from data.operations.users.user_import import Faulty
from data.rules import google_authenticator_file, users_csv
from data.rules.google_authenticator_file import AuthenticatorFile, FileFault
from data.rules.safe_text import safe
from data.rules.users_csv import RowFault
from data.storage.files import open_plain
from data.wording import consequences
from data.wording.words import counted
from tui.cli.caller import Caller
from tui.cli.command_groups import for_members
from tui.cli.confirmation import act, asks_first, confirm
from tui.cli.member.caller import MemberCaller
from tui.cli.open_installation import confirmed, refuse, say
from tui.cli.path_arguments import NamedFile
from tui.cli.prompts import tell
from tui.cli.streams import echo, streams
from tui.cli.text_tables import echo_table, progress

_SHOWN_FAULTS = 100
_importers: set[int | None] = set()
"""The members whose files are read or imported by this process."""
_lock = Lock()


@for_members(without=["takes_over"])
@click.command(
    "import",
    short_help="Create users from a CSV file: all of them, or none.",
    epilog="\b\nExamples:\n"
    "  twofold user import people.csv --dry-run\n"
    "  twofold user import people.csv\n"
    "  twofold user import --encoding cp1252 old-excel.csv\n"
    "  twofold user import --ignore-extra exported.csv\n"
    "  twofold user import --google-authenticator ben=/home/ben/.google_authenticator\n"
    "\n"
    "\b\nA file looks like this:\n"
    "  name,email,full_name,phone,practice,require_2fa,public_key\n"
    "  ben,ben@clinic.example,Ben Example,+49 30 1234567,Clinic North,yes,ssh-ed25519 AAAA...\n",
)
@click.argument("sources", nargs=-1, required=True, type=NamedFile(), metavar="FILE.csv | NAME=FILE...")
@click.option("--dry-run", is_flag=True, help="Only check the file; change nothing.")
@click.option(
    "--google-authenticator",
    "takes_over",
    is_flag=True,
    help="Import .google_authenticator files of existing users: NAME=FILE for each.",
)
@click.option(
    "--encoding",
    type=click.Choice(users_csv.ENCODINGS),
    default="utf-8",
    show_default=True,
    help="The encoding of the file.",
)
@click.option(
    "--ignore-extra",
    is_flag=True,
    help="Ignore columns that cannot be imported, such as those from `user export`.",
)
@asks_first
@act
def import_people(
    here: Caller,
    sources: tuple[str, ...],
    dry_run: bool,
    takes_over: bool,
    encoding: str,
    ignore_extra: bool,
) -> None:
    """Create users from a CSV file (- for standard input): all of them, or none.

    The first row names the columns. name and email are required; full_name, phone, practice, require_2fa and
    public_key are optional. Roles are never imported, and users get no password: invite those without a key
    with `twofold user invite --pending`.

    With --google-authenticator, existing users keep using their phones: the secret and the unused scratch
    codes are read from each user's file of Google's PAM module.
    """
    if takes_over:
        _take_over(here, [_named_file(source) for source in sources], dry_run=dry_run)
        return
    if len(sources) > 1:
        raise click.UsageError("Import one CSV file at a time.")
    file = Path(sources[0])
    if str(file) != "-" and not file.is_file():
        raise click.UsageError(f"{file} was not found.")
    confirmed(here.read(user_import.check_people, ()))  # Who may not import has nothing read.
    with _only_one(here):
        _import(here, file, encoding, dry_run=dry_run, ignore_extra=ignore_extra)


@contextmanager
def _only_one(here: Caller) -> Iterator[None]:
    """Refuse a member's second file while one is under way: each takes many times its size in memory."""
    user_id = here.session.user_id if isinstance(here, MemberCaller) else None
    with _lock:
        if user_id in _importers:
            refuse("Another import of yours is under way. Wait until it has ended.")
        _importers.add(user_id)
    try:
        yield
    finally:
        with _lock:
            _importers.discard(user_id)


def _import(here: Caller, file: Path, encoding: str, *, dry_run: bool, ignore_extra: bool) -> None:
    found = users_csv.read_people(_contents(file), encoding, ignore_extra=ignore_extra)
    with progress(len(found.seen), "Checking ") as told:
        checked = here.wait(user_import.check_all, here.store, here.actor, found.seen, told, found.faults)
    if isinstance(checked, Faulty) and found.extra and not ignore_extra:
        _refuse_faults(checked.faults, f" --ignore-extra ignores: {', '.join(found.extra)}.")
    _settled(checked)
    if found.extra:
        echo(safe(f"Ignored: {', '.join(found.extra)}.", 400))
    if dry_run:
        echo(f"{counted(len(found.rows), 'user')} can be imported. Nothing was changed.")
        return
    confirm(consequences.import_people(found.rows))
    with progress(len(found.rows), "Importing") as told:
        result = here.wait_until_stopped(
            lambda goes_on: user_import.import_people(here.store, here.actor, found.rows, told, goes_on)
        )
    say(_settled(result) or Denied("Nothing was imported."))
    if any(row.key is None for row in found.rows):
        echo(f"Invite users without a key with: {here.command('user invite --pending')}", err=True)


def _named_file(source: str) -> tuple[str, Path]:
    name, _, path = source.partition("=")
    if not name or not path:
        raise click.UsageError("Give each file as NAME=FILE, such as ben=/home/ben/.google_authenticator.")
    return name, Path(path)


def _take_over(here: Caller, named: list[tuple[str, Path]], *, dry_run: bool) -> None:
    """Import all files or none; name the settings that cannot be kept, but never a file's content."""
    taken: list[tuple[str, AuthenticatorFile]] = []
    unfit: list[tuple[str, str]] = []
    for name, path in named:
        file = _authenticator_file(path)
        if isinstance(file, FileFault):
            unfit.append((name, file.wrong))
        else:
            taken.append((name, file))
    if not unfit and dry_run:
        result = here.run(google_authenticator_import.find_unfit, taken)
    elif not unfit:
        confirm(consequences.take_over([name for name, _ in taken]))
        result = here.run(google_authenticator_import.take_over, taken)
    else:
        result = google_authenticator_import.Unfit(tuple(unfit))
    if isinstance(result, google_authenticator_import.Unfit):
        echo_table(("USER", "PROBLEM"), result.reasons, limit=160)
        refuse("Nothing was imported. Fix the problems above or leave out those users, then try again.")
    say(result)


def _authenticator_file(path: Path) -> AuthenticatorFile | FileFault:
    try:
        with open_plain(path) as file:
            return google_authenticator_file.read_file(file.read(google_authenticator_file.MAX_BYTES + 1))
    except OSError as error:
        return FileFault(f"The file cannot be read: {error.strerror}.")


def _contents(path: Path) -> bytes:
    """Read a file after checking its size; never read more than the limit."""
    if str(path) == "-":
        if streams().stdin.isatty():
            tell("Paste the CSV, then press Enter and Ctrl+D.", err=True)
        return streams().stdin.read(users_csv.MAX_BYTES + 1)
    if fault := users_csv.too_large(path.stat().st_size):
        refuse(fault)
    with open_plain(path) as file:
        return file.read(users_csv.MAX_BYTES + 1)


def _settled(result: Done | Faulty | RefusedOrStale | None) -> Done | None:
    if isinstance(result, Faulty):
        _refuse_faults(result.faults)
    if isinstance(result, SessionOver):
        refuse(f"{result.message} Nothing was imported.")
    return confirmed(result)


def _refuse_faults(faults: tuple[RowFault, ...], advice: str = "") -> NoReturn:
    """List what is wrong with each cell, and end the command."""
    echo_table(
        ("ROW", "COLUMN", "PROBLEM"),
        [(str(fault.row or "-"), fault.column or "-", fault.wrong) for fault in faults[:_SHOWN_FAULTS]],
        limit=160,
    )
    more = len(faults) - _SHOWN_FAULTS
    if more > 0:
        echo(f"... and {more} more.")
    refuse(f"Nothing was imported. Fix the problems above, then import the file again.{advice}")
