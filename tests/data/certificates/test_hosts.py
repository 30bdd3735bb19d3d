"""Hosts with OpenSSH's sshd accept what was issued, from whom, as whom, until when and from where it says."""

import asyncio
import re
import shlex
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from support.database import OPERATOR, PASSWORD, World
from support.http_server import http_server
from support.key_agent import ed25519_key, key_agent, token_key
from support.sshd import ELSEWHERE, ME, Sshd, running_sshd

from data.operations.actors import Member, Operator
from data.operations.certificates import authorities, issuing
from data.operations.certificates.issuing import IssuedCertificate
from data.operations.certificates.revocation_list import read_revocation_list
from data.operations.certificates.withdrawal import withdraw
from data.operations.maintenance import accounts
from data.operations.users.lifecycle import NewUser
from data.rules.public_keys import ALGORITHMS
from data.storage import models

pytestmark = pytest.mark.only_on("sqlite")
MANUAL = Path(__file__).parents[3] / "tui" / "manual" / "certificates.md"
OPENED = "opened\n"


@pytest.fixture
async def sshd(tmp_path: Path, require_program) -> AsyncIterator[Sshd]:
    require_program("ssh")
    async with running_sshd(tmp_path / "sshd") as found:
        yield found


@pytest.fixture
def ben(world: World, authority) -> Member:
    """Somebody with a fresh code, at the present hour: sshd looks at the machine's clock."""
    world.clock.now = datetime.now(UTC)
    world.user("ben")
    return world.enrol("ben")


def issue(world: World, me: Member, key: str, *sources: str) -> IssuedCertificate:
    made = world.run(issuing.issue_certificate, me, key, sources)
    assert isinstance(made, IssuedCertificate), made
    return made


def new_key(folder: Path, name: str, algorithm: str = "ssh-ed25519") -> Path:
    """Write a new key pair; return the private file."""
    options = {"key_size": 3072} if algorithm == "ssh-rsa" else {}
    key, file = asyncssh.generate_private_key(algorithm, **options), folder / name
    file.touch(mode=0o600)
    key.write_private_key(file, "openssh")
    key.write_public_key(f"{file}.pub")
    return file


def certificate_for(world: World, me: Member, key: Path, *sources: str) -> IssuedCertificate:
    """Put a new certificate beside a key, where ssh finds it."""
    made = issue(world, me, Path(f"{key}.pub").read_text(), *sources)
    Path(f"{key}-cert.pub").write_text(f"{made.line}\n")
    return made


@pytest.mark.feature("certificates-hosts")
async def test_as_whom_until_when_and_from_where(world, authority, sshd, tmp_path):
    """Only under a principal of theirs, before the end, from the addresses named; the log says who it was."""
    sshd.trusted.write_text(f"{authority.present.public_key}\n")
    world.user("ben")
    world.clock.now = datetime.now(UTC) - timedelta(hours=8)
    key = new_key(tmp_path, "id")
    certificate_for(world, world.enrol("ben"), key)

    async def refused(*options: str) -> str:
        assert await sshd.opens(key, *options) is None
        return sshd.log()

    assert "Certificate invalid: expired" in await refused()
    world.clock.now = datetime.now(UTC)
    ben = world.session("ben")
    made = certificate_for(world, ben, key)
    assert "name is not a listed principal" in await refused()
    sshd.admit("anna")
    assert "does not contain an authorized principal" in await refused()
    sshd.admit("anna", "ben")
    assert await sshd.opens(key) == OPENED
    accepted = f"Accepted publickey for {ME} from 127.0.0.1 port"
    assert re.search(
        rf"^{accepted} .* ID Clinic/ben#{made.serial} \(serial {made.serial}\) CA ED25519 "
        rf"{re.escape(authority.present.fingerprint)}$",
        sshd.log(),
        re.MULTILINE,
    )
    certificate_for(world, ben, key, ELSEWHERE)
    assert "not from a permitted source address (127.0.0.1)" in await refused()
    assert await sshd.opens(key, "-b", ELSEWHERE) == OPENED
    for mapped in ("::ffff:127.0.0.1", "::ffff:127.0.0.0/120"):
        certificate_for(world, ben, key, mapped)
        assert await sshd.opens(key) == OPENED
        assert await sshd.opens(key, "-b", "127.0.1.1") is None


