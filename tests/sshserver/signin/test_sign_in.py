"""Signing in over a socket, with asyncssh's and paramiko's clients and a gate without a database."""

import asyncio
import io

import asyncssh
import paramiko
import pytest
from support.fake_backend import CODE, LOCKED, PASSWORD, FakeBackend
from support.ssh_server import HOST, connect, running_server, until

from sshserver.limits.limit_values import Limits
from sshserver.signin.connection import Connection
from sshserver.signin.userauth import UserAuth

KEY = asyncssh.generate_private_key("ssh-ed25519")


async def refused(port, username, answers, **options):
    """Connect in vain and return the client."""
    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)) as caught:
        await connect(port, username, answers, **options)
    return caught.value.client


async def test_a_password_and_a_code_open_a_session():
    backend = FakeBackend()
    async with running_server(backend) as running:
        connection, client = await connect(running.port, "alice", [PASSWORD, CODE])
        async with connection:
            assert client.asked == ["Password: ", "Verification code: "]
            assert not client.echoed
            assert client.told == []
    assert backend.ended == [1]


async def test_key_and_code():
    """They open a session, and no password is asked."""
    async with running_server(FakeBackend([KEY])) as running:
        connection, client = await connect(running.port, "alice", [CODE], keys=[KEY])
        async with connection:
            assert client.asked == ["Verification code: "]


async def test_first_factor_alone_if_no_code_is_asked():
    backend = FakeBackend([KEY], without_code={"alice"})
    async with running_server(backend) as running:
        for answers, keys in (([], [KEY]), ([PASSWORD], [])):
            connection, _ = await connect(running.port, "alice", answers, keys=keys)
            connection.close()
            await connection.wait_closed()
    assert backend.codes == []


async def test_one_factor_alone_is_refused():
    backend = FakeBackend([KEY])
    async with running_server(backend) as running:
        await refused(running.port, "alice", [], keys=[KEY])
        await refused(running.port, "alice", [PASSWORD])
        await refused(running.port, "alice", [CODE])
    assert backend.opened == []


async def test_wrong_then_right_code():
    """The attempts that are left are said."""
    async with running_server(FakeBackend([KEY])) as running:
        connection, client = await connect(running.port, "alice", ["999999", CODE], keys=[KEY])
        async with connection:
            assert client.told[0].startswith("Wrong code, 6 attempts left.")


async def test_before_the_first_factor_nothing_is_said():
    async with running_server(FakeBackend()) as running:
        client = await refused(running.port, "alice", ["wrong", "wrong too"])
        assert client.told == []
        assert set(client.asked) == {"Password: "}


async def test_locked_user():
    """The user is told so after the first factor only and is disconnected."""
    async with running_server(FakeBackend([KEY], locked={"alice"})) as running:
        for answers, keys in (([], [KEY]), ([PASSWORD], [])):
            client = await refused(running.port, "alice", answers, keys=keys)
            assert client.told == [LOCKED]
            assert "Verification code: " not in client.asked
        client = await refused(running.port, "alice", ["wrong"])
        assert client.told == []


async def test_ten_wrong_answers_end_the_connection():
    backend = FakeBackend()
    async with running_server(backend) as running:
        transport = await paramiko_transport(running.port)
        outcomes = [await paramiko_answer(transport, "alice", ["wrong"] * 3) for _ in range(4)]
        # The tenth refusal and the end of the connection come together: paramiko tells of either.
        assert outcomes[:3] == ["refused"] * 3
        assert outcomes[3] in ("refused", "disconnected")
        await until(lambda: not transport.is_active())
    assert backend.passwords == ["wrong"] * 10


async def test_twenty_unknown_keys():
    """They end the connection, and nineteen do not."""
    async with running_server(FakeBackend([KEY])) as running:
        strangers = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(20)]
        connection, _ = await connect(running.port, "alice", [CODE], keys=[*strangers[:19], KEY])
        connection.close()
        client = await refused(running.port, "alice", [CODE], keys=[*strangers, KEY])
        assert client.asked == []


