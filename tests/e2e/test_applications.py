"""Applications beside SSH: the installed program with two workers or nodes, HTTP, RADIUS, real SSH."""

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from support.database import totp
from support.http_server import curl
from support.installed_program import Clinic
from support.mail_server import certificate
from support.postgresql_server import PostgresqlServer
from support.radius import ACCEPT, REJECT, Client, request, verified
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


@dataclass(frozen=True)
class Doors:
    """Where a code may be given: over SSH, over HTTP and by RADIUS."""

    ssh: int
    http: str
    radius: int
    trusted: Path
    token: str
    secret: str


def filled(home: Path, count: int) -> tuple[str, str, list[asyncssh.SSHKey]]:
    """Make so many users `user0`, ... with a key and one app.

    Return the token of `portal`, the secret of `vpn`, and the keys.
    """
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(count)]
    with installation(Home(home)) as here:
        for number, key in enumerate(keys):
            parsed = public_keys.parse(key.export_public_key("openssh").decode())
            name = f"user{number}"
            here.store.run_now(create_user, OPERATOR, NewUser(name, f"{name}@clinic.example", key=parsed))
            here.store.run_now(enrol_with_app, name)
        portal = here.run(registry.add_application, NewApplication("portal", Protocol.HTTP, Asks.CODE))
        vpn = here.run(registry.add_application, NewApplication("vpn", Protocol.RADIUS, Asks.CODE))
        assert isinstance(portal, registry.NewSecret)
        assert isinstance(vpn, registry.NewSecret)
    return portal.secret, vpn.secret, keys


async def line_after(clinic: Clinic, words: str) -> str:
    """Return the last word of the line that a server prints next."""
    line = (await asyncio.wait_for(clinic.server.stdout.readline(), 30)).decode()
    assert line.startswith(words)
    return line.split()[-1]


async def served(clinic: Clinic, *arguments: str) -> str:
    """Serve with TLS on a free port; return the base URL, which is printed after the line for SSH."""
    certificate(clinic.home)
    settings = clinic.home / "twofold.toml"
    text = settings.read_text()
    for name, file in (("certificate", "mail.crt"), ("key", "mail.key")):
        text = text.replace(f'#{name} = ""', f'{name} = "{file}"')
    settings.write_text(text)
    await clinic.serve("--http", "127.0.0.1:0", *arguments)
    return await line_after(clinic, "listening on https://127.0.0.1:")


async def radius_port(clinic: Clinic) -> int:
    return int((await line_after(clinic, "radius on 127.0.0.1:")).rpartition(":")[2])


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


async def accepted_over_http(doors: Doors, name: str, answer: str, start: asyncio.Event) -> bool:
    trusting = ssl.create_default_context(cafile=doors.trusted)
    reading, writing = await asyncio.open_connection(HOST, int(doors.http.rpartition(":")[2]), ssl=trusting)
    body = json.dumps({"user": name, "pass": answer})
    head = [
        *(f"POST /{doors.token}/v1/verify HTTP/1.1", "Host: x", "Content-Type: application/json"),
        *(f"Content-Length: {len(body)}", "Connection: close"),
    ]
    await start.wait()
    writing.write("\r\n".join([*head, "", body]).encode())
    answer = json.loads((await reading.read()).partition(b"\r\n\r\n")[2])
    writing.close()
    return answer["result"] == "accept"


async def accepted_by_radius(doors: Doors, name: str, answer: str, start: asyncio.Event) -> bool:
    secret = doors.secret.encode()
    sent = request(secret, a1=name.encode(), password=answer)
    await start.wait()
    reply = verified(await Client(doors.radius).ask(sent), sent, secret)
    assert reply.code in {ACCEPT, REJECT}
    return reply.code == ACCEPT


async def at_one_moment(doors: Doors, name: str, key: asyncssh.SSHKey) -> list[bool]:
    """Give the same code over SSH, over HTTP and by RADIUS; say by which it was accepted."""
    start = asyncio.Event()
    client = HeldBack(code(), start)
    answer = client.answers[0]
    asking = asyncio.gather(
        sign_in(doors.ssh, name, key, client),
        accepted_over_http(doors, name, answer, start),
        accepted_by_radius(doors, name, answer, start),
    )
    await asyncio.wait_for(client.ready.wait(), 60)
    start.set()
    return await asking


async def verified_on_the_host(home: Path, name: str, answer: str) -> int:
    program = Path(sys.executable).with_name("twofold-verify")
    process = await asyncio.create_subprocess_exec(
        program, name, "--application", "portal", "--home", home,
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await process.communicate(answer.encode() + b"\0")
    return process.returncode


@pytest.mark.feature("applications-attempts", "applications-http", "applications-host", "radius-attempts")
async def test_attempts_and_codes_are_shared(clinic: Clinic, require_program):
    """Between HTTP, RADIUS, the host's socket and SSH; a code is good for one, whichever worker gets it."""
    require_program("curl")
    clinic.one_time_password(*INIT)
    token, secret, keys = filled(clinic.home, PAIRS + 2)
    clinic.secrets += [token, secret]
    base = await served(clinic, "--workers", "2", "--radius", "127.0.0.1:0")
    trusted = clinic.home / "mail.crt"
    doors = Doors(clinic.port, base, await radius_port(clinic), trusted, token, secret)

    for number, key in enumerate(keys[:PAIRS]):
        accepted = await at_one_moment(doors, f"user{number}", key)
        assert sum(accepted) == 1, accepted

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
    token, secret, keys = filled(clinic.home, PAIRS_OF_SOAK)
    base = await served(clinic, "--workers", "2", "--radius", "127.0.0.1:0")
    port = await radius_port(clinic)
    doors = Doors(clinic.port, base, port, clinic.home / "mail.crt", token, secret)
    for number, key in enumerate(keys):
        assert sum(await at_one_moment(doors, f"user{number}", key)) == 1
    assert await clinic.stop() == 0


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_pairs_with_two_nodes(clinic: Clinic, tmp_path: Path, postgresql: PostgresqlServer):
    """One is asked over HTTP, the other over SSH and by RADIUS."""
    clinic.one_time_password(*INIT, "--database", postgresql.url(postgresql.new_database()))
    token, secret, keys = filled(clinic.home, PAIRS_OF_SOAK)
    node = Clinic(tmp_path / "node", clinic.ssh, clinic.keygen, clinic.oathtool)
    node.home.mkdir(mode=0o700, parents=True)
    for copied in ("twofold.toml", "master.key", "ssh_host_ed25519_key"):
        shutil.copy(clinic.home / copied, node.home / copied)
    base = await served(clinic, "--workers", "1")
    await node.serve("--workers", "1", "--radius", "127.0.0.1:0")
    try:
        port = await radius_port(node)
        doors = Doors(node.port, base, port, clinic.home / "mail.crt", token, secret)
        for number, key in enumerate(keys):
            assert sum(await at_one_moment(doors, f"user{number}", key)) == 1
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
