"""`twofold sms received`: what a gateway's hook hands over, and what it is told."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.operations.actors import Member
from data.operations.signin import inbound_sms
from data.rules.remembered_addresses import password_credential
from data.storage import models
from data.storage.home import Home
from tui.cli.open_installation import installation, system_clock

NUMBER = "+491701234711"
SETTINGS = '[sms]\nsend_command = ["true", "{to}"]\nnumber = "+49 30 1234567"\n'
IGNORED = "twofold: No setup is waiting for this message, so it was ignored.\n"
TAKEN = "The message was passed to the setup that is waiting for it.\n"


@pytest.fixture
def code(clinic, home) -> str:
    """A code that a session of anna's waits for."""
    (home / "twofold.toml").write_text(SETTINGS)
    assert clinic("policy", "set", "--methods", "app,sms", "--yes").status == 0
    with installation(Home(home)) as here:
        anna = models.User.get(models.User.name == "anna")
        anna.one_time_until = None
        anna.save()
        session = models.Session.create(
            user=anna, application="ssh", address="192.0.2.1", first_factor="password",
            credential=password_credential(anna.credential), restricted=True, started_at=system_clock(),
        )  # fmt: skip
        return here.store.run_now(inbound_sms.begin_message, Member(session.id)).code


def arrived(home: Path) -> str | None:
    with installation(Home(home)):
        return models.AwaitedMessage.get().number


@pytest.mark.feature("enrol-sent-message")
def test_number_and_text_are_read_from_standard_input(clinic, home, code):
    outcome = clinic("sms", "received", stdin=f"{NUMBER}\n{code[:4]} {code[4:8]} {code[8:]}\n")
    assert (outcome.status, outcome.out, outcome.err) == (0, TAKEN, "")
    assert arrived(home) == NUMBER


@pytest.mark.feature("enrol-sent-message")
def test_variables_of_gammu_smsd(clinic, home, code, monkeypatch):
    """What it sets is read, and its identifiers are not."""
    for name, value in {
        "SMS_MESSAGES": "1",
        "DECODED_PARTS": "0",
        "SMS_1_NUMBER": NUMBER,
        "SMS_1_TEXT": code,
    }.items():
        monkeypatch.setenv(name, value)
    outcome = clinic("sms", "received", "IN20260302_090000_00_+49170_00.txt", "--", "-x")
    assert (outcome.status, outcome.out) == (0, TAKEN)
    assert arrived(home) == NUMBER


def test_message_of_several_parts(clinic, home, code, monkeypatch):
    parts = {
        "SMS_MESSAGES": "2",
        "SMS_1_NUMBER": NUMBER,
        "SMS_1_TEXT": code[:6],
        "SMS_2_TEXT": code[6:],
        "DECODED_PARTS": "2",
        "DECODED_1_TEXT": "A long message " + code[:6],
        "DECODED_2_TEXT": code[6:] + " indeed",
    }
    for name, value in parts.items():
        monkeypatch.setenv(name, value)
    assert clinic("sms", "received").status == 0
    assert arrived(home) == NUMBER


def test_parts_that_were_not_decoded_are_put_together(clinic, home, code, monkeypatch):
    for name, value in {"SMS_MESSAGES": "2", "DECODED_PARTS": "x", "SMS_1_NUMBER": NUMBER}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SMS_1_TEXT", code[:5])
    monkeypatch.setenv("SMS_2_TEXT", code[5:])
    assert clinic("sms", "received").status == 0


@pytest.mark.parametrize("text", ["hello", "", "0000 0000 0000", "\udcff\x1b[2J 123"])
def test_other_messages_are_ignored(clinic, home, code, text):
    """One line says so and repeats nothing."""
    outcome = clinic("sms", "received", stdin=f"{NUMBER}\n{text}\n")
    assert (outcome.status, outcome.out, outcome.err) == (1, "", IGNORED)
    assert arrived(home) is None


def test_a_sender_without_a_number_is_refused(clinic, home, code):
    outcome = clinic("sms", "received", stdin=f"Clinic\n{code}\n")
    assert outcome.status == 1
    assert "not a phone number with + and the country" in outcome.err
    assert arrived(home) is None


def test_without_any_message_the_usage_is_wrong(clinic, monkeypatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    outcome = clinic("sms", "received")
    assert outcome.status == 2
    assert "There is no message" in outcome.err


def test_the_help_shows_the_line_for_the_gateway(run):
    assert "RunOnReceive = " in run("sms", "received", "--help").out


CLOSED = 'exec "$@" <&- >&- 2>&-'
"""Starts a program as gammu-smsd starts its hook: without standard streams."""


def test_hook_without_standard_streams(home, code):
    command = [Path(sys.executable).with_name("twofold"), "--home", home, "sms", "received", "IN1.txt"]
    given = {"SMS_MESSAGES": "1", "SMS_1_NUMBER": NUMBER, "SMS_1_TEXT": code}
    ended = subprocess.run(
        ["sh", "-c", CLOSED, "sh", *command], env=os.environ | given, timeout=60, check=False
    )
    assert ended.returncode == 0
    assert arrived(home) == NUMBER


def test_closed_standard_streams_stay_closed():
    """No file takes the place of one."""
    program = (
        "import os, sys; from tui.cli.main import _fill_standard_streams; _fill_standard_streams(); "
        "sys.exit(os.open(os.devnull, os.O_RDONLY) < 3)"
    )
    command = ["sh", "-c", CLOSED, "sh", sys.executable, "-c", program]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SETTINGS.replace("+49 30 1234567", "030 1234567"), "number in [sms] must be a phone number"),
        ('[sms]\nnumber = "+49 30 1234567"\n', "number in [sms] needs send_command too"),
    ],
)
def test_a_wrong_number_in_the_settings_is_named(clinic, home, text, complaint):
    (home / "twofold.toml").write_text(text)
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert complaint in outcome.err
