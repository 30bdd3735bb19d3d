"""Exports: CSV and JSON Lines, to standard output or a new file, without ever holding it all."""

import contextlib
import csv
import io
import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pseudo_terminal import TerminalProgram

from data.operations.users import user_export
from data.operations.users.user_search import PAGE
from data.rules.user_fields import tidy
from data.rules.users_csv import read_people
from data.storage import models
from tui.cli.commands import audit as audit_cli
from tui.cli.output_formats import write_records


def test_the_log_is_listed_and_exported_by_kind(clinic):
    clinic("user", "deactivate", "--yes", "anna")
    clinic("policy", "set", "--mode", "off", "--yes")
    listed = json.loads(clinic("audit", "list", "--event", "policy", "--json").out)
    assert [row["event"] for row in listed] == ["policy.mode_changed"]
    exported = clinic("audit", "export", "--event", "user.", "--format", "jsonl").out.splitlines()
    assert {json.loads(row)["event"] for row in exported} == {"user.created"}


def crowd(home, count: int) -> None:
    database = models.database
    database.connect(reuse_if_open=True)
    anna = models.User.get(models.User.name == "anna")
    rows = [
        {
            "account": anna.account_id,
            "practice": anna.practice_id,
            "name": f"user{number:04}",
            "email": f"user{number:04}@clinic.example",
            "full_name": "=1+1" if number == 0 else f'User, "{number}"',
            "phone": "+4930123456" if number == 0 else None,
            "attempts_left": 7,
            "created_at": anna.created_at,
        }
        for number in range(count)
    ]
    for start in range(0, count, 500):
        models.User.insert_many(rows[start : start + 500]).execute()
    database.close()


def records(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.feature("export")
def test_users_as_csv(home, clinic):
    """Formulas are neutralised."""
    crowd(home, 3)
    outcome = clinic("user", "export")
    assert outcome.status == 0, outcome.err
    found = {row["name"]: row for row in records(outcome.out)}
    assert set(found) == {"anna", "user0000", "user0001", "user0002"}
    assert found["user0000"]["full_name"] == "'=1+1"
    assert found["user0000"]["phone"] == "'+4930123456"
    assert found["user0001"]["full_name"] == 'User, "1"'
    assert found["anna"]["roles"] == "security_admin system_admin"
    assert (found["anna"]["status"], found["anna"]["require_2fa"]) == ("Pending setup on next login", "no")


@pytest.mark.feature("export")
def test_people_are_exported_as_json_lines_as_they_are(home, clinic):
    crowd(home, 1)
    lines = [json.loads(line) for line in clinic("user", "export", "--format", "jsonl").out.splitlines()]
    assert [line["name"] for line in lines] == ["anna", "user0000"]
    assert lines[1]["full_name"] == "=1+1"
    assert lines[1]["phone"] == "+4930123456"
    assert lines[1]["active"] is True


def test_pages_without_gaps(home, clinic, monkeypatch):
    crowd(home, 1203)
    asked = []
    original = user_export.export_people

    def watched(tx, actor, query):
        page = original(tx, actor, query)
        asked.append(len(page.records))
        return page

    monkeypatch.setattr(user_export, "export_people", watched)
    names = [row["name"] for row in records(clinic("user", "export").out)]
    assert names == ["anna", *(f"user{number:04}" for number in range(1203))]
    assert asked == [500, 500, 204]
    assert PAGE <= user_export.PAGE


def test_no_secret_is_exported(home, clinic):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    for form in ("csv", "jsonl"):
        assert "argon2" not in clinic("user", "export", "--format", form).out


@pytest.mark.feature("export")
def test_log(clinic, monkeypatch):
    """It is exported oldest first and agrees with the list."""
    monkeypatch.setattr(audit_cli, "_PAGE", 2)
    for name in ("ben", "eve", "kim"):
        clinic("user", "add", name, "--email", f"{name}@clinic.example")
    listed = json.loads(clinic("audit", "list", "--json", "--limit", "0").out)
    lines = [json.loads(line) for line in clinic("audit", "export", "--format", "jsonl").out.splitlines()]
    assert lines == listed
    rows = records(clinic("audit", "export").out)
    assert [int(row["id"]) for row in rows] == [entry["id"] for entry in listed]
    assert [row["user"] for row in records(clinic("audit", "export", "--user", "eve").out)] == ["eve"]


def test_a_file_is_made_private_and_never_overwritten(tmp_path, clinic):
    path = tmp_path / "people.csv"
    before = path.parent.stat().st_mode
    assert clinic("user", "export", "--output", str(path)).status == 0
    assert records(path.read_text())[0]["name"] == "anna"
    path.write_text("mine")
    outcome = clinic("user", "export", "--output", str(path))
    assert outcome.status == 1
    assert "already exists" in outcome.err
    assert path.read_text() == "mine"
    assert stat.S_IMODE(before) == stat.S_IMODE(path.parent.stat().st_mode)
    assert "cannot be written" in clinic("audit", "export", "--output", str(tmp_path / "no" / "x.csv")).err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_terminal_acts_on_nothing_in_an_export(home, clinic, form):
    rename("\x1b]0;taken over\x07, a\x9bb, tab\there, \u202etxt.exe")
    command = [str(Path(sys.executable).with_name("twofold")), "--home", str(home), "user", "export"]
    terminal = await TerminalProgram.start([*command, "--format", form])
    assert await terminal.end() == 0
    shown = terminal.output.decode()
    assert "anna@clinic.example" in shown
    assert "taken over" in shown
    assert all(symbol.isprintable() or symbol in "\r\n" for symbol in shown)


names = (st.text() | st.text(alphabet="'=+\"\\,; a\u200c\u200f\u202e\x1b")).map(tidy).filter(bool)


@pytest.mark.feature("import-of-export")
@given(names, names)
def test_what_is_exported_is_imported_as_it_was(full_name, practice):
    record = {
        "name": "ben",
        "email": "ben@klinik.local",
        "full_name": full_name,
        "practice": practice,
        "roles": [],
    }
    with contextlib.redirect_stdout(io.StringIO()) as written:
        write_records(iter([record]), list(record), "csv", None)
    read = read_people(written.getvalue().encode(), ignore_extra=True)
    assert [(row.full_name, row.practice) for row in read.rows] == [(full_name, practice)]


def test_a_file_has_the_characters_that_are_stored(tmp_path, clinic):
    name = "\u0645\u06cc\u200c\u062e \u200fLee\u200d \\u200f"
    rename(name)
    assert records(clinic("user", "export").out)[0]["full_name"] == name
    assert json.loads(clinic("user", "export", "--format", "jsonl").out)["full_name"] == name
    clinic("user", "export", "--output", str(tmp_path / "people.csv"))
    assert records((tmp_path / "people.csv").read_text())[0]["full_name"] == name


def rename(full_name: str) -> None:
    models.database.connect(reuse_if_open=True)
    models.User.update(full_name=full_name).execute()
    models.database.close()
