"""`twofold backup` and `twofold restore`: from one home or database to another, and what is refused."""

import json
import os
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.rules.database_comparison import DatabaseFacts, PersonFacts
from data.rules.public_keys import MOST_KEYS
from data.storage import models
from data.storage.home import Home
from data.storage.vault import check_value_of
from tui.cli.commands.restore_unverified import show_unverified

SEAL_BYTES = 80

INIT = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")


def people(run) -> list[str]:
    return [user["name"] for user in json.loads(run("user", "list", "--json").out)]


def change(statement) -> None:
    models.database.connect(reuse_if_open=True)
    statement.execute()
    models.database.close()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "monday"


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request, run):
    """An installation in either kind of database."""
    more = ()
    if request.param == "postgresql":
        postgresql = request.getfixturevalue("postgresql")
        more = ("--database", postgresql.url(postgresql.new_database()))
    assert run(*INIT, *more).status == 0
    return run


def test_backup_and_restore(anywhere, home, file):
    """A backup brings everything back and keeps what it replaces."""
    run = anywhere
    outcome = run("backup", str(file))
    assert outcome.status == 0, outcome.err
    assert f"rows to {file}. Restoring it needs {home / 'master.key'}" in outcome.out
    run("user", "add", "ben", "--email", "ben@clinic.example")
    refused = run("restore", str(file))
    assert refused.status == 2
    assert "1 recorded act since then will be undone." in refused.err
    assert people(run) == ["anna", "ben"]
    outcome = run("restore", str(file), "--yes")
    assert outcome.status == 0, outcome.err
    assert people(run) == ["anna"]
    assert "Restored from a backup of" in run("audit", "list").out
    assert run("audit", "verify").status == 0
    assert run("doctor").status == 0
    (kept,) = home.glob("twofold.db.replaced-*")
    assert str(kept) in outcome.out
    assert sqlite3.connect(kept).execute("SELECT count(*) FROM user").fetchone() == (2,)
    assert not list(home.glob("*.restoring*"))
    assert run("user", "add", "cora", "--email", "cora@clinic.example").status == 0


def test_lost_database(clinic, home, file):
    assert clinic("backup", str(file)).status == 0
    for path in home.glob("twofold.db*"):
        path.unlink()
    assert clinic("user", "list").status == 1
    outcome = clinic("restore", str(file), "--yes")
    assert outcome.status == 0, outcome.err
    assert "ertificate" not in outcome.out
    assert people(clinic) == ["anna"]


@pytest.mark.feature("certificates-rotate")
def test_rotated_since(clinic, home, file):
    """The later authority still signs; if its database is lost, `restore` and `doctor` say what to do."""
    clinic("ca", "init")
    clinic("backup", str(file))
    later = clinic("ca", "rotate", "--yes").out
    told = clinic("restore", str(file), "--yes").out
    assert "The certificate authority of Clinic is newer than the backup, and still signs." in told
    assert clinic("ca", "show").out == later
    (home / "twofold.db").unlink()
    told, advice = clinic("restore", str(file), "--yes").out, "its former key signs again. Make a new one"
    assert advice in told
    assert clinic("ca", "show").out != later
    assert advice in clinic("doctor").out
    clinic("ca", "rotate", "--yes")
    assert advice not in clinic("doctor").out


def test_between_kinds_of_database(clinic, home, file, postgresql):
    assert clinic("backup", str(file)).status == 0
    url = postgresql.url(postgresql.new_database())
    (home / "twofold.toml").write_text(f'database = "{url}"\n')
    outcome = clinic("restore", str(file), "--yes")
    assert outcome.status == 0, outcome.err
    assert people(clinic) == ["anna"]
    assert clinic("user", "add", "ben", "--email", "ben@clinic.example").status == 0


def test_backup_is_no_installation(clinic, home, file):
    clinic("backup", str(file))
    shutil.copy(file, home / "twofold.db")
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert "is a backup. Move it elsewhere, then restore it with: twofold restore FILE" in outcome.err


def test_nonsense_or_another_key(clinic, home, file, tmp_path):
    """The restore is refused, and nothing changes."""
    clinic("backup", str(file))
    before = (home / "twofold.db").read_bytes()
    other = tmp_path / "other"
    other.write_text("no database")
    assert "is not a backup of Twofold" in clinic("restore", str(other), "--yes").err
    shutil.copy(home / "twofold.db", other)
    assert "has no keyed hash" in clinic("restore", str(other), "--yes").err
    outcome = clinic("restore", str(other), "--yes", "--unverified")
    assert "was not made by `twofold backup`" in outcome.err
    key = (home / "master.key").read_bytes()
    (home / "master.key").write_text("ab" * 32)
    here, there = (check_value_of(bytes.fromhex(each)) for each in ("ab" * 32, key.decode().strip()))
    older = tmp_path / "older"
    older.write_bytes(file.read_bytes()[:-SEAL_BYTES])
    for arguments in ((str(file),), (str(older), "--unverified")):
        outcome = clinic("restore", *arguments, "--yes")
        assert outcome.status == 1
        assert (
            f"needs the master key with the check value {there}, but the one here has {here}" in outcome.err
        )
    (home / "master.key").write_bytes(key)
    assert clinic("restore", str(tmp_path / "nothing"), "--yes").status == 2
    assert (home / "twofold.db").read_bytes() == before
    assert not list(home.glob("*.restoring*"))


