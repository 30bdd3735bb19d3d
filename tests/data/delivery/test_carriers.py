"""Delivery: real carriers, and rude ones that cost the person five seconds at most and no attempt."""

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.database import World
from support.mail_server import HOST, SMTP_PASSWORD, USER, certificate, mail_server
from support.sms_gateway import running_gateway

from data.delivery import sent_codes as delivery
from data.delivery.carriers import Carriers, Command, Smtp, Trial, UndeliveredError
from data.operations.signin import admission, second_factor
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.domain_types import Method
from data.rules.sent_codes import Envelope

SENDER = "twofold@clinic.example"
CODE = "123456"
MAIL = Envelope(Method.EMAIL, "anna@clinic.example", "Clinic verification code", f"{CODE} is your code.\n")
TEXT = Envelope(Method.SMS, "+491701234711", "", f"{CODE} is your code.")


def smtp(port: int, **options) -> Smtp:
    return Smtp(HOST, port, SENDER, **{"security": "none"} | options)


async def test_an_e_mail_arrives_as_it_was_worded():
    async with mail_server() as mail:
        await smtp(mail.port).carry(MAIL)
    message = mail.messages[0]
    assert (message["From"], message["To"]) == (SENDER, "anna@clinic.example")
    assert message["Subject"] == "Clinic verification code"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"]
    assert message["Message-ID"].endswith("@clinic.example>")
    assert message.get_content().strip() == MAIL.text.strip()


@pytest.mark.feature("smtp")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_smtp_is_encrypted_and_signs_in(tmp_path, security):
    context, trusted = certificate(tmp_path)
    async with mail_server(**{security: context}, auth=security == "starttls") as mail:
        login = {"user": USER, "password": SMTP_PASSWORD} if security == "starttls" else {}
        await smtp(mail.port, security=security, ca_file=trusted, **login).carry(MAIL)
    assert len(mail.messages) == 1


@pytest.mark.feature("smtp")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_server_without_its_name(tmp_path, security):
    """A mail server that cannot prove its name gets nothing."""
    context, _ = certificate(tmp_path)
    async with mail_server(**{security: context}) as mail:
        with pytest.raises(UndeliveredError):
            await smtp(mail.port, security=security).carry(MAIL)
    assert not mail.messages


async def test_mail_server_without_encryption():
    """It gets nothing if encryption is required."""
    async with mail_server() as mail:
        with pytest.raises(UndeliveredError):
            await smtp(mail.port, security="starttls").carry(MAIL)
    assert not mail.messages


async def test_wrong_mail_password(tmp_path):
    context, trusted = certificate(tmp_path)
    async with mail_server(starttls=context, auth=True) as mail:
        carrier = smtp(mail.port, security="starttls", ca_file=trusted, user=USER, password="not that one")
        with pytest.raises(UndeliveredError) as refused:
            await carrier.carry(MAIL)
    assert "not that one" not in repr(carrier) + str(refused.value)


async def test_line_break_in_an_address():
    """It is no second header."""
    async with mail_server() as mail:
        with pytest.raises(UndeliveredError):
            await smtp(mail.port).carry(Envelope(Method.EMAIL, "a@b.example\nBcc: c@d.example", "", ""))
    assert not mail.messages


@pytest.mark.feature("no-code-logged")
async def test_what_a_rude_mail_server_answers_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    async with mail_server() as mail:
        mail.answer = "554 no: {content}"
        with pytest.raises(UndeliveredError):
            await Carriers(smtp(mail.port)).carry(MAIL)
    told = [record.getMessage() for record in caplog.records if record.name == "twofold.delivery"]
    assert told == [f"A message by e-mail was not accepted: {HOST}:{mail.port} answered 554 to DATA"]
    logged = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    assert not any(CODE in line for line in logged)


@pytest.mark.feature("carrier-down")
async def test_a_slow_mail_server_is_given_up():
    async with mail_server() as mail:
        mail.wait = 2
        begun = time.monotonic()
        with pytest.raises(UndeliveredError, match="no answer in time"):
            await Carriers(smtp(mail.port), limit_seconds=0.3).carry(MAIL)
        assert time.monotonic() - begun < 1.5


# Addresses that are not ASCII

IDN, LOCAL_PART = "eva@bücher.example", "évä@bücher.example"


