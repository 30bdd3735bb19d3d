"""`twofold audit archive`: old rows leave the database for a file, behind a sealed cut."""

import contextlib
import json
import shutil
import sqlite3
import stat

import pytest

from data.operations.audit import archiving
from data.storage import models
from data.store import StoreUnavailableError
from tui.cli import open_installation

NEW_YEAR = "2030-01-01"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Where the first home that has `moved_on` is kept, of which each test gets a copy."""
    return tmp_path_factory.mktemp("moved_on") / "kept"


@pytest.fixture
def moved_on(clinic, home, template, monkeypatch):
    """A log of seven rows, of which the last two are of 2031."""
    later = open_installation.system_clock().replace(year=2031)
    if not template.exists():
        write_rows(clinic, monkeypatch, later)
        models.database.close()
        shutil.copytree(home, template)
    shutil.copytree(template, home, dirs_exist_ok=True)
    monkeypatch.setattr(open_installation, "system_clock", lambda: later)


def write_rows(clinic, monkeypatch, later):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    for command in ("require", "disable-2fa", "require"):
        assert clinic("user", command, "--yes", "ben").status == 0
    monkeypatch.setattr(open_installation, "system_clock", lambda: later)
    for command in ("disable-2fa", "require"):
        assert clinic("user", command, "--yes", "ben").status == 0


@pytest.fixture
def file(tmp_path):
    return tmp_path / "archive.jsonl"


@pytest.fixture
def archived(clinic, moved_on, file):
    """Where the rows from before 2030 went."""
    outcome = clinic("audit", "archive", "--yes", "--before", NEW_YEAR, "--to", str(file))
    assert outcome.status == 0, outcome.err
    return file


def column(home, query):
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as other:
        return [row[0] for row in other.execute(query)]


def seqs(home):
    return column(home, "SELECT seq FROM audit_entry ORDER BY seq")


def tamper(home, *statements):
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            other.execute(statement)
        other.commit()


def test_old_rows_go_to_a_private_file_and_both_verify(home, clinic, archived):
    last = seqs(home)[0] - 1
    assert len(seqs(home)) == 3
    header, *rows = [json.loads(line) for line in archived.read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, last + 1))
    assert header["chains"][0]["until"] == {"chain": "host", "seq": last, "mac": rows[-1]["mac"]}
    assert stat.S_IMODE(archived.stat().st_mode) == 0o600
    assert [path.name for path in archived.parent.iterdir() if "partial" in path.name] == []
    assert clinic("audit", "verify").status == 0
    outcome = clinic("audit", "verify", "--archive", str(archived))
    assert outcome.status == 0, outcome.err
    assert f"The archive is intact: {last} rows in 1 chain." in outcome.out
    assert "Audit log before 2030-01-01 archived: " in clinic("audit", "list").out


def test_archive_after_an_archive(home, clinic, archived, tmp_path):
    second = tmp_path / "second.jsonl"
    assert clinic("audit", "archive", "--yes", "--before", "2032-01-01", "--to", str(second)).status == 0
    assert len(seqs(home)) == 1
    for file in (archived, second):
        assert clinic("audit", "verify", "--archive", str(file)).status == 0
    assert clinic("audit", "verify").status == 0


def test_old_head_is_good_in_log_and_archive(home, clinic, moved_on, file):
    heads = file.with_name("heads")
    heads.write_text(clinic("audit", "head").out)
    head = json.loads(heads.read_text())
    assert clinic("audit", "archive", "--yes", "--before", "2032-01-01", "--to", str(file)).status == 0
    assert clinic("audit", "verify", "--head", str(heads)).status == 0
    assert clinic("audit", "verify", "--head", str(heads), "--archive", str(file)).status == 0
    for seq in (head["seq"], head["seq"] - 1):
        heads.write_text(json.dumps(head | {"mac": "0" * 64, "seq": seq}))
        outcome = clinic("audit", "verify", "--head", str(heads), "--archive", str(file))
        assert outcome.status == 1
        assert f"Row {seq} of chain host does not match an exported head" in outcome.err


def test_the_database_lets_no_other_rows_go(home, clinic, archived):
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as other:
        with pytest.raises(sqlite3.IntegrityError, match="archiving only"):
            other.execute("DELETE FROM audit_entry")
        for statement in ("DELETE FROM audit_cut", "UPDATE audit_cut SET seq = 1"):
            with pytest.raises(sqlite3.IntegrityError):
                other.execute(statement)


def test_cut_without_the_master_key(home, clinic, archived):
    seq = seqs(home)[0]
    (mac,) = column(home, f"SELECT mac FROM audit_entry WHERE seq = {seq}")
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as other:
        forged = "INSERT INTO audit_cut SELECT 'host', ?, ?, made_at, seal FROM audit_cut"
        other.execute(forged, (seq, mac))
        other.execute("DELETE FROM audit_entry WHERE seq = ?", (seq,))
        other.commit()
    outcome = clinic("audit", "verify")
    assert outcome.status == 1
    assert f"Row {seq} of chain host ends a cut that was not made with the master key" in outcome.err


def test_an_archived_row_that_is_put_back_is_named(home, clinic, archived):
    row = json.loads(archived.read_text().splitlines()[2])
    columns = ("at", "event", "actor", "application", "address", "detail", "chain", "seq", "mac")
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as other:
        other.execute(
            f"INSERT INTO audit_entry ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [row[name] for name in columns],
        )
        other.commit()
    outcome = clinic("audit", "verify")
    assert outcome.status == 1
    assert f"Row {row['seq']} of chain host was put there by something other" in outcome.err


def bounded(lines, **bounds):
    """Have the header say that the chain begins or ends at another row."""
    header = json.loads(lines[0])
    for name, line in bounds.items():
        row = json.loads(line)
        header["chains"][0][name] |= {"seq": row["seq"], "mac": row["mac"]}
    return json.dumps(header)


def again(line, **columns):
    return json.dumps(json.loads(line) | columns)


NO_CUT = "ends a cut that was not made with the master key"
ALTERATIONS = {
    "changed": (lambda x: [*x[:2], again(x[2], actor="mallory"), *x[3:]], "Row 2 of chain host was changed"),
    "removed": (lambda x: [*x[:2], *x[3:]], "Row 2 of chain host was removed"),
    "cut off": (lambda x: x[:-1], "was cut off at the end"),
    "ends earlier": (lambda x: [bounded(x, until=x[-2]), *x[1:-1]], NO_CUT),
    "begins later": (lambda x: [bounded(x, after=x[1]), *x[2:]], NO_CUT),
    "repeated": (lambda x: [*x, x[-1]], "was put there by something other"),
    "of another chain": (lambda x: [*x, again(x[1], chain="x")], "is not in any chain"),
    "swapped": (lambda x: [*x[:2], x[3], x[2], *x[4:]], "Row 2 of chain host was removed"),
    "no row": (lambda x: [*x[:2], "{}", *x[2:]], "Line 3 of the file is not a row"),
    "no header": (lambda x: ["{}", *x[1:]], "is not an archive"),
}


@pytest.mark.parametrize("how", ALTERATIONS)
def test_an_archive_that_was_altered_does_not_verify(clinic, archived, how):
    alter, said = ALTERATIONS[how]
    archived.write_text("\n".join(alter(archived.read_text().splitlines())) + "\n")
    outcome = clinic("audit", "verify", "--archive", str(archived))
    assert outcome.status == 1
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_faulty_rows_are_not_archived(home, clinic, moved_on, file):
    tamper(home, "UPDATE audit_entry SET actor = 'mallory' WHERE seq = 2")
    before = seqs(home)
    outcome = clinic("audit", "archive", "--yes", "--before", NEW_YEAR, "--to", str(file))
    assert outcome.status == 1
    assert "Row 2 of chain host was changed" in outcome.err
    assert "Nothing was archived" in outcome.err
    assert not file.exists()
    assert list(file.parent.glob(".*partial")) == []
    assert seqs(home) == before


@pytest.mark.parametrize("made", ["file", "folder", "dangling link"])
def test_what_exists_is_never_overwritten(home, clinic, moved_on, file, made):
    if made == "file":
        file.write_text("mine")
    elif made == "folder":
        file = file / "missing" / "archive"
    else:
        file.symlink_to("nowhere")
    before = seqs(home)
    outcome = clinic("audit", "archive", "--yes", "--before", NEW_YEAR, "--to", str(file))
    assert outcome.status == 1
    assert str(file) in outcome.err
    assert made != "file" or file.read_text() == "mine"
    assert seqs(home) == before


def test_failing_database_keeps_rows_and_file(home, clinic, moved_on, file, monkeypatch):
    def failing(*_):
        raise StoreUnavailableError

    before = seqs(home)
    monkeypatch.setattr(archiving, "cut", failing)
    outcome = clinic("audit", "archive", "--yes", "--before", NEW_YEAR, "--to", str(file))
    assert outcome.status == 1
    assert f"The rows are in {file}" in outcome.err
    assert seqs(home) == before


def test_nothing_old_enough_is_said(clinic, file):
    outcome = clinic("audit", "archive", "--yes", "--before", "2001-01-01", "--to", str(file))
    assert outcome.status == 1
    assert "no rows older than that" in outcome.err
    assert not file.exists()
