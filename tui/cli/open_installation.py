"""Opening an installation: from a home to a store."""

import asyncio
import getpass
import logging
import os
import signal
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click
from peewee import DatabaseError, InterfaceError, OperationalError

from data.delivery.carriers import Carriers
from data.operations.actors import Operator
from data.operations.audit import notice_outbox
from data.operations.maintenance.installation_state import InstallationState, fault_of, installation_state
from data.operations.maintenance.master_key import fits
from data.operations.results import Denied, Done, FreshProofNeeded, SessionOver
from data.rules.invitations import SshAddress
from data.rules.passwords import MAX_ONE_TIME_HOURS, ONE_TIME_HOURS
from data.rules.safe_text import safe
from data.storage.database import Database, Place, SchemaState, is_ours, open_database, schema_state
from data.storage.home import Home, HomeError
from data.storage.password_hashing import Hasher
from data.storage.postgresql import PostgresqlUrl
from data.storage.sqlite import reason_of
from data.store import Services, Store, StoreUnavailableError, Tx
from tui.cli.caller import Caller, GoesOn
from tui.cli.command_groups import named_account
from tui.cli.config_file import Settings, load
from tui.cli.prompts import tell
from tui.cli.streams import echo, streams

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])
_LONGEST_LINE = 10_000
_RESTORE = {
    True: "Restore it from a backup of this home.",
    False: "Check `database` in twofold.toml, or create one with: twofold init --database",
}
_CHAIN = "host"
"""The chain of audit rows that the commands write; each server writes its own."""


def system_clock() -> datetime:
    """Return the current time; the only place that reads the system's clock for decisions."""
    return datetime.now(UTC)


class WrongKeyError(HomeError):
    """The master key does not fit the database."""

    def __init__(self, home: Home, place: Place) -> None:
        super().__init__(
            f"The master key {home.master_key} does not match {place}. " + _other_key_advice(place)
        )


