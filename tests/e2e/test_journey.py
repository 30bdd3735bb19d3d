"""The whole way by the installed program and the real `ssh`: from an empty directory to a new phone.

The QR code is decoded from the screen, and the codes come from oathtool.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.phone import Phone
from support.ssh_terminal import TerminalProgram
from support.terminal_picture import read_qr

PROGRAM = Path(sys.executable).with_name("twofold")
ADMIN_PASSWORD = "a walrus hums in july"
BEN_PASSWORD = "seven quiet marble stairs"
ONE_TIME = re.compile(r"\b[a-z0-9]{5}(?:-[a-z0-9]{5}){3}\b")
RECOVERY = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}\b")


@dataclass
class Clinic:
    """A home, its server, and what must never be found in the server's log."""

    folder: Path
    ssh: str
    keygen: str
    oathtool: str
    port: int = 0
    server: asyncio.subprocess.Process | None = None
    log: bytearray = field(default_factory=bytearray)
    secrets: list[str] = field(default_factory=list)
    open: list[TerminalProgram] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def twofold(self, *arguments: str) -> str:
        """Run a command as the operator on the host."""
        command = [PROGRAM, "--home", self.home, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def one_time_password(self, *arguments: str) -> str:
        """Run a command that makes a one-time password, and return that."""
        password = re.search(r"One-time password[^:]*: (\S+)", self.twofold(*arguments)).group(1)
        self.secrets.append(password)
        return password

    async def serve(self) -> None:
        """Start the server and wait for the line that says that it is ready."""
        self.server = await asyncio.create_subprocess_exec(
            PROGRAM, "--home", self.home, "serve", "--port", "0",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read_log())
        line = await asyncio.wait_for(self.server.stdout.readline(), 30)
        self.port = int(re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+)\n", line).group(1))

    async def _read_log(self) -> None:
        while chunk := await self.server.stderr.read(65536):
            self.log += chunk

    async def stop(self) -> int:
        """Ask the server to end, and return its exit status."""
        self.server.terminate()
        status = await asyncio.wait_for(self.server.wait(), 30)
        await self._reading
        return status

    async def connect(
        self, name: str, *, key: Path | None = None, size: tuple[int, int] = (80, 24)
    ) -> TerminalProgram:
        """Start `ssh` in a terminal."""
        options = [
            "-F", "none", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={key or '/nonexistent'}",
        ]  # fmt: skip
        command = [self.ssh, *options, "-p", str(self.port), f"{name}@127.0.0.1"]
        terminal = await TerminalProgram.start(command, size=size)
        self.open.append(terminal)
        return terminal

    def known_hosts(self) -> None:
        """Trust the server by what `hostkey` prints, as a careful person does."""
        line = self.twofold("hostkey", "--port", str(self.port))
        (self.folder / "known_hosts").write_text(line)

    def new_key(self, name: str) -> Path:
        """Make a key pair and return the private file."""
        path = self.folder / name
        command = [self.keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
        subprocess.run(command, check=True, timeout=30)
        self.secrets += path.read_text().splitlines()[1:-1]
        return path

    def status(self, name: str) -> str:
        """Read a user's two-factor status, as the operator sees it."""
        return re.search(r"^2FA +(.+)$", self.twofold("user", "show", name), re.MULTILINE).group(1)


@pytest.fixture
async def clinic(tmp_path: Path, require_program) -> AsyncIterator[Clinic]:
    found = Clinic(
        tmp_path, require_program("ssh"), require_program("ssh-keygen"), require_program("oathtool")
    )
    yield found
    for terminal in found.open:
        await terminal.kill()
    if found.server is not None and found.server.returncode is None:
        found.server.kill()
        await found.server.wait()


async def password_then(terminal: TerminalProgram, password: str) -> None:
    await terminal.expect("Password: ")
    terminal.type(password + "\r")


async def code_then(terminal: TerminalProgram, code: str) -> None:
    await terminal.expect("Verification code: ")
    terminal.type(code + "\r")


async def set_password(clinic: Clinic, terminal: TerminalProgram, password: str) -> None:
    clinic.secrets.append(password)
    await terminal.expect_on_screen("Choose a new password")
    terminal.type(f"{password}\t{password}\r")


async def enrol(clinic: Clinic, terminal: TerminalProgram, phone: Phone, label: str) -> list[str]:
    """Go through the wizard with a phone; return the recovery codes."""
    await terminal.expect_on_screen("Set up Two-Factor Authentication")
    await terminal.expect_on_screen("Google Authenticator")
    terminal.type("n")
    await terminal.expect_on_screen("Enable 2FA")
    async with asyncio.timeout(20):
        while (uri := read_qr(terminal.screen)) is None:
            await asyncio.sleep(0.1)
    assert phone.scan(uri) == label
    manual = re.findall(r"\b[A-Z2-7]{4}\b", terminal.text)
    assert "".join(manual) == phone.secret
    clinic.secrets.append(phone.secret)

    terminal.type(phone.wrong_code() + "\r")
    await terminal.expect_on_screen("That code is wrong")
    terminal.type(await phone.new_code() + "\r")
    await terminal.expect_on_screen("recovery codes")
    async with asyncio.timeout(20):
        while len(codes := RECOVERY.findall(terminal.text)) < 5:
            await asyncio.sleep(0.05)
    clinic.secrets += codes
    terminal.type("s")
    await asyncio.sleep(0.5)
    terminal.type("\r")
    return codes


async def sign_out(terminal: TerminalProgram) -> None:
    terminal.type("q")
    assert await terminal.end() == 0
    assert b"Signed out." in terminal.output


async def create_in_the_app(clinic: Clinic, admin: TerminalProgram, name: str) -> str:
    """Create a user on the Users screen, as a person at the keyboard; return the one-time password."""
    admin.type("2")
    await admin.expect_on_screen("by name")
    admin.type("n")
    await admin.expect_on_screen("New user")
    for typed in (name, f"{name}@clinic.example", f"{name.title()} Example", ""):
        admin.type(typed)
        await asyncio.sleep(0.3)
        admin.type("\r")
        await asyncio.sleep(0.2)
    await admin.expect_on_screen("I have noted it")
    password = ONE_TIME.search(admin.text).group()
    clinic.secrets.append(password)
    admin.type("\t")
    await asyncio.sleep(0.2)
    admin.type("\r")
    await admin.expect_on_screen("2 users")
    return password


async def require_in_the_app(admin: TerminalProgram) -> None:
    """Require 2FA of the second user in the table."""
    admin.type("\x1b[B")
    await asyncio.sleep(0.3)
    admin.type("r")
    await admin.expect_on_screen("Require 2FA of ben?")
    admin.type("y")
    await admin.expect_on_screen("Pending setup on next login")


async def set_mode_in_the_app(admin: TerminalProgram) -> None:
    """Turn the account's mode to `required`, after the preview and the confirmation."""
    admin.type("3")
    await admin.expect_on_screen("You need not set anything up.")
    admin.type("r")
    await admin.expect_on_screen("Required: ")
    admin.type("a")
    await admin.expect_on_screen("(y)")
    admin.type("y")
    await admin.expect_on_screen("The mode is now required.")


async def first_signin_of_the_admin(clinic: Clinic, phone: Phone) -> TerminalProgram:
    """A one-time password, a new password, the wizard, and the console in the same session."""
    arguments = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    one_time = clinic.one_time_password(*arguments)
    settings = clinic.home / "twofold.toml"
    settings.write_text(settings.read_text().replace('#level = "warning"', 'level = "debug"'))
    await clinic.serve()
    clinic.known_hosts()
    admin = await clinic.connect("anna")
    await password_then(admin, one_time)
    await set_password(clinic, admin, ADMIN_PASSWORD)
    await enrol(clinic, admin, phone, "Twofold:anna")
    await admin.expect_on_screen("1 My profile")
    assert clinic.status("anna") == "Enabled"
    return admin


async def first_signin_of_a_user(clinic: Clinic, phone: Phone, one_time: str) -> list[str]:
    terminal = await clinic.connect("ben")
    await password_then(terminal, one_time)
    await set_password(clinic, terminal, BEN_PASSWORD)
    codes = await enrol(clinic, terminal, phone, "Twofold:ben")
    await terminal.expect_on_screen("1 My profile")
    assert "2 Users" not in terminal.text
    await sign_out(terminal)
    return codes


async def sign_in_by_password_key_and_recovery_code(clinic: Clinic, phone: Phone, recovery: str) -> Path:
    """Return the key that signs in from now on. The code that was used before is refused."""
    terminal = await clinic.connect("ben")
    await password_then(terminal, BEN_PASSWORD)
    await code_then(terminal, phone.last_code())
    await terminal.expect("That code was already used")
    await code_then(terminal, await phone.new_code())
    await terminal.expect_on_screen("1 My profile")
    await sign_out(terminal)

    key = clinic.new_key("ben_key")
    clinic.twofold("user", "key", "add", "ben", f"{key}.pub")
    for answer in (await phone.new_code(), recovery.lower().replace("-", " ")):
        terminal = await clinic.connect("ben", key=key)
        await code_then(terminal, answer)
        await terminal.expect_on_screen("1 My profile")
        await sign_out(terminal)
    return key


async def lock(clinic: Clinic, phone: Phone, key: Path) -> None:
    """Seven wrong codes, over two connections since six answers end one; then neither factor helps."""
    terminal = await clinic.connect("ben", key=key)
    for left in range(6, 0, -1):
        await code_then(terminal, phone.wrong_code())
        if left > 1:
            await terminal.expect(f"Wrong code, {left} attempts left")
    assert await terminal.end() != 0
    terminal = await clinic.connect("ben", key=key)
    await code_then(terminal, phone.wrong_code())
    await terminal.expect("Locked after seven wrong codes. Ask a system administrator")
    assert await terminal.end() != 0
    assert clinic.status("ben") == "Locked"
    terminal = await clinic.connect("ben")
    await password_then(terminal, BEN_PASSWORD)
    await terminal.expect("Locked after seven wrong codes")
    assert await terminal.end() != 0


async def test_from_an_empty_directory_to_a_new_phone(clinic):
    anna, ben = Phone(clinic.oathtool), Phone(clinic.oathtool)
    admin = await first_signin_of_the_admin(clinic, anna)

    one_time = await create_in_the_app(clinic, admin, "ben")
    await require_in_the_app(admin)
    recovery = await first_signin_of_a_user(clinic, ben, one_time)
    admin.type("1")
    await admin.expect_on_screen("How it works")
    admin.type("2")
    await admin.expect_on_screen("by name")
    async with asyncio.timeout(20):
        while admin.text.count("Enabled") < 2:
            await asyncio.sleep(0.05)

    await set_mode_in_the_app(admin)
    await sign_out(admin)
    carol = clinic.one_time_password("user", "add", "carol", "--email", "carol@clinic.example")
    assert clinic.status("carol") == "Pending setup on next login"
    terminal = await clinic.connect("carol")
    await password_then(terminal, carol)
    await set_password(clinic, terminal, "copper lantern on the sill")
    await terminal.expect_on_screen("is required by")
    await terminal.kill()

    key = await sign_in_by_password_key_and_recovery_code(clinic, ben, recovery[0])
    await lock(clinic, ben, key)

    # Unlocked, he signs in; cleared, he enrols again, with a new secret.
    clinic.twofold("user", "unlock", "ben")
    terminal = await clinic.connect("ben", key=key)
    await code_then(terminal, await ben.new_code())
    await terminal.expect_on_screen("1 My profile")
    await sign_out(terminal)
    clinic.twofold("user", "clear-2fa", "ben")
    assert clinic.status("ben") == "Pending setup on next login"
    old_secret = ben.secret
    terminal = await clinic.connect("ben", key=key)
    await enrol(clinic, terminal, ben, "Twofold:ben")
    await terminal.expect_on_screen("1 My profile")
    assert ben.secret != old_secret

    # SIGTERM tells who is still there, and ends well.
    assert await clinic.stop() == 0
    assert await terminal.end() == 0
    assert b"shutting down" in terminal.output
    assert_told_without_secrets(clinic, anna, ben)


def assert_told_without_secrets(clinic: Clinic, *phones: Phone) -> None:
    """The log at debug level and the audit log tell what happened, and no secret."""
    told = clinic.log.decode("utf-8", "replace") + clinic.twofold("audit", "list", "--json", "--limit", "0")
    codes = [code for phone in phones for code in phone.codes]
    assert [secret for secret in [*clinic.secrets, *codes] if secret in told] == []
    assert "Traceback" not in told
    audit = clinic.twofold("audit", "list", "--user", "ben", "--limit", "0")
    for sentence in (
        "Refused a code that was already used",
        "Locked after seven wrong codes",
        "Unlocked",
        "Two-factor data cleared",
        "Recovery code used, 4 left",
    ):
        assert sentence in audit
