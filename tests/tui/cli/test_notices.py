"""Commands tell users by e-mail of what they did, and wait for the mail server for a moment at most."""

import asyncio
import time
from pathlib import Path

import pytest
from support.mail_server import HOST, mail_server

NOT_YET = "twofold: A notice by e-mail could not be sent. The server retries for a day.\n"


def settings(home: Path, port: int) -> None:
    (home / "twofold.toml").write_text(
        f'[smtp]\nhost = "{HOST}"\nport = {port}\nsecurity = "none"\nfrom = "twofold@clinic.example"\n'
    )


@pytest.mark.feature("notice-sending")
async def test_command_sends_its_notices(clinic, home):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    async with mail_server() as mail:
        settings(home, mail.port)
        outcome = await asyncio.to_thread(clinic, "user", "password", "ben")
        assert (outcome.status, outcome.err) == (0, "")
        assert [message["To"] for message in mail.messages] == ["ben@clinic.example"]
        assert "By:      the operator on the host (" in mail.words
        assert (await asyncio.to_thread(clinic, "user", "list")).status == 0
        assert len(mail.messages) == 1


async def test_mail_server_down(clinic, home):
    """One line says so, and the notice stays."""
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    settings(home, 1)
    outcome = await asyncio.to_thread(clinic, "user", "password", "ben")
    assert (outcome.status, outcome.err) == (0, NOT_YET)
    assert outcome.out.startswith("ben has a one-time password")
    outcome = await asyncio.to_thread(clinic, "user", "list")
    assert outcome.err == "", "another command has nothing to do with it"


async def test_a_slow_mail_server_keeps_no_command_waiting(clinic, home):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    async with mail_server() as mail:
        mail.wait = 60
        settings(home, mail.port)
        begun = time.monotonic()
        outcome = await asyncio.to_thread(clinic, "user", "password", "ben")
        assert time.monotonic() - begun < 30
    assert (outcome.status, outcome.err) == (0, NOT_YET)


def test_without_a_mail_server_nothing_is_said(clinic):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    assert clinic("user", "password", "ben").err == ""


def test_new_address_without_second_factor(clinic):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    outcome = clinic("user", "edit", "ben", "--email", "ben@new.example")
    assert (outcome.out, outcome.err) == ("User ben saved.\n", "")


@pytest.mark.feature("contact-clears")
def test_new_number_says_how_to_clear(clinic, home, tmp_path):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    file = tmp_path / ".google_authenticator"
    file.write_text('JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n" TOTP_AUTH\n')
    assert clinic("user", "import", "--yes", "--google-authenticator", f"ben={file}").status == 0
    outcome = clinic("user", "edit", "ben", "--phone", "+49 30 12345678")
    assert outcome.out == "User ben saved.\n"
    assert outcome.err.startswith("Their other methods and recovery codes still work")
    assert outcome.err.endswith(
        f"twofold --home {home} user clear-2fa ben and then twofold --home {home} user password ben\n"
    )
