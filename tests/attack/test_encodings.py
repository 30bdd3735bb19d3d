"""People whose terminals do not send UTF-8: they are told so, and nobody takes them for attackers."""

import pytest
from support.pseudo_terminal import TerminalProgram
from support.raw_ssh_client import INFO_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, raw_client
from support.ssh_users import PASSWORD

from sshserver.limits.limit_values import Limits

NOT_UTF8 = "Your terminal does not send UTF-8."
UMLAUTS = "Zürich bleibt schön"
ENCODED = [UMLAUTS.encode(name) for name in ("latin-1", "utf-16", "cp437")]
IN_OTHERS = pytest.mark.parametrize(
    "answer",
    [*ENCODED, "日本語の合言葉".encode("shift-jis")],
    ids=["Latin-1", "UTF-16", "code page 437", "Shift JIS"],
)
NAMES = pytest.mark.parametrize(
    "name",
    [b"j\xfcrgen", b"\xff\xfe", b"\xed\xa0\x80", b"j\xc2\x80rgen"],
    ids=["Latin-1", "no character", "surrogate", "control character"],
)


@IN_OTHERS
async def test_password_not_utf8(attacked, answer):
    """The question comes again with the reason, and the right password passes."""
    await attacked.people.add("jane", password=PASSWORD)
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.ask_questions("jane")
        await client.question()
        client.answer(answer)
        assert await client.question() == "Password: "
        assert client.told[-1].startswith(NOT_UTF8)
        client.answer(PASSWORD)
        assert await client.question() == "Verification code: "
        client.answer(attacked.code())
        await client.expect(USERAUTH_SUCCESS)
    assert attacked.running.server.misuses == {}


@IN_OTHERS
async def test_code_not_utf8(attacked, answer):
    """The question comes again with the reason, and no attempt is lost."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.ask_questions("mallory")
        prompt = await client.question()
        client.answer(answer)
        assert await client.question() == prompt
        assert client.told[-1].startswith(NOT_UTF8)
        client.answer(attacked.code())
        await client.expect(USERAUTH_SUCCESS)
    assert attacked.running.server.misuses == {}
    assert (await attacked.people.user("mallory")).attempts_left == 7


async def test_who_signs_in_by_ssh_reads_what_is_wrong(attacked, require_program):
    options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    terminal = await TerminalProgram.start(
        [require_program("ssh"), *options, "-p", str(attacked.port), "bob@127.0.0.1"]
    )
    await terminal.expect("Password: ")
    terminal.type(ENCODED[0] + b"\r")
    await terminal.expect(NOT_UTF8)
    await terminal.expect("Password: ")
    await terminal.kill()


@pytest.mark.parametrize("proven", [False, True], ids=["a password", "a code"])
async def test_answers_not_utf8_count_as_failures(attacked, proven):
    """Answers that are not UTF-8 use up the failures that a connection may make."""
    wrong = Limits().wrong_answers
    async with raw_client(attacked.port) as client:
        await client.begin()
        if proven:
            await client.pass_key("mallory", attacked.mallory)
        answered = 0
        while answered < wrong:
            client.ask_questions("mallory")
            while (await client.expect(INFO_REQUEST, USERAUTH_FAILURE))[0] == INFO_REQUEST:
                client.answer(ENCODED[0])
                answered += 1
        await client.end()
    assert (await attacked.people.user("mallory")).attempts_left == 7


@NAMES
async def test_name_not_utf8_is_unknown(attacked, name):
    """It belongs to nobody and is asked like any other name."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.sign_with(name, attacked.mallory)
        await client.expect(USERAUTH_FAILURE)
        client.ask_questions(name)
        assert await client.question() == "Password: "
        client.answer(PASSWORD)
        assert await client.question() == "Password: "
    assert attacked.running.server.misuses == {}


async def test_name_not_utf8_takes_back_proof(attacked):
    """The proof of the name before is void."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.pass_key("mallory", attacked.mallory)
        client.ask_questions(b"mallory\xff")
        assert await client.question() == "Password: "


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CR LF"])
async def test_a_line_ending_is_no_part_of_an_answer(attacked, ending):
    await attacked.people.add("jane", password=PASSWORD)
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.ask_questions("jane")
        await client.question()
        client.answer(PASSWORD + ending)
        assert await client.question() == "Verification code: "
        client.answer(attacked.code() + ending)
        await client.expect(USERAUTH_SUCCESS)
