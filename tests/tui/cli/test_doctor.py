"""`twofold doctor`: each line says what to do, and the exit status whether all is well."""

import asyncio
import json

import pytest
from support.mail_server import HOST, mail_server

from data.storage import models


def lines(outcome) -> str:
    return " ".join(outcome.out.split())


def test_a_new_installation_has_no_problem(clinic, home):
    outcome = clinic("doctor")
    assert outcome.status == 0, outcome.out
    shown = lines(outcome)
    assert f"ok home: {home} is complete, and only its owner can read it." in shown
    assert "ok keys: The master key matches the database." in shown
    assert "ok database: The database is intact." in shown
    assert "note account Clinic: Administrators without a second factor: anna." in shown
    findings = json.loads(clinic("doctor", "--json").out)
    assert {"home", "keys", "database", "schema", "secrets", "clock", "disk", "account Clinic"} <= {
        finding["topic"] for finding in findings
    }
    assert all(set(finding) == {"level", "topic", "sentence", "advice"} for finding in findings)


def test_problems_say_what_to_do(clinic, home):
    key = home / "master.key"
    content = key.read_bytes()
    for change, said in (
        (lambda: home.chmod(0o755), f"chmod 700 {home}"),
        (key.unlink, "Restore it from a backup"),
        (lambda: key.write_text("00" * 32), "does not match"),
        (lambda: key.write_text(""), "is damaged"),
        (lambda: (home / "ssh_host_ed25519_key").write_text("x"), "ssh_host_ed25519_key"),
    ):
        change()
        outcome = clinic("doctor")
        assert outcome.status == 1
        assert "problem" in outcome.out
        assert said in lines(outcome)
        home.chmod(0o700)
        key.write_bytes(content)
        key.chmod(0o600)


@pytest.mark.feature("repair-counts")
def test_wrong_counts_are_a_problem_until_repaired(clinic):
    models.database.connect(reuse_if_open=True)
    models.UserCount.update(people=7).execute()
    models.database.close()
    outcome = clinic("doctor")
    assert outcome.status == 1
    assert "differ from the users or the log. Count again: twofold doctor --repair-counts" in lines(outcome)
    assert "counts corrected." in clinic("doctor", "--repair-counts").out
    assert "All counts are right." in clinic("doctor", "--repair-counts").out
    outcome = clinic("doctor")
    assert outcome.status == 0, outcome.out
    assert "ok counts: The kept counts match the users and the log." in lines(outcome)
    assert clinic("doctor", "--repair-counts", "--json").status == 2


def test_a_locked_administrator_is_a_problem(clinic):
    models.database.connect(reuse_if_open=True)
    models.User.update(locked_at=models.User.created_at).execute()
    models.database.close()
    outcome = clinic("doctor")
    assert outcome.status == 1
    assert "problem account Clinic: Administrators are locked: anna. See why: twofold user explain" in lines(
        outcome
    )


@pytest.mark.feature("delivery-errors")
async def test_delivery_is_tried_without_sending(clinic, home):
    settings = home / "twofold.toml"
    smtp = '[smtp]\nhost = "127.0.0.1"\nport = {}\nsecurity = "none"\nfrom = "door@clinic.example"\n'
    async with mail_server() as mail:
        settings.write_text(smtp.format(mail.port) + '[sms]\nsend_command = ["no-such-program", "{to}"]\n')
        outcome = await asyncio.to_thread(clinic, "doctor")
        assert outcome.status == 1
        taken = f"ok delivery: Messages by e-mail can be sent: {HOST}:{mail.port} would accept it: 250 OK"
        assert taken in lines(outcome)
        assert "by text message cannot be sent: the program no-such-program was not found" in lines(outcome)
        assert mail.commands[-3:] == [
            "MAIL FROM door@clinic.example",
            "RCPT TO anna@clinic.example",
            "RSET",
        ]
        mail.to_recipient = "554 5.7.1 Relay access denied"
        outcome = await asyncio.to_thread(clinic, "doctor")
        refused = f"{HOST}:{mail.port} answered 554 to RCPT TO: 5.7.1 Relay access denied"
        assert f"problem delivery: Messages by e-mail cannot be sent: {refused}" in lines(outcome)
        assert "twofold delivery test --email ADDRESS" in lines(outcome)
        assert not mail.messages
    settings.write_text(smtp.format(mail.port))
    outcome = await asyncio.to_thread(clinic, "doctor")
    assert outcome.status == 1
    assert "problem delivery: Messages by e-mail cannot be sent" in lines(outcome)


def test_nothing_is_changed_by_looking(clinic, home):
    clinic("doctor")
    before = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    assert clinic("doctor").status == 0
    after = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    assert before.keys() == after.keys()
    assert before["twofold.db"] == after["twofold.db"]