async def test_unsigned_probe():
    backend = FakeBackend([KEY])

    class ProbingKey(type(KEY)):  # type: ignore[misc]
        def sign(self, data, sig_algorithm):
            raise ValueError("this client only probes")

    probe = asyncssh.import_private_key(KEY.export_private_key())
    probe.__class__ = ProbingKey
    async with running_server(backend) as running:
        client = await refused(running.port, "alice", [CODE], keys=[probe])
        assert client.asked[0] == "Password: "
    assert backend.proven_keys == []


async def test_bad_signature():
    """It counts as a wrong answer and proves nothing."""
    backend = FakeBackend([KEY])

    class LyingKey(type(KEY)):  # type: ignore[misc]
        def sign(self, data, sig_algorithm):
            return super().sign(data + b"!", sig_algorithm)

    liar = asyncssh.import_private_key(KEY.export_private_key())
    liar.__class__ = LyingKey
    async with running_server(backend, Limits(wrong_answers=1)) as running:
        client = await refused(running.port, "alice", [PASSWORD, CODE], keys=[liar])
        assert client.asked == []
    assert backend.proven_keys == []


@pytest.mark.parametrize(
    ("algorithm", "options", "taken"),
    [
        ("ssh-ed25519", {}, True),
        ("ecdsa-sha2-nistp256", {}, True),
        ("ecdsa-sha2-nistp384", {}, True),
        ("ecdsa-sha2-nistp521", {}, True),
        ("ssh-rsa", {"key_size": 3072}, True),
        ("ssh-rsa", {"key_size": 2048}, False),
        ("ssh-ed448", {}, False),
    ],
)
async def test_strong_weak_and_odd_keys(algorithm, options, taken):
    key = asyncssh.generate_private_key(algorithm, **options)
    backend = FakeBackend([key])
    async with running_server(backend) as running:
        if taken:
            connection, _ = await connect(running.port, "alice", [CODE], keys=[key])
            connection.close()
        else:
            client = await refused(running.port, "alice", ["wrong"], keys=[key])
            assert client.asked[0] == "Password: "
    assert bool(backend.proven_keys) is taken


@pytest.mark.parametrize("algorithm", ["ssh-rsa", "ssh-rsa-sha224@ssh.com"])
async def test_a_signature_with_a_weak_hash_proves_nothing(algorithm):
    key = asyncssh.generate_private_key("ssh-rsa", key_size=3072)
    backend = FakeBackend([key])

    class OldFashionedKey(type(key)):  # type: ignore[misc]
        def sign(self, data, sig_algorithm):
            return super().sign(data, algorithm.encode())

    old = asyncssh.import_private_key(key.export_private_key())
    old.__class__ = OldFashionedKey
    async with running_server(backend) as running:
        client = await refused(running.port, "alice", ["wrong"], keys=[old])
        assert client.asked[0] == "Password: "
    assert backend.proven_keys == []


async def test_certificate_is_no_key():
    """This holds even when its signer is one."""
    authority = asyncssh.generate_private_key("ssh-ed25519")
    backend = FakeBackend([authority])
    certificate = authority.generate_user_certificate(KEY, "id", principals=["alice"])
    async with running_server(backend) as running:
        client = await refused(running.port, "alice", [], keys=[(KEY, certificate)])
        assert client.asked[0] == "Password: "
    assert backend.proven_keys == []


async def test_offered_methods():
    """They are publickey and keyboard-interactive, and then only the latter."""
    async with running_server(FakeBackend([KEY])) as running:
        transport = await paramiko_transport(running.port)
        with pytest.raises(paramiko.BadAuthenticationType) as caught:
            await asyncio.to_thread(transport.auth_password, "alice", PASSWORD, fallback=False)
        assert sorted(caught.value.allowed_types) == ["keyboard-interactive", "publickey"]
        left = await asyncio.to_thread(transport.auth_publickey, "alice", paramiko_key())
        assert left == ["keyboard-interactive"]
        transport.close()


