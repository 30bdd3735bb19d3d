"""The commands that set up an installation: init, hostkey, upgrade."""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click
from asyncssh.public_key import SSHKey

from data.operations.actors import Operator
from data.operations.audit import chain
from data.operations.maintenance import master_key, setup
from data.operations.maintenance.installation_state import installation_state_of
from data.operations.results import Denied
from data.operations.users.lifecycle import NewUser
from data.rules import passwords
from data.rules.domain_types import ADMIN_ROLES
from data.rules.passwords import FIRST_ONE_TIME_HOURS
from data.rules.safe_text import safe
from data.rules.user_fields import TEXT_LIMIT, fold_email, fold_username, tidy
from data.storage import models
from data.storage.database import (
    Database,
    Place,
    SchemaState,
    create_database,
    migrate,
    open_database,
)
from data.storage.home import Home, HomeError
from data.storage.postgresql import NotEmptyError, PostgresqlUrl, PostgresqlUrlError
from data.storage.sqlite import disk_errors_of
from data.store import Store, Tx
from sshserver import hostkey as host_keys
from tui.cli import config_file as settings_file
from tui.cli.confirmation import changes
from tui.cli.open_installation import (
    WrongKeyError,
    hours_option,
    operator,
    place_of,
    read_password_line,
    refuse,
    refuse_unused,
    said_in_words,
    services,
    state_of,
    system_clock,
)
from tui.cli.streams import can_ask, echo

_DEFAULT_ACCOUNT = "Twofold"
_DEFAULT_ADMIN = "admin"
_LOCALHOST = "127.0.0.1"
_STANDARD_PORT = 22
_JOIN = "To join it, copy twofold.toml, master.key and ssh_host_ed25519_key from another node's home."
_CHAINING = "0005_audit_chain"
"""The migration after which older audit rows are added to a chain."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A value that `init` needs; `fold` returns nothing for an invalid answer."""

    option: str
    words: str
    default: str | None
    fold: Callable[[str], str | None]
    fault: str


_QUESTIONS = (
    _Question(
        "--account",
        "Name of the organisation",
        _DEFAULT_ACCOUNT,
        tidy,
        f"The name of the organisation must have between 1 and {TEXT_LIMIT} characters.",
    ),
    _Question(
        "--admin",
        "User name of the first administrator",
        _DEFAULT_ADMIN,
        fold_username,
        "The administrator's user name may contain only a-z, 0-9, dots, underscores and dashes.",
    ),
    _Question(
        "--email",
        "E-mail address of the first administrator",
        None,
        fold_email,
        "That is not an e-mail address. Enter one such as anna@clinic.example.",
    ),
)


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """The administrator that `init` created, and how long the one-time password is valid.

    `password` is None if the caller chose it.
    """

    name: str
    until: datetime
    password: str | None = field(repr=False)


@click.command(
    short_help="Create an installation and its first administrator.",
    epilog="\b\nExamples:\n"
    "  twofold init\n"
    "  twofold init --account Clinic --admin anna --email anna@clinic.example\n"
    "  pass show twofold | twofold init --password-stdin --account Clinic --admin anna --email a@b.example\n"
    "  twofold init --database 'postgresql://twofold@db.example/twofold?sslmode=verify-full'\n",
)
@click.option("--account", "account_name", help="The organisation's name.")
@click.option("--admin", help="The first administrator's user name.")
@click.option("--email", help="The first administrator's e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the one-time password from standard input.")
@hours_option(FIRST_ONE_TIME_HOURS)
@click.option(
    "--database",
    "url",
    metavar="URL",
    help="Use this empty PostgreSQL database, for several nodes. "
    "Put its password in ~/.pgpass, or use the next option.",
)
@click.option("--database-password-file", metavar="FILE", help="A file with the database's password.")
@changes
@click.pass_obj
def init(
    home: Home,
    account_name: str | None,
    admin: str | None,
    email: str | None,
    password_stdin: bool,
    hours: int,
    url: str | None,
    database_password_file: str | None,
) -> None:
    """Create an installation: its home, keys, database, account and first administrator.

    Missing values are asked for on a terminal. The administrator gets a one-time password, which must be
    changed at first sign-in.
    """
    if home.initialised:
        refuse(f"{home.path} is already initialised. Start the server with: {home.command('serve')}")
    answers = (account_name, admin, email)
    for question, answer in zip(_QUESTIONS, answers, strict=True):
        if answer:
            _check(question, answer)
    account_name, admin, email = (
        answer or _asked(question) for question, answer in zip(_QUESTIONS, answers, strict=True)
    )
    given = read_password_line() if password_stdin else None
    first = initialise(
        home, account_name, admin, email, given, hours, _database_settings(url, database_password_file)
    )
    echo(f"Created {safe(account_name)} in {home.path}.")
    if first.password is not None:
        echo(f"One-time password of {first.name}: {first.password}")
    echo(passwords.one_time_terms(first.until))
    echo(f"Start the server with: {home.command('serve')}")


@click.command(
    short_help="Show the host key's fingerprint and known_hosts line.",
    epilog="\b\nExample:\n  twofold hostkey --host ssh.clinic.example >> ~/.ssh/known_hosts\n",
)
@click.option(
    "--host", default=_LOCALHOST, show_default=True, help="The name or address that clients connect to."
)
@click.option("--port", type=click.IntRange(1, 65_535), help="The port, instead of the one in twofold.toml.")
@click.pass_obj
def hostkey(home: Home, host: str, port: int | None) -> None:
    """Show the fingerprint of the host key and its line for known_hosts."""
    home.check()
    settings = settings_file.load(home.settings)
    key = load_host_key(home)
    echo(host_keys.fingerprint(key), err=True)
    echo(host_keys.known_hosts_line(key, host, port or settings.port or _STANDARD_PORT))


