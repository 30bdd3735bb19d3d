"""`twofold user invite` and `remind`: by a real mail server, and on paper."""

import asyncio
import csv
import json
import re
import stat
import sys
from pathlib import Path

import pytest
from support.mail_server import HOST, mail_server
from support.pseudo_terminal import TerminalProgram

ADDRESS = "ssh.clinic.example"


def settings(home: Path, port: int = 0, address: str = ADDRESS) -> None:
    smtp = f'[smtp]\nhost = "{HOST}"\nport = {port}\nsecurity = "none"\nfrom = "twofold@clinic.example"\n'
    (home / "twofold.toml").write_text(f'[server]\npublic_address = "{address}"\n' + (smtp if port else ""))


@pytest.fixture
def imported(tmp_path, clinic):
    """A clinic into which ben and eve were imported, and kim with a password of her own."""
    path = tmp_path / "people.csv"
    path.write_text("name,email,full_name\nben,ben@x.example,=Ben\neve,eve@x.example,\n")
    outcome = clinic("user", "import", "--yes", str(path))
    assert outcome.err.startswith("Invite users without a key with: twofold --home ")
    assert outcome.err.endswith(" user invite --pending\n")
    return clinic


async def in_thread(run, *arguments: str):
    return await asyncio.to_thread(run, *arguments)


@pytest.mark.feature("invite")
async def test_pending_users_get_the_fingerprint(imported, home):
    async with mail_server() as mail:
        settings(home, mail.port)
        outcome = await in_thread(imported, "user", "invite", "--pending", "--yes")
        assert (outcome.status, outcome.out) == (0, "2 users invited by e-mail.\n")
        assert {message["To"] for message in mail.messages} == {"ben@x.example", "eve@x.example"}
        fingerprint = (await in_thread(imported, "hostkey")).err.strip()
        assert f"    {fingerprint}\r\n" in mail.words
        assert re.search(r"    ssh -p 2222 \w+@ssh\.clinic\.example\r\n", mail.words)
        assert "By:      the operator on the host (" in mail.words
        again = await in_thread(imported, "user", "invite", "--pending", "--yes")
        assert (again.status, again.out) == (0, "There is no one to invite.\n")
        assert len(mail.messages) == 2


@pytest.mark.feature("invite-whom")
async def test_one_name_and_several(imported, home):
    """One name needs no confirmation, and who is not invited is named."""
    async with mail_server() as mail:
        settings(home, mail.port)
        outcome = await in_thread(imported, "user", "invite", "ben")
        assert (outcome.status, outcome.out) == (0, "1 user invited by e-mail.\n")
        outcome = await in_thread(imported, "user", "invite", "anna", "eve", "nobody", "--yes")
        assert outcome.status == 0
        assert re.search(r"^anna +anna holds a role", outcome.out, re.MULTILINE)
        assert re.search(r"^nobody +The user was not found", outcome.out, re.MULTILINE)
        outcome = await in_thread(imported, "user", "invite", "anna")
        assert outcome.status == 1
        assert "Nothing was done" in outcome.err


@pytest.mark.parametrize("command", [("invite", "--pending"), ("remind", "--practice", "Main")])
def test_many_are_not_written_to_unasked(imported, home, command):
    settings(home, 1)
    outcome = imported("user", *command)
    assert outcome.status == 2
    assert "Add --yes to confirm" in outcome.err
    assert "user.invited" not in imported("audit", "export").out
    assert "user.reminded" not in imported("audit", "export").out


@pytest.mark.parametrize("arguments", [(), ("ben", "--pending"), ("ben", "--practice", "Main")])
def test_whom_it_is_about_is_said_in_one_way(clinic, arguments):
    for command in ("invite", "remind"):
        outcome = clinic("user", command, *arguments)
        assert outcome.status == 2
        assert "Choose users" in outcome.err


async def test_mail_server_down(imported, home):
    """The messages wait."""
    settings(home, 1)
    outcome = await in_thread(imported, "user", "invite", "--pending", "--yes")
    assert outcome.status == 0
    assert outcome.err.endswith("2 messages could not be sent yet. The server retries for a day.\n")


