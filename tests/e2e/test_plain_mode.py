"""The plain mode by real clients: a newcomer's whole way, and the prompt, as text that stays where it is."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncssh
import pytest
import wcwidth
from support.pseudo_terminal import TerminalProgram
from support.ssh_server import Running, connect, running_server
from support.ssh_users import OPERATOR, PASSWORD, People

from data.delivery.carriers import Carriers
from data.operations.signin.temporary_codes import issue_temporary_code
from data.operations.users import factor_administration, lifecycle, role_grants
from data.operations.users.lifecycle import NewUser
from data.rules import totp
from data.rules.domain_types import Role
from data.storage import models
from sshserver.auth_backend import StoreBackend
from tui.cli.over_ssh.runner import MemberCommands

ONE_TIME = "given by an administrator"
KEY = re.compile(r"^(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}\r?$", re.MULTILINE)
OPTIONS = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
OPTIONS += ["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]


@pytest.fixture
async def running(people: People) -> AsyncIterator[Running]:
    """A server that has the app too, which nobody must get here."""
    commands = MemberCommands(people.store, Carriers())
    async with running_server(StoreBackend(people.store), run_command=commands.run) as found:
        yield found
        assert found.apps == []


def code_of(people: People, shown: str) -> str:
    """Return the code of the key that was shown in groups of four."""
    secret = KEY.findall(shown)[-1].replace(" ", "").strip()
    return totp.code_at(secret, totp.step_at(people.clock.now))


@pytest.mark.feature("plain-newcomer")
async def test_a_newcomer_at_a_dumb_terminal_of_forty_columns(require_program, people, running):
    """One-time password, enrolment, recovery codes and the console: no byte is an escape sequence."""
    hasher = people.store.services.hasher
    new = NewUser("eve", "eve@example.org", required=True, password_hash=hasher.hash(ONE_TIME))
    await people.store.run(lifecycle.create_user, OPERATOR, new)
    eve = await TerminalProgram.start(
        [require_program("ssh"), *OPTIONS, "-p", str(running.port), "eve@127.0.0.1"],
        term="dumb",
        size=(40, 24),
    )
    await eve.expect("Password: ")
    eve.type(f"{ONE_TIME}\r")
    await eve.expect("Replace it with one")
    await eve.expect("New password: ")
    eve.type(f"{PASSWORD}x\x7f\r")
    await eve.expect("Repeat password: ")
    eve.type(f"{PASSWORD}\r")
    await eve.expect("Password changed.")
    await eve.expect("otpauth://totp/")
    await eve.expect("Code: ")
    eve.type("1\x03")
    await eve.expect("Type: me enrol")
    await eve.expect("twofold> ")
    eve.type("user list\r")
    await eve.expect("Type: me\\s+enrol")
    await eve.expect("twofold> ")
    eve.type("me enrol\r")
    await eve.expect("Code: ")
    eve.type("12345\r")
    await eve.expect("Code: ")
    eve.type("qr\r")
    await eve.expect("Code: ")
    eve.type(f"{code_of(people, eve.output.decode())}\r")
    await eve.expect("Save your recovery codes")
    await eve.expect("Type y when you have saved them: ")
    eve.type("y\r")
    await eve.expect("You are signed in.")
    await eve.expect("twofold> ")
    eve.type("me\r")
    await eve.expect("2FA is on, by authenticator app")
    await eve.expect("E-mail: eve@example.org")
    await eve.expect("twofold> ")
    eve.type("exit\r")
    assert await eve.end() == 0
    assert b"\x1b" not in eve.output
    for line in eve.output.decode().splitlines():
        fits = wcwidth.wcswidth(line) <= 40 or " " not in line
        assert fits or line.startswith(("twofold> ", "(eve@")), line
    assert PASSWORD.encode() not in eve.output


@pytest.mark.feature("plain-newcomer")
async def test_a_newcomer_without_a_terminal(require_program, people, running):
    """`ssh -T` reads standard input the same way, so that odd clients and scripts can enrol."""
    await people.add_with_key("frank", enrolled=False)
    await people.store.run(factor_administration.set_required, OPERATOR, "frank", required=True)
    ssh = await asyncio.create_subprocess_exec(
        *(require_program("ssh"), *OPTIONS, "-T", "-i", str(people.key_file("frank"))),
        *("-p", str(running.port), "frank@127.0.0.1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert ssh.stdin is not None
    assert ssh.stdout is not None
    shown = (await asyncio.wait_for(ssh.stdout.readuntil(b"Code: "), 60)).decode()
    ssh.stdin.write(f"{code_of(people, shown)}\ny\nme --json\nuser list\n".encode())
    ssh.stdin.write_eof()
    rest = (await asyncio.wait_for(ssh.stdout.read(), 60)).decode()
    assert await asyncio.wait_for(ssh.wait(), 60) == 1  # That of the last command, which is refused.
    assert "Recovery codes saved." in rest
    assert "2FA is on, by authenticator app" in rest
    assert '"name": "frank"' in rest
    assert "twofold: Only support" in rest
    assert "\x1b" not in shown + rest
    assert "\r" not in shown + rest


class Prompt:
    """The plain mode in asyncssh's client, for someone who administers."""

    def __init__(self, process: asyncssh.SSHClientProcess[str]) -> None:
        self.process = process
        self.all = ""

    async def shows(self, words: str) -> str:
        """Wait until words are shown, and return what was shown up to them."""
        shown = ""
        while words not in shown:
            piece = await asyncio.wait_for(self.process.stdout.read(1), 60)
            assert piece, shown
            shown += piece
        self.all += shown
        return shown

    async def answers(self, typed: str, until: str = "twofold> ") -> str:
        self.process.stdin.write(typed)
        return await self.shows(until)