async def test_another_user_name_flushes_what_was_proven():
    backend = FakeBackend([KEY])
    async with running_server(backend, Limits(wrong_answers=20)) as running:
        transport = await paramiko_transport(running.port)
        assert await asyncio.to_thread(transport.auth_publickey, "alice", paramiko_key())
        asked = []
        assert await paramiko_answer(transport, "bob", [CODE], asked) == "refused"
        assert asked[0] == "Password: "
        assert await paramiko_answer(transport, "alice", [CODE], asked) == "refused"
        transport.close()
    assert backend.opened == []
    assert backend.codes == []


async def test_an_empty_user_name_is_refused():
    backend = FakeBackend([KEY])
    async with running_server(backend) as running:
        transport = await paramiko_transport(running.port)
        assert await paramiko_answer(transport, "", [PASSWORD, CODE]) == "refused"
        with pytest.raises(paramiko.AuthenticationException):
            await asyncio.to_thread(transport.auth_publickey, "", paramiko_key())
        transport.close()
    assert (backend.found, backend.passwords, backend.proven_keys) == ([], [], [])


async def test_a_channel_before_the_code_ends_the_connection():
    async with running_server(FakeBackend([KEY])) as running:
        transport = await paramiko_transport(running.port)
        assert await asyncio.to_thread(transport.auth_publickey, "alice", paramiko_key())
        with pytest.raises((paramiko.SSHException, EOFError)):
            await asyncio.to_thread(transport.open_session, timeout=60)
        await until(lambda: not transport.is_active())
        assert running.server.session_count == 0


async def test_verdict_when_begin_auth_needs_none(monkeypatch):
    """Success passes the verdict also when begin_auth says that none is needed."""

    async def begin_auth(self, username):
        await original(self, username)
        return False

    original = Connection.begin_auth
    monkeypatch.setattr(Connection, "begin_auth", begin_auth)
    async with running_server(FakeBackend()) as running:
        await refused(running.port, "alice", [])


async def test_verdict_when_an_answer_is_called_right(monkeypatch):
    """Success passes the verdict also then."""

    async def validate(self, username, responses):
        return True

    monkeypatch.setattr(Connection, "validate_kbdint_response", validate)
    async with running_server(FakeBackend()) as running:
        await refused(running.port, "alice", ["anything", "at", "all"])


async def test_verdict_when_a_key_is_called_right(monkeypatch):
    """Success passes the verdict also then."""

    async def key_offered(self, key, verify):
        return True

    monkeypatch.setattr(UserAuth, "key_offered", key_offered)
    async with running_server(FakeBackend()) as running:
        await refused(running.port, "alice", [], keys=[KEY])


async def test_hang_up_after_a_code():
    """The code is counted, and what it opened is closed."""
    backend = FakeBackend([KEY], wait=asyncio.Event())
    async with running_server(backend) as running:
        attempt = asyncio.create_task(connect(running.port, "alice", [CODE], keys=[KEY]))
        await until(lambda: backend.proven_keys)
        backend.wait.set()
        backend.wait.clear()
        await until(lambda: backend.codes)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        await until(lambda: running.server.connection_count == 0)
        assert backend.opened == []
        backend.wait.set()
        await until(lambda: backend.ended == [1])
    assert backend.codes == [CODE]


async def test_answer_while_one_is_judged():
    """It counts and is not judged."""
    backend = FakeBackend(wait=asyncio.Event())
    async with running_server(backend) as running:
        transport = await paramiko_transport(running.port)
        first = asyncio.create_task(paramiko_answer(transport, "alice", [PASSWORD]))
        await until(lambda: backend.passwords)
        handler = transport.auth_handler
        second = asyncio.create_task(paramiko_answer(transport, "alice", ["another"]))
        await asyncio.sleep(0.1)
        assert backend.passwords == [PASSWORD]
        backend.wait.set()
        transport.close()
        await asyncio.gather(first, second)
        assert handler is not None


