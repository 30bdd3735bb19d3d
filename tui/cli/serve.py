"""`twofold serve`: the composition of store, app and SSH server."""

import asyncio
import logging
import signal

import click
from asyncssh.public_key import SSHKey

from data.delivery.notices import sending
from data.operations import sessions
from data.operations.admission import Session
from data.rules.facts import Application
from data.rules.text import safe
from data.storage.home import Home
from sshserver import hostkey as host_keys
from sshserver._asyncssh_shim import ShimError
from sshserver.selftest import SelfTestError
from sshserver.server import Server
from sshserver.server import serve as serve_ssh
from sshserver.session import AppFactory
from sshserver.terminal import Terminal
from tui.app import TwofoldApp
from tui.cli.installation import Installation, installation, refuse, system_clock
from tui.cli.setup import FirstAdmin, initialise, load_host_key

_FIRST_ACCOUNT = "Twofold"
_FIRST_ADMIN = "admin"
_FIRST_EMAIL = "admin@twofold.test"
_LOCALHOST = "127.0.0.1"


@click.command(
    epilog="\b\nExamples:\n"
    "  twofold serve\n"
    "  twofold serve --host 0.0.0.0 --port 2222\n"
    "  twofold --home .twofold serve --init\n"
)
@click.option("--host", help="The address to listen on, instead of the settings'.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 picks a free one.")
@click.option("--init", "first_start", is_flag=True, help="Create the installation first if there is none.")
@click.pass_obj
def serve(home: Home, host: str | None, port: int | None, first_start: bool) -> None:
    """Serve the app over SSH until stopped.

    Prints `listening on HOST:PORT` when ready. SIGTERM and Ctrl-C drain: no new connections, open
    sessions are told and closed.
    """
    first = None
    if first_start and not home.initialised:
        first = initialise(home, _FIRST_ACCOUNT, _FIRST_ADMIN, _FIRST_EMAIL, None)
    with installation(home) as here, home.serving():
        logging.getLogger().setLevel(here.settings.log_level.upper())
        key = load_host_key(home)
        address = host or here.settings.host
        chosen = here.settings.port if port is None else port
        asyncio.run(_serve(here, key, address, chosen, first))


async def _serve(here: Installation, key: SSHKey, host: str, port: int, first: FirstAdmin | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # No other server holds this home, so what is still open was left behind by one that was killed.
    await here.store.run(sessions.end_all_sessions, Application.SSH)
    try:
        server = await serve_ssh(
            here.store,
            key,
            _app_factory(here),
            carriers=here.settings.carriers,
            host=host,
            port=port,
            limits=here.settings.limits,
        )
    except OSError as error:
        _say_first_password(first)
        refuse(f"Cannot listen on {safe(host)}:{port}: {error.strerror}. Choose another with --port.")
    except SelfTestError as error:
        refuse(str(error))
    except ShimError as error:
        refuse(f"The server does not start: {error}.")
    if first is not None:
        _welcome(first, key, host, server)
    click.echo(f"listening on {_shown(host)}:{server.port}")
    async with sending(here.store, here.settings.carriers):
        await stop.wait()
        await server.drain()


def _app_factory(here: Installation) -> AppFactory:
    def make_app(session: Session, terminal: Terminal) -> TwofoldApp:
        return TwofoldApp(
            here.store,
            session=session,
            clock=system_clock,
            terminal=terminal,
            carriers=here.settings.carriers,
        )

    return make_app


def _say_first_password(first: FirstAdmin | None) -> None:
    if first is not None:
        click.echo(f"One-time password of {first.name}: {first.password}")


def _welcome(first: FirstAdmin, key: SSHKey, host: str, server: Server) -> None:
    """Say once how to sign in for the first time."""
    shown = _LOCALHOST if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - recognised, not listened on.
    click.echo(
        f"A new installation. This is shown once:\n"
        f"\n"
        f"  administrator      {first.name}\n"
        f"  one-time password  {first.password}\n"
        f"  host key           {host_keys.fingerprint(key)}\n"
        f"\n"
        f"  ssh -p {server.port} {first.name}@{shown}\n"
        f"\n"
        f"If ssh warns that the host key has changed, forget the older installation's first:\n"
        f"\n"
        f"  ssh-keygen -R '[{shown}]:{server.port}'\n"
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