@pytest.mark.feature("certificates-hosts")
async def test_of_every_key_type(world, authority, ben, sshd, tmp_path):
    """Each that sign-ins take, also on a security token."""
    sshd.trusted.write_text(f"{authority.present.public_key}\n")
    sshd.admit("ben")
    tokens = dict(token_key(name) for name in ALGORITHMS if name.startswith("sk-"))
    keys = [new_key(tmp_path, name, name) for name in ALGORITHMS if not name.startswith("sk-")]
    for key in keys:
        certificate_for(world, ben, key)
    socket = tmp_path / "agent"
    held = {issue(world, ben, line).line: sign for line, sign in tokens.items()}
    async with key_agent(socket, held):
        opening = [sshd.opens(key) for key in keys]
        for number, line in enumerate(held):
            file = tmp_path / f"token{number}.pub"
            file.write_text(line)
            opening.append(sshd.opens(file, "-o", f"IdentityAgent={socket}"))
        assert set(await asyncio.gather(*opening)) == {OPENED}
    accepted = re.findall(r"ssh2: (\S+)-CERT ", sshd.log())
    assert sorted(accepted) == sorted(["ED25519", *["ECDSA"] * 3, "RSA", "ED25519-SK", "ECDSA-SK"])


@pytest.mark.feature("certificates-hosts")
async def test_of_nobody_else(world, authority, ben, sshd, tmp_path):
    """Neither a certificate with somebody else's key, nor one of another account, even with its principal."""
    sshd.trusted.write_text(f"{authority.present.public_key}\n")
    sshd.admit("ben", "eve")
    (line, sign), (_, other) = ed25519_key(), ed25519_key()
    stolen, socket = tmp_path / "stolen.pub", tmp_path / "agent"
    stolen.write_text(issue(world, ben, line).line)
    for signs, result in ((other, None), (sign, OPENED)):
        socket.unlink(missing_ok=True)
        async with key_agent(socket, {stolen.read_text(): signs}):
            assert await sshd.opens(stolen, "-o", f"IdentityAgent={socket}") == result
    assert "Accepted publickey" in sshd.log()

    eve = in_surgery(world)
    key = new_key(tmp_path, "id")
    certificate_for(world, eve, key)
    assert await sshd.opens(key) is None
    surgery = world.run(authorities.show_authorities, Operator("root", "Surgery"))
    with sshd.trusted.open("a") as trusted:
        trusted.write(f"{surgery.present.public_key}\n")
    assert await sshd.opens(key) == OPENED


def in_surgery(world: World) -> Member:
    """Have another account with an authority of its own; return a session of eve, who administers it."""
    hashed = world.services.hasher.hash(PASSWORD)
    eve = NewUser("eve", "eve@surgery.example", password_hash=hashed, one_time_password=False)
    world.run(accounts.add_account, OPERATOR, "Surgery", "Main", eve)
    world.run(authorities.init_authority, Operator("root", "Surgery"))
    models.Account.update(certificate_hours=8).execute()
    return world.enrol("eve")


@pytest.mark.feature("certificates-rotate")
async def test_of_both_authorities(world, authority, ben, sshd, tmp_path):
    """After a rotation: the former one's certificates for as long as hosts list it, and the new one's."""
    key, newer = new_key(tmp_path, "id"), new_key(tmp_path, "newer")
    certificate_for(world, ben, key)
    seen = world.run(authorities.rotate_authority, OPERATOR, authority.present.fingerprint)
    certificate_for(world, ben, newer)
    sshd.admit("ben")
    sshd.trusted.write_text("".join(f"{row.public_key}\n" for row in (seen.present, *seen.former)))
    assert [await sshd.opens(each) for each in (key, newer)] == [OPENED, OPENED]
    sshd.trusted.write_text(f"{seen.present.public_key}\n")
    assert [await sshd.opens(each) for each in (key, newer)] == [None, OPENED]


