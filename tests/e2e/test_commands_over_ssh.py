"""Commands over SSH, as whoever signed in: real clients, streams, exit statuses and rules."""

import asyncio
import json
import re
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncssh
import paramiko
import pytest
from support.pseudo_terminal import TerminalProgram
from support.ssh_server import HOST, Running, connect, running_server, until
from support.ssh_users import OPERATOR, PASSWORD, People

from data.delivery.carriers import Carriers
from data.operations.certificates import authorities
from data.operations.policy import certificate_policy, policy_settings
from data.operations.users import factor_administration, role_grants
from data.rules import users_csv
from data.rules.deadline import begins
from data.rules.domain_types import Mode, Role
from data.storage import models
from sshserver.auth_backend import StoreBackend
from tui.cli.over_ssh.runner import MemberCommands

BOTH = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})


@pytest.fixture
async def running(people: People) -> AsyncIterator[Running]:
    """A server for anna, who administers, and ben, who does not; each has a key and an app."""
    for name in ("anna", "ben"):
        await people.add_with_key(name)
    await people.store.run(role_grants.set_roles, OPERATOR, "anna", BOTH, seen=frozenset())
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
        # What ssh sends of: user unlock ben --reason "called, known voice"
        unlocked = await anna.run("user unlock ben --reason called, known voice")
        assert (unlocked.exit_status, unlocked.stdout, unlocked.stderr) == (
            0,
            "User ben unlocked, with 7 attempts again.\n",
            "",
        )
        assert "called, known voice" in (await anna.run("audit list --limit 1")).stdout
        csv = "name,email\neve,eve@example.org\n"
        imported = await anna.run("user import - --yes", input=csv)
        assert (imported.exit_status, imported.stdout.partition(".")[0]) == (0, "Imported 1 user")
        exported = [json.loads(line) for line in (await anna.run("user export --json")).stdout.splitlines()]
        assert [row["name"] for row in exported] == ["admin", "anna", "ben", "eve"]
        models.User.update(full_name="Ben \x1b[2J").where(models.User.name == "ben").execute()
        # Nobody knows whether the client shows it on a terminal.
        assert r"Ben \x1b[2J" in (await anna.run("user export")).stdout
        log = [json.loads(line) for line in (await anna.run("audit export --json")).stdout.splitlines()]
        assert [row["id"] for row in log] == sorted(row["id"] for row in log)
        assert json.loads((await anna.run("report --format json")).stdout)["account"] == "Clinic"
        for command, status, words in (
            ('user unlock --reason "x y" ben', 1, "User ben is not locked."),
            ("backup", 1, "`backup` is only possible on the host."),
            ("audit archive", 1, "`audit archive` is only possible on the host."),
            ("nothing", 2, "No such command 'nothing'. See: ssh gate help"),
            ("user list --home /", 2, "No such option '--home'."),
            ("user import /etc/passwd", 2, "/etc/passwd is not on the server."),
            ("user list 'open", 2, "A quote or backslash in the command has no end."),
        ):
            refused = await anna.run(command)
            assert (refused.exit_status, refused.stdout) == (status, ""), command
            assert words in refused.stderr
            assert refused.stderr.count("\n") == 1


async def test_permissions(running, people):
    """Whoever holds no role is refused by the operation, in its words; so is who has lost it meanwhile."""
    async with await signed_in(running, people, "ben") as ben:
        refused = await ben.run("user list")
        assert (refused.exit_status, refused.stdout) == (1, "")
        assert refused.stderr.startswith("twofold: Only support, a system administrator or a security")
        refused = await ben.run("user import -")  # Its standard input is never read.
        assert (refused.exit_status, refused.stdout) == (1, "")
        assert refused.stderr.startswith("twofold: Only a system administrator")
    async with await signed_in(running, people, "anna") as anna:
        assert (await anna.run("user show ben")).exit_status == 0
        await people.store.run(role_grants.set_roles, OPERATOR, "anna", frozenset(), seen=BOTH)
        refused = await anna.run("user show ben")
        assert (refused.exit_status, refused.stdout) == (1, "")