async def test_deadlines():
    """Whoever has passed the first factor outlives its deadline, and has another one."""
    limits = Limits(first_factor_seconds=2.0, second_factor_seconds=60.0)
    async with running_server(FakeBackend([KEY]), limits) as running:
        half = await paramiko_transport(running.port)
        assert await asyncio.to_thread(half.auth_publickey, "alice", paramiko_key())
        stranger = await paramiko_transport(running.port)
        await until(lambda: not stranger.is_active())
        assert half.is_active()
        half.close()
    limits = Limits(first_factor_seconds=60.0, second_factor_seconds=0.1)
    async with running_server(FakeBackend([KEY]), limits) as running:
        half = await paramiko_transport(running.port)
        assert await asyncio.to_thread(half.auth_publickey, "alice", paramiko_key())
        await until(lambda: not half.is_active(), 30)


async def test_silent_client():
    """It is gone after the first deadline."""
    async with running_server(FakeBackend(), Limits(first_factor_seconds=0.2)) as running:
        reader, writer = await asyncio.open_connection(HOST, running.port)
        async with asyncio.timeout(30):
            while await reader.read(4096):
                pass
        writer.close()


async def test_stranger_makes_room():
    """A client that has passed the first factor stays."""
    async with running_server(FakeBackend([KEY]), Limits(connections_per_source=2)) as running:
        half = await paramiko_transport(running.port)
        assert await asyncio.to_thread(half.auth_publickey, "alice", paramiko_key())
        strangers = [await paramiko_transport(running.port) for _ in range(3)]
        await until(lambda: sum(stranger.is_active() for stranger in strangers) == 2)
        assert strangers[-1].is_active()
        assert half.is_active()
        for transport in (half, *strangers):
            transport.close()


@pytest.mark.parametrize("broken", ["find", "prove_key", "prove_password", "submit_code"])
async def test_failing_database(caplog, monkeypatch, broken):
    """It ends the connection and opens nothing."""

    async def fail(*given):
        raise RuntimeError(f"secret {given}")

    backend = FakeBackend([KEY])
    monkeypatch.setattr(backend, broken, fail)
    async with running_server(backend) as running:
        keys = [] if broken == "prove_password" else [KEY]
        client = await refused(running.port, "alice", [PASSWORD, CODE] if not keys else [CODE], keys=keys)
        assert client.told == []
    assert backend.opened == []
    assert "secret" not in caplog.text
    assert "RuntimeError at" in caplog.text


async def test_refused_requests_are_limited():
    async with running_server(FakeBackend(), Limits(sign_in_requests=10)) as running:
        transport = await paramiko_transport(running.port)
        for _ in range(20):
            with pytest.raises((paramiko.SSHException, EOFError)):
                await asyncio.to_thread(transport.auth_none, "alice")
            if not transport.is_active():
                break
        assert not transport.is_active()


async def paramiko_transport(port):
    transport = paramiko.Transport((HOST, port))
    await asyncio.to_thread(transport.start_client, timeout=60)
    return transport


async def paramiko_answer(transport, username, answers, asked=None):
    """Go through one keyboard-interactive exchange; return how it ended."""
    left = list(answers)

    def answer(_title, _instructions, prompts):
        if asked is not None:
            asked.extend(prompt for prompt, _echo in prompts)
        return [left.pop(0) if left else "nothing" for _ in prompts]

    try:
        await asyncio.to_thread(transport.auth_interactive, username, answer)
    except paramiko.AuthenticationException:
        return "refused" if transport.is_active() else "disconnected"
    except (paramiko.SSHException, EOFError):
        return "disconnected"
    return "admitted"


def paramiko_key():
    return paramiko.Ed25519Key.from_private_key(io.StringIO(KEY.export_private_key().decode()))
