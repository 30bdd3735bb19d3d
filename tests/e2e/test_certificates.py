"""Certificates as a newcomer sets them up: the installed program, the manual's script, `ssh` and an sshd."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest
from support.authenticator_app import Phone
from support.gate import Gate, enrols_by_a_program
from support.installed_program import PROGRAM, Clinic
from support.sshd import HOST, ME, Sshd, running_sshd

MANUAL = (Path(__file__).parents[2] / "tui" / "manual" / "certificates.md").read_text()


class Host:
    """A host with sshd, its root, and the manual's script on it."""

    def __init__(self, clinic: Clinic, sshd: Sshd) -> None:
        self.clinic, self.sshd = clinic, sshd
        self.script = sshd.folder / "twofold-krl"
        self.script.write_text(
            re.search(r"^```sh\n(#!/bin/sh\n.*?)^```$", MANUAL, re.DOTALL | re.MULTILINE)[1]
        )
        self.script.chmod(0o755)

    async def fetches(self, *command: str) -> int:
        """Run the script as its service does, with this host's file."""
        process = await asyncio.create_subprocess_exec(self.script, self.sshd.revoked, *command)
        return await asyncio.wait_for(process.wait(), 60)

    async def refuses(self, certificate: Path) -> bool:
        """Whether the list that was fetched last has a certificate."""
        command = (self.clinic.keygen, "-Q", "-f", self.sshd.revoked, certificate)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        return await asyncio.wait_for(process.wait(), 60) != 0

    def by_ssh(self) -> list[str]:
        """Have the operator's key give the list, as the manual says; return the command that gets it."""
        key, lines = self.clinic.new_key("krl_key"), MANUAL.splitlines()
        (allowed,) = (line for line in lines if line.startswith("restrict,command="))
        for there, here in (
            ("/opt/twofold/bin/twofold", PROGRAM),
            ("/var/lib/twofold", self.clinic.home),
            ("ssh-ed25519 AAAA...", Path(f"{key}.pub").read_text()),
        ):
            allowed = allowed.replace(there, str(here))
        keys, config = self.sshd.folder / "authorized_keys", self.sshd.folder / "ssh_config"
        keys.write_text(allowed)
        self.sshd.configure(f"AuthorizedKeysFile {keys}")
        config.write_text(
            f"Host twofold.clinic.example\nHostName {HOST}\nPort {self.sshd.port}\n"
            "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
        )
        (printed,) = (line for line in lines if line.startswith("ExecStart=") and " ssh " in line)
        words = shlex.split(printed.partition("/etc/ssh/twofold.krl ")[2])
        gate = "twofold.clinic.example"
        ours = {"/etc/ssh/twofold_krl_key": str(key), f"operator@{gate}": f"{ME}@{gate}"}
        return ["ssh", "-F", str(config), *(ours.get(word, word) for word in words[1:])]


def beside(key: Path, certificate: str) -> Path:
    """Store a certificate where `ssh` finds it."""
    file = Path(f"{key}-cert.pub")
    file.write_text(certificate)
    return file


@pytest.mark.feature("certificates-journey", "certificates-script")
async def test_from_nothing_to_a_host(clinic: Clinic, require_program, tmp_path: Path):
    """With two workers; once withdrawn, the host refuses it after the next list, by HTTP or by ssh."""
    require_program("curl")
    clinic.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    shown = clinic.twofold("ca", "init")
    clinic.twofold("policy", "set", "--certificate-hours", "8")
    await clinic.serve("--workers", "2", "--http", "127.0.0.1:0")
    url = (await asyncio.wait_for(clinic.server.stdout.readline(), 60)).decode().split()[-1] + "/krl/Clinic"
    clinic.known_hosts()
    key = clinic.new_key("ben")
    public = f"{key}.pub"
    clinic.twofold(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa", "--key-file", public
    )
    gate, phone = Gate(clinic, key), Phone(clinic.oathtool)
    await gate.open()
    status, out, err = await gate.run("cert")
    assert (status, out) == (1, ""), err
    await enrols_by_a_program(gate, phone)
    status, out, err = await gate.run("cert")
    assert (status, out.count("\n")) == (0, 1), err
    certificate = beside(key, out)
    async with running_sshd(tmp_path / "host") as sshd:
        host, by_http = Host(clinic, sshd), ("curl", "--fail", "--silent", "--show-error", url)
        sshd.trusted.write_text(re.search("^ssh-ed25519 .*$", shown, re.MULTILINE)[0])
        sshd.admit("ben")
        assert await host.fetches(*by_http) == 0
        assert await sshd.opens(key) == "opened\n"
        serial = re.search(r"Accepted publickey .* ID Clinic/ben#(\d+) \(serial \1\)", sshd.log())[1]
        assert serial in err
        status, _, err = await gate.run("cert", "withdraw", serial, "--yes")
        assert status == 0, err
        # Both workers give out what they have read for two seconds.
        async with asyncio.timeout(60):
            while not await host.refuses(certificate):
                assert await host.fetches(*by_http) == 0
        assert await sshd.opens(key) is None
        assert "revoked by file" in sshd.log()
        listed = sshd.revoked.read_bytes()
        sshd.revoked.write_bytes(b"")
        by_ssh = host.by_ssh()
        assert await host.fetches(*by_ssh) == 0
        assert await host.refuses(certificate)
        assert len(listed) == len(sshd.revoked.read_bytes())
    await gate.close()
    assert await clinic.stop() == 0
    assert phone.secret.encode() not in clinic.log
