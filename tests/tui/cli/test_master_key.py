"""`twofold key rotate`: on one node and on several, killed at any moment and taken up again."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from data.storage.home import Home
from data.storage.vault import check_value_of

TESTS = Path(__file__).parents[2]
PEOPLE = ("ben", "carla", "dora")


@pytest.fixture
def enrolled(clinic, tmp_path):
    """Three people whose authenticator apps were taken over."""
    for name in PEOPLE:
        assert clinic("user", "add", name, "--email", f"{name}@clinic.example").status == 0
        file = tmp_path / name
        file.write_text(f'{"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:26]}\n" TOTP_AUTH\n12345678\n')
        outcome = clinic("user", "import", "--yes", "--google-authenticator", f"{name}={file}")
        assert outcome.status == 0, outcome.err


def keys(home) -> list[str]:
    return (home / "master.key").read_text().split()


def opened(home) -> int:
    """Open every sealed secret with what is in the home, and count them."""
    vault = Home(home).open_vault()
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as database:
        rows = database.execute("SELECT id, user_id, sealed_secret FROM factor").fetchall()
    secrets = {vault.open(sealed, user_id=user, factor_id=factor) for factor, user, sealed in rows}
    assert len(secrets) == 1
    return len(rows)


def test_rotation(home, clinic, enrolled):
    """It leaves one new private key, and everything opens."""
    (old,) = keys(home)
    outcome = clinic("key", "rotate", "--yes")
    assert outcome.status == 0, outcome.err
    assert "The master key was rotated." in outcome.out
    (new,) = keys(home)
    assert new != old
    assert old not in outcome.out + outcome.err
    assert new not in outcome.out + outcome.err
    assert stat.S_IMODE((home / "master.key").stat().st_mode) == 0o600
    assert not (home / "master.key.new").exists()
    assert opened(home) == 3
    assert clinic("audit", "verify").status == 0
    assert "Master key rotated: 3 secrets resealed" in clinic("audit", "list").out
    (home / "master.key").write_text(old)
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert "does not match" in outcome.err


def test_killed_rotation(home, clinic, enrolled):
    """Each run is killed one step later than the one before, until one comes to its end."""
    (old,) = keys(home)
    environment = os.environ | {"PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    for deadly in range(2, 40, 2):
        done = subprocess.run(
            [
                sys.executable,
                TESTS / "support" / "killed_rotation.py",
                str(deadly),
                "--home",
                home,
                "key",
                "rotate",
                "--yes",
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert clinic("user", "list").status == 0
        assert opened(home) == 3
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert deadly > 10
    assert len(keys(home)) == 1
    assert keys(home) != [old]
    found = json.loads(clinic("audit", "verify", "--json").out)
    assert found["whole"]


def test_unprepared_node(home, clinic, enrolled, tmp_path):
    """Two homes on one database stand for two nodes."""
    late = tmp_path / "late"
    shutil.copytree(home, late)
    outcome = clinic("key", "rotate", "--yes", "--prepare")
    assert outcome.status == 0, outcome.err
    assert len(keys(home)) == 2
    assert "Copy it to every other node" in outcome.out
    prepared = tmp_path / "prepared"
    shutil.copytree(home, prepared)
    for node in (late, prepared):
        (node / "twofold.db").unlink()
        (node / "twofold.db").symlink_to(home / "twofold.db")
    for node in (home, late, prepared):
        assert clinic("--home", str(node), "user", "list").status == 0
    again = clinic("key", "rotate", "--yes", "--prepare")
    assert again.status == 1
    assert "already holds a new key" in again.err

    assert clinic("key", "rotate", "--yes").status == 0
    assert len(keys(home)) == 1
    outcome = clinic("--home", str(late), "user", "list")
    assert outcome.status == 1
    assert "does not match" in outcome.err
    assert clinic("--home", str(prepared), "user", "list").status == 0
    outcome = clinic("--home", str(prepared), "key", "rotate", "--yes")
    assert outcome.status == 0, outcome.err
    assert keys(prepared) == keys(home)
    assert opened(home) == 3


def test_only_one_rotates_at_a_time(home, clinic, enrolled):
    before = keys(home)
    with Home(home).rotating():
        outcome = clinic("key", "rotate", "--yes")
    assert outcome.status == 1
    assert "is already being rotated" in outcome.err
    assert keys(home) == before


def test_rotation_while_served(home, clinic):
    """Neither the server nor a second rotation hinders it."""
    with Home(home).serving():
        assert clinic("key", "rotate", "--yes").status == 0
        outcome = clinic("serve", "--port", "0")
    assert outcome.status == 1
    assert f"A server is using {home}. Stop it first." in outcome.err


@pytest.mark.parametrize("content", ["", "\n", "zz", "00" * 31, "\n".join(["00" * 32] * 3)])
def test_a_ring_that_is_damaged_is_refused(home, clinic, content):
    (home / "master.key").write_text(content)
    for command in (("user", "list"), ("key", "rotate", "--yes"), ("serve", "--port", "0")):
        outcome = clinic(*command)
        assert outcome.status == 1
        assert "is damaged" in outcome.err
    assert (home / "master.key").read_text() == content


def test_old_key_is_kept_until_forgotten(home, clinic, enrolled, tmp_path):
    (old,) = keys(home)
    check = check_value_of(bytes.fromhex(old))
    file = tmp_path / "before"
    assert clinic("backup", str(file)).status == 0
    outcome = clinic("key", "rotate", "--yes")
    kept = home / f"master.key.{check}"
    assert f"The old key is kept in {kept}. Earlier backups need it" in outcome.out
    assert f"key forget {check}\n" in outcome.out
    assert kept.read_text().split() == [old]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    refused = clinic("restore", str(file), "--yes")
    assert refused.status == 1
    assert f"needs the master key with the check value {check}" in refused.err
    assert f"is in master.key.{check}" in refused.err
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(home, elsewhere)
    outcome = clinic(
        "--home",
        str(elsewhere),
        "--master-key",
        str(kept),
        "restore",
        str(file),
        "--replace-damaged",
        "--yes",
    )
    assert outcome.status == 0, outcome.err
    kept.chmod(0o640)
    assert str(kept) in clinic("user", "list").err
    kept.chmod(0o600)
    assert f"Kept keys: {check}." in clinic("key", "forget", "0" * 32, "--yes").err
    assert clinic("key", "forget", check, "--yes").out == f"Removed {kept}.\n"
    assert not kept.exists()
    assert "No old key is kept." in clinic("key", "forget", check, "--yes").err
    assert clinic("user", "list").status == 0
