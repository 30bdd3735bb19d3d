"""`serve` as a whole: a real store, the self-test, the host key, and codes that race each other."""

import asyncio
import subprocess
from datetime import timedelta

import asyncssh
import pytest
from support.ssh_server import GreetingApp, connect, running_server, until
from support.ssh_users import OPERATOR, PASSWORD, SECRET, People

from data.operations.policy.policy_settings import set_remember_days
from data.operations.users.factor_administration import offer_resync, unlock
from data.operations.users.lifecycle import set_active
from data.rules import totp
from data.rules.policy import attempts_in_words
from data.storage import models
from sshserver import hostkey
from sshserver.auth_backend import StoreBackend
from sshserver.limits.limit_values import Limits
from sshserver.selftest import signin_check
from sshserver.server import serve

LOCKED = "Locked after seven wrong codes. Ask a system administrator to unlock you."


async def denied(port, username, answers, **options):
    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)) as caught:
        await connect(port, username, answers, **options)
    return caught.value.client


async def test_user_of_the_store_signs_in(people: People):
    """The server records when they leave."""
    await people.add("alice")
    key = hostkey.load(hostkey.generate())
    server = await serve(people.store, key, GreetingApp, port=0)
    connection, _ = await connect(server.port, "alice", [PASSWORD, people.code()])
    assert connection.get_server_host_key() == key.convert_to_public()
    assert await people.open_sessions() == 1
    await server.drain()
    assert await people.open_sessions() == 0


async def test_failing_self_test_stops_the_start(people: People, monkeypatch):
    async def fail(listen):
        raise signin_check.SelfTestError("no")

    monkeypatch.setattr(signin_check, "run", fail)
    with pytest.raises(signin_check.SelfTestError):
        await serve(people.store, hostkey.load(hostkey.generate()), GreetingApp, port=0)


async def test_a_port_in_use_is_an_error_of_the_system(people: People):
    async with running_server(StoreBackend(people.store)) as running:
        with pytest.raises(OSError, match="in use"):
            await serve(people.store, running.host_key, GreetingApp, port=running.port)


async def test_refusals_look_the_same(people: People):
    """Unknown, deactivated and mistaken users hear and see the same."""
    await people.add("alice")
    await people.add("gone")
    await people.store.run(set_active, OPERATOR, "gone", active=False)
    async with running_server(StoreBackend(people.store)) as running:
        heard = []
        for name, password in (("alice", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)):
            client = await denied(running.port, name, [password])
            heard.append((client.asked, client.told, client.echoed))
    assert heard[0] == heard[1] == heard[2]


@pytest.mark.feature("attempts-left")
async def test_seven_wrong_codes_lock(people: People):
    """An unlocked user comes in."""
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store), Limits(wrong_answers=20)) as running:
        client = await denied(running.port, "alice", [people.wrong_code() for _ in range(7)], keys=[key])
        assert client.told[:6] == [
            f"Wrong code, {attempts_in_words(left)} Type your app's code, or a recovery code."
            for left in range(6, 0, -1)
        ]
        assert client.told[6] == LOCKED
        client = await denied(running.port, "alice", [people.code()], keys=[key])
        assert (client.asked, client.told) == ([], [LOCKED])
        await people.store.run(unlock, OPERATOR, "alice", "a slip")
        connection, _ = await connect(running.port, "alice", [people.code()], keys=[key])
        connection.close()


async def test_code_is_good_once(people: People):
    """The next one is announced."""
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store)) as running:
        connection, _ = await connect(running.port, "alice", [people.code()], keys=[key])
        connection.close()
        client = await denied(running.port, "alice", [people.code()], keys=[key])
        assert client.told[0].startswith("Code already used. Wait 4 s for the next one.")
        people.clock.forward(30)
        connection, _ = await connect(running.port, "alice", [people.code()], keys=[key])
        connection.close()


async def test_one_code_in_two_connections(people: People):
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store)) as running:
        for _ in range(20):
            people.clock.forward(30)
            code = people.code()
            tries = (connect(running.port, "alice", [code], keys=[key]) for _ in range(2))
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
            admitted = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
            assert len(admitted) == 1
            admitted[0][0].close()
            await admitted[0][0].wait_closed()