async def opened(
    people: People, running: Running, term: str = "xterm", size: tuple[int, int] = (80, 24)
) -> tuple[asyncssh.SSHClientConnection, Prompt]:
    """Sign anna in, who administers, and wait for the prompt."""
    if "anna" not in people.keys:
        await people.add_with_key("anna")
        every = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
        await people.store.run(role_grants.set_roles, OPERATOR, "anna", every, seen=frozenset())
    connection, _ = await connect(running.port, "anna", [people.code()], keys=[people.keys["anna"]])
    process = await connection.create_process("plain", term_type=term, term_size=size)
    prompt = Prompt(process)
    await prompt.shows("twofold> ")
    return connection, prompt


@pytest.mark.feature("plain-prompt")
async def test_the_prompt(people, running):
    """It runs commands as the manual has them, keeps them but no answers, and ends with the last status."""
    connection, anna = await opened(people, running, size=(80, 200))
    async with connection:
        assert "Main" in await anna.answers("practice list\r")
        assert "Main" in await anna.answers("twofold practice list\r")
        assert "Main" in await anna.answers("ssh gate 'practice list'\r")
        assert "has no end" in await anna.answers("practice 'list\r")
        assert "See: twofold --help" in await anna.answers("nonsense\r")
        assert "only possible on the host" in await anna.answers("backup\r")
        assert "practice" in await anna.answers("help\r")
        assert "signing-in" in await anna.answers("help pages\r")
        added = await anna.answers("user add ben --email ben@example.org\r")
        assert "User ben created." in added
        await anna.answers("user disable-2fa ben\r", "[y/N]: ")
        assert "Cancelled." in await anna.answers("n\r")
        assert "practice" not in await anna.answers("\x1b[A\x1b[A\x03")
        assert "Main" in await anna.answers("practice\x1b[A\x1b[A\x1b[A\x1b[A\x1b[B\x15practice list\r")
        await anna.answers("user disable-2fa ben\r", "[y/N]: ")
        assert "Cancelled." in await anna.answers("\x1b[A\r")  # Nothing came up, and nothing is a no.
        assert "already in the plain mode" in await anna.answers("plain\r")
        await anna.answers("me plain-mode on\r")
        assert (await people.user("anna")).plain
        await anna.answers("user show nobody\r")
        anna.process.stdin.write("\x04")
        await asyncio.wait_for(anna.process.wait_closed(), 60)
        assert anna.process.exit_status == 1


