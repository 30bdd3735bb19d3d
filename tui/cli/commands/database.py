"""`twofold database`: moving an installation to another database."""

from pathlib import Path

import click

from data.operations.maintenance.installation_state import InstallationState, installation_state
from data.rules.safe_text import safe
from data.storage.database import Place
from data.storage.database_move import CopyFailedError, can_finish, copy_database, count_rows, finish
from data.storage.files import first_line
from data.storage.home import Home
from data.storage.postgresql import NotEmptyError, PostgresqlUrl, PostgresqlUrlError
from data.wording.words import Question, counted
from tui.cli.confirmation import asks_first, confirm
from tui.cli.open_installation import Opened, check_in_use, opened, refuse, said_in_words, system_clock
from tui.cli.path_arguments import PathType
from tui.cli.streams import echo
from tui.cli.text_tables import progress


@click.group(
    epilog="\b\nExamples:\n"
    "  twofold database copy --to postgresql://twofold@db.example/twofold\n"
    "  twofold database copy --to /var/lib/twofold/twofold.db\n"
)
def database() -> None:
    """Move an installation to another database."""


@database.command(
    epilog="\b\nExamples:\n"
    "  twofold database copy --to postgresql://twofold@db.example/twofold\n"
    "  twofold database copy --to 'postgresql://twofold@db/twofold?sslmode=verify-full' --password-file pw\n"
    "  twofold database copy --to /var/lib/twofold/twofold.db --yes\n"
)
@click.option(
    "--to", "where", metavar="URL|FILE", required=True, help="An empty PostgreSQL database, or a new file."
)
@click.option(
    "--password-file",
    type=PathType(exists=True, dir_okay=False),
    help="A file with the password of the PostgreSQL database.",
)
@asks_first
@click.pass_obj
def copy(home: Home, where: str, password_file: Path | None) -> None:
    """Move everything to an empty database, to be served from there.

    Either everything arrives, or nothing. The old database is marked as moved, and no node can write to it
    any more. Stop the server of this home first.
    """
    target = _target(where, password_file)
    with opened(home) as here, home.serving():
        state = here.store.run_now(installation_state)
        if state is not None and state.moved_to == _named(target) and _finished(target, state):
            echo(f"Finished the copy in {_named(target)}.")
        else:
            check_in_use(here)
            confirm(
                Question(
                    "Move it?",
                    f"Everything will be moved from {here.place} to {target}. No node can serve from "
                    f"{here.place} any more.",
                    "Move",
                )
            )
            rows = _copied(here, target)
            echo(f"Copied {counted(rows, 'row')} to {_named(target)}. {here.place} is no longer used.")
    echo(_next(home, target))


def _target(where: str, password_file: Path | None) -> Place:
    if "://" not in where:
        path: Path = PathType().convert(where, None, None)
        return path.absolute()
    try:
        password = first_line(password_file) if password_file else None
    except OSError as error:
        raise click.UsageError(f"{password_file}: {error.strerror}.") from None
    try:
        return PostgresqlUrl.parse(where, password)
    except PostgresqlUrlError as error:
        raise click.UsageError(str(error)) from None


def _named(place: Place) -> str:
    return safe(f"the file {place}" if isinstance(place, Path) else place, 1_100)


def _finished(target: Place, state: InstallationState) -> bool:
    with said_in_words(target):
        if not can_finish(target, state.key_check):
            return False
        finish(target)
    return True


def _copied(here: Opened, target: Place) -> int:
    with said_in_words(here.place), here.database.connection_context():
        total = count_rows(here.database)
    try:
        with said_in_words(target), progress(total, "Copying") as told:
            return copy_database(
                here.database, target, moved_to=_named(target), now=system_clock(), told=told
            )
    except FileExistsError:
        refuse(f"{target} already exists. Choose another name.")
    except OSError as error:
        refuse(f"The file {target} cannot be written: {error.strerror}.")
    except NotEmptyError as error:
        refuse(f"{target}: {error} Choose an empty one.")
    except CopyFailedError as error:
        refuse(f"{error} Nothing was kept. Try again.")


def _next(home: Home, target: Place) -> str:
    if isinstance(target, PostgresqlUrl):
        return f"Now set `database` to that URL in {home.settings}, on every node, then start serving."
    if target == home.database:
        return f"Now remove `database` from {home.settings}, then start serving."
    return f"Now move it to {home.database} and remove `database` from {home.settings}, then start serving."
