"""A real OpenSSH sshd that lets in by certificates alone: a host behind Twofold."""

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOST = "127.0.0.1"
ELSEWHERE = "127.0.0.2"
"""Another source address of the loopback interface."""
ME = getpass.getuser()
"""Who runs sshd: the only user whom it can let in if that is not root."""


def require_sshd() -> str:
    """Return sshd's path, with the folder that it needs; skip by its name, or fail in CI."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("the program sshd is missing, and CI must not skip", pytrace=False)
        pytest.skip("the program sshd is not installed")
    if os.geteuid() == 0:
        # It stays, because other tests run beside this one.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return found


@dataclass
class Sshd:
    """An sshd for each connection to its port; it reads its files again each time."""

    folder: Path
    program: str
    port: int = 0
    _running: set[asyncio.subprocess.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o755)
        self.trusted.touch()
        self.revoked.touch()

    @property
    def config(self) -> Path:
        return self.folder / "sshd_config"

    @property
    def trusted(self) -> Path:
        """The file of the authorities, a line each."""
        return self.folder / "ca.pub"

    @property
    def revoked(self) -> Path:
        """The KRL."""
        return self.folder / "revoked.krl"

    def configure(self, *lines: str) -> None:
        """Write the configuration, with lines that count before the others."""
        host_key = self.folder / "host_key"
        if not host_key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
        needed = (
            f"HostKey {host_key}",
            f"TrustedUserCAKeys {self.trusted}",
            f"RevokedKeys {self.revoked}",
            "AuthorizedKeysFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "StrictModes no",
        )
        self.config.write_text("\n".join((*lines, *needed)) + "\n")

    def admit(self, *principals: str) -> None:
        """Let in who bears one of these principals; without this, each user by the name alone."""
        file = self.folder / "principals"
        file.write_text("".join(f"{principal}\n" for principal in principals))
        self.configure(f"AuthorizedPrincipalsFile {file}")

    def log(self) -> str:
        """Return what has been logged since the last time."""
        file = self.folder / "log"
        found = file.read_text() if file.exists() else ""
        file.write_text("")
        return found

    async def accept(self, listening: socket.socket) -> None:
        """Start an sshd for each connection."""
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            with connection, (self.folder / "log").open("ab") as log:
                connection.setblocking(True)
                self._running.add(
                    await asyncio.create_subprocess_exec(
                        *(self.program, "-i", "-e", "-f", self.config),
                        stdin=connection, stdout=connection, stderr=log,
                    )
                )  # fmt: skip

    async def end(self) -> None:
        """Wait until all connections have ended."""
        for process in self._running:
            await asyncio.wait_for(process.wait(), 60)

    async def opens(self, key: Path, *options: str, name: str = ME, words: str = "echo opened") -> str | None:
        """Return what a command prints that `ssh` runs with a key, and the certificate beside it if any.

        None if `ssh` is not let in.
        """
        settings = (
            *("IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=no", "LogLevel=ERROR"),
            *("UserKnownHostsFile=/dev/null", f"IdentityFile={key}"),
        )
        given = [word for setting in settings for word in ("-o", setting)]
        command = ("ssh", "-F", "none", *given, *options, "-p", str(self.port), f"{name}@{HOST}", words)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0 or b"Permission denied (publickey)" in err, err.decode()
        return out.decode() if process.returncode == 0 else None


@asynccontextmanager
async def running_sshd(folder: Path) -> AsyncIterator[Sshd]:
    """Serve on a free port, with no authority trusted yet and nothing revoked."""
    sshd = Sshd(folder, require_sshd())
    sshd.configure()
    with socket.create_server((HOST, 0)) as listening:
        listening.setblocking(False)
        sshd.port = listening.getsockname()[1]
        accepting = asyncio.create_task(sshd.accept(listening))
        try:
            yield sshd
        finally:
            accepting.cancel()
            await sshd.end()
