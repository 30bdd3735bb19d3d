"""Applications beside SSH: the installed program with two workers or nodes, `curl`, and real SSH clients."""

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from support.database import totp
from support.http_server import curl
from support.installed_program import Clinic
from support.mail_server import certificate
from support.postgresql_server import PostgresqlServer
from support.ssh_server import HOST, AnsweringClient
from support.ssh_users import OPERATOR, SECRET, enrol_with_app

from data.operations.applications import registry
from data.operations.users.lifecycle import NewUser, create_user
from data.rules import public_keys
from data.rules.applications import Asks, NewApplication, Protocol
from data.storage.home import Home
from tui.cli.open_installation import installation

INIT = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
PAIRS = 12
PAIRS_OF_SOAK = 60


def code() -> str:
    return totp(SECRET, datetime.now(UTC))


def wrong_codes() -> list[str]:
    """Return seven codes that are not those of these minutes."""
    now = datetime.now(UTC)
    right = {totp(SECRET, now, steps) for steps in range(-9, 10)}
    return [f"{number:06}" for number in range(40) if f"{number:06}" not in right][:7]


def filled(home: Path, count: int) -> tuple[str, list[asyncssh.SSHKey]]:
    """Make so many users `user0`, ... with a key and one app; return the token of `portal`, and the keys."""
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(count)]
    with installation(Home(home)) as here:
        for number, key in enumerate(keys):
            parsed = public_keys.parse(key.export_public_key("openssh").decode())
            name = f"user{number}"
            here.store.run_now(create_user, OPERATOR, NewUser(name, f"{name}@clinic.example", key=parsed))
            here.store.run_now(enrol_with_app, name)
        made = here.run(registry.add_application, NewApplication("portal", Protocol.HTTP, Asks.CODE))
        assert isinstance(made, registry.NewSecret)
    return made.secret, keys


async def served(clinic: Clinic, workers: int) -> str:
    """Serve with TLS on a free port; return the base URL, which is printed after the line for SSH."""
    certificate(clinic.home)
    settings = clinic.home / "twofold.toml"
    text = settings.read_text()
    for name, file in (("certificate", "mail.crt"), ("key", "mail.key")):
        text = text.replace(f'#{name} = ""', f'{name} = "{file}"')
    settings.write_text(text)
    await clinic.serve("--workers", str(workers), "--http", "127.0.0.1:0")
    line = await asyncio.wait_for(clinic.server.stdout.readline(), 30)
    assert line.startswith(b"listening on https://127.0.0.1:")
    return line.decode().split()[-1]


class HeldBack(AnsweringClient):
    """Answers the question for a code when told to."""

    def __init__(self, answer: str, start: asyncio.Event) -> None:
        super().__init__([answer])
        self.start = start
        self.ready = asyncio.Event()

    async def kbdint_challenge_received(self, name, instructions, lang, prompts):
        if prompts and self.answers:
            self.ready.set()
            await self.start.wait()
        return super().kbdint_challenge_received(name, instructions, lang, prompts)


async def sign_in(port: int, name: str, key: asyncssh.SSHKey, client: asyncssh.SSHClient) -> bool:
    try:
        connection = await asyncssh.connect(
            HOST, port, username=name, client_factory=lambda: client, client_keys=[key], known_hosts=None,
            config=None, agent_path=None, preferred_auth=["publickey", "keyboard-interactive"],
        )  # fmt: skip
    except asyncssh.Error:
        return False
    connection.close()
    await connection.wait_closed()
    return True


async def accepted_over_http(
    base: str, trusted: Path, token: str, name: str, answer: str, start: asyncio.Event
) -> bool:
    trusting = ssl.create_default_context(cafile=trusted)
    reading, writing = await asyncio.open_connection(HOST, int(base.rpartition(":")[2]), ssl=trusting)
    body = json.dumps({"user": name, "pass": answer})
    head = [
        *(f"POST /{token}/v1/verify HTTP/1.1", "Host: x", "Content-Type: application/json"),
        *(f"Content-Length: {len(body)}", "Connection: close"),
    ]
    await start.wait()
    writing.write("\r\n".join([*head, "", body]).encode())
    answer = json.loads((await reading.read()).partition(b"\r\n\r\n")[2])
    writing.close()
    return answer["result"] == "accept"


async def at_one_moment(
    port: int, base: str, trusted: Path, token: str, name: str, key: asyncssh.SSHKey
) -> list[bool]:
    """Give the same code over SSH and HTTP; say by which it was accepted."""
    start = asyncio.Event()
    client = HeldBack(code(), start)
    over_ssh = asyncio.ensure_future(sign_in(port, name, key, client))
    asking = accepted_over_http(base, trusted, token, name, client.answers[0], start)
    over_http = asyncio.ensure_future(asking)
    await asyncio.wait_for(client.ready.wait(), 60)
    start.set()
    return [await over_ssh, await over_http]


