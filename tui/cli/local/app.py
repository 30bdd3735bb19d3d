"""The app in this terminal, with its own sign-in screen."""

import os
import secrets
import shutil
import sys

import click

from data.operations.maintenance import doctor_facts
from data.rules.domain_types import Application
from data.rules.source_addresses import Origin
from data.storage.home import Home
from sshserver.session.local_driver import LocalDriver
from sshserver.terminal.capabilities import Terminal, describe
from tui.app import TwofoldApp
from tui.cli.open_installation import (
    Installation,
    installation,
    refuse,
    refuse_lost,
    system_clock,
    without_log_of_deliveries,
)
from tui.cli.streams import echo


def _this_terminal(here: Installation) -> Terminal:
    size = shutil.get_terminal_size()
    return describe(os.environ.get("TERM", ""), os.environ, (size.columns, size.lines), here.settings.limits)


def run_local_app(home: Home) -> None:
    """Open the app in this terminal; sign-ins belong to the application `local`."""
    home.check_owner()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("The app needs a terminal.")
    with installation(home) as here:
        here.store.services.check_up.findings = here.store.run_now(doctor_facts.check_quickly)
        app = TwofoldApp(
            here.store,
            session=None,
            origin=Origin(Application.LOCAL, "local", secrets.token_hex(8)),
            clock=system_clock,
            terminal=_this_terminal(here),
            carriers=here.settings.carriers,
            limits=here.settings.limits,
        )
        app.driver_class = LocalDriver
        here.store.lost.add_done_callback(lambda _lost: app.exit(return_code=1))
        with without_log_of_deliveries():
            farewell = app.run()
        refuse_lost(here)
    if app.return_code:
        refuse(app.crash_message or "The app ended early.")
    if farewell:
        echo(farewell)
