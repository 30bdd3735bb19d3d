"""`twofold backup` and `twofold restore`: an installation in one file, and bringing it back."""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from data.operations.signing_in import presence
from data.operations.upkeep import backups
from data.operations.upkeep.backups import Carried
from data.operations.upkeep.installing import standing
from data.rules.text import safe
from data.storage import backup as storage
from data.storage.copying import CopyFailedError, count_rows
from data.storage.database import Place, SchemaState, is_ours, open_database
from data.storage.home import Home, HomeError
from data.storage.postgresql import Postgresql
from data.storage.sqlite import open_sqlite
from data.store import Store, StoreUnavailableError
from sshserver.presence import BEAT_SECONDS
from tui import settings as settings_file
from tui.cli.installation import (
    check_in_use,
    confirmed,
    on_a_terminal,
    opened,
    operator,
    refuse,
    said_in_words,
    services,
    state_of,
    system_clock,
)
from tui.cli.setup import migrate_with_key
from tui.cli.tables import progress, when
from tui.settings import Settings

_WAITED_SECONDS = BEAT_SECONDS + 1
"""After which a server that is alive has counted a beat more."""
_WORKING = "twofold.db.restoring"


@click.command(
    short_help="Write all there is to a new file, while serving.",
    epilog="\b\nExamples:\n  twofold backup /backup/twofold-monday\n"
    '  twofold backup "/backup/twofold-$(date +%F)"\n',
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def backup(home: Home, file: Path) -> None:
    """Write all there is to a new FILE, as it stands at one moment, while servers go on serving.

    The secrets in it are sealed under the master key, which is not in it: keep that elsewhere.
    """
    with opened(home) as here:
        check_in_use(here)
        if file.exists():
            refuse(f"There is a file {file} already. Name one that is not there yet.")
        confirmed(here.store.run_now(backups.record_backup, operator()))
        with said_in_words(here.place), here.database.connection_context():
            total = count_rows(here.database)
        with _said(file), said_in_words(here.place), progress(total, "Backing up") as told:
            rows = storage.back_up(here.database, file, now=system_clock(), told=told)
    click.echo(f"Wrote {rows} rows to {file}. It cannot be restored without {home.master_key}: keep a copy")
    click.echo("of that, of twofold.toml and of the host key in another place.")


@click.command(
    short_help="Replace everything by what a backup holds.",
    epilog="\b\nExamples:\n  twofold restore /backup/twofold-monday\n"
    "  twofold --home /var/lib/twofold restore /backup/twofold-monday --yes\n",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--replace-damaged", is_flag=True, help="Replace a database that cannot be read.")
@click.pass_obj
def restore(home: Home, file: Path, yes: bool, replace_damaged: bool) -> None:
    """Replace everything by what a backup FILE holds; what is replaced is kept beside it.

    No code becomes good twice: every time step up to now counts as spent, and sent codes, remembered
    addresses and sessions end. Passwords, keys and people are as they were. Stop all servers before.
    """
    home.check()
    settings = settings_file.load(home.settings)
    place = settings.database or home.database
    working = home.path / _WORKING
    with home.serving(), _said(file):
        try:
            storage.copy_file(file, working)
            taken_at = _prepared(home, settings, file, working)
            carried, since = _present(home, place, taken_at, replace_damaged=replace_damaged)
            _confirm(place, taken_at, since, yes=yes)
            _settle(home, settings, working, carried, taken_at)
            storage.take_mark_away(working)
            kept = _replace(home, place, working)
        finally:
            storage.remove(working)
    click.echo(f"Everything is as it was on {when(taken_at)}.")
    if kept is not None:
        click.echo(f"What was there before is kept in {kept}.")
    click.echo("Look whom to deactivate and which keys to remove again, then start serving.")


@contextlib.contextmanager
def _said(file: Path) -> Iterator[None]:
    """Say in one line what is wrong with a file."""
    try:
        yield
    except CopyFailedError as error:
        refuse(f"{error} Nothing was kept of it. Try again.")
    except OSError as error:
        refuse(f"{safe(error.filename2 or error.filename or file)}: {error.strerror}.")


def _prepared(home: Home, settings: Settings, file: Path, working: Path) -> datetime:
    """Bring the copy of a backup up to date, if it can be served here; return when it was taken."""
    database = open_database(working)
    if not is_ours(working, database):
        refuse(f"{file} is no backup of Twofold.")
    if state_of(working, database) is SchemaState.NEWER:
        refuse(f"{file} was taken by a newer version of Twofold. Install that version to restore it.")
    with said_in_words(working), database.connection_context(), database.exclusively():
        migrate_with_key(home, working, database)
    store = Store(database, services(home, settings))
    try:
        state = store.run_now(standing)
    finally:
        store.close()
    if state is None or state.backup_at is None:
        refuse(f"{file} was not made by `twofold backup`.")
    return state.backup_at


def _present(home: Home, place: Place, taken_at: datetime, *, replace_damaged: bool) -> tuple[Carried, int]:
    """Read from what is to be replaced what must not be forgotten, and how much was done since."""
    if not _is_there(place):
        return Carried(), 0
    try:
        with opened(home) as here:
            check_in_use(here)
            if isinstance(here.database, Postgresql):
                _refuse_while_served(here.store)
            return here.store.run_now(backups.carry), here.store.run_now(backups.acts_since, taken_at)
    except (HomeError, StoreUnavailableError) as error:
        if replace_damaged:
            return Carried(), 0
        refuse(
            f"{error} What is there now would be lost: to replace it all the same, say --replace-damaged. "
            "Whether two-factor authentication is permanent in it cannot be seen then."
        )


def _is_there(place: Place) -> bool:
    if isinstance(place, Path):
        return place.exists()
    database = open_database(place)
    with said_in_words(place):
        return is_ours(place, database)


def _refuse_while_served(store: Store) -> None:
    """Refuse while any node serves the database: its worker counts on."""
    before = store.run_now(presence.beats)
    if not before:
        return
    click.echo("Looking whether another node serves this database ...", err=True)
    time.sleep(_WAITED_SECONDS)
    after = store.run_now(presence.beats)
    if (
        any(after.get(worker, beat) != beat for worker, beat in before.items())
        or after.keys() - before.keys()
    ):
        refuse(
            "Another node serves this database, or the app is open on a host. Stop the servers of all nodes, "
            "leave the app, then repeat this."
        )


def _confirm(place: Place, taken_at: datetime, since: int, *, yes: bool) -> None:
    undone = f"{since} recorded act{'' if since == 1 else 's'} since then will be undone"
    if yes:
        return
    if not on_a_terminal():
        refuse(f"Not confirmed: {undone}. Say --yes to go on.")
    click.confirm(
        safe(f"Replace {place} by the backup of {when(taken_at)}? {undone[:1].upper()}{undone[1:]}.", 1_000),
        abort=True,
        err=True,
    )


def _settle(home: Home, settings: Settings, working: Path, carried: Carried, taken_at: datetime) -> None:
    store = Store(open_sqlite(working), services(home, settings))
    try:
        confirmed(store.run_now(backups.settle, operator(), carried, taken_at=taken_at))
    finally:
        store.close()


def _replace(home: Home, place: Place, working: Path) -> Path | None:
    """Put the restored database in its place; return where the one that was there is kept."""
    kept = home.path / f"twofold.db.replaced-{system_clock():%Y%m%d-%H%M%S}"
    if isinstance(place, Path):
        there = place.exists()
        storage.replace_file(working, place, kept)
        return kept if there else None
    database = open_database(place)
    if not isinstance(database, Postgresql):
        raise TypeError(place)
    with said_in_words(place):
        there = is_ours(place, database)
        if there:
            storage.back_up(database, kept, now=system_clock(), told=lambda _more: None)
        with open_sqlite(working).connection_context():
            total = count_rows(open_sqlite(working))
        with progress(total, "Restoring") as told:
            storage.replace_content(working, database, told)
    return kept if there else None