@dataclass(frozen=True, slots=True)
class Installation(Caller):
    """An open home: its settings, its store, and the operator who opened it."""

    home: Home
    settings: Settings
    store: Store
    actor: Operator
    carriers: Carriers

    def run(
        self, operation: Callable[Concatenate[Tx, Operator, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation as the operator."""
        return self.store.run_now(operation, self.actor, *args, **kwargs)

    def wait(self, work: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a coroutine function on a loop of its own."""
        return asyncio.run(work(*args, **kwargs))

    finish = wait
    """On the host, Ctrl+C ends the program: nobody asks here for what has begun."""

    def wait_until_stopped(self, work: Callable[[GoesOn], Coroutine[Any, Any, R]]) -> R:
        """Run work that stops after a part at Ctrl+C."""
        return asyncio.run(_until_interrupted(work))

    def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function here: nothing else waits."""
        return function(*args, **kwargs)

    def command(self, words: str) -> str:
        """Return the command line for this home."""
        return self.home.command(words)


async def _until_interrupted(work: Callable[[GoesOn], Coroutine[Any, Any, R]]) -> R:
    interrupted, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        return await work(lambda: not interrupted.is_set())
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def operator() -> Operator:
    """Return the person who runs the command, as the audit log names them."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = str(os.getuid())
    return Operator(login, named_account())


@dataclass(frozen=True, slots=True)
class Opened:
    """A home whose key fits its database, in use or not."""

    home: Home
    settings: Settings
    place: Place
    database: Database
    store: Store


@contextmanager
def installation(home: Home, chain: str = _CHAIN) -> Iterator[Installation]:
    """Open an installation for one command, whose audit rows go to this chain.

    Notices to users by e-mail are sent at the end.

    Raises:
        HomeError: when the home, its key or its database cannot be used; it says what to do.
    """
    with opened(home, chain) as found:
        check_in_use(found)
        found.store.recognise = fault_of
        found.store.rest()
        with _telling_users(found.store, found.settings.carriers):
            yield Installation(home, found.settings, found.store, operator(), found.settings.carriers)


@contextmanager
def opened(home: Home, chain: str = _CHAIN) -> Iterator[Opened]:
    """Open a home's database, in use or not.

    Raises:
        HomeError: when the home, its key or its database cannot be used; it says what to do.
    """
    home.check()
    settings = load(home.settings)
    place = place_of(home, settings)
    database = _checked_database(home, place)
    store = Store(database, services(home, settings, chain))
    try:
        if not store.run_now(fits):
            raise WrongKeyError(home, place)
        yield Opened(home, settings, place, database, store)
    finally:
        store.close()


def check_in_use(found: Opened) -> None:
    """Refuse a database that was moved elsewhere, a backup, or a copy that is not finished.

    Raises:
        HomeError: with what to do.
    """
    refuse_unused(found.home, found.place, found.store.run_now(installation_state))


def refuse_unused(home: Home, place: Place, state: InstallationState | None) -> None:
    """Refuse a database whose state says that it was moved, is a backup, or is not finished.

    Raises:
        HomeError: with what to do.
    """
    if state is not None and state.moved_to is not None:
        where = safe(state.moved_to, 500)
        raise HomeError(
            f"This installation was moved to {where} on {state.moved_at:%Y-%m-%d}. "
            f"{place} is no longer in use. {_new_database_advice(home, where)}"
        )
    if state is not None and state.backup_at is not None:
        raise HomeError(f"{place} is a backup. Move it elsewhere, then restore it with: twofold restore FILE")
    if state is not None and state.arriving:
        raise HomeError(
            f"The copy in {place} is not finished. Repeat `twofold database copy` in the home that it came "
            "from, or empty the database."
        )


@contextmanager
def _telling_users(store: Store, carriers: Carriers) -> Iterator[None]:
    """Send the notices that were queued meanwhile; a server retries those that fail."""
    begun = store.services.clock()
    try:
        yield
    finally:
        if carriers.smtp is not None and not _told(store, carriers, begun):
            echo(
                "twofold: A notice by e-mail could not be sent. The server retries for a day.",
                err=True,
            )


def _told(store: Store, carriers: Carriers, since: datetime) -> bool:
    try:
        if not store.run_now(notice_outbox.is_due, since):
            return True
        from data.delivery.notices import send_own  # noqa: PLC0415 - most commands have nothing to send.

        with without_log_of_deliveries():
            return asyncio.run(send_own(store, carriers, since))
    except StoreUnavailableError:
        return True


@contextmanager
def without_log_of_deliveries() -> Iterator[None]:
    """Keep undelivered messages out of the log: they are reported otherwise, or would spoil the screen."""
    log = logging.getLogger("twofold.delivery")
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False


def place_of(home: Home, settings: Settings) -> Place:
    """Return where the database is: at the URL in the settings, or in the home.

    Raises:
        HomeError: when the file that should be in the home is missing.
    """
    if settings.database is not None:
        return settings.database
    home.check_database()
    return home.database


def _new_database_advice(home: Home, where: str) -> str:
    if "://" in where:
        return f"Set `database` in {home.settings} to the new URL."
    return f"Move that file to {home.database} and remove `database` from {home.settings}."


def _other_key_advice(place: Place) -> str:
    if isinstance(place, Path):
        return "Restore both from the same backup."
    return "Copy master.key from a node that serves this database, or from a backup of its home."


def services(home: Home, settings: Settings, chain: str = _CHAIN) -> Services:
    """Return the services of a process, made from a home's key and settings."""
    return Services(
        clock=system_clock,
        vault=home.open_vault(),
        hasher=Hasher(settings.cost),
        issuer=settings.issuer,
        home=home.path,
        sends=settings.carriers.methods,
        sms_number=settings.sms_number,
        ssh=_ssh_address(home, settings),
        forwarding=settings.forwarding,
        codes_per_day=settings.codes_per_day,
        longest_session=settings.longest_session,
        reserved_principals=settings.reserved_principals,
        chain=chain,
    )


def _ssh_address(home: Home, settings: Settings) -> SshAddress | None:
    if settings.public_address is None:
        return None
    return SshAddress(*settings.public_address, _fingerprint(home))


def _fingerprint(home: Home) -> str:
    """Return the host key's fingerprint as OpenSSH shows it; empty if the key cannot be read."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - few installations need this.
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_ssh_private_key,
    )

    try:
        key = load_ssh_private_key(home.read_host_key(), None).public_key()
        blob = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    except (HomeError, ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    digest = sha256(b64decode(blob)).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def state_of(place: Place, database: Database) -> SchemaState:
    """Return how the schema of a database compares with this program's.

    Raises:
        HomeError: when it is not a Twofold database, or cannot be read.
    """
    with said_in_words(place):
        if not is_ours(place, database):
            raise HomeError(f"{place} is not a Twofold database. {_RESTORE[isinstance(place, Path)]}")
        with database.connection_context():
            return schema_state(database)


@contextmanager
def said_in_words(place: Place) -> Iterator[None]:
    """Report in one line what is wrong with a database, without its password.

    Raises:
        HomeError: instead of the database's own errors.
    """
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        if isinstance(place, PostgresqlUrl):
            raise HomeError(f"{place} cannot be used: {safe(place.reason(error))}") from None
        if isinstance(error, OperationalError):
            raise HomeError(f"{place} cannot be used: {reason_of(error) or safe(error)}.") from None
        raise HomeError(f"{place} is damaged. {_RESTORE[True]}") from None


def refuse(message: str) -> NoReturn:
    """End a command that was refused: one line on stderr, exit status 1."""
    raise click.ClickException(message)


def refuse_lost(here: Installation) -> None:
    """End a command whose database file was moved while it was in use."""
    if here.store.lost.done():
        refuse(
            f"{here.home.database} was moved, replaced or removed while it was in use. Put the right file "
            "back, then start again."
        )


def confirmed(result: R | Denied | SessionOver | FreshProofNeeded) -> R:
    """Return an operation's result, or end the command with its denial."""
    if isinstance(result, Denied | SessionOver):
        refuse(result.message)
    if isinstance(result, FreshProofNeeded):
        refuse("This needs a new code.")
    return result


def say(result: Done | Denied | SessionOver | FreshProofNeeded) -> None:
    """Print what was done, also after a Ctrl+C that came too late, or end the command with the denial."""
    done = confirmed(result)
    streams().interruption.clear()
    tell(done.message)


def read_password_line() -> str:
    """Read a password from the first line of standard input."""
    password = streams().stdin.readline(_LONGEST_LINE).decode("utf-8", "replace").rstrip("\r\n")
    if not password:
        raise click.UsageError("Standard input holds no password.")
    if len(password) == _LONGEST_LINE:
        raise click.UsageError("The first line of standard input is too long for a password.")
    return password


def hours_option(default: int = ONE_TIME_HOURS) -> Callable[[F], F]:
    """Return the option for how many hours a one-time password is valid."""
    return click.option(
        "--hours",
        type=click.IntRange(1, MAX_ONE_TIME_HOURS),
        default=default,
        show_default=True,
        help="Hours for which the one-time password is valid.",
    )


def _checked_database(home: Home, place: Place) -> Database:
    database = open_database(place)
    match state_of(place, database):
        case SchemaState.OLDER:
            raise HomeError(
                f"The database is from an older version of Twofold. Upgrade it: {home.command('upgrade')}"
            )
        case SchemaState.NEWER:
            raise HomeError(
                "The database is from a newer version of Twofold. Install that version to use it."
            )
        case SchemaState.CURRENT:
            return database