def test_without_smtp_or_an_address_it_says_what_to_do(imported, home):
    outcome = imported("user", "invite", "ben")
    assert outcome.status == 1
    assert "[smtp]" in outcome.err
    assert "--csv FILE" in outcome.err
    (home / "twofold.toml").write_text("")
    outcome = imported("user", "invite", "ben", "--csv", str(home.parent / "out.csv"))
    assert "public_address" in outcome.err
    assert outcome.status == 1
    assert not (home.parent / "out.csv").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("invite", "--pending"), "[smtp]"),
        (("remind", "--practice", "Main"), "[smtp]"),
        (("invite", "--pending", "--csv", "/nonexistent/out.csv"), "public_address"),
    ],
)
def test_what_is_not_set_up_is_said_before_anything_is_asked(imported, home, command, said):
    (home / "twofold.toml").write_text("")
    outcome = imported("user", *command)
    assert outcome.status == 1
    assert said in outcome.err
    assert "--yes" not in outcome.err


@pytest.mark.feature("invite-on-paper")
def test_passwords_for_paper_go_to_a_new_private_file(imported, home, tmp_path, monkeypatch):
    settings(home)
    file = tmp_path / "invitations.csv"
    outcome = imported("user", "invite", "--pending", "--csv", str(file), "--yes")
    assert (outcome.status, outcome.out) == (0, f"2 users written to {file}.\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(file.open()))
    assert [row["name"] for row in rows] == ["ben", "eve"]
    assert rows[0]["full_name"] == "'=Ben"
    assert rows[0]["ssh"] == f"ssh -p 2222 ben@{ADDRESS}"
    assert rows[0]["host_key"] == imported("hostkey").err.strip()
    passwords = {row["one_time_password"] for row in rows}
    assert len(passwords) == 2
    assert all(re.fullmatch(r"(\w{5}-){3}\w{5}", password) for password in passwords)
    assert not any(password in outcome.out + outcome.err for password in passwords)
    shown = json.loads(imported("user", "show", "ben", "--json").out)
    assert (shown["has_password"], shown["one_time_password"]) == (True, True)


@pytest.mark.feature("invite-on-paper")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_existing_file_is_not_overwritten(imported, home, tmp_path, kind):
    """Nothing is changed."""
    settings(home)
    file, target = tmp_path / "there.csv", tmp_path / "target"
    if kind == "file":
        file.write_text("precious")
    else:
        file.symlink_to(target)
    outcome = imported("user", "invite", "--pending", "--csv", str(file), "--yes")
    assert outcome.status == 1
    assert "already exists" in outcome.err
    assert not target.exists()
    assert json.loads(imported("user", "show", "ben", "--json").out)["has_password"] is False


@pytest.mark.feature("remind")
async def test_those_who_must_set_up_are_reminded_once_a_day(imported, home):
    async with mail_server() as mail:
        settings(home, mail.port)
        outcome = await in_thread(imported, "user", "remind", "--pending", "--yes")
        assert (outcome.status, outcome.out) == (0, "1 user reminded by e-mail.\n")
        assert mail.messages[0]["To"] == "anna@clinic.example"
        outcome = await in_thread(imported, "user", "remind", "--pending", "--yes")
        assert outcome.status == 1
        assert "anna was already reminded in the last day." in outcome.out
        assert len(mail.messages) == 1


async def test_on_a_terminal_it_asks_and_shows_the_progress(imported, home, tmp_path):
    async with mail_server() as mail:
        settings(home, mail.port)
        program = Path(sys.executable).with_name("twofold")
        command = [str(program), "--home", str(home), "user", "invite", "--pending"]
        terminal = await TerminalProgram.start(command)
        await terminal.expect("2 users will be sent .*: ben, eve")
        await terminal.expect("Continue\\?")
        terminal.type("n\r")
        assert await terminal.end() == 1
        assert not mail.messages
        terminal = await TerminalProgram.start(command)
        await terminal.expect("Continue\\?")
        terminal.type("y\r")
        await terminal.expect("Sending .*100%")
        await terminal.expect("2 users invited by e-mail")
        assert await terminal.end() == 0
        assert len(mail.messages) == 2
