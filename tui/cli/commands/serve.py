"""`twofold serve`: in this process, or with several workers under a supervisor."""

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Final

import click

from data.authserver.http_settings import parse_listen
from data.storage.home import Home
from data.wording.words import counted
from sshserver.limits import open_files
from sshserver.workers.fork_server import ForkServer
from sshserver.workers.port import PortError
from tui.cli import config_file
from tui.cli.command_groups import load
from tui.cli.streams import echo

_WORKERS: Final = (sys.executable, "-P", "-m", "tui.cli.serving.fork_server")
"""-P: the operator's current folder must not be searched for modules."""
_HOME_OF_MAKE: Final = ".twofold"


@click.command(
    epilog="\b\nExamples:\n"
    "  twofold serve\n"
    "  twofold serve --host 0.0.0.0 --port 2222 --workers 4\n"
    "  twofold --home .twofold serve --init\n"
)
@click.option("--host", help="The address to listen on, instead of the one in twofold.toml.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="The port to listen on, instead of the one in twofold.toml; 0 picks a free one.",
)
@click.option("--init", "first_start", is_flag=True, help="Create the installation first if there is none.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that share the port, instead of the number in twofold.toml.",
)
@click.option(
    "--http",
    metavar="HOST:PORT",
    help="Where other applications ask over HTTP, instead of the address in twofold.toml. "
    "See: twofold help http",
)
@click.option(
    "--radius",
    metavar="HOST:PORT",
    help="Where other applications ask by RADIUS, instead of the address in twofold.toml. "
    "See: twofold help radius",
)
@click.pass_obj
def serve(
    home: Home,
    host: str | None,
    port: int | None,
    first_start: bool,
    workers: int | None,
    http: str | None,
    radius: str | None,
) -> None:
    """Serve the app over SSH until stopped.

    Prints `listening on HOST:PORT` when all workers are ready, then a line each for HTTP and RADIUS
    if they are served. A worker that dies is restarted. SIGTERM and Ctrl-C stop the server: it accepts
    no new connections, warns open sessions, then closes them.
    """
    at_http, at_radius = _address(http, "--http", 8443), _address(radius, "--radius", 1812)
    if home.initialised or not first_start:
        home.check()
        home.check_owner()
    count = workers or config_file.load(home.settings).workers or _cores()
    if count > 1 and not hasattr(socket, "SO_REUSEPORT"):
        raise click.ClickException("This system cannot share a port between workers. Serve with: --workers 1")
    if sys.stderr.isatty():
        starting = f"Starting {counted(count, 'worker')}."
        echo(f"{starting} Each first verifies that one factor alone is not enough.", err=True)
    files = open_files.raise_limit()
    with contextlib.ExitStack() as ending:
        # The workers' program loads while this process loads its own and opens the database.
        forks = ForkServer(_WORKERS) if count > 1 else None
        if forks is not None:
            ending.callback(forks.close)
        try:
            serve_node = load("tui.cli.serving.node:serve_node")
            serve_node(
                home,
                host,
                port,
                count,
                forks,
                files=files,
                first_start=first_start,
                http=at_http,
                radius=at_radius,
            )
        except PortError as error:
            raise click.ClickException(f"{error} {_other_port(home)}") from None


def _address(typed: str | None, option: str, port: int) -> tuple[str, int] | None:
    """Read the address that an option names, if it was given."""
    listen = None if typed is None else parse_listen(typed)
    if typed is not None and listen is None:
        raise click.BadParameter(f"Write an address and a port, such as 127.0.0.1:{port}.", param_hint=option)
    return listen


def _cores() -> int:
    """Return how many cores this process may use; one if the system cannot share a port."""
    if not hasattr(socket, "SO_REUSEPORT"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _other_port(home: Home) -> str:
    by_make = ", or with: make run PORT=2300" if home.path == Path.cwd() / _HOME_OF_MAKE else "."
    return f"Choose another with --port{by_make}"
