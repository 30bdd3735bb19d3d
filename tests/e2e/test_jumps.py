"""OpenSSH, scp, rsync and ansible reach a real sshd through the server."""

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.free_ports import free_port
from support.jump_gate import Gate, gate_of
from support.ssh_server import HOST
from support.ssh_users import People, open_people

from data.storage import models

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
NEEDS = pytest.mark.skipif(SSHD is None or os.geteuid() != 0, reason="sshd runs as root here only")
pytestmark = [NEEDS, pytest.mark.feature("jumps-carried")]


@asynccontextmanager
async def real_sshd(folder: Path) -> AsyncIterator[int]:
    """Run an sshd that lets root in by a key, and give its port."""
    for name in ("host", "inside"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    lines = [f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/inside.pub", "PermitRootLogin yes"]
    lines += ["StrictModes no", "UsePAM no", "PidFile none", "Subsystem sftp internal-sftp"]
    (folder / "sshd_config").write_text("\n".join([*lines, f"ListenAddress {HOST}:{port}", ""]))
    subprocess.run(["mkdir", "-p", "/run/sshd"], check=True)
    command = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    running = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            while True:
                with suppress(OSError), socket.create_connection((HOST, port), 1):
                    break
                await asyncio.sleep(0.02)
        yield port
    finally:
        running.terminate()
        await running.wait()


def write_config(gate: Gate, port: int) -> Path:
    """Write what people have in ~/.ssh/config."""
    folder = gate.people.folder
    options = ["StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "LogLevel INFO"]
    options += ["IdentitiesOnly yes", "IdentityAgent none"]
    inside = ["Host db1 db9", f"Port {port}", "User root", f"IdentityFile {folder}/inside"]
    through = ["Host gate", f"HostName {HOST}", f"Port {gate.server.port}", "User alice"]
    through += [f"IdentityFile {gate.people.key_file('alice')}", "BatchMode yes"]
    config = folder / "ssh_config"
    config.write_text("\n".join([*inside, *through, "Host *", *options, ""]))
    return config


async def run(*command: str | Path, **environment: str) -> tuple[int, str, str]:
    """Run a program; return its status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[tuple[Gate, Path, int]]:
    """The server, whose user has a remembered address, and a configuration that leads through it."""
    people: People = open_people(tmp_path)
    async with real_sshd(tmp_path) as port, gate_of(people) as gate:
        await gate.add("db1", port=port)
        await people.store.run(lambda _tx: models.Account.update(remember_days=1).execute())
        (await gate.connect()).close()
        yield gate, write_config(gate, port), port
    people.store.close()


async def test_what_openssh_shows_and_carries(inside, require_program, tmp_path):
    """`ssh -J`, `ssh -W`, `scp -J` and `rsync` reach it, and a refusal is shown in words."""
    gate, config, port = inside
    ssh = require_program("ssh")
    status, out, err = await run(ssh, "-F", config, "-J", "gate", "db1", "echo", "$((6 * 7))")
    assert (status, out) == (0, "42\n"), err
    status, out, err = await run(ssh, "-F", config, "-W", f"db1:{port}", "gate")
    assert out.startswith("SSH-2.0-OpenSSH"), err
    content = os.urandom(3_000_000)
    (tmp_path / "sent").write_bytes(content)
    status, _, err = await run(
        require_program("scp"), "-F", config, "-J", "gate", tmp_path / "sent", f"db1:{tmp_path}/a"
    )
    assert (status, (tmp_path / "a").read_bytes()) == (0, content), err
    over = f"{ssh} -F {config} -J gate"
    status, _, err = await run(require_program("rsync"), "-e", over, f"db1:{tmp_path}/a", tmp_path / "b")
    assert (status, (tmp_path / "b").read_bytes()) == (0, content), err
    status, out, err = await run(ssh, "-F", config, "-J", "gate", "db9", "true")
    assert status != 0
    assert f"db9:{port} is not among your targets: db1:{port}." in err
    _, _, err = await run(ssh, "-o", "LogLevel=ERROR", "-F", config, "-W", "db9:22", "gate")
    assert "db9:22" not in err, "the manual says that ssh hides it"
    await gate.people.store.run(lambda _tx: models.Account.update(mode="off").execute())
    _, _, err = await run(ssh, "-F", config, "-W", f"db1:{port}", "gate")
    assert "Two-factor authentication is not available." in err
    assert len(await gate.audited("jump.opened")) == 4


async def test_ansible_pings(inside, tmp_path):
    if importlib.util.find_spec("ansible") is None:
        pytest.skip("ansible-core is not installed")
    _, config, _ = inside
    inventory = tmp_path / "hosts"
    inventory.write_text(
        f"db1 ansible_ssh_common_args='-F {config} -J gate' ansible_python_interpreter={sys.executable}\n"
    )
    ansible = Path(sys.executable).with_name("ansible")
    folders = {"HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path / "ansible"), "LC_ALL": "C.UTF-8"}
    status, out, err = await run(ansible, "-i", inventory, "db1", "-m", "ping", **folders)
    assert status == 0, out + err
    assert '"ping": "pong"' in out
