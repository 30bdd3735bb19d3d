"""`twofold user import`, as the operator types it."""

import json
import os

import pytest

from data.rules import people_csv


def write(tmp_path, text: str):
    path = tmp_path / "people.csv"
    path.write_text(text)
    return str(path)


def names(clinic) -> list[str]:
    return [row["name"] for row in json.loads(clinic("user", "list", "--json").out)]


def test_a_file_is_tried_and_then_imported(tmp_path, clinic):
    path = write(tmp_path, "name,email,require_2fa\nben,ben@x.example,yes\neve,eve@x.example,no\n")
    outcome = clinic("user", "import", path, "--dry-run")
    assert (outcome.status, outcome.out) == (0, "2 users can be imported. Nothing was changed.\n")
    assert names(clinic) == ["anna"]
    outcome = clinic("user", "import", path)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("Imported 2 users. Nobody of them has a password yet")
    assert names(clinic) == ["anna", "ben", "eve"]
    assert json.loads(clinic("user", "show", "ben", "--json").out)["status"] == "Pending setup on next login"


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_faults_are_a_table_and_nothing_is_imported(tmp_path, clinic, options):
    path = write(tmp_path, "name,email\nben,ben@x.example\nanna,other@x.example\nkim,anna@clinic.example\n")
    outcome = clinic("user", "import", path, *options)
    assert outcome.status == 1
    assert outcome.out.splitlines()[0].split() == ["ROW", "COLUMN", "WHAT", "IS", "WRONG"]
    assert "3    name    There is a user anna already." in outcome.out
    assert "4    email   Another user has that e-mail address." in outcome.out
    assert outcome.err == "twofold: Nobody was imported. Mend what is listed, and import the file again.\n"
    assert names(clinic) == ["anna"]


def test_standard_input_is_read_too(clinic):
    assert clinic("user", "import", "-", stdin="name,email\nben,ben@x.example\n").status == 0
    assert names(clinic) == ["anna", "ben"]


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(tmp_path, clinic, monkeypatch):
    path = tmp_path / "huge.csv"
    path.touch()
    os.truncate(path, 2**30)
    monkeypatch.setattr(people_csv, "read_people", lambda *_: pytest.fail("it was read"))
    outcome = clinic("user", "import", str(path))
    assert outcome.status == 1
    assert "larger than 32 MB" in outcome.err


def test_an_export_can_be_imported_elsewhere_once_its_columns_are_those_of_an_import(tmp_path, clinic):
    clinic("user", "add", "ben", "--email", "ben@x.example", "--phone", "+49301234567")
    outcome = clinic("user", "import", write(tmp_path, clinic("user", "export").out))
    assert outcome.status == 1
    assert "Roles never come from a file" in outcome.out


def test_letters_of_an_older_excel_are_read_when_that_is_said(tmp_path, clinic):
    path = tmp_path / "old.csv"
    path.write_bytes("name;email;full_name\nben;ben@x.example;Bjørn\n".encode("cp1252"))
    outcome = clinic("user", "import", str(path))
    assert "--encoding cp1252" in outcome.out
    assert clinic("user", "import", "--encoding", "cp1252", str(path)).status == 0
    assert json.loads(clinic("user", "show", "ben", "--json").out)["full_name"] == "Bjørn"


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, clinic):
    outcome = clinic("user", "import", write(tmp_path, "name,email,\x1b]0;x\x07\nben,b@x.example,\n"))
    assert "\x1b" not in outcome.out + outcome.err
