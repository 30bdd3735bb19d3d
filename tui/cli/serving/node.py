"""Serving a home as one node: what is opened, checked and printed before the port opens."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Iterator
from typing import Final

import click

from data.authserver.addresses import Addresses, RadiusPortError
from data.authserver.http_settings import HttpSettings, HttpSettingsError
from data.errors import ExplainedError
from data.operations.certificates.withdrawal import withdraw_reserved
from data.operations.policy import needs_attention
from data.operations.policy.needs_attention import NeedsAttention
from data.operations.signin import worker_sessions
from data.rules import passwords
from data.rules.safe_text import safe
from data.storage.home import Home
from sshserver import hostkey as host_keys
from sshserver.limits import open_files
from sshserver.telemetry.connection_events import Telemetry, tell
from sshserver.telemetry.metrics_endpoint import Texts, exposed
from sshserver.workers.fork_server import ForkServer
from sshserver.workers.heartbeat import WorkerIdentity
from sshserver.workers.port import PortError, hold_port
from sshserver.workers.supervisor import Supervisor
from sshserver.workers.worker import Assignment
from tui.cli import logging_setup
from tui.cli.command_groups import load
from tui.cli.commands.setup import FirstAdmin, initialise, load_host_key
from tui.cli.open_installation import Installation, installation, refuse_lost
from tui.cli.streams import echo

_log = logging.getLogger("twofold.serve")
_FIRST_ACCOUNT: Final = "Twofold"
_FIRST_ADMIN: Final = "admin"
_FIRST_EMAIL: Final = "admin@twofold.test"
_LOCALHOST: Final = "127.0.0.1"


def serve_node(
    home: Home,
    host: str | None,
    port: int | None,
    workers: int,
    forks: ForkServer | None,
    *,
    files: int,
    first_start: bool,
    http: tuple[str, int] | None = None,
    radius: tuple[str, int] | None = None,
) -> None:
    """Serve a home until asked to stop: in this process, or in `workers` that `forks` starts.

    If `host` or `port` is None, the settings' value is used; so it is with `http` and `radius`, the
    addresses for other applications. `files` is how many may be open at once.

    Raises:
        ExplainedError: when the server cannot start; a `PortError` when it cannot get its port.
    """
    first = None
    if first_start and not home.initialised:
        first = initialise(home, _FIRST_ACCOUNT, _FIRST_ADMIN, _FIRST_EMAIL)
    # Each node has its own chain of audit rows, so that nodes do not wait for each other.
    with _first_password_said(first), home.serving() as node, installation(home, node) as here:
        logging_setup.configure(here.settings.log_level, here.settings.log_format)
        if files < open_files.FEW:
            tell(_log, logging.WARNING, "files.few", limit=files, wanted=open_files.FEW)
        here.store.run_now(withdraw_reserved)
        here.store.rest()
        address = host or here.settings.host
        chosen = here.settings.port if port is None else port
        at_http = here.settings.http if http is None else here.settings.http.at(*http)
        at_http.check()
        addresses = Addresses(at_http, radius or here.settings.radius)
        welcome = _Welcome(here, address, first, newcomer=first_start)
        if forks is None:
            asyncio.run(_serve_alone(here, node, address, chosen, addresses, welcome))
        else:
            _serve_together(here, node, address, chosen, addresses, workers, forks, welcome)


@contextlib.contextmanager
def _first_password_said(first: FirstAdmin | None) -> Iterator[None]:
    """Print the first administrator's password if the start fails: it could never be shown again."""
    try:
        yield
    except (click.ClickException, ExplainedError):
        if first is not None:
            echo(f"One-time password of {first.name}: {first.password}")
            echo(passwords.one_time_terms(first.until))
        raise