@pytest.mark.feature("ascii-domains")
@pytest.mark.parametrize("smtputf8", [False, True])
async def test_domain_is_ascii_on_the_wire(smtputf8):
    """A domain that is not ASCII is sent as ASCII, whatever the server offers."""
    async with mail_server(smtputf8=smtputf8) as mail:
        for sender in (SENDER, "door@bücher.example"):
            await replace(smtp(mail.port), sender=sender).carry(replace(MAIL, to=IDN))
    assert [message["To"] for message in mail.messages] == ["eva@xn--bcher-kva.example"] * 2
    assert mail.messages[1]["From"] == "door@xn--bcher-kva.example"
    assert mail.messages[1]["Message-ID"].endswith("@xn--bcher-kva.example>")
    assert mail.commands[-3:] == [
        "EHLO xn--bcher-kva.example",
        "MAIL FROM door@xn--bcher-kva.example",
        "RCPT TO eva@xn--bcher-kva.example",
    ]


async def test_local_part_not_ascii_is_sent():
    """A server that takes it gets it."""
    async with mail_server(smtputf8=True) as mail:
        await smtp(mail.port).carry(replace(MAIL, to=LOCAL_PART))
        assert (await Carriers(smtp(mail.port)).probe(Method.EMAIL, LOCAL_PART)).taken
    assert [told for told in mail.commands if LOCAL_PART in told] == [f"RCPT TO {LOCAL_PART}"] * 2


@pytest.mark.feature("ascii-domains")
async def test_local_part_not_ascii_is_refused():
    """A server that does not take it makes the refusal say so."""
    async with mail_server() as mail:
        with pytest.raises(UndeliveredError, match="SMTPUTF8 is not supported by this server"):
            await smtp(mail.port).carry(replace(MAIL, to=LOCAL_PART))
        trial = await Carriers(smtp(mail.port)).probe(Method.EMAIL, LOCAL_PART)
    assert trial == Trial(False, f"{HOST}:{mail.port}: SMTPUTF8 is not supported by this server")


# Probes


async def test_probe_goes_as_far_as_a_delivery():
    """It leaves nothing behind."""
    async with mail_server() as mail:
        trial = await Carriers(smtp(mail.port)).probe(Method.EMAIL, IDN)
    assert trial.taken
    assert trial.sentence == f"{HOST}:{mail.port} would accept it: 250 OK"
    assert mail.commands == [
        "EHLO clinic.example",
        f"MAIL FROM {SENDER}",
        "RCPT TO eva@xn--bcher-kva.example",
        "RSET",
    ]
    assert not mail.messages


@pytest.mark.feature("delivery-errors")
@pytest.mark.parametrize("what", ["probe", "test"])
@pytest.mark.parametrize(
    ("refusing", "said", "answer"),
    [
        ("to_sender", "answered 550 to MAIL FROM", "5.7.1 Not as this sender"),
        ("to_recipient", "answered 550 to RCPT TO", "5.7.1 Relaying denied"),
    ],
)
async def test_refusal_names_the_details(what, refusing, said, answer):
    """Host, port, command and the server's answer."""
    async with mail_server() as mail:
        setattr(mail, refusing, f"550 {answer}")
        carriers = Carriers(smtp(mail.port))
        trial = await (carriers.probe(Method.EMAIL, IDN) if what == "probe" else carriers.test(MAIL))
    assert trial == Trial(False, f"{HOST}:{mail.port} {said}", answer)


async def test_kinds_of_refusal(tmp_path):
    """A refused sign-in, a missing STARTTLS and a closed port are told apart."""
    context, trusted = certificate(tmp_path)
    async with mail_server(starttls=context, auth=True) as mail:
        login = {"security": "starttls", "ca_file": trusted, "user": USER, "password": "not that one"}
        trial = await Carriers(smtp(mail.port, **login)).probe(Method.EMAIL)
        assert trial.words == f"{HOST}:{mail.port} answered 535 to AUTH"
    async with mail_server() as mail:
        trial = await Carriers(smtp(mail.port, security="starttls")).probe(Method.EMAIL)
        assert trial.words == f"{HOST}:{mail.port}: SMTP STARTTLS extension not supported by server."
    assert not trial.taken
    trial = await Carriers(smtp(1)).probe(Method.EMAIL)
    assert trial == Trial(False, f"{HOST}:1 refused the connection")


# Text messages


def script(folder: Path, body: str) -> Command:
    """Make a gateway of a few lines of Python."""
    path = folder / "gateway.py"
    path.write_text(
        f"import os, pathlib, subprocess, sys, time\nhere = pathlib.Path({str(folder)!r})\n{body}\n"
    )
    return Command((sys.executable, str(path), "{to}"))


