"""`twofold serve`: in this process, or by several workers under a supervisor."""

import asyncio
import logging
import os
import secrets
import socket

import click

from data.operations.signin import worker_sessions
from data.rules import passwords
from data.storage.home import Home
from sshserver import hostkey as host_keys
from sshserver.limits import open_files
from sshserver.telemetry.connection_events import Telemetry, tell
from sshserver.workers.heartbeat import WorkerIdentity
from tui.cli import logging_setup
from tui.cli.commands.setup import FirstAdmin, initialise, load_host_key
from tui.cli.metrics import Texts, exposed
from tui.cli.open_installation import Installation, installation, refuse
from tui.cli.port import cannot_listen, hold_port
from tui.cli.supervisor import Supervisor

_log = logging.getLogger("twofold.serve")
_FIRST_ACCOUNT = "Twofold"
_FIRST_ADMIN = "admin"
_FIRST_EMAIL = "admin@twofold.test"
_LOCALHOST = "127.0.0.1"


@click.command(
    epilog="\b\nExamples:\n"
    "  twofold serve\n"
    "  twofold serve --host 0.0.0.0 --port 2222 --workers 4\n"
    "  twofold --home .twofold serve --init\n"
)
@click.option("--host", help="The address to listen on, instead of the settings'.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 picks a free one.")
@click.option("--init", "first_start", is_flag=True, help="Create the installation first if there is none.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that share the port, instead of the settings' or one per core.",
)
@click.pass_obj
def serve(home: Home, host: str | None, port: int | None, first_start: bool, workers: int | None) -> None:
    """Serve the app over SSH until stopped.

    Prints `listening on HOST:PORT` when all workers are ready; one that dies is started again. SIGTERM
    and Ctrl-C drain: no new connections, open sessions are told and closed.
    """
    first = None
    if first_start and not home.initialised:
        first = initialise(home, _FIRST_ACCOUNT, _FIRST_ADMIN, _FIRST_EMAIL)
    home.check()
    home.check_owner()
    # The audit rows of each node are chained apart, so that nodes do not wait for each other.
    with home.serving() as node, installation(home, node) as here:
        logging_setup.configure(here.settings.log_level, here.settings.log_format)
        if (files := open_files.raise_limit()) < open_files.FEW:
            tell(_log, logging.WARNING, "files.few", limit=files, wanted=open_files.FEW)
        address = host or here.settings.host
        chosen = here.settings.port if port is None else port
        count = workers or here.settings.workers or _cores()
        if count == 1:
            asyncio.run(_serve_alone(here, node, address, chosen, first))
        else:
            _serve_together(here, node, address, chosen, count, first)


def _cores() -> int:
    """Return how many cores this process may use; without a port to share, one."""
    if not hasattr(socket, "SO_REUSEPORT"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _serve_alone(here: Installation, node: str, host: str, port: int, first: FirstAdmin | None) -> None:
    # A supervisor does without the app, which takes time to load and memory to keep.
    from tui.cli.serving import serve_until_told  # noqa: PLC0415

    await here.store.run(worker_sessions.take_node, node)
    identity = WorkerIdentity(secrets.token_hex(8), node)
    telemetry = Telemetry()

    async def measured() -> Texts:
        return {1: telemetry.metrics.text()}

    try:
        async with exposed(here.settings.metrics_port, measured):
            await serve_until_told(
                here,
                identity,
                host,
                port,
                telemetry=telemetry,
                ready=lambda server: _say_ready(here, host, server.port, first),
            )
    except click.ClickException:
        _say_first_password(first)
        raise


def _serve_together(
    here: Installation, node: str, host: str, port: int, workers: int, first: FirstAdmin | None
) -> None:
    if not hasattr(socket, "SO_REUSEPORT"):
        refuse("This system cannot share a port between workers. Serve with: --workers 1")
    try:
        held = hold_port(host, port)
    except OSError as error:
        _say_first_password(first)
        refuse(cannot_listen(host, port, error))
    shared = int(held[0].getsockname()[1])
    supervisor = Supervisor(here, node, host, shared, workers)
    try:
        asyncio.run(supervisor.run(lambda: _say_ready(here, host, shared, first)))
    finally:
        for address in held:
            address.close()


def _say_ready(here: Installation, host: str, port: int, first: FirstAdmin | None) -> None:
    if first is not None:
        _welcome(here, first, host, port)
    click.echo(f"listening on {_shown(host)}:{port}")


def _say_first_password(first: FirstAdmin | None) -> None:
    if first is not None:
        click.echo(f"One-time password of {first.name}: {first.password}")
        click.echo(passwords.one_time_terms(first.until))


def _welcome(here: Installation, first: FirstAdmin, host: str, port: int) -> None:
    """Say once how to sign in for the first time."""
    shown = _LOCALHOST if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - recognised, not listened on.
    click.echo(
        f"A new installation. This is shown once:\n"
        f"\n"
        f"  administrator      {first.name}\n"
        f"  one-time password  {first.password}\n"
        f"  good until         {first.until:%Y-%m-%d %H:%M} UTC, for one sign-in\n"
        f"  host key           {host_keys.fingerprint(load_host_key(here.home))}\n"
        f"\n"
        f"  ssh -p {port} {first.name}@{shown}\n"
        f"\n"
        f"If ssh warns that the host key has changed, forget the older installation's first:\n"
        f"\n"
        f"  ssh-keygen -R '[{shown}]:{port}'\n"
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
