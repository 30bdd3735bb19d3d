"""From a file of people to a second factor, by real mail and real `ssh`."""

import asyncio
import re
import subprocess

import pytest
from support.authenticator_app import Phone
from support.installed_program import Clinic, enrol, password_then, set_password, sign_out
from support.mail_server import HOST, MailServer, mail_server

PASSWORD = "seven quiet marble stairs"


def settings(clinic: Clinic, mail: MailServer) -> None:
    (clinic.home / "twofold.toml").write_text(
        f'[server]\npublic_address = "127.0.0.1:{clinic.port or 2222}"\n'
        f'[smtp]\nhost = "{HOST}"\nport = {mail.port}\nsecurity = "none"\nfrom = "twofold@clinic.example"\n'
    )


@pytest.mark.feature("invite")
async def test_mailed_password_and_enrolment_by_app(clinic: Clinic):
    phone = Phone(clinic.oathtool)
    clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    people = clinic.folder / "people.csv"
    people.write_text("name,email,require_2fa\nben,ben@clinic.example,yes\n")
    async with mail_server() as mail:
        settings(clinic, mail)
        await clinic.serve()
        clinic.known_hosts()
        # Who invites is told the port that the server was given.
        settings(clinic, mail)
        clinic.twofold("user", "import", "--yes", str(people))
        await asyncio.to_thread(clinic.twofold, "user", "invite", "--pending", "--yes")
        words = mail.words.replace("\r\n", "\n")
        assert mail.messages[-1]["To"] == "ben@clinic.example"
        one_time = re.search(r"^    (\w{5}(?:-\w{5}){3})$", words, re.MULTILINE).group(1)
        clinic.secrets.append(one_time)

        # The message says how to sign in, and which key to trust.
        assert f"    ssh -p {clinic.port} ben@127.0.0.1\n" in words
        fingerprints = subprocess.run(
            [clinic.keygen, "-l", "-f", clinic.folder / "known_hosts"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert re.search(r"^    (SHA256:\S+)$", words, re.MULTILINE).group(1) in fingerprints

        terminal = await clinic.connect("ben")
        await password_then(terminal, one_time)
        await set_password(clinic, terminal, PASSWORD)
        await enrol(clinic, terminal, phone, "Twofold:ben")
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
        assert clinic.status("ben") == "Enabled"

        # The mailed password is spent.
        terminal = await clinic.connect("ben")
        await password_then(terminal, one_time)
        await terminal.expect("Password: ")
        assert await clinic.stop() == 0
    told = clinic.twofold("audit", "list", "--user", "ben")
    assert "Invited by e-mail" in told
    assert "Invitation sent with a one-time password" in told
    assert not any(secret.encode() in clinic.log for secret in clinic.secrets)
    assert one_time not in told
