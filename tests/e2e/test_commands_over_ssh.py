"""Commands over SSH, as whoever signed in: real clients, streams, exit statuses and rules."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncssh
import pytest
from support.ssh_server import Running, connect, running_server
from support.ssh_users import OPERATOR, People, open_people

from data.delivery.carriers import Carriers
from data.operations.users import role_grants
from data.rules.domain_types import Role
from data.storage import models
from sshserver.auth_backend import StoreBackend
from tui.cli.member_commands import MemberCommands


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    found = open_people(tmp_path)
    yield found
    found.store.close()


@pytest.fixture
async def running(people: People) -> AsyncIterator[Running]:
    """A server for anna, who administers, and ben, who does not; each has a key and an app."""
    for name in ("anna", "ben"):
        await people.add_with_key(name)
    every = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
    await people.store.run(role_grants.set_roles, OPERATOR, "anna", every, seen=frozenset())
    commands = MemberCommands(people.store, Carriers())
    async with running_server(StoreBackend(people.store), run_command=commands.run) as found:
        yield found


async def signed_in(running: Running, people: People, name: str) -> asyncssh.SSHClientConnection:
    connection, _ = await connect(running.port, name, [people.code()], keys=[people.keys[name]])
    return connection


pytestmark = pytest.mark.feature("member-commands")


async def test_statuses_and_streams(running, people):
    """JSON and nothing else on stdout; 0 done, 1 refused or only on the host, 2 wrong usage."""
    await people.store.run(
        lambda _tx: models.User.update(locked_at=people.clock.now).where(models.User.name == "ben").execute()
    )
    async with await signed_in(running, people, "anna") as anna:
        listed = await anna.run("user list --json")
        assert (listed.exit_status, listed.stderr) == (0, "")
        assert [row["name"] for row in json.loads(listed.stdout)] == ["admin", "anna", "ben"]
        unlocked = await anna.run('user unlock ben --reason "called, known voice"')
        assert (unlocked.exit_status, unlocked.stdout, unlocked.stderr) == (
            0,
            "User ben unlocked, with 7 attempts again.\n",
            "",
        )
        csv = "name,email\neve,eve@example.org\n"
        imported = await anna.run("user import - --yes", input=csv)
        assert (imported.exit_status, imported.stdout.partition(".")[0]) == (0, "Imported 1 user")
        for command, status, words in (
            ("user unlock ben --reason x", 1, "User ben is not locked."),
            ("backup", 1, "`backup` is only possible on the host."),
            ("audit archive", 1, "`audit archive` is only possible on the host."),
            ("nothing", 2, "No such command 'nothing'. See: ssh gate --help"),
            ("user list --home /", 2, "No such option '--home'."),
            ("user import /etc/passwd", 2, "/etc/passwd is not on the server."),
            ("user list 'open", 2, "A quote or backslash in the command has no end."),
        ):
            refused = await anna.run(command)
            assert (refused.exit_status, refused.stdout) == (status, ""), command
            assert words in refused.stderr
            assert refused.stderr.count("\n") == 1


async def test_permissions(running, people):
    """Whoever holds no role is refused by the operation, in its words."""
    async with await signed_in(running, people, "ben") as ben:
        refused = await ben.run("user list")
    assert (refused.exit_status, refused.stdout) == (1, "")
    assert refused.stderr.startswith("twofold: Only support, a system administrator or a security")
