"""The sshd with libpam-google-authenticator that Twofold is compared with; it leaves nothing behind.

It listens on a loopback port with a configuration, a host key and a PAM service of its own: sshd takes
the name of the service from the name it was started by. A system user is made for it and removed.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bench.enrolled_users import PASSWORD, SECRET
from bench.processes import Server

USER = "twofold-bench"
_SERVICE = Path("/etc/pam.d") / USER
_MODULE = "pam_google_authenticator.so"
_LEAN = {
    "key": "auth required {module} secret={secret} user=root no_strict_owner",
    "password": "auth required pam_unix.so\nauth required {module} secret={secret} user=root no_strict_owner",
}
_TWO_FACTORS = """UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication yes
AuthenticationMethods {methods}
"""
_KEY_ALONE = """UsePAM no
AuthenticationMethods publickey
"""
_METHODS = {"key": "publickey,keyboard-interactive", "password": "keyboard-interactive"}


def missing() -> str | None:
    """Say what stands in the way of measuring it."""
    if why := missing_for_commands():
        return why
    if not any(Path("/").glob(f"lib*/**/security/{_MODULE}")):
        return f"there is no {_MODULE}: apt-get install libpam-google-authenticator"
    return None


def missing_for_commands() -> str | None:
    """Say what stands in the way of running commands over it, which needs no PAM."""
    if os.geteuid() != 0:
        return "sshd is measured as root only"
    if shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") is None:
        return "there is no sshd: apt-get install openssh-server"
    taken = [str(path) for path in (*_services(),) if path.exists()]
    with suppress(KeyError):
        pwd.getpwnam(USER)
        taken.append(f"user {USER}")
    return f"left over, remove it first: {', '.join(taken)}" if taken else None


def _services() -> list[Path]:
    return [_SERVICE.with_name(f"{USER}-{factor}") for factor in _LEAN]


@dataclass
class Sshd:
    """A running sshd, and the file of its user's authenticator app."""

    server: Server
    port: int
    authenticator: Path

    def refill(self, *, once: bool = True) -> None:
        """Write the app's file anew, so that any code is unused; `once` has it refuse a code that was."""
        options = ['" WINDOW_SIZE 3', '" TOTP_AUTH', *(['" DISALLOW_REUSE'] if once else [])]
        fresh = self.authenticator.with_suffix(".new")
        fresh.write_text("\n".join([SECRET, *options]) + "\n")
        fresh.chmod(0o600)
        fresh.replace(self.authenticator)


@contextmanager
def account() -> Iterator[None]:
    """Make the user that signs in, and take it away again."""
    subprocess.run(
        ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", USER],
        check=True,
    )
    try:
        subprocess.run(["chpasswd"], input=f"{USER}:{PASSWORD}\n", text=True, check=True)
        yield
    finally:
        subprocess.run(["userdel", "--force", USER], check=True, capture_output=True)


@contextmanager
def running(factor: str, public_key: str) -> Iterator[Sshd]:
    """Run it for one kind of first factor."""
    folder = Path(mkdtemp(prefix="twofold-bench-sshd-"))
    service = _SERVICE.with_name(f"{USER}-{factor}")
    secret = folder / "authenticator"
    try:
        folder.chmod(0o711)
        auth = _LEAN[factor].format(module=_MODULE, secret=secret)
        service.write_text(f"{auth}\naccount required pam_permit.so\nsession required pam_permit.so\n")
        program = folder / service.name
        program.symlink_to("/usr/sbin/sshd")
        with _started(folder, program, public_key, _TWO_FACTORS.format(methods=_METHODS[factor])) as sshd:
            yield sshd
    finally:
        service.unlink(missing_ok=True)
        shutil.rmtree(folder)


@contextmanager
def running_for_commands(public_key: str) -> Iterator[Sshd]:
    """Run it for the user that was made, with a key alone and without PAM."""
    folder = Path(mkdtemp(prefix="twofold-bench-sshd-"))
    try:
        folder.chmod(0o711)
        with _started(folder, Path("/usr/sbin/sshd"), public_key, _KEY_ALONE) as sshd:
            yield sshd
    finally:
        shutil.rmtree(folder)


@contextmanager
def _started(folder: Path, program: Path, public_key: str, authentication: str) -> Iterator[Sshd]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True)
    (folder / "authorized_keys").write_text(public_key)
    port = _free_port()
    (folder / "config").write_text(_configuration(folder, port) + authentication)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with Server([program, "-D", "-e", "-f", folder / "config"]) as server:
        sshd = Sshd(server, port, folder / "authenticator")
        sshd.refill()
        _await(port)
        yield sshd


def _configuration(folder: Path, port: int) -> str:
    return f"""
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
MaxStartups 100
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel ERROR
"""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("sshd did not start")