async def test_fresh_code(running, people):
    """One given within five minutes counts; later it is asked for at a terminal, and needed otherwise."""
    async with await signed_in(running, people, "anna") as anna:
        assert (await anna.run("user role ben --grant support")).exit_status == 0
        people.clock.forward(301)
        refused = await anna.run("user role ben --take support")
        assert (refused.exit_status, refused.stdout) == (1, "")
        assert refused.stderr == "twofold: Confirm it's you first: ssh -t gate me confirm\n"
        process = await anna.create_process("user role ben --take support", term_type="xterm")
        shown = await process.stdout.readuntil("Code: ")
        process.stdin.write(f"{people.wrong_code()}\r")
        shown += await process.stdout.readuntil("Code: ")
        assert "6 attempts left" in shown
        process.stdin.write(f"{people.code()}\r")
        result = await process.wait()
        assert result.stdout.endswith("Roles of ben saved.\r\n")
        assert (result.exit_status, result.stderr) == (0, "")
        people.clock.forward(301)
        assert (await anna.run("me confirm", input=f"{people.code()}\n")).exit_status == 0
        assert (await anna.run("user role ben --grant support")).exit_status == 0


async def test_confirmation(running, people):
    """Consequences are shown; a y at a terminal or --yes confirms, and nothing else."""
    async with await signed_in(running, people, "anna") as anna:
        refused = await anna.run("user deactivate ben")
        assert (refused.exit_status, refused.stdout) == (2, "")
        assert "there is no terminal for the confirmation. Add --yes to confirm." in refused.stderr
        for typed, status, active in (("n\r", 1, True), ("\x03", 1, True), ("y\r", 0, False)):
            process = await anna.create_process("user deactivate ben", term_type="xterm")
            await process.stdout.readuntil("[y/N]: ")
            process.stdin.write(typed)
            assert (await process.wait()).exit_status == status
            assert (await people.user("ben")).active is active
        assert (await anna.run("user activate ben --yes")).exit_status == 0


async def test_restricted_session(running, people):
    """It runs what leads out of it, and says so to whoever runs anything else."""
    await people.add_with_key("eve", enrolled=False)
    await people.store.run(factor_administration.set_required, OPERATOR, "eve", required=True)
    connection, _ = await connect(running.port, "eve", [], keys=[people.keys["eve"]])
    async with connection as eve:
        for command in ("me", "user list", "me password", "me key list"):
            refused = await eve.run(command)
            assert (refused.exit_status, refused.stdout) == (1, "")
            assert "ssh gate me enrol" in refused.stderr
        assert (await eve.run("help user list")).exit_status == 0
        process = await eve.create_process("me enrol")
        secret = re.search(r"secret=([A-Z2-7]+)", await process.stdout.readuntil("issuer=")).group(1)
        process.stdin.write(f"{people.code(secret=secret)}\ny\n")
        result = await asyncio.wait_for(process.wait(), 30)
        assert result.exit_status == 0
        assert (await eve.run("me")).exit_status == 0


async def test_audited_as_by_the_app(running, people):
    """The session is named: its user, application and address."""
    async with await signed_in(running, people, "anna") as anna:
        await anna.run("user require ben")
        rows = json.loads((await anna.run("audit list --user ben --limit 1 --json")).stdout)
    assert [(row["actor"], row["user"], row["application"], row["address"]) for row in rows] == [
        ("anna", "ben", "ssh", "127.0.0.1")
    ]


async def test_gigabyte_of_csv(running, people):
    """It is refused when the limit is passed; the rest is never read."""
    sent = 0
    async with await signed_in(running, people, "anna") as anna:
        process = await anna.create_process("user import - --yes", encoding=None)
        with suppress(OSError, asyncssh.Error):
            for _ in range(16_384):
                process.stdin.write(bytes(65_536))
                await process.stdin.drain()
                sent += 65_536
        result = await process.wait()
    assert result.exit_status == 1
    assert b"Import it in parts." in result.stdout
    assert sent < 3 * users_csv.MAX_BYTES


def many(count: int) -> str:
    return "name,email\n" + "".join(f"p{number:05},p{number:05}@example.org\n" for number in range(count))


@pytest.mark.parametrize("ended", ["by the client", "by an administrator"])
async def test_import_that_ends_early(running, people, ended):
    """Nothing of it is imported, and no thread is left behind."""
    async with await signed_in(running, people, "anna") as anna:
        process = await anna.create_process("user import - --yes")
        process.stdin.write(many(5_000))
        process.stdin.write_eof()
        await until(lambda: people.store.run_now(lambda _tx: models.StagedUser.select().count()), 60)
        second = await anna.run("user import - --yes", input=many(1))
        assert (second.exit_status, second.stdout) == (1, "")
        assert second.stderr.startswith("twofold: Another import of yours is under way.")
        if ended == "by the client":
            process.close()
        else:
            running.server.end_sessions(running.server.session_ids(), "An administrator ended it.")
            result = await process.wait()
            assert (
                result.stderr
                == "twofold: Stopped. Nothing was imported.\ntwofold: An administrator ended it.\n"
            )
            assert result.exit_status == 1
        await until(no_command_is_left, 60)
    assert (await people.store.read(lambda _tx: models.User.select().count())) == 3


