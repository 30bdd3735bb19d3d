"""User names and answers as no honest client sends them."""

import asyncio
import contextlib

import pytest
from support.raw_ssh_client import (
    GLOBAL_REQUEST,
    INFO_REQUEST,
    INFO_RESPONSE,
    USERAUTH_FAILURE,
    USERAUTH_SUCCESS,
    Closed,
    flag,
    packet,
    raw_client,
    text,
    u32,
)
from support.ssh_users import PASSWORD

from data.rules.protocol_misuse import Misuse
from sshserver.compat import asyncssh_shim
from sshserver.limits.limit_values import Limits


async def test_name_changed_and_changed_back(attacked):
    """The client must begin again."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.request("bob", "none")
        await client.expect(USERAUTH_FAILURE)
        client.ask_questions("mallory")
        assert await client.question() == "Password: "
        client.answer(attacked.code())
        assert await client.question() == "Password: "
    await attacked.audits(Misuse.NAME_CHANGED)


async def test_another_name_does_not_inherit_what_was_proven(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("bob")
        assert await client.question() == "Password: "


async def test_name_changed_while_password_is_judged(attacked):
    """The new name gets nothing of the result."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.ask_questions("bob")
        await client.question()
        client.answer(PASSWORD)
        client.ask_questions("mallory")
        assert await client.question() == "Password: "
        client.answer(attacked.code())
        assert await client.question() == "Password: "


async def test_two_names_at_once(attacked_with):
    """However long the first look-up takes, its candidate is not the one that stays."""
    begun, ended, slow = [], [], asyncio.Event()
    async with attacked_with(Limits()) as attacked:
        backend = attacked.running.server._context.backend
        find = backend.find

        async def find_slowly(username, address):
            begun.append(username)
            if username == "mallory":
                await slow.wait()
            ended.append(username)
            return await find(username, address)

        backend.find = find_slowly
        async with raw_client(attacked.port) as client:
            await client.begin()
            client.request("mallory", "none")
            client.sign_with("bob", attacked.mallory)
            await attacked.still_serves()
            assert begun == ["mallory", "bob"]  # The second is the Bob who is served meanwhile.
            slow.set()
            assert (await client.expect(USERAUTH_FAILURE))[-1] == 0
            assert (await client.expect(USERAUTH_FAILURE))[-1] == 0
            assert ended == ["bob", "mallory", "bob"]
            client.ask_questions("bob")
            assert await client.question() == "Password: "


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 1000, "x" * 33, "mallory\0", "../mallory", "mal\u0301lory", "' OR 1=1 --", "\u202e"],
    ids=["empty", "blank", "1,000 bytes", "33", "NUL", "path", "combining", "SQL", "override"],
)
async def test_unknown_name_is_counted(attacked, name):
    """An unknown name proves nothing and counts as a failure."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        with contextlib.suppress(Closed):
            client.sign_with(name, attacked.mallory)
            await client.expect(USERAUTH_FAILURE)
            client.ask_questions(name)
            await client.expect(INFO_REQUEST, USERAUTH_FAILURE)
            client.answer(PASSWORD)
            await client.expect(INFO_REQUEST, USERAUTH_FAILURE)
            for _ in range(100):
                client.request(name, "none")
                await client.expect(USERAUTH_FAILURE)
    assert sum(attacked.running.server.misuses.values()) == 1
    assert await attacked.people.open_sessions() == 0


@pytest.mark.parametrize("length", [1024, 60_000])
async def test_a_longer_name_ends_the_connection(attacked, length):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.request("x" * length, "none")
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}


async def test_a_longer_name_is_not_normalised(attacked, monkeypatch):
    """Normal forms of 60,000 bytes of combining marks hold up all others for a second."""
    normalised, prepare = [], asyncssh_shim.prepare
    monkeypatch.setattr(
        asyncssh_shim, "prepare", lambda name: normalised.append(len(name.encode())) or prepare(name)
    )
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.request("a" + "\u0301\u0323" * 255, "none")
        await client.expect(USERAUTH_FAILURE)
        client.request("a" + "\u0301\u0323" * 15_000, "none")
        await client.end()
    assert normalised == [1021]


@pytest.mark.parametrize("answers", [[], ["a", "b"], ["x"] * 1000], ids=["none", "two", "1,000"])
@pytest.mark.parametrize("proven", [False, True], ids=["before the key", "after the key"])
async def test_wrong_number_of_answers(attacked, proven, answers):
    async with raw_client(attacked.port) as client:
        await client.begin()
        if proven:
            await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("mallory")
        await client.question()
        client.answer(*answers)
        await client.expect(USERAUTH_FAILURE)
    assert attacked.running.server.misuses == {Misuse.BAD_ANSWER: 1}
    if proven:
        await attacked.audits(Misuse.BAD_ANSWER)
    else:
        assert "connection.misused" not in [event for event, _ in await attacked.audited()]


@pytest.mark.parametrize("size", [129, 30_000, 65_000])
@pytest.mark.parametrize("proven", [False, True], ids=["a password", "a code"])
async def test_a_huge_answer_is_wrong_and_costs_no_attempt(attacked, proven, size):
    async with raw_client(attacked.port) as client:
        await client.begin()
        if proven:
            await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("mallory")
        prompt = await client.question()
        client.answer("9" * size)
        assert await client.question() == prompt
    assert (await attacked.people.user("mallory")).attempts_left == 7


async def test_answer_shorter_than_it_claims(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("mallory")
        await client.question()
        client.send(packet(INFO_RESPONSE, u32(0xFFFFFFFF), text("123456")))
        await client.end()
    await attacked.audits(Misuse.PROTOCOL)


async def test_unasked_answer(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.answer(attacked.code())
        await client.end()
    await attacked.audits(Misuse.PROTOCOL)


async def test_wrong_code_sent_many_times_at_once(attacked):
    """It is judged one at a time."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("mallory")
        await client.question()
        for _ in range(40):
            client.answer(attacked.people.wrong_code())
        await client.end()
    assert (await attacked.people.user("mallory")).attempts_left >= 1
    await attacked.audits(Misuse.BAD_ANSWER)