class _Welcome:
    """What is printed when the port is open; all of it is read beforehand."""

    def __init__(self, here: Installation, host: str, first: FirstAdmin | None, *, newcomer: bool) -> None:
        self._host = host
        self._first = first
        self._name = None if first or not newcomer else _administrator(here)
        self._fingerprint = host_keys.fingerprint(load_host_key(here.home)) if first else ""

    def say(self, port: int, addresses: Addresses) -> None:
        shown = _LOCALHOST if self._host in ("", "0.0.0.0", "::") else self._host  # noqa: S104 - not listened on.
        if self._first is not None:
            echo(
                f"Created a new installation. This is shown only once:\n"
                f"\n"
                f"  administrator      {self._first.name}\n"
                f"  one-time password  {self._first.password}\n"
                f"  valid until        {self._first.until:%Y-%m-%d %H:%M} UTC, for one sign-in\n"
                f"  host key           {self._fingerprint}\n"
                f"\n"
                f"  ssh -p {port} {self._first.name}@{shown}\n"
                f"\n"
                f"If ssh warns that the host key has changed, remove the previous installation's key first:\n"
                f"\n"
                f"  ssh-keygen -R '[{shown}]:{port}'\n"
            )
        elif self._name is not None:
            echo(f"  ssh -p {port} {self._name}@{shown}\n")
        listening = f"[{self._host}]" if ":" in self._host else self._host
        echo(f"listening on {listening}:{port}")
        for line in addresses.shown:
            echo(line)


def _administrator(here: Installation) -> str:
    """Return the name of an administrator who can sign in; with several accounts, a placeholder."""
    found = here.run(needs_attention.show_needs_attention)
    here.store.rest()
    return safe(found.admins.names[0]) if isinstance(found, NeedsAttention) else "NAME"


async def _serve_alone(
    here: Installation, node: str, host: str, port: int, addresses: Addresses, welcome: _Welcome
) -> None:
    # A supervisor does not load the app, which takes time and memory.
    serve_until_told = load("tui.cli.serving.worker:serve_until_told")
    await here.store.run(worker_sessions.take_node, node)
    identity = WorkerIdentity(secrets.token_hex(8), node)
    telemetry = Telemetry()

    async def measured() -> Texts:
        return {1: telemetry.metrics.text()}

    async with exposed(here.settings.metrics_port, measured):
        await serve_until_told(
            here,
            identity,
            host,
            port,
            addresses,
            telemetry=telemetry,
            ready=lambda server, served: welcome.say(server.port, served),
        )


def _serve_together(
    here: Installation,
    node: str,
    host: str,
    port: int,
    addresses: Addresses,
    workers: int,
    forks: ForkServer,
    welcome: _Welcome,
) -> None:
    held = hold_port(host, port)
    shared = int(held[0].getsockname()[1])
    http, radius = addresses.http, addresses.radius
    if http.host:
        held_for_http = _hold_for_http(http)
        held += held_for_http
        http = http.at(http.host, int(held_for_http[0].getsockname()[1]))
    if radius[0]:
        radius = radius[0], _free_for_radius(*radius)
    key = str(here.home.key_file or "")
    at_http = http.host, http.port
    assignment = Assignment(str(here.home.path), key, host, shared, node, workers, at_http, radius)
    supervisor = Supervisor(here.store, forks, assignment, here.settings.limits, here.settings.metrics_port)
    try:
        asyncio.run(supervisor.run(lambda: welcome.say(shared, Addresses(http, radius))))
    finally:
        for address in held:
            address.close()
    refuse_lost(here)


def _hold_for_http(http: HttpSettings) -> list[socket.socket]:
    try:
        return hold_port(http.host, http.port)
    except PortError as error:
        raise HttpSettingsError(f"{error} Choose another address for HTTP with --http.") from None


def _free_for_radius(host: str, port: int) -> int:
    """Return the port that one of the workers will own; a socket held here would take packets from it."""
    bind = load("data.authserver.radius_listener:bind")
    try:
        held: list[socket.socket] = bind(host, port)
    except OSError as error:
        raise RadiusPortError(host, port, error) from None
    free = int(held[0].getsockname()[1])
    for each in held:
        each.close()
    return free
