"""Five clients that people use, each with its own user, against a real store."""

import asyncio
import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest
from support.pseudo_terminal import TerminalProgram
from support.ssh_server import HOST, Running, connect, running_server, until
from support.ssh_users import PASSWORD, People

from sshserver.auth_backend import StoreBackend

SIGNED_IN, REFUSED = "signed in", "refused"


@dataclass
class Scene:
    """One client's try: who, and the file of their key if it is used."""

    people: People
    running: Running
    require: Callable[[str], str]
    user: str
    with_key: bool

    @property
    def key_file(self) -> Path:
        return self.people.key_file(self.user)


class TerminalClient:
    """A client program under a pseudo-terminal, answering what it is asked."""

    name: str
    password_prompt = "Password: "

    async def try_to_sign_in(self, scene: Scene, answers: list[str]) -> tuple[str, str]:
        """Answer in order and hang up at the first question without an answer; return outcome and output."""
        command, environment = self.command(scene)
        program = await TerminalProgram.start(command, environment=environment)
        questions = "Password: |Verification code: |Hello |\x1b\\[\\?1049h"
        left = list(answers)
        try:
            while True:
                matched = await program.expect(questions)
                if matched.startswith(("Hello", "\x1b")):
                    await program.expect_on_screen(f"Hello {scene.user}")
                    program.type("q")
                    await program.expect("Goodbye")
                    await program.end()
                    return SIGNED_IN, program.output.decode("utf-8", "replace")
                if not left:
                    return REFUSED, program.output.decode("utf-8", "replace")
                program.type(left.pop(0) + "\r")
        finally:
            await program.kill()

    def command(self, scene: Scene) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError


class OpenSSH(TerminalClient):
    name = "ssh"

    def command(self, scene):
        key = ["-i", str(scene.key_file)] if scene.with_key else ["-o", "PubkeyAuthentication=no"]
        options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        # ssh shows instructions from its level INFO on, which is its default.
        options += ["-o", "LogLevel=INFO", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        port = str(scene.running.port)
        return [scene.require("ssh"), *options, *key, "-p", port, f"{scene.user}@{HOST}"], {}


class Plink(TerminalClient):
    name = "plink"

    def command(self, scene):
        folder = scene.people.folder
        command = [scene.require("plink"), "-ssh", "-noagent", "-no-antispoof", "-P", str(scene.running.port)]
        command += ["-hostkey", scene.running.host_key.get_fingerprint(), "-l", scene.user]
        if scene.with_key:
            ppk = folder / f"{scene.user}.ppk"
            puttygen = scene.require("puttygen")
            subprocess.run([puttygen, str(scene.key_file), "-o", str(ppk)], check=True, capture_output=True)
            command += ["-i", str(ppk)]
        return [*command, HOST], {"HOME": str(folder)}


class Dropbear(TerminalClient):
    name = "dbclient"

    def command(self, scene):
        folder = scene.people.folder
        command = [scene.require("dbclient"), "-y", "-y", "-p", str(scene.running.port)]
        if scene.with_key:
            converted = folder / f"{scene.user}.dropbear"
            convert = scene.require("dropbearconvert")
            subprocess.run(
                [convert, "openssh", "dropbear", str(scene.key_file), str(converted)],
                check=True,
                capture_output=True,
            )
            command += ["-i", str(converted)]
        return [*command, f"{scene.user}@{HOST}"], {"HOME": str(folder)}


class Paramiko:
    name = "paramiko"

    async def try_to_sign_in(self, scene: Scene, answers: list[str]) -> tuple[str, str]:
        return await asyncio.to_thread(self._try, scene, list(answers))

    def _try(self, scene: Scene, answers: list[str]) -> tuple[str, str]:
        heard: list[str] = []

        def answer(_title: str, instructions: str, prompts: list[Any]) -> list[str]:
            heard.extend([instructions, *(prompt for prompt, _echo in prompts)])
            if len(answers) < len(prompts):
                raise EOFError
            return [answers.pop(0) for _ in prompts]

        transport = paramiko.Transport((HOST, scene.running.port))
        try:
            transport.start_client(timeout=60)
            if scene.with_key:
                text = scene.key_file.read_text()
                key = paramiko.Ed25519Key.from_private_key(io.StringIO(text))
                assert transport.auth_publickey(scene.user, key) == ["keyboard-interactive"]
            transport.auth_interactive(scene.user, answer)
            channel = transport.open_session()
            channel.get_pty("xterm-256color")
            channel.invoke_shell()
            channel.settimeout(60)
            screen = b""
            while f"Hello {scene.user}".encode() not in screen:
                screen += channel.recv(4096)
            channel.send(b"q")
            assert channel.recv_exit_status() == 0
        except (EOFError, paramiko.SSHException):
            return REFUSED, "\n".join(heard)
        else:
            return SIGNED_IN, "\n".join(heard)
        finally:
            transport.close()


class Asyncssh:
    name = "asyncssh"

    async def try_to_sign_in(self, scene: Scene, answers: list[str]) -> tuple[str, str]:
        keys = [scene.people.keys[scene.user]] if scene.with_key else []
        try:
            connection, client = await connect(scene.running.port, scene.user, answers, keys=keys)
        except (asyncssh.PermissionDenied, asyncssh.DisconnectError) as error:
            heard: list[str] = error.client.told  # type: ignore[attr-defined]
            return REFUSED, "\n".join(heard)
        async with connection:
            process = await connection.create_process(term_type="xterm-256color", term_size=(80, 24))
            screen = ""
            async with asyncio.timeout(60):
                while f"Hello {scene.user}" not in screen:
                    screen += str(await process.stdout.read(4096))
                process.stdin.write("q")
                assert (await process.wait()).exit_status == 0
        return SIGNED_IN, "\n".join(client.told)


CLIENTS = [OpenSSH(), Plink(), Dropbear(), Paramiko(), Asyncssh()]


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request):
    return request.param


@pytest.fixture
def attempt(people, client, require_program):
    """Return a function that signs a new user in and says how it ended; the answers may be made late."""

    async def try_to_sign_in(*answers: str, with_key: bool) -> tuple[str, str]:
        user = f"u-{client.name}"
        await people.add_with_key(user, password=PASSWORD)
        async with running_server(StoreBackend(people.store)) as running:
            scene = Scene(people, running, require_program, user, with_key)
            outcome = await client.try_to_sign_in(scene, list(answers))
            await until(lambda: running.server.connection_count == 0)
        assert await people.open_sessions() == 0
        return outcome

    return try_to_sign_in


async def test_a_password_and_a_code_sign_in(attempt, people, require_program):
    code = people.code(require_program("oathtool"))
    outcome, _ = await attempt(PASSWORD, code, with_key=False)
    assert outcome == SIGNED_IN


async def test_a_key_and_a_code_sign_in(attempt, people, require_program):
    code = people.code(require_program("oathtool"))
    outcome, _ = await attempt(code, with_key=True)
    assert outcome == SIGNED_IN


async def test_a_wrong_code_is_refused_with_its_reason(attempt, people, client):
    outcome, heard = await attempt(people.wrong_code(), with_key=True)
    assert outcome == REFUSED
    assert "Wrong code, 6 attempts left." in heard
    assert (await people.user(f"u-{client.name}")).attempts_left == 6


@pytest.mark.parametrize("factor", ["key", "password"])
async def test_a_first_factor_alone_signs_nobody_in(attempt, factor):
    answers = [PASSWORD] if factor == "password" else []
    outcome, _ = await attempt(*answers, with_key=factor == "key")
    assert outcome == REFUSED