async def test_bulk_act_that_is_stopped(running, people):
    """It says who was done and who was not."""
    names = [f"p{number:03}" for number in range(300)]
    async with await signed_in(running, people, "anna") as anna:
        assert (await anna.run("user import - --yes", input=many(300).replace("p00", "p"))).exit_status == 0
        process = await anna.create_process(f"user require {' '.join(names)}")
        is_done = models.User.required & models.User.name.startswith("p")
        count = partial(people.store.run_now, lambda _tx: models.User.select().where(is_done).count())
        await until(count, 60)
        running.server.end_sessions(running.server.session_ids(), "An administrator ended it.")
        result = await process.wait()
    done = int(re.match(r"(\d+) users required\.", result.stdout).group(1))
    assert 0 < done < 300
    assert len(re.findall(r"^p\d+ +The session was ended\.$", result.stdout, re.MULTILINE)) == 300 - done
    assert done == count()
    assert result.exit_status == 1


def no_command_is_left() -> bool:
    return not any(thread.name == "command" for thread in threading.enumerate())


async def test_a_hundred_at_once(running, people):
    """On one connection, and none is refused."""
    async with await signed_in(running, people, "anna") as anna:
        results = await asyncio.gather(*(anna.run("me --json") for _ in range(100)))
    assert {result.exit_status for result in results} == {0}
    assert {json.loads(result.stdout)["name"] for result in results} == {"anna"}
    await until(no_command_is_left)


class Master:
    """A connection that real `ssh` commands share, as with ControlMaster and ControlPersist."""

    def __init__(self, ssh: str, socket: Path, key: Path, port: int) -> None:
        hosts = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        self.command = [
            ssh, "-F", "none", *hosts, "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes",
            "-i", str(key), "-S", str(socket), "-p", str(port), f"anna@{HOST}",
        ]  # fmt: skip

    async def run(self, *words: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *self.command, *words, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(given), 60)
        assert process.returncode is not None
        return process.returncode, out, err


@pytest.fixture
async def master(running: Running, people: People, require_program, tmp_path) -> AsyncIterator[Master]:
    found = Master(require_program("ssh"), tmp_path / "s", people.key_file("anna"), running.port)
    terminal = await TerminalProgram.start([*found.command[:1], "-M", "-N", *found.command[1:]])
    await terminal.expect("Verification code: ")
    terminal.type(people.code() + "\r")
    await until((tmp_path / "s").exists, 60)
    yield found
    await terminal.kill()


async def test_fifty_commands_over_one_sign_in(master, people):
    """With real `ssh`: standard input, exit statuses, JSON, and a terminal of its own for one that asks."""
    statuses = [await master.run("me", "--json") for _ in range(46)]
    assert {json.loads(out)["name"] for _, out, _ in statuses} == {"anna"}
    assert {(status, err) for status, _, err in statuses} == {(0, b"")}
    assert (await master.run("user import - --yes", given=many(2).encode()))[0] == 0
    assert (await master.run("user", "list", "--no-such-option"))[0] == 2
    assert (await master.run("backup"))[0] == 1
    listed = await TerminalProgram.start([*master.command[:1], "-t", *master.command[1:], "user list"])
    assert await listed.end() == 0
    assert b"p00001" in listed.output
    assert b"\x1b" not in listed.output
    assert (await people.store.read(lambda _tx: models.Session.select().count())) == 1


async def test_client_killed_in_the_middle_of_an_import(master, people):
    """A real `ssh`: nothing is imported, no thread is left, and the connection goes on."""
    process = await asyncio.create_subprocess_exec(
        *master.command, "user import - --yes", stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL
    )
    process.stdin.write(many(5_000).encode())
    process.stdin.close()
    await until(lambda: people.store.run_now(lambda _tx: models.StagedUser.select().count()), 60)
    process.kill()
    await process.wait()
    await until(no_command_is_left, 60)
    assert (await people.store.read(lambda _tx: models.User.select().count())) == 3
    assert (await master.run("me", "--json"))[0] == 0


