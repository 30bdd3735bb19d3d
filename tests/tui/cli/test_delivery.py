"""`twofold delivery test`: a real message to a real carrier, and what it answered."""

import asyncio
import json

import pytest
from support.mail_server import HOST, mail_server
from support.sms_gateway import running_gateway

SMTP = '[smtp]\nhost = "127.0.0.1"\nport = {}\nsecurity = "none"\nfrom = "door@clinic.example"\n'


@pytest.mark.feature("ascii-domains")
async def test_email(clinic, home):
    """The server's answer is shown."""
    async with mail_server() as mail:
        (home / "twofold.toml").write_text(SMTP.format(mail.port))
        outcome = await asyncio.to_thread(clinic, "delivery", "test", "--email", "eva@bücher.example")
    assert (outcome.status, outcome.out) == (0, f"Sent. {HOST}:{mail.port} accepted it: taken\n")
    assert mail.messages[0]["Subject"] == "Twofold test message"
    assert mail.messages[0]["To"] == "eva@xn--bcher-kva.example"
    log = clinic("audit", "list", "--event", "delivery").out
    assert "Test message by e-mail to e•••@bücher.example" in log


@pytest.mark.feature("delivery-errors")
async def test_refusal_in_the_servers_words(clinic, home):
    """They are shown once; what kind of error was the last is kept."""
    async with mail_server() as mail:
        mail.to_recipient = "550 5.1.1 No such mailbox"
        (home / "twofold.toml").write_text(SMTP.format(mail.port))
        outcome = await asyncio.to_thread(clinic, "delivery", "test", "--email", "eva@clinic.example")
    assert outcome.status == 1
    said = f"{HOST}:{mail.port} answered 550 to RCPT TO"
    assert outcome.err == f"twofold: Not sent. {said}: 5.1.1 No such mailbox\n"
    (shown,) = json.loads(clinic("delivery", "show", "--json").out)
    assert (shown["method"], shown["reason"], shown["failed_at"][-1]) == ("email", said, "Z")
    assert said in clinic("delivery", "show").out


@pytest.mark.feature("delivery-errors")
async def test_a_text_message_goes_through_the_real_gateway(clinic, home, tmp_path, require_program):
    smsd, inject = require_program("gammu-smsd"), require_program("gammu-smsd-inject")
    async with running_gateway(smsd, inject, tmp_path / "gammu") as gateway:
        command = ", ".join(f'"{word}"' for word in gateway.send_command)
        (home / "twofold.toml").write_text(f"[sms]\nsend_command = [{command}]\n")
        outcome = await asyncio.to_thread(clinic, "delivery", "test", "--sms", "+49 170 1234711")
        assert (outcome.status, outcome.err) == (0, "")
        number, words = await gateway.sent(containing="is a test message from")
    assert number == "+491701234711"
    assert words.startswith("This is a test message from Twofold. It was delivered")


def test_what_cannot_be_tried_says_what_to_do(clinic, home):
    for arguments, status, said in (
        ((), 2, "--email ADDRESS or --sms NUMBER"),
        (("--email", "a@b.example", "--sms", "+491701234711"), 2, "--email ADDRESS or --sms NUMBER"),
        (("--email", "a@b.example"), 1, "Set [smtp] in twofold.toml."),
        (("--sms", "+491701234711"), 1, "Set [sms] in twofold.toml."),
    ):
        outcome = clinic("delivery", "test", *arguments)
        assert (outcome.status, outcome.out) == (status, "")
        assert said in outcome.err
    (home / "twofold.toml").write_text(SMTP.format(1))
    assert "not an e-mail address" in clinic("delivery", "test", "--email", "anna").err
