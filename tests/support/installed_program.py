"""An installation that real people use: the installed program, a real `ssh` in a terminal, and phones."""

import asyncio
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from support.authenticator_app import Phone
from support.forked import run_twofold
from support.pseudo_terminal import PATIENCE, Terminal, TerminalProgram
from support.terminal_picture import read_qr

PROGRAM = Path(sys.executable).with_name("twofold")
CODE_TO_SEND = re.compile(r"\bCode +([0-9]{4}(?: [0-9]{4}){2})\b")
KEY_GROUP = re.compile(r"\b[A-Z2-7]{4}\b")
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
    under: tuple[str, ...] = ()
    """A command that the server is started by."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def twofold(self, *arguments: str, given: str = "") -> str:
        """Run a command as the operator on the host, with something on its standard input."""
        ended = run_twofold(("--home", self.home, *arguments), given)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def one_time_password(self, *arguments: str) -> str:
        """Run a command that makes a one-time password, and return that."""
        password = re.search(r"One-time password[^:]*: (\S+)", self.twofold(*arguments)).group(1)
        self.secrets.append(password)
        return password

    async def serve(self, *arguments: str) -> None:
        """Start the server and wait for the line that says that it is ready."""
        self.server = await asyncio.create_subprocess_exec(
            *self.under, PROGRAM, "--home", self.home, "serve", "--port", "0", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read_log())
        line = await asyncio.wait_for(self.server.stdout.readline(), 90)
        self.port = int(re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+)\n", line).group(1))

    async def _read_log(self) -> None:
        while chunk := await self.server.stderr.read(65536):
            self.log += chunk

    async def logs(self, words: bytes) -> None:
        """Wait until words stand in the log: it is read beside what the server prints."""
        async with asyncio.timeout(PATIENCE):
            while words not in self.log:
                await asyncio.sleep(0.01)

    async def stop(self) -> int:
        """Ask the server to end, and return its exit status."""
        self.server.terminate()
        status = await asyncio.wait_for(self.server.wait(), PATIENCE)
        await self._reading
        return status

    async def connect(
        self,
        name: str,
        *,
        key: Path | None = None,
        size: tuple[int, int] = (80, 24),
        term: str = "xterm-256color",
    ) -> TerminalProgram:
        """Start `ssh` in a terminal."""
        options = [
            "-F", "none", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={key or '/nonexistent'}",
        ]  # fmt: skip
        command = [self.ssh, *options, "-p", str(self.port), f"{name}@127.0.0.1"]
        terminal = await TerminalProgram.start(command, size=size, term=term)
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
    """Go through the wizard with a first phone; return the recovery codes."""
    await scan_and_confirm(clinic, terminal, phone, label)
    return await save_recovery_codes(clinic, terminal)


async def save_recovery_codes(clinic: Clinic, terminal: Terminal) -> list[str]:
    """Note the recovery codes, say that they are saved and go on."""
    await terminal.expect_on_screen("Save your recovery codes")
    codes = await terminal.expect_matches(RECOVERY, 5)
    clinic.secrets += codes
    terminal.type("y")
    await terminal.expect_on_screen("[x] I have saved")
    terminal.type("\r")
    return codes


async def new_phone(clinic: Clinic, terminal: TerminalProgram, phone: Phone, label: str) -> None:
    """Go through the wizard with a phone that replaces another one."""
    await scan_and_confirm(clinic, terminal, phone, label)
    await terminal.expect_on_screen("The new phone is set up")
    terminal.type("\r")


async def scan_and_confirm(clinic: Clinic, terminal: TerminalProgram, phone: Phone, label: str) -> None:
    """Scan the QR code off the screen and type a wrong and a right code."""
    await terminal.expect_on_screen("Set up Two-Factor Authentication")
    await terminal.expect_on_screen("Microsoft Authenticator")
    terminal.type("\r")
    await terminal.expect_on_screen("Enable 2FA")
    assert phone.scan(await qr_code(terminal)) == label
    assert await manual_key(terminal) == phone.secret
    clinic.secrets.append(phone.secret)
    terminal.type(phone.wrong_code() + "\r")
    await terminal.expect_on_screen("Wrong code. Wait for the next one")
    terminal.type(await phone.new_code() + "\r")


async def qr_code(terminal: TerminalProgram) -> str:
    """Scan the QR code off the screen."""
    async with asyncio.timeout(PATIENCE):
        while (uri := read_qr(terminal.screen)) is None:
            await asyncio.sleep(0.1)
    return uri


async def manual_key(terminal: Terminal) -> str:
    """Read the key that stands on the wizard's screen, for typing by hand."""
    return "".join(await terminal.expect_matches(KEY_GROUP, 8))


async def sign_out(terminal: Terminal) -> None:
    terminal.type("q")
    assert await terminal.end() == 0
    assert b"Signed out." in terminal.output