async def test_plink(running, people, require_program, tmp_path):
    """PuTTY's command line runs commands too; here for somebody of whom no code is asked."""
    await people.add("eve", enrolled=False)
    words = tmp_path / "password"
    words.write_text(PASSWORD)
    key = running.host_key.get_fingerprint()
    process = await asyncio.create_subprocess_exec(
        require_program("plink"), "-batch", "-hostkey", key, "-P", str(running.port), "-pwfile", str(words),
        f"eve@{HOST}", "me --json", stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env={"HOME": str(tmp_path)},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err
    assert json.loads(out)["name"] == "eve"


async def test_paramiko(running, people):
    """Its `exec_command` gets the streams and the exit status."""
    key = paramiko.Ed25519Key.from_private_key_file(str(people.key_file("anna")))

    def talk() -> tuple[int, bytes, bytes]:
        transport = paramiko.Transport((HOST, running.port))
        try:
            transport.start_client()
            transport.auth_publickey("anna", key)
            transport.auth_interactive("anna", lambda _title, _words, asked: [people.code() for _ in asked])
            channel = transport.open_session()
            channel.exec_command("user show nobody")
            err = b"".join(iter(lambda: channel.recv_stderr(1_000), b""))
            return channel.recv_exit_status(), channel.recv(1_000), err
        finally:
            transport.close()

    assert await asyncio.to_thread(talk) == (1, b"", b"twofold: The user was not found.\n")


@pytest.mark.feature("applications-managed")
async def test_applications(running, people):
    """A security administrator adds one and reads its token; support is refused before anything is asked."""
    await people.store.run(
        role_grants.set_roles, OPERATOR, "ben", frozenset({Role.SUPPORT}), seen=frozenset()
    )
    async with await signed_in(running, people, "anna") as anna:
        added = await anna.run("application add vpn --http --asks code")
        assert (added.exit_status, added.stderr) == (0, "")
        assert len(added.stdout.split()[-1]) == 32
    async with await signed_in(running, people, "ben") as ben:
        refused = await ben.run("application remove vpn")
        assert (refused.exit_status, refused.stdout) == (1, "")
        assert refused.stderr == "twofold: Only a security administrator can manage applications.\n"
        shown = await ben.run("application show vpn --json")
        assert json.loads(shown.stdout)["asks"] == "code"


@pytest.mark.feature("deadline")
async def test_days_left_are_told_beside_the_output(running, people):
    """Before a deadline each command says on stderr how many days are left; from then on it is refused."""
    await people.add_with_key("eve", enrolled=False)
    day = people.clock.now.date() + timedelta(days=3)
    mode = {"seen": Mode.OPTIONAL, "day": day}
    await people.store.run(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, **mode)
    connection, _ = await connect(running.port, "eve", [], keys=[people.keys["eve"]])
    async with connection as eve:
        shown = await eve.run("me --json")
        assert (shown.exit_status, json.loads(shown.stdout)["days_left"]) == (0, 3)
        assert shown.stderr == "3 days left to set up two-factor authentication. Type: ssh gate me enrol\n"
        prompt = await eve.run("", input="exit\n", stderr=asyncssh.STDOUT)
        assert re.findall("Type: .*", str(prompt.stdout)) == ["Type: me enrol"]
    people.clock.now = begins(day)
    connection, _ = await connect(running.port, "eve", [], keys=[people.keys["eve"]])
    async with connection as eve:
        refused = await eve.run("me --json")
        assert (refused.exit_status, refused.stdout, "me enrol" in refused.stderr) == (1, "", True)


@pytest.mark.feature("certificates-commands")
async def test_certificates_over_one_connection(running, people):
    """What shares a connection shares its code, for five minutes."""
    await people.store.run(authorities.init_authority, OPERATOR)
    await people.store.run(certificate_policy.set_certificate_hours, OPERATOR, 8, seen=0)
    async with await signed_in(running, people, "ben") as ben:
        for _ in range(2):
            issued = await ben.run("cert")
            assert issued.exit_status == 0
            certificate = asyncssh.import_certificate(issued.stdout)
            assert certificate.key.public_data == people.keys["ben"].public_data
        people.clock.forward(seconds=360)
        refused = await ben.run("cert", stdin=DEVNULL)
        assert (refused.exit_status, refused.stdout) == (1, "")
        confirmed = await ben.run("me confirm", input=f"{people.code()}\n")
        assert confirmed.exit_status == 0, confirmed.stderr
        by_key = await ben.run("cert -", input=f"{people.keys['ben'].export_public_key().decode()}\n")
        assert asyncssh.import_certificate(by_key.stdout).principals == ["ben"]
        people.clock.forward(seconds=360)
        asked = await ben.run("cert", input=f"{people.code()}\n")
        assert asyncssh.import_certificate(asked.stdout).principals == ["ben"]