async def test_forty_wrong_codes_at_once(
    people: People,
):
    """Seven are judged, and then the right one is refused."""
    key = await people.add_with_key("alice")
    limits = Limits(connections_per_source=50)
    async with running_server(StoreBackend(people.store), limits) as running:
        tries = (connect(running.port, "alice", [people.wrong_code()], keys=[key]) for _ in range(40))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(outcome, asyncssh.Error) for outcome in outcomes)
        await denied(running.port, "alice", [people.code()], keys=[key])
    table = models.AuditEntry
    wrong_codes = table.select().where(table.event == "signin.code_wrong")
    assert await people.store.read(lambda _tx: wrong_codes.count()) == 7
    assert (await people.user("alice")).locked_at is not None


class NotingBackend(StoreBackend):
    """Says when a code has arrived, and judges it when told to."""

    def __init__(self, store):
        super().__init__(store)
        self.arrived = asyncio.Event()
        self.judge = asyncio.Event()

    async def submit_code(self, attempt, answer):
        self.arrived.set()
        await self.judge.wait()
        return await super().submit_code(attempt, answer)


async def test_hang_up_after_a_code(people: People):
    """The code is counted."""
    key = await people.add_with_key("alice")
    backend = NotingBackend(people.store)
    async with running_server(backend) as running:
        for left in (6, 5, 4):
            backend.arrived.clear()
            backend.judge.clear()
            attempt = asyncio.create_task(connect(running.port, "alice", [people.wrong_code()], keys=[key]))
            await asyncio.wait_for(backend.arrived.wait(), 60)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            await until(lambda: running.server.connection_count == 0)
            assert running.server._context.work
            backend.judge.set()
            await until(lambda: not running.server._context.work)
            assert (await people.user("alice")).attempts_left == left


def test_the_host_key_is_shown_as_ssh_keygen_shows_it(require_program, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(hostkey.generate())
    path.chmod(0o600)
    key = hostkey.load(path.read_bytes())
    command = [require_program("ssh-keygen"), "-l", "-f", str(path)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert shown.split()[1] == hostkey.fingerprint(key)
    assert hostkey.known_hosts_line(key, "host.example", 2222).startswith(
        "[host.example]:2222 ssh-ed25519 AAAA"
    )
    assert hostkey.known_hosts_line(key, "host.example", 22).startswith("host.example ssh-ed25519 AAAA")


def test_what_is_no_plain_ed25519_key_is_refused():
    of_another_type = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_private_key()
    encrypted = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="s", rounds=50)
    for text in (b"", b"nonsense", of_another_type, encrypted):
        with pytest.raises(hostkey.HostKeyError):
            hostkey.load(text)


@pytest.mark.feature("remember-exactly")
async def test_remembered_address(people: People):
    """It asks for no code until the days are over."""
    key = await people.add_with_key("alice")
    await people.store.run(set_remember_days, OPERATOR, 2, seen=0)
    async with running_server(StoreBackend(people.store)) as running:
        connection, client = await connect(running.port, "alice", [people.code()], keys=[key])
        assert client.asked == ["Verification code: "]
        connection.abort()
        connection, client = await connect(running.port, "alice", [], keys=[key])
        assert client.asked == []
        connection.abort()
        people.clock.now += timedelta(days=2)
        connection, client = await connect(running.port, "alice", [people.code()], keys=[key])
        assert client.asked == ["Verification code: "]
        connection.abort()


@pytest.mark.feature("resync")
async def test_phone_five_minutes_off(people: People):
    """It comes back by two codes."""
    key = await people.add_with_key("alice")
    await people.store.run(offer_resync, OPERATOR, "alice")
    late = totp.step_at(people.clock.now) - 10
    codes = [totp.code_at(SECRET, late), totp.code_at(SECRET, late + 1)]
    async with running_server(StoreBackend(people.store)) as running:
        connection, client = await connect(running.port, "alice", codes, keys=[key])
        assert client.told[0].startswith(
            "That is the first of two codes. Wait until your app shows the next one, then type it."
        )
        connection.abort()
        people.clock.now += timedelta(minutes=1)
        connection, client = await connect(
            running.port, "alice", [totp.code_at(SECRET, late + 2)], keys=[key]
        )
        assert client.told == []
        connection.abort()
