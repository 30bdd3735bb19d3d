"""Clients that answer every prompt with one and the same text: each ends by itself and locks nobody out."""

import asyncio
import os
from pathlib import Path

import asyncssh
import paramiko
import pytest
from support.ssh_server import HOST, Running, connect, running_server, until
from support.ssh_users import OPERATOR, PASSWORD, People

from data.operations.users.signin_explanation import explain_user
from sshserver.auth_backend import StoreBackend

ENDS_WITHIN = 100
"""Seconds that a client gets to come to its end: far more than it needs, on a slow machine too."""


class Owner:
    """An enrolled user whose client says one thing, over and over."""

    def __init__(self, people: People, running: Running, require) -> None:
        self.people, self.running, self.require = people, running, require

    async def run(self, command: list[str], **environment: str) -> int:
        """Run a client without a terminal to its end; return its exit status."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.people.folder), **environment},
            start_new_session=True,
        )
        async with asyncio.timeout(ENDS_WITHIN):
            return await process.wait()

    def askpass(self, text: str) -> Path:
        """Write a program that says one text whatever it is asked."""
        program = self.people.folder / "askpass"
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(0o700)
        return program

    async def ssh(self, text: str, *options: str, key: bool = False) -> int:
        """Connect by OpenSSH with a forced askpass."""
        command = [self.require("ssh"), "-F", "none", "-o", "StrictHostKeyChecking=no"]
        command += [
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "IdentityAgent=none",
            "-o",
            "IdentitiesOnly=yes",
        ]
        command += ["-i", str(self.people.key_file("ben"))] if key else ["-o", "PubkeyAuthentication=no"]
        command += [*options, "-p", str(self.running.port), f"ben@{HOST}"]
        return await self.run(
            command, SSH_ASKPASS=str(self.askpass(text)), SSH_ASKPASS_REQUIRE="force", DISPLAY=":0"
        )

    async def paramiko(self, text: str, *, key: bool = False) -> None:
        """Connect by paramiko's SSHClient, which answers a single prompt with the password."""

        def attempt() -> None:
            client = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            pkey = (
                paramiko.Ed25519Key.from_private_key_file(str(self.people.key_file("ben"))) if key else None
            )
            try:
                client.connect(
                    HOST, self.running.port, "ben", text, pkey=pkey, allow_agent=False, look_for_keys=False
                )
            finally:
                client.close()

        with pytest.raises((paramiko.SSHException, EOFError)):
            await asyncio.wait_for(asyncio.to_thread(attempt), ENDS_WITHIN)

    async def plink(self, text: str) -> int:
        host_key = self.running.host_key.get_fingerprint()
        command = [
            self.require("plink"),
            "-ssh",
            "-batch",
            "-no-antispoof",
            "-pw",
            text,
            "-hostkey",
            host_key,
        ]
        return await self.run([*command, "-P", str(self.running.port), "-l", "ben", HOST])

    async def dbclient(self, text: str) -> int:
        command = [self.require("dbclient"), "-y", "-y", "-p", str(self.running.port), f"ben@{HOST}", "true"]
        return await self.run(command, DROPBEAR_PASSWORD=text)

    async def asyncssh(self, text: str) -> None:
        with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
            async with asyncio.timeout(ENDS_WITHIN):
                await connect(self.running.port, "ben", [text] * 50)

    async def attempts_left(self) -> int:
        return (await self.people.user("ben")).attempts_left

    async def signs_in(self) -> None:
        """Sign in with a right code, as the owner does afterwards."""
        self.people.clock.forward(60)
        await until(lambda: self.running.server.connection_count == 0)
        code = self.people.code(self.require("oathtool"))
        connection, _ = await connect(self.running.port, "ben", [code], keys=[self.people.keys["ben"]])
        connection.close()
        await connection.wait_closed()


@pytest.fixture
async def owner(people, require_program):
    await people.add_with_key("ben", password=PASSWORD)
    async with running_server(StoreBackend(people.store)) as running:
        yield Owner(people, running, require_program)


CLIENTS = {
    "paramiko with the password": lambda owner: owner.paramiko(PASSWORD),
    "paramiko with a key and its passphrase": lambda owner: owner.paramiko("a passphrase", key=True),
    "ssh with the password": lambda owner: owner.ssh(PASSWORD),
    "ssh with a key": lambda owner: owner.ssh("a passphrase", key=True),
    "ssh with one prompt": lambda owner: owner.ssh(PASSWORD, "-o", "NumberOfPasswordPrompts=1"),
    "plink": lambda owner: owner.plink(PASSWORD),
    "dbclient": lambda owner: owner.dbclient(PASSWORD),
    "asyncssh": lambda owner: owner.asyncssh(PASSWORD),
}


@pytest.mark.feature("guesses-only")
@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
async def test_no_code_costs_no_attempt(owner, client):
    """The client ends."""
    await client(owner)
    assert await owner.attempts_left() == 7
    await owner.signs_in()


@pytest.mark.feature("guesses-only")
@pytest.mark.parametrize(
    "options", [(), ("-o", "NumberOfPasswordPrompts=1")], ids=["three exchanges", "one exchange"]
)
async def test_repeated_stale_code_costs_one_attempt(owner, options):
    stale = owner.people.wrong_code()
    for _ in range(3):
        await owner.ssh(stale, *options, key=True)
    assert await owner.attempts_left() == 6
    await owner.signs_in()


@pytest.mark.feature("repeating-clients")
async def test_such_a_client_is_told_of_by_explain(owner):
    await owner.ssh("a passphrase", key=True)
    await owner.ssh(owner.people.wrong_code(), "-o", "NumberOfPasswordPrompts=1", key=True)
    found = await owner.people.store.run(explain_user, OPERATOR, "ben")
    told = " ".join(finding.sentence for finding in found.reasons)
    assert f"Not counted in the last day: 9 answers that were not codes, over SSH from {HOST}." in told
    assert f"Not counted in the last day: 2 answers that were wrong before, over SSH from {HOST}." in told


async def test_a_letter_that_sends_nothing_is_no_attempt(owner):
    with pytest.raises(asyncssh.PermissionDenied) as refused:
        await connect(owner.running.port, "ben", ["e", "x", "s"], keys=[owner.people.keys["ben"]])
    client = refused.value.client  # type: ignore[attr-defined]
    assert client.told[0] == "That is not a code. Type your app's code, or a recovery code."
    assert await owner.attempts_left() == 7
