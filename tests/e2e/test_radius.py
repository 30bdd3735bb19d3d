"""RADIUS beside SSH and HTTP: the installed program with two workers, `radclient` and real SSH clients."""

import asyncio
import contextlib
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from support.database import totp
from support.http_server import curl
from support.installed_program import Clinic
from support.processes import children, open_files
from support.radius import ACCEPT, REJECT, radclient
from support.ssh_server import HOST, AnsweringClient
from support.ssh_users import OPERATOR, SECRET, enrol_with_app

from data.operations.users.lifecycle import NewUser, create_user
from data.rules import public_keys
from data.storage.home import Home
from tui.cli.open_installation import installation

INIT = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")


def code() -> str:
    return totp(SECRET, datetime.now(UTC))


def wrong_codes(count: int) -> list[str]:
    """Return codes that are not those of these minutes."""
    now = datetime.now(UTC)
    right = {totp(SECRET, now, steps) for steps in range(-9, 10)}
    return [f"{number:06}" for number in range(40) if f"{number:06}" not in right][:count]


def user(home: Path, name: str) -> asyncssh.SSHKey:
    """Make someone with a key and an app."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    parsed = public_keys.parse(key.export_public_key("openssh").decode())
    with installation(Home(home)) as here:
        here.store.run_now(create_user, OPERATOR, NewUser(name, f"{name}@clinic.example", key=parsed))
        here.store.run_now(enrol_with_app, name)
    return key


def owner_of(port: int, clinic: Clinic) -> int | None:
    """Return which worker has a port for datagrams."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    sockets = {f"socket:[{line.split()[9]}]" for line in lines if line.split()[1].endswith(f":{port:04X}")}
    (fork_server,) = children(clinic.server.pid)
    for worker in children(fork_server):
        with contextlib.suppress(FileNotFoundError):
            if sockets.intersection(map(str, open_files(worker))):
                return worker
    return None


@pytest.mark.feature("radius-attempts")
async def test_attempts_and_codes_are_shared(clinic: Clinic, require_program):
    """Between RADIUS, HTTP and SSH; and when the worker that answers dies, the other one does."""
    require_program("curl")
    require_program("radclient")
    clinic.one_time_password(*INIT)
    key = user(clinic.home, "ben")
    user(clinic.home, "eva")
    secret = clinic.twofold("application", "add", "vpn", "--radius", "--asks", "code").split()[-1]
    token = clinic.twofold("application", "add", "portal", "--http", "--asks", "code").split()[-1]
    clinic.secrets += [secret, token]
    await clinic.serve("--workers", "2", "--http", "127.0.0.1:0", "--radius", "127.0.0.1:0")
    base = (await clinic.server.stdout.readline()).decode().split()[-1]
    line = (await clinic.server.stdout.readline()).decode()
    assert line.startswith("radius on 127.0.0.1:")
    port = int(line.rpartition(":")[2])

    async def by_radius(name: str, answer: str) -> int:
        given = {"User_Name": name, "User_Password": f'"{answer}"', "Message_Authenticator": "0x00"}
        return (await radclient(port, secret.encode(), **given)).code

    async def by_http(name: str, answer: str) -> str:
        body = json.dumps({"user": name, "pass": answer})
        return (await curl(f"{base}/v1/verify", "-H", f"X-API-Key: {token}", "--json", body)).json["result"]

    # A code that RADIUS used is dead by HTTP.
    answer = code()
    assert (await by_radius("eva", answer), await by_http("eva", answer)) == (ACCEPT, "reject")

    # Three wrong codes in the VPN, then four over SSH, and the user is locked.
    wrong = wrong_codes(7)
    assert [await by_radius("ben", each) for each in wrong[:3]] == [REJECT] * 3
    client = AnsweringClient(wrong[3:])
    with pytest.raises(asyncssh.Error):
        await asyncssh.connect(
            HOST, clinic.port, username="ben", client_factory=lambda: client, client_keys=[key],
            known_hosts=None, config=None, agent_path=None,
            preferred_auth=["publickey", "keyboard-interactive"],
        )  # fmt: skip
    assert "Wrong code, 3 attempts left" in client.told[0]
    assert clinic.status("ben") == "Locked"
    assert "3 of your 7 attempts were used by vpn" in " ".join(client.told)

    owner = owner_of(port, clinic)
    os.kill(owner, signal.SIGKILL)
    while await by_radius("ben", code()) != REJECT:
        await asyncio.sleep(0.1)
    assert owner_of(port, clinic) != owner
    assert await clinic.stop() == 0
    for each in clinic.secrets:
        assert each.encode() not in clinic.log
