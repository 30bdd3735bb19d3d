"""What ssh-audit says of the server, and who can still connect to a strict one."""

import asyncio
import json
import sys
from pathlib import Path

import asyncssh
import pytest
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import HOST, connect, running_server

from sshserver import algorithms, server
from sshserver.algorithms import STRICT, Algorithms, AlgorithmsError
from sshserver.selftest.signin_check import SelfTestError
from tui.cli import config_file

AUDIT = Path(sys.executable).with_name("ssh-audit")
KEY = asyncssh.generate_private_key("ssh-ed25519")


async def notes(offered: Algorithms) -> dict[str, list[str]]:
    """Audit a server and return which algorithms were given a failure and which a warning."""
    async with running_server(FakeBackend([KEY]), algorithms=offered) as running:
        audit = await asyncio.create_subprocess_exec(
            AUDIT, "--json", "--port", str(running.port), HOST, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(audit.communicate(), 60)
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        connection.close()
        await connection.wait_closed()
    report = json.loads(output)
    found: dict[str, list[str]] = {"fail": [], "warn": [], "cves": report["cves"]}
    for kind in ("kex", "key", "enc", "mac"):
        assert report[kind], f"ssh-audit saw no {kind}"
        for entry in report[kind]:
            for level in set(found) & set(entry["notes"]):
                found[level].append(entry["algorithm"])
    return found


async def test_default_server_has_no_failures():
    """ssh-audit finds no failure."""
    found = await notes(Algorithms())
    assert (found["fail"], found["cves"]) == ([], [])
    assert found["warn"] == ["curve25519-sha256", "curve25519-sha256@libssh.org"]


async def test_strict_server_has_no_warnings():
    """ssh-audit finds neither failure nor warning."""
    assert await notes(STRICT) == {"fail": [], "warn": [], "cves": []}


async def test_strict_server_needs_post_quantum():
    async with running_server(FakeBackend([KEY]), algorithms=STRICT) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        connection.close()
        await connection.wait_closed()
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await connect(running.port, "alice", [CODE], keys=[KEY], kex_algs=["curve25519-sha256"])


async def test_openssh_connects_to_strict_server(require_program):
    """The installed OpenSSH connects if it can."""
    ssh = require_program("ssh")
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    options += ["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityAgent=none"]
    known = await asyncio.create_subprocess_exec(ssh, "-Q", "kex", stdout=asyncio.subprocess.PIPE)
    able = STRICT.key_exchanges[0].encode() in (await known.communicate())[0].split()
    async with running_server(FakeBackend(), algorithms=STRICT) as running:
        client = await asyncio.create_subprocess_exec(
            ssh, *options, "-p", str(running.port), f"alice@{HOST}", stderr=asyncio.subprocess.PIPE
        )
        _, said = await asyncio.wait_for(client.communicate(), 20)
    assert (b"Permission denied" if able else b"no matching key exchange method found") in said


async def test_strict_server_without_post_quantum(monkeypatch):
    """A strict server does not start where cryptography lacks the algorithm."""
    monkeypatch.setattr(algorithms, "get_kex_algs", lambda: [b"curve25519-sha256"])
    with pytest.raises(AlgorithmsError, match="strict_algorithms = false"):
        async with running_server(FakeBackend(), algorithms=STRICT):
            pass
    async with running_server(FakeBackend([KEY])) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        connection.close()
        await connection.wait_closed()


def test_the_setting_is_off_unless_it_is_set(tmp_path):
    file = tmp_path / "twofold.toml"
    assert config_file.load(file).strict_algorithms is False
    file.write_text("[server]\nstrict_algorithms = true\n")
    assert config_file.load(file).strict_algorithms is True


async def test_self_test_uses_served_algorithms(monkeypatch):
    tried = []

    async def run(listen):
        tried.append(listen)
        raise SelfTestError

    monkeypatch.setattr(server.signin_check, "run", run)
    with pytest.raises(SelfTestError):
        await server.serve(None, KEY, None, algorithms=STRICT)  # type: ignore[arg-type]
    assert tried[0].keywords == {"algorithms": STRICT}