@pytest.mark.feature("plain-prompt")
async def test_ctrl_c_stops_the_command_and_not_the_session(people, running):
    connection, anna = await opened(people, running, "dumb")
    async with connection:
        anna.process.stdin.write("user import - --yes\r")
        await anna.answers("name,email\r\n", "name,email\r\n")
        assert "Cancelled." in await anna.answers("\x03")
        assert await anna.answers("half a line\x03") == "half a line^C\r\ntwofold> "
        await anna.answers("user import - --yes\r", "then press Enter and Ctrl+D.\r\n")
        assert "Cancelled." in await anna.answers("\x03")
        imported = await anna.answers("user import - --yes\rname,email\reve,eve@example.org\r\x04")
        assert "Imported 1 user" in imported
        assert "Name: eve" not in await anna.answers("user list\r")
    assert "\x1b" not in anna.all


@pytest.mark.feature("plain-newcomer")
async def test_a_phone_is_replaced_after_a_temporary_code(people, running):
    """It is offered at once, and so are recovery codes again that nobody said were saved."""
    await people.add("gina")
    user, tomorrow = await people.user("gina"), people.clock.now + timedelta(days=1)
    code = await people.store.run(lambda tx: issue_temporary_code(tx, user.id, tomorrow))
    connection, _ = await connect(running.port, "gina", [PASSWORD, code])
    async with connection:
        gina = Prompt(await connection.create_process(term_type="dumb", term_size=(40, 24)))
        await gina.shows("Replace the phone? [y/N]: ")
        shown = await gina.answers("y\r", "Code: ")
        await gina.answers(f"{code_of(people, shown)}\r")
        assert "2FA is on, by authenticator app" in gina.all
    await people.store.run(
        lambda _tx: models.User.update(recovery_saved=False).where(models.User.name == "gina").execute()
    )
    people.clock.forward(60)
    secret = KEY.findall(shown)[-1]
    connection, _ = await connect(running.port, "gina", [PASSWORD, code_of(people, secret)])
    async with connection:
        gina = Prompt(await connection.create_process(term_type="dumb", term_size=(40, 24)))
        assert "These replace them." in " ".join((await gina.shows("saved them: ")).split())
        assert "Recovery codes saved." in await gina.answers("y\r")
        assert "\x1b" not in gina.all


async def test_a_session_that_ends_soon_says_so(people, running):
    connection, anna = await opened(people, running)
    async with connection:
        people.clock.forward(12 * 3600 - 240)
        process = await connection.create_process("plain", term_type="dumb", term_size=(40, 12))
        shown = Prompt(process)
        await shown.shows("sign out and")
        assert "This session ends in 4 minutes." in shown.all
        await shown.answers("exit\r", "exit")
        assert "This session ends" not in anna.all


@pytest.mark.feature("plain-prompt")
async def test_lists_are_paged_with_a_question(people, running):
    """A screen at a time, at the present size; on a narrow terminal a block for each row."""
    for number in range(12):
        await people.add(f"user{number:02}", password=None, enrolled=False)
    connection, anna = await opened(people, running, "dumb", (40, 12))
    async with connection:
        first = await anna.answers("user list\r", "More? [Y/n] ")
        assert first.count("\r\n") == 12
        assert max(map(len, first.splitlines())) <= 40
        assert "Name: admin\r\n2FA: Pending setup on next login\r\n" in first
        second = await anna.answers("\r", "More? [Y/n] ")
        assert second.count("\r\n") == 12
        anna.process.change_terminal_size(120, 60)
        rest = await anna.answers("y\r")
        assert "Name: user11" in rest
        table = await anna.answers("user list\r")
        assert table.splitlines()[1].startswith("NAME    2FA")
        anna.process.change_terminal_size(40, 12)
        await anna.answers("user list\r", "More? [Y/n] ")
        assert await anna.answers("n\r") == "n\r\ntwofold> "
        await anna.answers("report\r", "More? [Y/n] ")  # It writes several lines at once.
        assert await anna.answers("\x04") == "\r\ntwofold> "  # The end of the answers is a no.
    assert "\x1b" not in anna.all
