"""The serving process and the local app send notices by themselves."""

import asyncio
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.authenticator_app import Phone
from support.installed_program import Clinic, code_then, enrol, password_then, set_password, sign_out
from support.mail_server import HOST, MailServer, mail_server
from support.pseudo_terminal import TerminalProgram

pytestmark = pytest.mark.feature("notice-sending")

PASSWORD = "a walrus hums in july"
PROGRAM = Path(sys.executable).with_name("twofold")


@pytest.fixture
def clinic(tmp_path) -> Clinic:
    """A clinic with ben, of which nobody uses a second factor."""
    made = Clinic(tmp_path, "ssh", "ssh-keygen", "oathtool")
    made.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    made.one_time_password("user", "add", "ben", "--email", "ben@clinic.example")
    return made


def send_through(clinic: Clinic, port: int) -> None:
    (clinic.home / "twofold.toml").write_text(
        f'[smtp]\nhost = "{HOST}"\nport = {port}\nsecurity = "none"\nfrom = "twofold@clinic.example"\n'
    )


async def arrives(mail: MailServer, subject: str) -> None:
    async with asyncio.timeout(60):
        while subject not in [message["Subject"] for message in mail.messages]:
            await asyncio.sleep(0.05)


async def test_the_server_sends_what_a_command_could_not(clinic):
    send_through(clinic, 1)
    clinic.one_time_password("user", "password", "ben")
    async with mail_server() as mail:
        send_through(clinic, mail.port)
        # A minute after the first try it is due again; here that is brought about by hand.
        due_at_once(clinic)
        await clinic.serve()
        await arrives(mail, "Twofold: a one-time password was set")
        assert await clinic.stop() == 0
    assert clinic.log == b""
    assert len(mail.messages) == 1


@pytest.mark.feature("notice-places")
async def test_a_sign_in_with_a_new_key(clinic):
    """It is told once; the first sign-in, by a password, is not."""
    key = clinic.new_key("ben_key")
    one_time = clinic.one_time_password("user", "password", "ben")
    clinic.twofold("user", "key", "add", "ben", str(key.with_suffix(".pub")))
    async with mail_server() as mail:
        send_through(clinic, mail.port)
        await clinic.serve()
        clinic.known_hosts()
        terminal = await clinic.connect("ben")
        await password_then(terminal, one_time)
        await set_password(clinic, terminal, PASSWORD)
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
        for _ in range(2):
            terminal = await clinic.connect("ben", key=key)
            await terminal.expect_on_screen("1 M")
            await sign_out(terminal)
        await arrives(mail, "Twofold: a sign-in from a new place")
        words = " ".join(mail.words.split())
        assert "You signed in with an SSH key that you have not used in the last 90 days" in words
        assert "By: ben, over SSH from 127.0.0.1" in words
        await asyncio.to_thread(clinic.twofold, "user", "password", "ben")
        await arrives(mail, "Twofold: a one-time password was set")
        assert await clinic.stop() == 0
    subjects = [message["Subject"] for message in mail.messages]
    assert subjects.count("Twofold: a sign-in from a new place") == 1


@pytest.mark.feature("notice-locks")
async def test_a_lock_is_told_to_the_administrator(clinic):
    clinic.twofold("policy", "set", "--notify-locks", "on")
    one_time = clinic.one_time_password("user", "password", "ben")
    phone = Phone(clinic.oathtool)
    clinic.twofold("user", "require", "ben")
    async with mail_server() as mail:
        send_through(clinic, mail.port)
        await clinic.serve()
        clinic.known_hosts()
        terminal = await clinic.connect("ben")
        await password_then(terminal, one_time)
        await set_password(clinic, terminal, PASSWORD)
        await enrol(clinic, terminal, phone, "Twofold:ben")
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
        terminal = await clinic.connect("ben")
        await password_then(terminal, PASSWORD)
        for left in range(6, -1, -1):
            await code_then(terminal, phone.wrong_code())
            await terminal.expect(f"Wrong code, {left} attempt" if left else "Locked after seven wrong codes")
        await arrives(mail, "Twofold: 1 user locked")
        message = next(one for one in mail.messages if one["Subject"] == "Twofold: 1 user locked")
        assert message["To"] == "anna@clinic.example"
        assert re.search(r"^- ben, .* UTC, over SSH from 127\.0\.0\.1", message.get_content(), re.MULTILINE)
        assert "twofold user unlock NAME" in " ".join(message.get_content().split())
        assert await clinic.stop() == 0


async def test_the_local_app_sends_while_it_is_open(clinic):
    async with mail_server() as mail:
        send_through(clinic, mail.port)
        one_time = await asyncio.to_thread(clinic.one_time_password, "user", "password", "ben")
        terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(clinic.home)])
        await terminal.expect_on_screen("User name")
        terminal.type(f"ben\t{one_time}\r")
        await terminal.expect_on_screen("Choose a new password")
        terminal.type(f"{PASSWORD}\r{PASSWORD}\r")
        await terminal.expect_on_screen("1 M")
        await arrives(mail, "Twofold: your password was changed")
        assert re.search(r"By: +ben, in the app on the host\r\n", mail.words)
        terminal.type("q")
        assert await terminal.end() == 0
    assert len(mail.messages) == 2


def due_at_once(clinic: Clinic) -> None:
    with closing(sqlite3.connect(clinic.home / "twofold.db")) as database:
        database.execute("UPDATE notice SET next_try_at = at")
        database.commit()
