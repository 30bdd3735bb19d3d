"""`twofold user import`, as the operator types it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.pseudo_terminal import TerminalProgram

from data.rules import users_csv
from data.storage import models


def write(tmp_path, text: str):
    path = tmp_path / "people.csv"
    path.write_text(text)
    return str(path)


def names(clinic) -> list[str]:
    return [row["name"] for row in json.loads(clinic("user", "list", "--json").out)]


@pytest.mark.feature("import-csv")
def test_a_file_is_tried_and_then_imported(tmp_path, clinic):
    path = write(tmp_path, "name,email,require_2fa\nben,ben@x.example,yes\neve,eve@x.example,no\n")
    outcome = clinic("user", "import", "--yes", path, "--dry-run")
    assert (outcome.status, outcome.out) == (0, "2 users can be imported. Nothing was changed.\n")
    assert names(clinic) == ["anna"]
    outcome = clinic("user", "import", "--yes", path)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("Imported 2 users. No one has a password yet")
    assert names(clinic) == ["anna", "ben", "eve"]
    assert json.loads(clinic("user", "show", "ben", "--json").out)["status"] == "Pending setup on next login"


@pytest.mark.feature("import-errors")
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_faults_are_a_table_and_nothing_is_imported(tmp_path, clinic, options):
    path = write(tmp_path, "name,email\nben,ben@x.example\nanna,other@x.example\nkim,anna@clinic.example\n")
    outcome = clinic("user", "import", "--yes", path, *options)
    assert outcome.status == 1
    assert outcome.out.splitlines()[0].split() == ["ROW", "COLUMN", "PROBLEM"]
    assert "3    name    The name anna cannot be used. anna2 is free." in outcome.out
    assert "4    email   That e-mail address cannot be used. Enter another one." in outcome.out
    assert (
        outcome.err == "twofold: Nothing was imported. Fix the problems above, then import the file again.\n"
    )
    assert names(clinic) == ["anna"]


def test_standard_input_is_read_too(clinic):
    assert clinic("user", "import", "--yes", "-", stdin="name,email\nben,ben@x.example\n").status == 0
    assert names(clinic) == ["anna", "ben"]


@pytest.mark.feature("import-odd-files")
def test_huge_file(tmp_path, clinic, monkeypatch):
    """It is refused before it is read."""
    path = tmp_path / "huge.csv"
    path.touch()
    os.truncate(path, 2**30)
    monkeypatch.setattr(users_csv, "read_people", lambda *_: pytest.fail("it was read"))
    outcome = clinic("user", "import", "--yes", str(path))
    assert outcome.status == 1
    assert "larger than 32 MB" in outcome.err


@pytest.mark.feature("import-errors")
def test_all_faults_of_a_file_are_told_in_one_round(tmp_path, clinic):
    path = write(tmp_path, "name,email,team\nanna,new@x.example,,\nben,anna@clinic.example\nb!,\nkim,kim@x\n")
    outcome = clinic("user", "import", "--yes", path)
    assert outcome.status == 1
    told = [line.split()[:2] for line in outcome.out.splitlines()[1:]]
    assert told == [
        ["1", "team"],
        ["2", "name"],
        ["3", "email"],
        ["4", "name"],
        ["4", "email"],
        ["5", "email"],
    ]
    assert outcome.err.endswith(" --ignore-extra ignores: team.\n")


@pytest.mark.feature("import-of-export")
def test_import_of_an_export(tmp_path, clinic):
    practice = "=North \u200fLee\u200d"
    name = '\'=Ben, "\u0645\u06cc\u200c\u062e\u200e" \\u200e'
    clinic("practice", "add", practice)
    given = (
        "--email",
        "ben@klinik.local",
        "--phone",
        "+49301234567",
        "--practice",
        practice,
        "--require-2fa",
    )
    assert clinic("user", "add", "ben", "--name", name, *given).status == 0
    header, _, ben = clinic("user", "export").out.splitlines()
    assert name.replace('"', '""') in ben
    path = write(tmp_path, f"{header}\n{ben}\n")
    models.database.connect(reuse_if_open=True)
    models.User.delete().where(models.User.name == "ben").execute()
    models.database.close()
    outcome = clinic("user", "import", "--yes", path)
    assert outcome.status == 1
    assert "Roles cannot be imported" in outcome.out
    outcome = clinic("user", "import", "--yes", path, "--ignore-extra")
    assert outcome.status == 0, outcome.out
    assert outcome.out.startswith("Ignored: roles, status, active, created_at, last_signin_at.\n")
    before, after = (
        next(csv.DictReader(io.StringIO(f"{header}\n{line}")))
        for line in (ben, clinic("user", "export").out.splitlines()[-1])
    )
    assert {key for key in before if before[key] != after[key]} == {"created_at"}


@pytest.mark.feature("import-odd-files")
def test_older_excel_encoding(tmp_path, clinic):
    path = tmp_path / "old.csv"
    path.write_bytes("name;email;full_name\nben;ben@x.example;Bjørn\n".encode("cp1252"))
    outcome = clinic("user", "import", "--yes", str(path))
    assert "--encoding cp1252" in outcome.out
    assert clinic("user", "import", "--yes", "--encoding", "cp1252", str(path)).status == 0
    assert json.loads(clinic("user", "show", "ben", "--json").out)["full_name"] == "Bjørn"


def test_control_characters(tmp_path, clinic):
    outcome = clinic(
        "user", "import", "--yes", write(tmp_path, "name,email,\x1b]0;x\x07\nben,b@x.example,\n")
    )
    assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.feature("import-google")
def test_google_authenticator_file(tmp_path, clinic, require_program):
    """It is imported, and no secret is printed."""
    path = tmp_path / "google_authenticator"
    command = [require_program("google-authenticator"), "-t", "-d", "-f", "-r", "3", "-R", "30", "-w", "3"]
    subprocess.run([*command, "-C", "-Q", "NONE", "-q", "-s", str(path)], check=True, capture_output=True)
    clinic("user", "add", "ben", "--email", "ben@x.example")
    outcome = clinic("user", "import", "--yes", "--google-authenticator", "--dry-run", f"ben={path}")
    assert outcome.out == "The authenticator app of 1 user can be imported. Nothing was changed.\n"
    outcome = clinic("user", "import", "--yes", "--google-authenticator", f"ben={path}")
    assert (outcome.status, outcome.out) == (0, "Imported the authenticator app of 1 user.\n")
    shown = json.loads(clinic("user", "show", "ben", "--json").out)
    assert (shown["status"], shown["recovery_codes_left"]) == ("Enabled", 5)


@pytest.mark.feature("import-google-refused")
def test_refused_google_authenticator_files(tmp_path, clinic):
    """They are named, and none is imported."""
    good, counter = tmp_path / "good", tmp_path / "counter"
    good.write_text('JBSWY3DPEHPK3PXP\n" TOTP_AUTH\n')
    counter.write_text('JBSWY3DPEHPK3PXP\n" HOTP_COUNTER 3\n')
    for name in ("ben", "eve"):
        clinic("user", "add", name, "--email", f"{name}@x.example")
    named = (f"ben={good}", f"eve={counter}", f"kim={tmp_path / 'missing'}")
    outcome = clinic("user", "import", "--yes", "--google-authenticator", *named)
    assert outcome.status == 1
    assert "eve   It is counter-based (HOTP_COUNTER)." in outcome.out
    assert "kim   The file cannot be read" in outcome.out
    assert "JBSWY3DP" not in outcome.out + outcome.err
    assert json.loads(clinic("user", "show", "ben", "--json").out)["enrolled_at"] is None


def test_wrong_usage_says_what_to_give(tmp_path, clinic):
    for arguments in ((), ("a.csv", "b.csv"), ("missing.csv",), ("--google-authenticator", "ben")):
        outcome = clinic("user", "import", "--yes", *arguments)
        assert outcome.status == 2
        assert "See: twofold user import --help" in outcome.err


@pytest.mark.feature("import-large")
async def test_a_bar_shows_the_progress_on_a_terminal(tmp_path, home, clinic):
    path = write(tmp_path, "name,email\n" + "".join(f"u{n},u{n}@x.example\n" for n in range(700)))
    program = Path(sys.executable).with_name("twofold")
    terminal = await TerminalProgram.start(
        [str(program), "--home", str(home), "user", "import", "--yes", path]
    )
    await terminal.expect("Checking .*100%")
    await terminal.expect("Importing .*100%")
    await terminal.expect("Imported 700 users")
    assert await terminal.end() == 0