@pytest.mark.feature("gateway")
async def test_real_gammu_smsd(tmp_path, require_program):
    smsd, inject = require_program("gammu-smsd"), require_program("gammu-smsd-inject")
    async with running_gateway(smsd, inject, tmp_path / "gammu") as gateway:
        await Carriers(command=Command(gateway.send_command)).carry(TEXT)
        assert await gateway.sent() == (TEXT.to, TEXT.text)


@pytest.mark.feature("gateway")
async def test_text_on_stdin_not_in_arguments(tmp_path):
    seen = "(here / 'seen').write_text(repr((sys.argv[1:], sys.stdin.read())))"
    await script(tmp_path, seen).carry(TEXT)
    assert (tmp_path / "seen").read_text() == repr(([TEXT.to], TEXT.text))


@pytest.mark.feature("gateway")
async def test_there_is_no_shell(tmp_path):
    seen = "(here / 'seen').write_text(repr(sys.argv[1:]))"
    await script(tmp_path, seen).carry(Envelope(Method.SMS, "+49; touch x", "", ""))
    assert (tmp_path / "seen").read_text() == repr(["+49; touch x"])


RUDE = {
    "exits with 1": "sys.exit(1)",
    "ends by a signal": "os.kill(os.getpid(), 9)",
    "reads nothing": "sys.exit(3)",
    "is slow": "time.sleep(60)",
    "is slow with a child": "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
    "repeats the words": "print(sys.stdin.read(), file=sys.stderr); sys.exit(1)",
}


@pytest.mark.feature("carrier-down")
@pytest.mark.parametrize("body", RUDE.values(), ids=RUDE.keys())
async def test_rude_gateway(tmp_path, caplog, body):
    """Its kind of failure is named, and it costs no more than the time limit."""
    caplog.set_level(logging.DEBUG)
    begun = time.monotonic()
    with pytest.raises(UndeliveredError) as refused:
        await Carriers(command=script(tmp_path, body), limit_seconds=1.0).carry(TEXT)
    assert time.monotonic() - begun < 4
    assert CODE not in caplog.text + str(refused.value)


async def test_flooding_gateway_still_delivers(tmp_path):
    body = "sys.stdin.read()\nfor _ in range(200): os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"
    await Carriers(command=script(tmp_path, body)).carry(TEXT)


async def test_a_gateway_that_is_not_there_is_no_delivery(tmp_path):
    for arguments in (["/nowhere/gateway", "{to}"], [str(tmp_path), "{to}"]):
        with pytest.raises(UndeliveredError):
            await Carriers(command=Command(arguments)).carry(TEXT)


@pytest.mark.feature("carrier-down")
def test_the_limit_is_five_seconds():
    assert Carriers().limit_seconds == 5


# With the operations


@pytest.fixture
def bert(tmp_path):
    """A world in which bert has his codes by e-mail."""
    world = World(tmp_path)
    world.methods(Method.APP, Method.EMAIL)
    world.user("bert")
    world.enrol_email("bert")
    world.clock.forward(hours=2)
    yield world
    world.close()


async def test_a_code_is_made_sent_and_signs_in(bert):
    attempt = bert.attempt("bert")
    async with mail_server() as mail:
        carriers = Carriers(smtp(mail.port))
        sent = await delivery.send(bert.store, carriers, second_factor.send_code, attempt, Method.EMAIL)
    assert sent == CodeSent(Method.EMAIL, "b•••@clinic.example")
    assert isinstance(bert.submit(attempt, mail.code), admission.Admitted)


@pytest.mark.feature("carrier-down")
async def test_carrier_that_is_down(bert):
    """It counts as no attempt and leaves the next try free."""
    attempt = bert.attempt("bert")
    down = Carriers(smtp(1))
    for _ in range(2):
        result = await delivery.send(bert.store, down, second_factor.send_code, attempt, Method.EMAIL)
        assert result == NotSent(
            "The code could not be sent by e-mail right now. Choose another method, or try again."
        )
    assert bert.row("bert").attempts_left == 7
    assert bert.events(user="bert", last=2) == ["code.sent", "code.not_sent"]


async def test_what_the_operation_refuses_is_not_sent(bert):
    async with mail_server() as mail:
        carriers = Carriers(smtp(mail.port))
        attempt = bert.attempt("bert")
        await delivery.send(bert.store, carriers, second_factor.send_code, attempt, Method.EMAIL)
        result = await delivery.send(bert.store, carriers, second_factor.send_code, attempt, Method.EMAIL)
    assert isinstance(result, NotSent)
    assert len(mail.messages) == 1
