"""`twofold audit head` and `verify`, as an operator uses them; and the upgrade that begins the chains."""

import contextlib
import json
import sqlite3
import stat

import pytest


def tamper(home, *statements):
    """Change the log as whoever owns the file can: without its triggers."""
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            other.execute(statement)
        other.commit()


def test_whole_log_verifies(home, clinic):
    """Its heads are lines of JSON."""
    assert clinic("user", "require", "anna").status == 0
    outcome = clinic("audit", "verify")
    assert outcome.status == 0, outcome.err
    assert "The audit log is intact: 3 rows in 1 chain." in outcome.out
    (line,) = clinic("audit", "head").out.splitlines()
    head = json.loads(line)
    assert set(head) == {"chain", "seq", "mac"}
    assert (head["chain"], head["seq"]) == ("host", 3)
    found = json.loads(clinic("audit", "verify", "--json").out)
    assert found["whole"]
    assert found["chains"][0]["mac"] == head["mac"]


def test_first_changed_row(home, clinic):
    clinic("user", "require", "anna")
    tamper(home, "UPDATE audit_entry SET actor = 'mallory' WHERE seq = 2")
    outcome = clinic("audit", "verify")
    assert outcome.status == 1
    assert outcome.err.startswith("twofold: Row 2 of chain host was changed")
    assert outcome.err.count("\n") == 1
    outcome = clinic("audit", "verify", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.out)["faults"] == [{"chain": "host", "seq": 2, "wrong": "changed"}]


def test_cut_end_by_heads_of_many_days(home, clinic, tmp_path):
    heads = tmp_path / "heads"
    text = clinic("audit", "head").out
    clinic("user", "require", "anna")
    heads.write_text(text + clinic("audit", "head").out + "\n")
    assert clinic("audit", "verify", "--head", str(heads)).status == 0
    tamper(
        home,
        "UPDATE audit_chain SET seq = 2, mac = (SELECT mac FROM audit_entry WHERE seq = 2)",
        "DELETE FROM audit_entry WHERE seq = 3",
    )
    assert clinic("audit", "verify").status == 0
    outcome = clinic("audit", "verify", "--head", str(heads))
    assert outcome.status == 1
    assert "Row 3 of chain host was cut off at the end" in outcome.err
    assert clinic("audit", "verify", "--head", "-", stdin=heads.read_text()).status == 1


@pytest.mark.parametrize("text", ["rubbish", "[]", "{}", '{"chain": "host", "seq": "x", "mac": ""}', "\0"])
def test_a_file_that_holds_no_heads_is_wrong_usage(home, clinic, tmp_path, text):
    file = tmp_path / "heads"
    file.write_text(clinic("audit", "head").out + text)
    outcome = clinic("audit", "verify", "--head", str(file))
    assert outcome.status == 2
    assert "line 2" in outcome.err


def test_heads_are_written_to_a_new_private_file_only(home, clinic, tmp_path):
    file = tmp_path / "heads"
    assert clinic("audit", "head", "--output", str(file)).status == 0
    assert json.loads(file.read_text())["chain"] == "host"
    assert stat.S_IMODE(file.stat().st_mode) & 0o022 == 0
    before = file.read_text()
    outcome = clinic("audit", "head", "--output", str(file))
    assert outcome.status == 1
    assert "already exists" in outcome.err
    assert file.read_text() == before


WITHOUT_CHAINS = (
    "DROP INDEX audit_entry_chain_seq",
    *(f"ALTER TABLE audit_entry DROP COLUMN {column}" for column in ("chain", "seq", "mac")),
    *(f"DROP TABLE {table}" for table in ("audit_chain", "audit_chain_key", "audit_cut")),
    "DELETE FROM schema_migration WHERE name = '0005_audit_chain'",
)
"""What makes a database one of before there were chains."""


def test_upgrade_takes_the_rows_of_before_into_a_chain(home, clinic):
    clinic("user", "require", "anna")
    tamper(home, *WITHOUT_CHAINS)
    assert clinic("audit", "list").status == 1
    outcome = clinic("upgrade")
    assert outcome.status == 0, outcome.err
    assert "0005_audit_chain" in outcome.out
    found = json.loads(clinic("audit", "verify", "--json").out)
    assert [(chain["chain"], chain["verified"]) for chain in found["chains"]] == [("older", 3)]
    assert found["whole"]
    clinic("user", "unlock", "anna")
    tamper(home, "UPDATE audit_entry SET detail = '{}' WHERE chain = 'older' AND seq = 1")
    assert "Row 1 of chain older was changed" in clinic("audit", "verify").err


def test_upgrade_under_another_key(home, clinic):
    tamper(home, *WITHOUT_CHAINS)
    (home / "master.key").write_text("ab" * 32)
    outcome = clinic("upgrade")
    assert outcome.status == 1
    assert "does not match" in outcome.err
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as present:
        tables = {name for (name,) in present.execute("SELECT name FROM sqlite_master")}
    assert "audit_chain" not in tables
