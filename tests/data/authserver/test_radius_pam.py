"""Debian's pam_radius against a real server, as sshd and sudo load it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.database import PASSWORD, World
from support.pam import authenticate, require_module
from support.radius import HOST, RadiusPort, add_client, radius_server

from data.authserver import radius_server as tested
from data.rules.applications import Asks

pytestmark = pytest.mark.only_on("sqlite")
MODULE = "pam_radius_auth.so"


@pytest.fixture
def service(tmp_path: Path) -> Callable[..., Path]:
    """Write the files of a service that asks a server."""
    require_module(MODULE, "libpam-radius-auth")

    def write(server: RadiusPort, secret: bytes, options: str) -> Path:
        servers = tmp_path / "servers"
        servers.write_text(f"{HOST}:{server.port} {secret.decode()} 1\n")
        servers.chmod(0o600)
        (tmp_path / "sudo").write_text(f"auth required {MODULE} conf={servers} {options}\n")
        return tmp_path

    return write


async def ask(folder: Path, *answers: str, name: str = "ben") -> tuple[bool, list[str]]:
    return await asyncio.to_thread(authenticate, folder, "sudo", name, answers)


@pytest.mark.feature("radius-pam")
@pytest.mark.parametrize(
    ("options", "prompt"), [("prompt=Code", "Code: "), ("skip_passwd", "Verification code:")]
)
async def test_code(world: World, ben, service, options, prompt):
    """In place of the password, or as an answer to our own question; a wrong one is counted once."""
    secret = add_client(world, lenient=True)
    async with radius_server(world) as server:
        folder = service(server, secret, options)
        assert await ask(folder, world.code(ben)) == (True, [prompt])
        assert await ask(folder, world.wrong_code(ben)) == (False, [prompt])
        assert (await ask(folder, "123456", name="nobody"))[0] is False
    assert world.row(ben).attempts_left == 6


@pytest.mark.feature("radius-pam")
async def test_password_then_code(world: World, ben, service):
    """The code is asked for by a challenge."""
    secret = add_client(world, Asks.PASSWORD_THEN_CODE, lenient=True)
    async with radius_server(world) as server:
        folder = service(server, secret, "")
        asked = ["Password: ", "Verification code:"]
        assert await ask(folder, PASSWORD, world.code(ben)) == (True, asked)
        assert await ask(folder, PASSWORD, world.wrong_code(ben)) == (False, asked)


@pytest.mark.feature("radius-pam")
async def test_good_code_is_sent_again(world: World, ben, service, monkeypatch):
    """After an answer that was lost: what the module sends again is accepted, and was judged once."""
    secret = add_client(world, lenient=True)
    judged: list[str] = []
    verify = tested.Verifier.verify
    lost: list[bytes] = []
    take = tested.RadiusServer.receive

    async def count(verifier, asking, asked):
        judged.append(asked.name)
        return await verify(verifier, asking, asked)

    def receive(server, data, address, send):
        def lose_the_first(reply: bytes) -> None:
            if lost:
                send(reply)
            lost.append(reply)

        take(server, data, address, lose_the_first)

    monkeypatch.setattr(tested.Verifier, "verify", count)
    monkeypatch.setattr(tested.RadiusServer, "receive", receive)
    async with radius_server(world) as server:
        assert await ask(service(server, secret, "retry=9"), world.code(ben)) == (True, ["Password: "])
    assert judged == ["ben"]
    assert lost == [lost[0]] * 2
