"""The private names of asyncssh: what is missing ends the start, never the check."""

import asyncssh
import pytest
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import connect, running_server

from sshserver import server
from sshserver.compat import asyncssh_shim
from sshserver.compat.asyncssh_jumps import send_data
from sshserver.compat.asyncssh_shim import ShimError, check
from sshserver.compat.hooks import AuthOutcome
from sshserver.selftest import signin_check
from sshserver.session import jump
from sshserver.signin.connection import Connection
from sshserver.signin.conversation import Conversation
from sshserver.signin.userauth import UserAuth

KEY = asyncssh.generate_private_key("ssh-ed25519")


def test_asyncssh_version_is_the_tested_one():
    check()


def test_another_version_of_asyncssh_is_refused(monkeypatch):
    monkeypatch.setattr(asyncssh, "__version__", "2.99.0")
    with pytest.raises(ShimError, match=r"2\.99\.0"):
        check()


@pytest.mark.parametrize(
    "name",
    [
        "send_userauth_success",
        "send_userauth_failure",
        "validate_public_key",
        "reload_config",
        "pause_writing",
    ],
)
async def test_changed_method_stops_the_start(monkeypatch, name):
    """A method that is missing or changed keeps the server from listening."""
    monkeypatch.setattr(asyncssh.SSHServerConnection, name, lambda self, other: None)
    with pytest.raises(ShimError, match=name):
        async with running_server(FakeBackend()):
            pass


async def test_the_self_test_passes():
    await signin_check.run(server.listen)


@pytest.mark.parametrize(
    "sabotage",
    [
        lambda patch: patch.setattr(asyncssh_shim, "install", install_nothing),
        lambda patch: patch.setattr(UserAuth, "outcome", AuthOutcome.SUCCESS),
        lambda patch: patch.setattr(UserAuth, "outcome", AuthOutcome.FAILURE),
        lambda patch: (
            patch.setattr(Conversation, "first_factor_passed", True)
            or patch.setattr(Conversation, "outcome", AuthOutcome.SUCCESS)
        ),
        lambda patch: patch.setattr(Connection, "session_requested", lambda self: False),
        lambda patch: patch.setattr(jump, "send_data", lambda channel, data: send_data(channel, data[1:])),
    ],
    ids=[
        "no hooks",
        "all are admitted",
        "nobody is admitted",
        "no second factor",
        "no channels",
        "data lost",
    ],
)
async def test_the_self_test_notices(monkeypatch, sabotage):
    monkeypatch.setattr(signin_check, "_SECONDS", 2.0)
    sabotage(monkeypatch)
    with pytest.raises(signin_check.SelfTestError, match="did not start"):
        await signin_check.run(server.listen)


def install_nothing(connection, limits, *hooks):
    del connection, limits, hooks


async def test_nothing_is_sent_to_be_ignored(monkeypatch):
    """Packets to be ignored, which asyncssh would send before each other one, stay away from the client."""
    ignored = []

    def process_ignore(self, *_packet):
        ignored.append(type(self))

    monkeypatch.setitem(asyncssh.SSHClientConnection._packet_handlers, 2, process_ignore)
    async with running_server(FakeBackend([KEY])) as running:
        connection, _ = await connect(running.port, "anna", [CODE], keys=[KEY])
        await connection.create_process(term_type="xterm")
        connection.close()
        await connection.wait_closed()
    assert asyncssh.SSHServerConnection in ignored
    assert asyncssh.SSHClientConnection not in ignored
