"""Two nodes serve one PostgreSQL database, reached by real `ssh`."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.authenticator_app import Phone
from support.installed_program import Clinic, code_then, enrol, password_then, set_password, sign_out
from support.postgresql_server import PASSWORD as DATABASE_PASSWORD
from support.postgresql_server import PostgresqlServer
from support.processes import with_descendants

from sshserver.workers.heartbeat import LEASE_SECONDS

PASSWORD = "seven quiet marble stairs"


@pytest.fixture
async def node(clinic: Clinic, tmp_path: Path) -> AsyncIterator[Clinic]:
    """Another host, which has nothing yet."""
    folder = tmp_path / "node"
    folder.mkdir()
    found = Clinic(folder, clinic.ssh, clinic.keygen, clinic.oathtool)
    yield found
    for terminal in found.open:
        await terminal.kill()
    if found.server is not None and found.server.returncode is None:
        found.server.kill()
        await found.server.wait()


@pytest.mark.feature("live-screens")
async def test_nodes_share_codes_and_outlive_the_database(
    clinic: Clinic, node: Clinic, postgresql: PostgresqlServer
):
    """What one accepted the other refuses."""
    url = postgresql.url(postgresql.new_database())
    clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example", "--database", url
    )
    one_time = clinic.one_time_password(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa"
    )
    # A node joins by a copy of the settings and the two keys.
    node.home.mkdir(mode=0o700)
    for name in ("twofold.toml", "master.key", "ssh_host_ed25519_key"):
        shutil.copy(clinic.home / name, node.home / name)
    for host in (clinic, node):
        await host.serve("--workers", "1")
        host.known_hosts()

    terminal = await clinic.connect("ben")
    await password_then(terminal, one_time)
    await set_password(clinic, terminal, PASSWORD)
    recovery = await enrol(clinic, terminal, Phone(clinic.oathtool), "Twofold:ben")
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)

    # A recovery code is good once, on whichever node.
    terminal = await node.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, recovery[0])
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    terminal = await clinic.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, recovery[0])
    await terminal.expect("Code already used")
    await code_then(terminal, "000000")
    await terminal.expect("Wrong code, 6 attempts left")

    # The database goes away under both and comes back; the attempts that were counted still are.
    postgresql.stop(kill=True)
    postgresql.start()
    terminal = await node.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, "000000")
    await terminal.expect("You already tried that code.")
    await code_then(terminal, "111111")
    await terminal.expect("Wrong code, 5 attempts left")
    await code_then(terminal, recovery[1])
    await terminal.expect_on_screen("1 M")

    # What is changed on one node is seen on the other without a key, and takes effect there.
    clinic.twofold("user", "edit", "ben", "--name", "Benjamin Example")
    await terminal.expect_on_screen("Benjamin Example")
    clinic.twofold("user", "deactivate", "--yes", "ben")
    await terminal.expect("deactivated")
    assert DATABASE_PASSWORD.encode() not in clinic.log + node.log
    for host in (clinic, node):
        assert await host.stop() == 0


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_sessions_of_a_dead_node(clinic: Clinic, node: Clinic, postgresql: PostgresqlServer):
    """The other node ends them after the lease."""
    name = postgresql.new_database()
    clinic.one_time_password(
        *("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"),
        *("--database", postgresql.url(name)),
    )
    clinic.one_time_password("user", "add", "ben", "--email", "ben@clinic.example")
    key = clinic.new_key("ben_key")
    clinic.twofold("user", "key", "add", "ben", f"{key}.pub")
    node.home.mkdir(mode=0o700)
    for copied in ("twofold.toml", "master.key", "ssh_host_ed25519_key"):
        shutil.copy(clinic.home / copied, node.home / copied)
    terminals = []
    for host in (clinic, node):
        await host.serve("--workers", "2")
        host.known_hosts()
        terminals.append(await host.connect("ben", key=key))
        await terminals[-1].expect_on_screen("1 M")

    for pid in with_descendants(node.server.pid):
        os.kill(pid, signal.SIGKILL)
    await node.server.wait()
    assert postgresql.execute(name, "SELECT count(*) FROM session WHERE ended_at IS NULL") == [(2,)]
    async with asyncio.timeout(LEASE_SECONDS * 10):
        while postgresql.execute(name, "SELECT count(*) FROM worker") != [(2,)]:
            await asyncio.sleep(1)
    assert postgresql.execute(name, "SELECT count(*) FROM session WHERE ended_at IS NULL") == [(1,)]
    assert terminals[0].process.returncode is None
    terminals[0].type("q")
    assert await terminals[0].end() == 0
    assert await clinic.stop() == 0