def manual(name: str) -> str:
    """Return the file that the manual prints under this name."""
    printed = rf"^`/[\w/]+/{re.escape(name)}`.*?^```\w+\n(.*?)^```$"
    return re.search(printed, MANUAL.read_text(), re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The manual's script."""
    file = tmp_path / "twofold-krl"
    file.write_text(manual(file.name))
    file.chmod(0o755)
    return file


async def status_of(*command: str | Path, **options: object) -> int:
    """Run a command, which says why if it fails and nothing otherwise."""
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, **options)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert not said or process.returncode, said
    return process.returncode


def service(base: str, script: Path, file: Path) -> list[str]:
    """Return what the manual's service starts, with other paths."""
    (line,) = re.findall(r"^ExecStart=(.*)$", manual("twofold-krl.service"), re.MULTILINE)
    for there, here in (
        ("/usr/local/sbin/twofold-krl", script),
        ("/etc/ssh/twofold.krl", file),
        ("https://twofold.clinic.example:8443", base),
    ):
        assert there in line
        line = line.replace(there, str(here))
    return shlex.split(line)


@pytest.mark.feature("certificates-script")
async def test_not_after_withdrawal(world, authority, ben, sshd, script, tmp_path, require_program):
    """From the next fetching on, and no other certificate; without any list nobody gets in."""
    require_program("curl")
    sshd.trusted.write_text(f"{authority.present.public_key}\n")
    sshd.admit("ben")
    sshd.revoked.unlink()
    key, other = new_key(tmp_path, "id"), new_key(tmp_path, "other")
    made = certificate_for(world, ben, key)
    certificate_for(world, ben, other)
    assert await sshd.opens(key) is None
    assert "No such file" in sshd.log()
    async with http_server(world.store) as base:
        assert await status_of(*service(base, script, sshd.revoked), umask=0o077) == 0
    assert sshd.revoked.stat().st_mode & 0o777 == 0o644
    assert await sshd.opens(key) == OPENED
    its = models.Certificate.serial == made.serial
    assert world.run(withdraw, world.row("ben").id, "tests", its) == 1
    async with http_server(world.store) as base:
        assert await status_of(*service(base, script, sshd.revoked)) == 0
    sshd.log()
    assert await sshd.opens(key) is None
    assert f"revoked by file {sshd.revoked}" in sshd.log()
    assert await sshd.opens(other) == OPENED
    # With the server gone, the list stays.
    assert await status_of(*service(base, script, sshd.revoked)) != 0
    assert await sshd.opens(other) == OPENED


@pytest.mark.feature("certificates-script")
async def test_what_is_no_list_leaves_the_old_one(world, authority, script, tmp_path):
    """A failure, nothing at all, a page, a part, and a whole list of which nobody knows that it is whole."""
    file, good = tmp_path / "twofold.krl", tmp_path / "good"
    file.write_text("old")
    good.write_bytes(world.run(read_revocation_list, "Clinic"))
    for command in (
        "echo no >&2; exit 22",
        "true",
        "echo '<html>Not found</html>'",
        "head -c 20 good",
        "cat good; echo cut off >&2; exit 18",
    ):
        assert await status_of(script, file, "sh", "-c", command, cwd=tmp_path) != 0
        assert file.read_text() == "old"
    # Stopped by systemd while the list arrives.
    stopped = await asyncio.create_subprocess_exec(
        script, file, "sh", "-c", "cat good; kill $PPID", cwd=tmp_path
    )
    assert await asyncio.wait_for(stopped.wait(), 60) != 0
    assert file.read_text() == "old"
    assert await status_of(script, file, "cat", good) == 0
    assert file.read_bytes() == good.read_bytes()
    assert [path.name for path in tmp_path.glob("twofold.krl*")] == ["twofold.krl"]


@pytest.mark.feature("certificates-script")
def test_systemd_takes_the_units(script, tmp_path, require_program):
    """Without a word about them."""
    units = [tmp_path / name for name in ("twofold-krl.service", "twofold-krl.timer")]
    for unit in units:
        unit.write_text(manual(unit.name).replace("/usr/local/sbin/twofold-krl", str(script)))
    command = [require_program("systemd-analyze"), "verify", "--man=no", *units]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in (ended.stdout + ended.stderr).splitlines() if "twofold-krl" in line]
    assert (ended.returncode, said) == (0, [])