async def test_right_code_sent_twice_at_once(attacked):
    """It opens one session."""
    code = attacked.code()
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("mallory")
        await client.question()
        client.answer(code)
        client.answer(code)
        await client.end()
    async with asyncio.timeout(20):
        while attacked.running.server.connection_count or await attacked.people.open_sessions():
            await asyncio.sleep(0.01)
    admitted = [event for event, _ in await attacked.audited() if event == "signin.admitted"]
    assert len(admitted) <= 1


@pytest.mark.parametrize("proven", [False, True], ids=["before the key", "after the key"])
async def test_client_claims_success(attacked, proven):
    """The connection is cut off."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        if proven:
            await client.pass_key("mallory", attacked.mallory)
            client.ask_questions("mallory")
            await client.question()
        client.send(packet(USERAUTH_SUCCESS))
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}
    if proven:
        await attacked.audits(Misuse.PROTOCOL)
    else:
        assert "connection.misused" not in [event for event, _ in await attacked.audited()]


@pytest.mark.parametrize("method", ["none", "password", "hostbased", "gssapi-with-mic", "", "x" * 10_000])
async def test_a_method_that_is_not_offered_opens_nothing(attacked, method):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.request("mallory", method, flag(False), text(PASSWORD))
        failure = await client.expect(USERAUTH_FAILURE)
        assert b"publickey,keyboard-interactive" in failure
        await client.pass_key("mallory", attacked.mallory)
        client.request("mallory", method, flag(False), text(PASSWORD))
        failure = await client.expect(USERAUTH_FAILURE)
        assert failure[1:] == text("keyboard-interactive") + flag(False)


async def test_global_request_before_sign_in(attacked):
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.send(packet(GLOBAL_REQUEST, text("keepalive@openssh.com"), flag(True)))
        await client.end()
    assert attacked.running.server.misuses == {Misuse.PROTOCOL: 1}
