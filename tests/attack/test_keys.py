"""Keys that prove nothing."""

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.raw_ssh_client import (
    INFO_REQUEST,
    PK_OK,
    USERAUTH_FAILURE,
    USERAUTH_REQUEST,
    flag,
    packet,
    public_blob,
    raw_client,
    text,
    u32,
)
from support.ssh_users import PASSWORD

from data.rules.protocol_misuse import Misuse
from data.storage import models


async def counted_failures(attacked) -> int:
    table = models.FirstFactorFailures
    return await attacked.people.store.read(lambda _tx: sum(row.count for row in table.select()))


def signed_request(client, user: str, algorithm: str, key: asyncssh.SSHKey, name: str | None = None) -> bytes:
    """Sign with a named algorithm, and call it `name`."""
    head = [text(user), text("ssh-connection"), text("publickey"), flag(True)]
    body = packet(USERAUTH_REQUEST, *head, text(name or algorithm), text(key.public_data))
    return body + text(key.sign(text(client.session_id) + body, algorithm.encode()))


async def test_unsigned_probe_and_right_code(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.probe_key("mallory", attacked.mallory)
        await client.expect(PK_OK)
        client.ask_questions("mallory")
        assert await client.question() == "Password: "
        client.answer(attacked.code())
        assert await client.question() == "Password: "
    assert await counted_failures(attacked) == 1
    assert await attacked.people.open_sessions() == 0


async def test_the_same_key_twice_is_one_factor(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.sign_with("mallory", attacked.mallory)
        failure = await client.expect(USERAUTH_FAILURE)
        assert failure[-1] == 0
        client.ask_questions("mallory")
        assert await client.question() == "Verification code: "
    assert attacked.running.server.misuses == {Misuse.NOT_OFFERED: 1}
    await attacked.audits(Misuse.NOT_OFFERED)


async def test_a_key_and_the_password_are_one_factor(attacked):
    await attacked.people.add("both", password=PASSWORD, key=attacked.people.keys["mallory"])
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("both", attacked.mallory)
        client.ask_questions("both")
        assert await client.question() == "Verification code: "
        client.answer(PASSWORD)
        assert await client.question() == "Verification code: "
    assert (await attacked.people.user("both")).attempts_left == 7


async def test_signature_of_another_connection(attacked):
    async with raw_client(attacked.port) as one, raw_client(attacked.port) as other:
        await one.begin()
        await other.begin()
        one.session_id = other.session_id
        one.sign_with("mallory", attacked.mallory)
        assert (await one.expect(USERAUTH_FAILURE))[-1] == 0


async def test_signature_under_another_name(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.sign_with("bob", attacked.mallory)
        assert (await client.expect(USERAUTH_FAILURE))[-1] == 0


@pytest.mark.parametrize("named", ["ssh-rsa", "rsa-sha2-512"])
async def test_sha1_signature(attacked, named):
    """It proves nothing, under whatever name it is sent."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=3072)
    await attacked.people.add("old", password=None, key=key)
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.send(signed_request(client, "old", "ssh-rsa", key, named))
        assert (await client.expect(USERAUTH_FAILURE))[-1] == 0
        client.send(signed_request(client, "old", "rsa-sha2-256", key))
        assert (await client.expect(USERAUTH_FAILURE))[-1] == 1


async def test_key_of_1024_bits(attacked):
    """It proves nothing even if it got into the database."""
    key = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
    table = models.PublicKey
    user = await attacked.people.user("mallory")
    await attacked.people.store.run(
        lambda _tx: table.update(fingerprint=key.get_fingerprint()).where(table.user == user.id).execute()
    )
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.send(signed_request(client, "mallory", "rsa-sha2-512", key))
        assert (await client.expect(USERAUTH_FAILURE))[-1] == 0


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        text("ssh-ed25519"),
        text("ssh-ed25519") + text(bytes(5)),
        text("ssh-ed25519") + u32(0xFFFFFFFF),
        text("ssh-rsa") + text(b"\x01" * 20_000) + text(b"\x7f" * 40_000),
        text("ssh-rsa") + text(b"\x00") + text(b"\x00"),
        text("ecdsa-sha2-nistp256") + text("nistp256") + text(b"\x04" + bytes(64)),
        text("ssh-dss") + text(b"\x01") * 4,
        text("no-such-key") + text(bytes(100)),
        bytes(60_000),
    ],
    ids=["empty", "cut off", "short", "4 GB", "huge RSA", "RSA of 0", "no point", "DSA", "unknown", "zeros"],
)
async def test_malformed_key(attacked, blob):
    """It is refused, and the next key is tried."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        for signed in ([flag(False)], [flag(True)]):
            rest = [text(blob)] + ([text(bytes(80))] if signed[0] == flag(True) else [])
            client.request("mallory", "publickey", *signed, text("ssh-ed25519"), *rest)
            await client.expect(USERAUTH_FAILURE)
        await client.pass_key("mallory", attacked.mallory)


async def test_an_agent_full_of_strange_keys_is_sent_away(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        for _ in range(30):
            client.probe_key("mallory", Ed25519PrivateKey.generate())
        assert await client.end() == "Too many authentication failures."
    assert attacked.running.server.misuses == {Misuse.FAILURES: 1}


async def test_signature_of_wrong_length_or_type(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        head = [flag(True), text("ssh-ed25519"), text(public_blob(attacked.mallory))]
        for signature in (
            b"",
            bytes(10),
            text("ssh-rsa") + text(bytes(64)),
            text("ssh-ed25519") + text(b"x"),
        ):
            client.request("mallory", "publickey", *head, text(signature))
            assert (await client.expect(USERAUTH_FAILURE))[-1] == 0
        client.ask_questions("mallory")
        await client.expect(INFO_REQUEST)
