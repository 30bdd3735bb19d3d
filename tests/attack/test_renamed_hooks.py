"""An upgrade of a library that no longer calls what this project hangs on: the server refuses to start."""

import asyncssh
import pytest
from asyncssh.auth import _ServerKbdIntAuth
from support.ssh_server import GreetingApp
from support.ssh_users import open_people
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.screen import Screen

from sshserver.compat import asyncssh_shim
from sshserver.compat.asyncssh_shim import ShimError
from sshserver.compat.textual_app import ContainedApp
from sshserver.compat.textual_screen import ContainedScreen
from sshserver.selftest import app_check, signin_check
from sshserver.selftest.app_check import AppTestError
from sshserver.selftest.signin_check import SelfTestError
from sshserver.server import serve

KEY = asyncssh.generate_private_key("ssh-ed25519")
OWNERS = {"_process_env_request": asyncssh.SSHServerChannel, "process_packet": _ServerKbdIntAuth}
"""Whose method a hook takes the place of, where that is not the connection's."""
REFUSALS = (ShimError, SelfTestError, AppTestError)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A hook that is missing may leave the self-test waiting."""
    monkeypatch.setattr(signin_check, "_SECONDS", 1.5)
    monkeypatch.setattr(app_check, "_SECONDS", 1.5)


@pytest.fixture
async def refused(tmp_path):
    """Return a check that a server refuses to start."""
    people = open_people(tmp_path)

    async def check(match="self-test failed|asyncssh has changed"):
        with pytest.raises(REFUSALS, match=match):
            await serve(people.store, KEY, GreetingApp)

    yield check
    people.store.close()


def ignore_assignments(monkeypatch, owner, name):
    """Have `owner` keep its own method whatever is put in its place, as if that had another name now."""
    keep = owner.__setattr__

    def assign(self, key, value):
        keep(self, f"formerly_{key}" if key == name else key, value)

    monkeypatch.setattr(owner, "__setattr__", assign)


async def test_as_it_is_the_server_starts(tmp_path):
    people = open_people(tmp_path)
    server = await serve(people.store, KEY, GreetingApp)
    await server.drain()
    people.store.close()


@pytest.mark.parametrize("name", sorted(asyncssh_shim.HOOKS))
async def test_renamed_asyncssh_hook(monkeypatch, refused, name):
    """The start notices a hook that asyncssh calls by another name."""
    ignore_assignments(monkeypatch, OWNERS.get(name, asyncssh.SSHServerConnection), name)
    await refused()


@pytest.mark.parametrize("name", [*sorted(asyncssh_shim._SHADOWED), "_process_env_request"])
async def test_a_method_that_asyncssh_has_no_more_is_noticed(monkeypatch, refused, name):
    owner = asyncssh.SSHServerChannel if name == "_process_env_request" else asyncssh.SSHServerConnection
    for parent in owner.__mro__:
        if name in parent.__dict__:
            monkeypatch.delattr(parent, name)
    await refused(name)


async def test_missing_connection_attribute(monkeypatch, refused):
    monkeypatch.setattr(asyncssh_shim, "_ATTRIBUTES", (*asyncssh_shim._ATTRIBUTES, "_formerly"))
    await refused()


@pytest.mark.parametrize("name", ["_process_messages", "_handle_exception", "_print_error_renderables"])
async def test_renamed_textual_hook(monkeypatch, refused, name):
    """The start notices a hook that Textual calls by another name."""

    def look_up(self, key):
        return getattr(App, key).__get__(self) if key == name else object.__getattribute__(self, key)

    monkeypatch.setattr(ContainedApp, "__getattribute__", look_up)
    await refused()


async def test_renamed_drawing_hook(monkeypatch, refused):
    """The start notices a screen that Textual draws by another name."""
    monkeypatch.delattr(ContainedScreen, "_compositor_refresh")
    await refused()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (XTermParser, "feed"),
        (XTermParser, "parse"),
        (Driver, "process_message"),
        (App, "run_async"),
        (Screen, "_get_breakpoint_classes"),
        (Screen, "_refresh_layout"),
        (Screen, "_on_timer_update"),
        (Screen, "_invoke_and_clear_callbacks"),
    ],
)
async def test_a_method_that_textual_has_no_more_is_noticed(monkeypatch, refused, owner, name):
    for parent in owner.__mro__:
        if name in parent.__dict__:
            monkeypatch.delattr(parent, name)
    await refused()


async def test_unfiltered_colours(monkeypatch, refused):
    monkeypatch.setattr("sshserver.compat.textual_app.ContainedApp.show_colours", lambda app, terminal: None)
    monkeypatch.setattr(
        "sshserver.compat.textual_app._COLOUR_SYSTEMS", dict.fromkeys(app_check.Colours, "truecolor")
    )
    await refused()