async def verified_on_the_host(home: Path, name: str, answer: str) -> int:
    program = Path(sys.executable).with_name("twofold-verify")
    process = await asyncio.create_subprocess_exec(
        program, name, "--application", "portal", "--home", home,
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await process.communicate(answer.encode() + b"\0")
    return process.returncode


@pytest.mark.feature("applications-attempts", "applications-http", "applications-host")
async def test_attempts_and_codes_are_shared(clinic: Clinic, require_program):
    """Between HTTP, the host's socket and SSH; a code is good for one, whichever worker gets it."""
    require_program("curl")
    clinic.one_time_password(*INIT)
    token, keys = filled(clinic.home, PAIRS + 2)
    clinic.secrets.append(token)
    base, trusted = await served(clinic, 2), clinic.home / "mail.crt"

    for number, key in enumerate(keys[:PAIRS]):
        both = await at_one_moment(clinic.port, base, trusted, token, f"user{number}", key)
        assert sum(both) == 1, both

    # Three wrong codes by HTTP, then four over SSH, and the user is locked.
    name, key, wrong = f"user{PAIRS}", keys[PAIRS], wrong_codes()
    for answer in wrong[:3]:
        body = json.dumps({"user": name, "pass": answer})
        asking = (f"{base}/v1/verify", "-H", f"X-API-Key: {token}", "--json", body)
        found = await curl("--cacert", trusted, *asking)
        assert found.json == {"result": "reject", "message": "The code was not accepted."}
    client = AnsweringClient(wrong[3:])
    assert not await sign_in(clinic.port, name, key, client)
    assert "Wrong code, 3 attempts left" in client.told[0]
    assert clinic.status(name) == "Locked"
    assert await verified_on_the_host(clinic.home, name, code()) == 1

    # Over the socket a code is good once too, and the server that stops takes the socket with it.
    name = f"user{PAIRS + 1}"
    answer = code()
    assert await verified_on_the_host(clinic.home, name, answer) == 0
    assert await verified_on_the_host(clinic.home, name, answer) == 1
    assert await clinic.stop() == 0
    assert not (clinic.home / "twofold.sock").exists()
    for secret in clinic.secrets:
        assert secret.encode() not in clinic.log


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_pairs_with_two_workers(clinic: Clinic):
    clinic.one_time_password(*INIT)
    token, keys = filled(clinic.home, PAIRS_OF_SOAK)
    base, trusted = await served(clinic, 2), clinic.home / "mail.crt"
    for number, key in enumerate(keys):
        assert sum(await at_one_moment(clinic.port, base, trusted, token, f"user{number}", key)) == 1
    assert await clinic.stop() == 0


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_pairs_with_two_nodes(clinic: Clinic, tmp_path: Path, postgresql: PostgresqlServer):
    clinic.one_time_password(*INIT, "--database", postgresql.url(postgresql.new_database()))
    token, keys = filled(clinic.home, PAIRS_OF_SOAK)
    node = Clinic(tmp_path / "node", clinic.ssh, clinic.keygen, clinic.oathtool)
    node.home.mkdir(mode=0o700, parents=True)
    for copied in ("twofold.toml", "master.key", "ssh_host_ed25519_key"):
        shutil.copy(clinic.home / copied, node.home / copied)
    base, trusted = await served(clinic, 1), clinic.home / "mail.crt"
    await node.serve("--workers", "1")
    try:
        for number, key in enumerate(keys):
            assert sum(await at_one_moment(node.port, base, trusted, token, f"user{number}", key)) == 1
        assert await clinic.stop() == 0
    finally:
        await node.stop()


@pytest.mark.feature("applications-tls")
def test_serve_refuses_http_without_tls(clinic: Clinic):
    """On anything but loopback it says what to do; a port that is in use and an address that is none too."""
    clinic.one_time_password(*INIT)
    program = Path(sys.executable).with_name("twofold")

    def refused(*arguments: str) -> tuple[int, str]:
        command = [program, "--home", clinic.home, "serve", "--port", "0", "--workers", "1", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.stdout == ""
        return ended.returncode, ended.stderr.splitlines()[-1]

    status, words = refused("--http", "0.0.0.0:8443")
    assert status == 1
    assert words == (
        "twofold: HTTP on 0.0.0.0 would send passwords and codes in the clear. Set certificate and key under "
        "[http], or listen on 127.0.0.1 behind a proxy that has TLS."
    )
    status, words = refused("--http", "8443")
    assert (status, "Write an address and a port, such as 127.0.0.1:8443." in words) == (2, True)
    with asyncio.Runner() as runner:
        taken = runner.run(asyncio.start_server(lambda *_: None, HOST, 0))
        port = taken.sockets[0].getsockname()[1]
        status, words = refused("--http", f"127.0.0.1:{port}")
    assert (status, words) == (
        1,
        f"twofold: Port {port} is in use on 127.0.0.1. Choose another address for HTTP with --http.",
    )