def test_damaged_database(clinic, home, file):
    """It is replaced only when that is said."""
    clinic("backup", str(file))
    (home / "twofold.db").write_bytes(b"rubbish")
    outcome = clinic("restore", str(file), "--yes")
    assert outcome.status == 1
    assert "--replace-damaged" in outcome.err
    outcome = clinic("restore", str(file), "--yes", "--replace-damaged")
    assert outcome.status == 0, outcome.err
    assert people(clinic) == ["anna"]
    (kept,) = home.glob("twofold.db.replaced-*")
    assert kept.read_bytes() == b"rubbish"


def test_permanent_is_not_replaced(anywhere, file):
    """A permanent account is not replaced by one that is not."""
    run = anywhere
    run("backup", str(file))
    now = datetime.now(UTC)
    change(models.Account.update(mode="permanent", permanent_at=now, permanent_by="anna"))
    outcome = run("restore", str(file), "--yes")
    assert outcome.status == 1
    assert "permanent for Clinic, but not in this backup. Nothing was changed" in outcome.err
    assert json.loads(run("policy", "show", "--json").out)["mode"] == "permanent"


def test_nothing_is_overwritten_by_a_backup(clinic, file):
    file.write_text("precious")
    outcome = clinic("backup", str(file))
    assert outcome.status == 1
    assert "already exists. Choose another name" in outcome.err
    assert file.read_text() == "precious"
    assert "No such file or directory" in clinic("backup", str(file.parent / "no" / "folder")).err


def test_changed_or_unhashed_backup(anywhere, home, file):
    """A changed one is refused; without a hash it needs consent and names who comes in."""
    run = anywhere
    run("user", "add", "ben", "--email", "ben@clinic.example")
    assert run("backup", str(file)).status == 0
    content = file.read_bytes()
    changed = sqlite3.connect(file)
    changed.executescript(
        "INSERT INTO user_role SELECT id, 'system_admin' FROM user WHERE name = 'ben';"
        "UPDATE user SET password_hash = 'other' WHERE name = 'anna';"
        "UPDATE account SET mode = 'off';"
        "CREATE TRIGGER helpful AFTER INSERT ON session BEGIN SELECT 1; END"
    )
    changed.close()
    outcome = run("restore", str(file), "--yes")
    assert outcome.status == 1
    assert str(file) in outcome.err
    assert len(outcome.err.splitlines()) == 1
    tampered = file.read_bytes()
    size = int.from_bytes(tampered[16:18]) * int.from_bytes(tampered[28:32])
    file.write_bytes(tampered[:size] + content[-SEAL_BYTES:])
    for arguments in ((), ("--unverified",)):
        outcome = run("restore", str(file), "--yes", *arguments)
        assert outcome.status == 1
        assert "its keyed hash does not match" in outcome.err
    file.write_bytes(tampered[:size])
    assert "has no keyed hash" in run("restore", str(file), "--yes").err
    run("user", "add", "cora", "--email", "cora@clinic.example")
    refused = run("restore", str(file), "--unverified")
    assert refused.status == 2
    assert "Add --yes to confirm" in refused.err
    said = refused.out
    assert "has no keyed hash: anyone who could write to it may have changed passwords" in said
    assert "ben (Clinic): system_admin; keys: none" in said
    assert "Clinic: policy mode off, methods app" in said
    assert "anna: other password" in said
    assert "ben: role more than now: system_admin" in said
    assert "cora: not in the backup" in said
    assert people(run) == ["anna", "ben", "cora"]
    assert run("restore", str(file), "--unverified", "--yes").status == 0
    assert people(run) == ["anna", "ben"]
    schema = next(found for found in json.loads(run("doctor", "--json").out) if found["topic"] == "schema")
    assert schema["level"] == "ok"


def test_endless_or_missing_file(clinic, home, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    before = sorted(home.iterdir())
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        outcome = clinic("restore", str(path), "--yes", "--unverified")
        assert (outcome.status, outcome.out) == (1, "")
        assert outcome.err == f"twofold: {path}: It is not a regular file.\n"
    assert sorted(home.iterdir()) in (before, sorted([*before, home / "node.id"]))


def test_differences_are_shown_whole(capsys):
    """Without a hash every difference is shown."""
    present = PersonFacts("Clinic", "", None, active=True, required=False, password=None, factors=frozenset())
    keys = frozenset(f"SHA256:{number:043}" for number in range(MOST_KEYS))
    changed = replace(present, roles=frozenset({"support"}), keys=keys, password="other")
    names = [f"user{number:03}" for number in range(150)]
    show_unverified(
        Path("monday"),
        DatabaseFacts(dict.fromkeys(names, changed), {}),
        DatabaseFacts(dict.fromkeys(names, present), {}),
    )
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(max(keys)) for line in lines) == len(names)
    assert sum(line.endswith(f"{max(keys)}; other password") for line in lines) == len(names)


def test_restore_while_served(clinic, home, file):
    assert clinic("backup", str(file)).status == 0
    with Home(home).serving():
        outcome = clinic("restore", str(file), "--yes")
    assert (outcome.status, outcome.err) == (1, f"twofold: A server is using {home}. Stop it first.\n")
