"""`twofold report`: the same in three forms, and no foreign string becomes more than text in any of them."""

import csv
import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest
from support.pseudo_terminal import TerminalProgram

from tui.cli.report_formats import Report, Section, write_report

EVIL = "=1+1 | *Ben* `x` <b> [a](b) \\ \x1b[31m"


def furnish(clinic) -> None:
    clinic("practice", "add", "North")
    clinic("user", "add", "ben", "--email", "ben@x.example", "--name", EVIL, "--practice", "North")
    clinic("user", "add", "cleo_x", "--email", "cleo@x.example", "--require-2fa")
    assert clinic("policy", "set", "--mode", "required", "--yes").status == 0
    assert clinic("policy", "set", "--mode", "optional", "--yes").status == 0


@pytest.mark.feature("report", "report-formats")
def test_report_to_read(clinic):
    furnish(clinic)
    outcome = clinic("report")
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "# Two-factor authentication in Clinic"
    titles = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert titles == [
        "Policy",
        "Adoption",
        "Adoption by practice",
        "Adoption by role",
        "People without a second factor",
        "Exceptions",
        "Changes of policy",
        "Head of the audit log",
    ]
    assert "| Main | 2 | 0 | 2 | 0 | 0 | 0.0% |" in lines
    assert "| North | 1 | 0 | 0 | 1 | 0 | 0.0% |" in lines
    (ben,) = [line for line in lines if line.startswith("| ben |")]
    assert r"| =1+1 \| \*Ben\* \`x\` \<b\> \[a\](b) \\ \\x1b\[31m | North |" in ben
    (cleo,) = [line for line in lines if line.startswith("| cleo_x |") and "individually" in line]
    assert "| Main | required individually |" in cleo
    assert cleo.endswith(" UTC | operator:root |")
    changes = lines[lines.index("## Changes of policy") : lines.index("## Head of the audit log")]
    assert [line.rsplit("|", 2)[1].strip() for line in changes if "Mode changed" in line] == [
        "Mode changed from optional to required",
        "Mode changed from required to optional",
    ]
    assert clinic("audit", "head").out.splitlines() == lines[-2:-1]


@pytest.mark.feature("report-formats")
def test_report_as_json(clinic):
    furnish(clinic)
    found = json.loads(clinic("report", "--format", "json").out)
    assert (found["account"], "practice" in found) == ("Clinic", False)
    assert found["adoption"] == [
        {"people": 3, "enabled": 0, "pending": 2, "no": 1, "locked": 0, "share_enabled": 0.0}
    ]
    assert [row["practice"] for row in found["adoption_by_practice"]] == ["Main", "North"]
    assert [row["name"] for row in found["without_second_factor"]] == ["anna", "ben", "cleo_x"]
    assert found["without_second_factor"][0]["roles"] == ["security_admin", "system_admin"]
    assert found["without_second_factor"][1]["full_name"] == EVIL
    assert [(row["name"], row["exception"]) for row in found["exceptions"]] == [
        ("cleo_x", "required individually")
    ]
    head = [json.loads(line) for line in clinic("audit", "head").out.splitlines()]
    assert found["audit_log_head"] == head


@pytest.mark.feature("report-formats")
def test_report_as_csv(clinic):
    """Formulas are neutralised; each row says which section it belongs to."""
    furnish(clinic)
    rows = list(csv.DictReader(io.StringIO(clinic("report", "--format", "csv").out)))
    sections = {row["section"] for row in rows}
    assert sections == {
        "policy",
        "adoption",
        "adoption_by_practice",
        "adoption_by_role",
        "without_second_factor",
        "exceptions",
        "policy_changes",
        "audit_log_head",
    }
    people = {row["name"]: row for row in rows if row["section"] == "without_second_factor"}
    assert people["ben"]["full_name"] == f"'{EVIL}"
    assert people["anna"]["roles"] == "security_admin system_admin"


def test_practice_and_period(clinic):
    furnish(clinic)
    outcome = clinic("report", "--practice", "north", "--since", "2100-01-01", "--format", "json")
    found = json.loads(outcome.out)
    assert (found["practice"], found["changes_since"]) == ("north", "2100-01-01T00:00:00Z")
    assert [row["name"] for row in found["without_second_factor"]] == ["ben"]
    assert (found["exceptions"], found["policy_changes"]) == ([], [])
    assert len(json.loads(clinic("report", "--since", "1h", "--format", "json").out)["policy_changes"]) == 2


def test_what_is_refused(clinic, tmp_path):
    for arguments, status, said in (
        (("--practice", "South"), 1, "The practice was not found."),
        (("--since", "yesterday"), 2, "--since must be"),
        (("--format", "xml"), 2, "'xml' is not one of"),
    ):
        outcome = clinic("report", *arguments)
        assert (outcome.status, outcome.out) == (status, "")
        assert said in outcome.err
    file = tmp_path / "report.md"
    assert clinic("report", "--output", str(file)).status == 0
    assert file.read_text().startswith("# Two-factor")
    assert "already exists" in clinic("report", "--output", str(file)).err


def test_with_several_accounts(clinic):
    """The report is about the one that is named."""
    clinic("account", "add", "Other", "--admin", "eve", "--email", "eve@other.example")
    refused = clinic("report")
    assert refused.status == 1
    assert "Choose one with --account NAME." in refused.err
    found = json.loads(clinic("report", "--account", "Other", "--format", "json").out)
    assert found["account"] == "Other"
    assert [row["name"] for row in found["without_second_factor"]] == ["eve"]


@pytest.mark.parametrize("form", ["md", "csv"])
async def test_report_on_a_terminal(home, clinic, form):
    """What a terminal would act on is an escape."""
    furnish(clinic)
    program = str(Path(sys.executable).with_name("twofold"))
    command = [program, "--home", str(home), "report", "--format", form]
    terminal = await TerminalProgram.start(command)
    assert await terminal.end() == 0
    shown = terminal.output.decode()
    assert r"x1b" in shown
    assert all(symbol.isprintable() or symbol in "\r\n" for symbol in shown)


@pytest.mark.feature("report")
@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_rows_are_written_as_they_are_read(tmp_path, form):
    count, size = 5_000, 1_000
    rows = ({"name": f"{number:04}" + "x" * (size - 4)} for number in range(count))
    report = Report("Crowd", {}, [Section("people", "People", {"name": "Name"}, rows)])
    tracemalloc.start()
    write_report(report, form, tmp_path / "report")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "report").stat().st_size > count * size
    assert peak < count * size / 5
