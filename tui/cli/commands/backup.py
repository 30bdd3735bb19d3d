"""`twofold backup` and `twofold restore`: an installation in one file."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click

from data.operations.maintenance import backups
from data.operations.maintenance.backups import Carried, Restored
from data.operations.maintenance.database_summary import describe
from data.operations.maintenance.installation_state import installation_state
from data.operations.signin import worker_sessions
from data.rules.database_comparison import DatabaseFacts
from data.rules.doctor import BACK_AGAIN
from data.rules.safe_text import safe
from data.storage import backup as storage
from data.storage.backup import BackupRefusedError
from data.storage.database import Place, is_ours, open_database
from data.storage.database_move import CopyFailedError, count_rows
from data.storage.home import Home, HomeError
from data.storage.postgresql import Postgresql
from data.storage.restored_rows import rebuild
from data.storage.sqlite import open_sqlite
from data.store import Store, StoreUnavailableError
from data.wording.words import Question, counted, listed
from sshserver.workers.heartbeat import BEAT_SECONDS
from tui.cli import config_file as settings_file
from tui.cli.commands.restore_unverified import show_unverified
from tui.cli.commands.setup import migrate_with_key
from tui.cli.config_file import Settings
from tui.cli.confirmation import asks_first, changes, confirm
from tui.cli.open_installation import (
    check_in_use,
    confirmed,
    opened,
    operator,
    refuse,
    said_in_words,
    services,
    system_clock,
)
from tui.cli.path_arguments import PathType
from tui.cli.prompts import tell
from tui.cli.streams import echo
from tui.cli.text_tables import progress, when

_WAITED_SECONDS = BEAT_SECONDS + 1
"""Time in which a live server sends at least one more heartbeat."""
_COPIED, _WORKING = "twofold.db.restoring-copy", "twofold.db.restoring"


@click.command(
    short_help="Back up everything to a new file, while serving.",
    epilog="\b\nExamples:\n  twofold backup /backup/twofold-monday\n"
    '  twofold backup "/backup/twofold-$(date +%F)"\n',
)
@click.argument("file", type=PathType(dir_okay=False))
@changes
@click.pass_obj
def backup(home: Home, file: Path) -> None:
    """Back up everything to a new FILE, as of one moment, while servers keep running.

    The secrets in the file are sealed with the master key, which is not in the file. Keep the key elsewhere.
    """
    with opened(home) as here:
        check_in_use(here)
        if file.exists():
            refuse(f"{file} already exists. Choose another name.")
        confirmed(here.store.run_now(backups.record_backup, operator()))
        with said_in_words(here.place), here.database.connection_context():
            total = count_rows(here.database)
        with _said(file), said_in_words(here.place), progress(total, "Backing up") as told:
            rows = storage.back_up(
                here.database, file, here.store.services.vault, now=system_clock(), told=told
            )
    written, key = safe(file, 1_000), safe(home.master_key, 1_000)
    echo(f"Wrote {counted(rows, 'row')} to {written}. Restoring it needs {key}:")
    echo("keep a copy of that key, of twofold.toml and of the host key elsewhere.")


@click.command(
    short_help="Replace everything with a backup.",
    epilog="\b\nExamples:\n  twofold restore /backup/twofold-monday\n"
    "  twofold --home /var/lib/twofold restore /backup/twofold-monday --yes\n",
)
@click.argument("file", type=PathType(exists=True))
@click.option("--replace-damaged", is_flag=True, help="Replace a database that cannot be read.")
@click.option(
    "--unverified",
    is_flag=True,
    help="Accept a backup without a keyed hash, such as one from an older version.",
)
@asks_first
@click.pass_obj
def restore(home: Home, file: Path, replace_damaged: bool, unverified: bool) -> None:
    """Replace everything with the contents of a backup FILE. The replaced database is kept.

    A backup is restored only if its keyed hash shows that it was not changed. A backup without one may
    have been changed by anyone who could write to it. --unverified restores it anyway, but first lists
    who holds a role, with which keys, and how the backup differs from the current database.

    No code becomes valid again: all time steps up to now count as used, and sent codes, remembered
    addresses, sessions and certificates end. Passwords, keys and users are as they were. Stop all servers
    first.
    """
    home.check()
    settings = settings_file.load(home.settings)
    place = settings.database or home.database
    copied, working = home.path / _COPIED, home.path / _WORKING
    with home.serving(), _said(file):
        try:
            storage.remove(working)
            verified = storage.copy_checked(file, copied, home.open_vault(), unverified=unverified)
            rebuild(copied, working)
            taken_at = _prepared(home, settings, working)
            present = _present(home, place, taken_at, verified=verified, replace_damaged=replace_damaged)
            if not verified:
                with _store(home, settings, working) as store:
                    show_unverified(file, store.run_now(describe), present.facts)
            confirm(_question(place, taken_at, present.since))
            with _store(home, settings, working) as store:
                restored = confirmed(
                    store.run_now(backups.settle, operator(), present.carried, taken_at=taken_at)
                )
            storage.take_mark_away(working)
            kept = _replace(home, place, working)
        finally:
            storage.remove(copied)
            storage.remove(working)
    echo(f"Restored the backup of {when(taken_at)}.")
    if kept is not None:
        echo(f"The replaced database is kept in {safe(kept, 1_000)}.")
    echo("Review users and keys before serving: the backup may bring back some that were removed.")
    for line in _about_certificates(restored):
        tell(line)


@contextlib.contextmanager
def _said(file: Path) -> Iterator[None]:
    """Report in one line what is wrong with a file."""
    try:
        yield
    except BackupRefusedError as error:
        refuse(f"{safe(file, 500)} {error}")
    except CopyFailedError as error:
        refuse(f"{error} Nothing was kept. Try again.")
    except OSError as error:
        refuse(f"{safe(error.filename2 or error.filename or file, 500)}: {error.strerror}.")


@dataclass(frozen=True, slots=True)
class _Present:
    """The database to replace: what must be carried over, how many acts came later, and who is in it.

    `since` is None if the acts cannot be counted; `facts` are there only if they will be compared.
    """

    carried: Carried = field(default_factory=Carried)
    since: int | None = 0
    facts: DatabaseFacts | None = None


@contextlib.contextmanager
def _store(home: Home, settings: Settings, path: Path) -> Iterator[Store]:
    store = Store(open_sqlite(path), services(home, settings))
    try:
        yield store
    finally:
        store.close()


def _prepared(home: Home, settings: Settings, working: Path) -> datetime:
    """Upgrade a rebuilt backup, if it can be served here; return when it was taken."""
    database = open_sqlite(working)
    with said_in_words(working), database.connection_context(), database.exclusively():
        storage.check_keys(database, home.open_vault())
        migrate_with_key(home, working, database)
    with _store(home, settings, working) as store:
        state = store.run_now(installation_state)
    if state is None or state.backup_at is None:
        raise BackupRefusedError("was not made by `twofold backup`.")
    return state.backup_at


def _present(
    home: Home, place: Place, taken_at: datetime, *, verified: bool, replace_damaged: bool
) -> _Present:
    """Read what must be carried over from the database to replace, and how many acts came later."""
    if not _is_there(place):
        return _Present()
    try:
        with opened(home) as here:
            check_in_use(here)
            if isinstance(here.database, Postgresql):
                _refuse_while_served(here.store)
            run = here.store.run_now
            return _Present(
                run(backups.carry),
                run(backups.acts_since, taken_at),
                None if verified else run(describe),
            )
    except (HomeError, StoreUnavailableError) as error:
        if replace_damaged:
            return _Present(since=None)
        refuse(
            f"{error} Replacing the database would lose it. To replace it anyway, add --replace-damaged. "
            "Permanent two-factor authentication in it would be lost too."
        )


def _is_there(place: Place) -> bool:
    if isinstance(place, Path):
        return place.exists()
    database = open_database(place)
    with said_in_words(place):
        return is_ours(place, database)


def _refuse_while_served(store: Store) -> None:
    """Refuse while any node serves the database: its workers keep sending heartbeats."""
    before = store.run_now(worker_sessions.beats)
    if not before:
        return
    echo("Checking whether another node serves this database ...", err=True)
    time.sleep(_WAITED_SECONDS)
    after = store.run_now(worker_sessions.beats)
    if (
        any(after.get(worker, beat) != beat for worker, beat in before.items())
        or after.keys() - before.keys()
    ):
        refuse(
            "Another node serves this database, or the app is open on a host. Stop the servers of all nodes, "
            "close the app, then try again."
        )


def _question(place: Place, taken_at: datetime, since: int | None) -> Question:
    undone = "The database cannot be read, so what will be undone is not known."
    if since is not None:
        undone = f"{counted(since, 'recorded act')} since then will be undone."
    return Question(
        "Replace it?", f"{place} will be replaced with the backup of {when(taken_at)}. {undone}", "Replace"
    )


def _about_certificates(restored: Restored) -> Iterator[str]:
    """Yield what a restore means for certificates, and what to do; nothing where none are issued."""
    if not restored.issues_certificates:
        return
    if restored.knows_authorities:
        yield "All certificates are withdrawn."
    else:
        yield "Certificates in the backup are withdrawn; hosts accept those issued since until they end."
        yield f"The certificate authority is that of the backup. {BACK_AGAIN}"
    if restored.kept:
        named = listed(restored.kept)
        yield f"The certificate authority of {named} is newer than the backup, and still signs."


def _replace(home: Home, place: Place, working: Path) -> Path | None:
    """Put the restored database in place; return where the replaced one is kept, if there was one."""
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
            storage.back_up(database, kept, home.open_vault(), now=system_clock(), told=lambda _more: None)
        with open_sqlite(working).connection_context():
            total = count_rows(open_sqlite(working))
        with progress(total, "Restoring") as told:
            storage.replace_content(working, database, told)
    return kept if there else None