@click.command(
    short_help="Bring the database's schema up to date.", epilog="\b\nExample:\n  twofold upgrade\n"
)
@changes
@click.pass_obj
def upgrade(home: Home) -> None:
    """Bring the database's schema up to date: completely, or not at all.

    An embedded database is copied first. For a PostgreSQL database, make a copy with pg_dump and stop the
    other nodes first.
    """
    home.check()
    place = place_of(home, settings_file.load(home.settings))
    database = open_database(place)
    state = state_of(place, database)
    with said_in_words(place), database.connection_context():
        refuse_unused(home, place, installation_state_of(database))
    if state is SchemaState.CURRENT:
        echo("The database is up to date.")
        return
    if state is SchemaState.NEWER:
        refuse("The database is from a newer version of Twofold. Install that version to use it.")
    with home.serving(), said_in_words(place), database.connection_context():
        if isinstance(place, Path):
            _copy_file(place)
        with database.exclusively():
            applied = migrate_with_key(home, place, database)
    what = f"Applied {', '.join(applied)}." if applied else "Another node has just upgraded it."
    echo(f"{what} The database is up to date.")


def _copy_file(path: Path) -> None:
    backup = path.with_name(f"{path.name}.{system_clock():%Y%m%d-%H%M%S}.backup")
    backup.touch(mode=0o600, exist_ok=False)
    try:
        with (
            disk_errors_of(backup),
            contextlib.closing(sqlite3.connect(path)) as source,
            contextlib.closing(sqlite3.connect(backup)) as target,
        ):
            source.backup(target)
    except BaseException:
        backup.unlink()
        raise
    echo(f"Copied the database to {backup}.")


def migrate_with_key(home: Home, place: Place, database: Database) -> list[str]:
    """Apply pending migrations, with the steps that need the master key in the same transaction.

    Raises:
        WrongKeyError: when the database is sealed with another key.
    """
    applied = migrate(database)
    models.database.initialize(database)
    tx = Tx(system_clock(), services(home, settings_file.load(home.settings)), database)
    if not master_key.fits(tx):
        raise WrongKeyError(home, place)
    if _CHAINING in applied:
        chain.adopt_older(tx)
    return applied


def _asked(question: _Question) -> str:
    """Ask until the answer is valid."""
    if not can_ask():
        raise click.UsageError(f"{question.option} is required when there is no terminal to ask on.")

    def taken(typed: str) -> str:
        if not question.fold(typed):
            raise click.UsageError(question.fault)
        return typed

    return str(click.prompt(question.words, default=question.default, err=True, value_proc=taken))


def _check(question: _Question, answer: str) -> None:
    if not question.fold(answer):
        refuse(question.fault)


def _database_settings(url: str | None, password_file: str | None) -> dict[str, str]:
    """Return the settings of the database for twofold.toml, checked."""
    if url is None:
        if password_file is not None:
            raise click.UsageError("--database-password-file needs --database.")
        return {}
    try:
        PostgresqlUrl.parse(url)
    except PostgresqlUrlError as error:
        raise click.UsageError(str(error)) from None
    if password_file is None:
        return {"database": url}
    return {"database": url, "database_password_file": str(Path(password_file).absolute())}


def initialise(
    home: Home,
    account_name: str,
    admin: str,
    email: str,
    given: str | None = None,
    hours: int = FIRST_ONE_TIME_HOURS,
    settings: Mapping[str, str] | None = None,
) -> FirstAdmin:
    """Create a home with its first administrator; after a failure, remove what was created."""
    for question, answer in zip(_QUESTIONS, (account_name, admin, email), strict=True):
        _check(question, answer)
    if given and (fault := passwords.fault(given, about=(admin, email, account_name))):
        refuse(fault)
    home.create(settings_file.template(**settings or {}), host_keys.generate())
    try:
        return _install(home, operator(), account_name, admin, email, given, hours)
    except BaseException:
        home.discard()
        raise


def _install(
    home: Home, by: Operator, account_name: str, admin: str, email: str, given: str | None, hours: int
) -> FirstAdmin:
    settings = settings_file.load(home.settings)
    place = settings.database or home.database
    made = services(home, settings)
    password = given or passwords.one_time_from_random(made.random_bytes(20))
    hashed = made.hasher.hash(password)
    first = NewUser(name=admin, email=email, roles=ADMIN_ROLES, password_hash=hashed, hours=hours)
    until = passwords.one_time_end(system_clock(), hours)
    store = Store(_created(place), made)
    try:
        result = store.run_now(setup.install, by, account_name, first)
    finally:
        store.close()
    if isinstance(result, Denied):
        refuse(
            result.message if isinstance(place, Path) else f"{place} already holds an installation. {_JOIN}"
        )
    return FirstAdmin(fold_username(admin) or admin, until, None if given else password)


def _created(place: Place) -> Database:
    try:
        with said_in_words(place):
            return create_database(place)
    except NotEmptyError as error:
        refuse(f"{place}: {error}")


def load_host_key(home: Home) -> SSHKey:
    """Read a home's host key.

    Raises:
        HomeError: when it is missing or damaged; it says what to do.
    """
    try:
        return host_keys.load(home.read_host_key())
    except host_keys.HostKeyError as error:
        raise HomeError(f"{error} Restore {home.host_key} from a backup of this home.") from None
