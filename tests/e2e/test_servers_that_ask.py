"""An OpenSSH sshd and FreeRADIUS, set up as the manual says, ask the installed program."""

import asyncio
import os
import re
import shlex
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.database import totp
from support.free_ports import free_port
from support.installed_program import Clinic
from support.pam import require_module
from support.radius import ACCEPT, HOST, REJECT, radclient
from support.ssh_users import OPERATOR, SECRET, enrol_with_app
from support.sshd import require_sshd

from data.operations.users.lifecycle import NewUser, create_user
from data.storage.home import Home
from tui.cli.open_installation import installation

INIT = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
MANUAL = Path(__file__).parents[2] / "tui" / "manual" / "radius.md"


def manual(start: str) -> str:
    """Return the block of the manual that begins so."""
    block = rf"^```text\n({re.escape(start)}.*?)^```"
    return re.search(block, MANUAL.read_text(), re.DOTALL | re.MULTILINE)[1]


def codes() -> tuple[str, str]:
    """Return the code of this moment, and one that is not of these minutes."""
    now = datetime.now(UTC)
    right = {totp(SECRET, now, steps) for steps in range(-9, 10)}
    return totp(SECRET, now), next(f"{number:06}" for number in range(40) if f"{number:06}" not in right)


def enrolled(clinic: Clinic, name: str) -> None:
    with installation(Home(clinic.home)) as here:
        here.store.run_now(create_user, OPERATOR, NewUser(name, f"{name}@clinic.example"))
        here.store.run_now(enrol_with_app, name)


async def next_line(clinic: Clinic) -> str:
    return (await asyncio.wait_for(clinic.server.stdout.readline(), 60)).decode().split()[-1]


def results(clinic: Clinic) -> list[str]:
    """Return what the server answered: a client that got no answer refuses too."""
    return re.findall(r"application\.answered.*?result\W+(\w+)", clinic.log.decode())


class Sshd:
    """An sshd for each connection, over its standard input and output; it lets root in, who runs it."""

    def __init__(self, clinic: Clinic, program: Path) -> None:
        self.clinic, self.program = clinic, program
        self.folder = program.parent
        self.key = clinic.new_key("root")
        self.config = self.folder / "sshd_config"
        lines = [
            f"HostKey {clinic.new_key('host')}",
            f"AuthorizedKeysFile {self.key}.pub",
            "PermitRootLogin yes",
            "StrictModes no",
            manual("UsePAM yes"),
        ]
        self.config.write_text("\n".join(lines))

    async def opens(self, key: Path, answer: str) -> tuple[bool, list[str]]:
        """Return if `ssh` gets in with a key and an answer, and what it was asked."""
        asked, asker = self.folder / "asked", self.folder / "askpass"
        asked.write_text("")
        asker.write_text(f'#!/bin/sh\necho "$1" >> {asked}\necho {answer}\n')
        asker.chmod(0o700)
        server = shlex.join([str(self.program), "-i", "-e", "-f", str(self.config)])
        settings = [
            *(f"ProxyCommand={server}", f"IdentityFile={key}", "IdentitiesOnly=yes", "IdentityAgent=none"),
            *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "NumberOfPasswordPrompts=1"),
        ]
        options = [word for setting in settings for word in ("-o", setting)]
        process = await asyncio.create_subprocess_exec(
            *(self.clinic.ssh, "-F", "none", *options, "root@twofold.test", "echo opened"),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, start_new_session=True,
            env={**os.environ, "SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip
        printed = (await asyncio.wait_for(process.communicate(), 60))[0]
        return printed == b"opened\n", asked.read_text().splitlines()


@pytest.fixture
def sshd_program(tmp_path: Path) -> Iterator[Path]:
    """An sshd that asks PAM for a service of its own: it takes the name that it is started by.

    PAM finds a service's rules in /etc/pam.d only. Those of this one are removed with it.
    """
    require_module("pam_radius_auth.so", "libpam-radius-auth")
    program = tmp_path / f"twofold-test-{os.getpid()}"
    program.symlink_to(require_sshd())
    if os.geteuid() != 0:
        pytest.skip("only root's sshd asks PAM")
    rules = Path("/etc/pam.d") / program.name
    try:
        (question,) = re.findall(r"^auth .*skip_passwd.*$", MANUAL.read_text(), re.MULTILINE)
        question = question.replace("/etc/twofold-radius", str(tmp_path / "twofold-radius"))
        rules.write_text(f"{question}\naccount required pam_permit.so\nsession required pam_permit.so\n")
        yield program
    finally:
        rules.unlink(missing_ok=True)


@pytest.mark.feature("radius-sshd")
async def test_sshd_asks_for_a_code_after_the_key(clinic: Clinic, sshd_program: Path, tmp_path: Path):
    """A right code opens; the same again and a wrong one do not; with another key nothing is asked."""
    clinic.one_time_password(*INIT)
    enrolled(clinic, "root")
    added = clinic.twofold("application", "add", "sshd", "--radius", "--asks", "code", "--lenient")
    secret = added.split()[-1]
    await clinic.serve("--workers", "1", "--radius", "127.0.0.1:0")
    servers = tmp_path / "twofold-radius"
    servers.touch(mode=0o600)
    servers.write_text(f"{await next_line(clinic)} {secret} 60\n")
    sshd = Sshd(clinic, sshd_program)
    code, wrong = codes()
    question = ["(root@twofold.test) Verification code:"]
    assert await sshd.opens(clinic.new_key("stranger"), code) == (False, [])
    assert await sshd.opens(sshd.key, code) == (True, question)
    assert await sshd.opens(sshd.key, code) == (False, question)
    assert await sshd.opens(sshd.key, wrong) == (False, question)
    assert await clinic.stop() == 0
    assert results(clinic) == ["accept", "reject", "reject"]
    assert secret.encode() not in clinic.log


@asynccontextmanager
async def freeradius(program: str, folder: Path, base: str, token: str) -> AsyncIterator[int]:
    """Run FreeRADIUS with its module `rest` on a free port, which it cannot choose itself."""
    port = free_port(socket.SOCK_DGRAM)
    rest = manual("rest {").replace("https://twofold.clinic.example:8443", base).replace("TOKEN", token)
    (folder / "radiusd.conf").write_text(f"""
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
modules {{
{rest}
}}
client here {{
    ipaddr = {HOST}
    secret = testing
}}
server default {{
    listen {{
        type = auth
        ipaddr = {HOST}
        port = {port}
    }}
{manual("authorize {")}
}}
""")
    process = await asyncio.create_subprocess_exec(
        *(program, "-f", "-l", "stdout", "-d", folder), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            printed = []
            while not printed or b"Ready to process requests" not in printed[-1]:
                printed.append(await process.stdout.readline())
                assert printed[-1], printed
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.feature("radius-freeradius")
async def test_freeradius_asks_over_http(clinic: Clinic, require_program, tmp_path: Path):
    """A code is accepted once; quotes in what somebody types do not make another user be asked about."""
    require_program("radclient")
    program = require_program("freeradius")
    clinic.one_time_password(*INIT)
    enrolled(clinic, "ben")
    token = clinic.twofold("application", "add", "radius", "--http", "--asks", "code").split()[-1]
    await clinic.serve("--workers", "1", "--http", "127.0.0.1:0")
    folder = tmp_path / "freeradius"
    folder.mkdir(mode=0o700)
    async with freeradius(program, folder, await next_line(clinic), token) as port:

        async def answered(answer: str, name: str = "ben") -> int:
            given = {"User_Name": name, "User_Password": f'"{answer}"', "Message_Authenticator": "0x00"}
            return (await radclient(port, b"testing", **given)).code

        code, wrong = codes()
        assert await answered(rf"{code}\", \"user\": \"ben", name="nobody") == REJECT
        assert [await answered(each) for each in (code, code, wrong)] == [ACCEPT, REJECT, REJECT]
    assert await clinic.stop() == 0
    assert results(clinic) == ["reject", "accept", "reject", "reject"]
