"""The home: who may read it, what is refused, and that nothing is created silently."""

import contextlib
import math
import os
import pwd
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.broken_database import files_of_at_most

from data.storage import database
from data.storage.home import Home

NAMES = {"twofold.toml", "twofold.db", "master.key", "ssh_host_ed25519_key"}
PROGRAM = Path(sys.executable).with_name("twofold")


def modes(home: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()}


def test_init_makes_private_files(home, clinic):
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert modes(home) == dict.fromkeys(NAMES, 0o600)


def test_side_files_under_a_wide_umask(home, clinic):
    old = os.umask(0)
    try:
        reader = sqlite3.connect(home / "twofold.db")
        reader.execute("select * from user").fetchall()
        subprocess.run(
            [PROGRAM, "--home", home, "user", "require", "anna"], check=True, capture_output=True, timeout=60
        )
        side_files = {name: mode for name, mode in modes(home).items() if name not in NAMES}
        reader.close()
    finally:
        os.umask(old)
    assert side_files
    assert set(side_files.values()) == {0o600}


@pytest.mark.parametrize(
    ("what", "mode"), [("", 0o755), ("", 0o710), ("master.key", 0o640), ("twofold.db", 0o604)]
)
def test_home_with_wide_modes(home, clinic, what, mode):
    path = home / what if what else home
    path.chmod(mode)
    outcome = clinic("user", "list")
    assert outcome.status == 1
    right = "chmod 600" if what else "chmod 700"
    assert f"{right} {path}" in outcome.err
    path.chmod(0o600 if what else 0o700)
    assert clinic("user", "list").status == 0


@pytest.mark.parametrize("name", ["master.key", "ssh_host_ed25519_key", "twofold.db"])
def test_a_missing_file_is_refused_and_not_made_anew(home, clinic, name):
    (home / name).unlink()
    for command in (("serve", "--port", "0"), ("user", "list")):
        outcome = clinic(*command)
        assert outcome.status == 1
        assert name in outcome.err
        assert "backup" in outcome.err
        assert not (home / name).exists()


def test_serve_without_an_installation(home, run):
    """It names init and creates nothing."""
    outcome = run("serve", "--port", "0")
    assert outcome.status == 1
    assert outcome.err.rstrip().endswith(f"twofold --home {home} init")
    assert not home.exists()


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\0" + bytes(100)])
def test_a_foreign_database_is_refused(home, clinic, content):
    (home / "twofold.db").write_bytes(content)
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert "twofold.db" in outcome.err
    assert outcome.err.count("\n") == 1


def test_foreign_sqlite_database(home, clinic):
    database = home / "twofold.db"
    database.unlink()
    other = sqlite3.connect(database)
    other.execute("create table user (name text)")
    other.commit()
    other.close()
    database.chmod(0o600)
    before = database.read_bytes()
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert "not a Twofold database" in outcome.err
    assert database.read_bytes() == before


@pytest.mark.parametrize("content", ["", "zz", "00" * 31])
def test_a_damaged_master_key_is_refused(home, clinic, content):
    (home / "master.key").write_text(content)
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert "master key" in outcome.err


def test_another_installations_master_key_is_refused(home, clinic):
    (home / "master.key").write_text("ab" * 32)
    outcome = clinic("user", "list")
    assert outcome.status == 1
    assert "does not match" in outcome.err
    assert "abab" not in outcome.err


def test_a_damaged_host_key_is_refused(home, clinic):
    (home / "ssh_host_ed25519_key").write_text("rubbish")
    outcome = clinic("hostkey")
    assert outcome.status == 1
    assert "host key" in outcome.err


def test_hostkey_prints_what_ssh_keygen_prints(home, clinic, require_program, tmp_path):
    keygen = require_program("ssh-keygen")
    outcome = clinic("hostkey", "--port", "2222")
    assert outcome.out.startswith("[127.0.0.1]:2222 ssh-ed25519 ")
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(outcome.out)
    shown = subprocess.run([keygen, "-lf", known_hosts], capture_output=True, text=True, check=True)
    assert outcome.err.strip() in shown.stdout
    found = subprocess.run(
        [keygen, "-F", "[127.0.0.1]:2222", "-f", known_hosts], capture_output=True, text=True, check=True
    )
    assert "found" in found.stdout


def test_only_one_server_holds_a_home(home, clinic):
    with Home(home).serving():
        outcome = clinic("serve", "--port", "0")
    assert outcome.status == 1
    assert f"A server is using {home}. Stop it first." in outcome.err


def test_init_without_a_terminal(home, run):
    for missing, given in {
        "--account": (),
        "--admin": ("--account", "Clinic"),
        "--email": ("--account", "Clinic", "--admin", "anna"),
    }.items():
        outcome = run("init", *given)
        assert outcome.status == 2
        assert missing in outcome.err
        assert "no terminal" in outcome.err
        assert not home.exists()


@pytest.mark.parametrize(
    ("admin", "email", "password"),
    [("An na", "a@clinic.example", "x" * 3), ("anna", "rubbish", None), ("anna", "a@b.example", "short")],
)
def test_refused_init_can_be_repeated(home, run, admin, email, password):
    stdin, option = (f"{password}\n", ("--password-stdin",)) if password else ("", ())
    outcome = run("init", "--account", "Clinic", "--admin", admin, "--email", email, *option, stdin=stdin)
    assert outcome.status == 1
    assert not (home / "twofold.db").exists()
    assert run("init", "--account", "Clinic", "--admin", "anna", "--email", "a@b.example").status == 0


@pytest.mark.parametrize("size", [0, 100, 3_500, 100_000])
def test_init_without_room(home, run, size):
    arguments = ("init", "--account", "Clinic", "--admin", "anna", "--email", "a@b.example")
    with files_of_at_most(size):
        outcome = run(*arguments)
    assert outcome.status == 1
    assert "cannot be written" in outcome.err or "its disk is full" in outcome.err
    assert not list(home.iterdir())
    assert run(*arguments).status == 0


def test_init_prints_its_password_once(home, run):
    """It prints a one-time password only when it made one."""
    outcome = run("init", "--account", "Clinic", "--admin", "anna", "--email", "a@b.example")
    assert "One-time password of anna: " in outcome.out


def hours_left(outcome) -> int:
    until = re.search(r"good for one sign-in, until (\S+ \S+) UTC\.", outcome.out).group(1)
    left = datetime.strptime(until, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) - datetime.now(UTC)
    return math.ceil(left / timedelta(hours=1))


@pytest.mark.feature("one-time-end")
def test_end_of_a_one_time_password(home, run):
    """Every command that makes one says its end."""
    ben = ("user", "add", "ben", "--email", "b@b.example")
    account = ("account", "add", "Surgery", "--admin", "eve", "--email", "e@b.example")
    for bad in ("0", "721"):
        assert (
            run("init", "--account", "A", "--admin", "a", "--email", "a@b.example", "--hours", bad).status
            == 2
        )
    made = run("init", "--account", "Clinic", "--admin", "anna", "--email", "a@b.example")
    assert hours_left(made) == 24
    assert [hours_left(run(*ben)), hours_left(run("user", "password", "ben"))] == [72, 72]
    assert hours_left(run("user", "password", "ben", "--hours", "5")) == 5
    assert hours_left(run(*account, "--hours", "720")) == 720
    for command in (ben, account, ("user", "password", "ben")):
        for bad in ("0", "721"):
            assert run(*command, "--hours", bad).status == 2
    shown = run("user", "show", "ben", "--account", "Clinic").out
    assert "one-time, valid until 20" in shown


def test_a_password_from_standard_input_is_not_printed(clinic, home):
    outcome = clinic(
        "user", "add", "ben", "--email", "b@b.example", "--password-stdin", stdin="another long one\n"
    )
    assert outcome.status == 0
    assert "another" not in outcome.out + outcome.err


IN_LATIN_1 = "ein schöner Gruß aus Zürich\n".encode("latin-1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "ben", "--email", "b@b.example"),
        ("user", "password", "anna"),
        ("account", "add", "Surgery", "--admin", "eve", "--email", "eve@surgery.example"),
    ],
    ids=["user add", "user password", "account add"],
)
def test_password_not_utf8(clinic, arguments):
    outcome = clinic(*arguments, "--password-stdin", stdin=IN_LATIN_1)
    assert outcome.status == 1
    assert "did not arrive as UTF-8" in outcome.err


def test_init_password_not_utf8(home, run):
    arguments = ("init", "--account", "Clinic", "--admin", "anna", "--email", "a@b.example")
    outcome = run(*arguments, "--password-stdin", stdin=IN_LATIN_1)
    assert outcome.status == 1
    assert "did not arrive as UTF-8" in outcome.err
    assert not home.exists()


@pytest.fixture
def later_version(tmp_path, monkeypatch):
    """This program, as if it had one migration more."""
    later_version_of(monkeypatch, tmp_path)


def later_version_of(monkeypatch, tmp_path):
    migrations = tmp_path / "migrations"
    shutil.copytree(database._MIGRATIONS, migrations)
    (migrations / "0002_note.py").write_text(
        "def up(migrator, db):\n    db.execute_sql('create table note (text text)')\n"
    )
    monkeypatch.setattr(database, "_MIGRATIONS", migrations)


def test_older_schema_needs_upgrade(home, clinic, later_version):
    """Upgrade copies and migrates it."""
    before = (home / "twofold.db").read_bytes()
    outcome = clinic("serve", "--port", "0")
    assert outcome.status == 1
    assert outcome.err.rstrip().endswith(f"twofold --home {home} upgrade")

    outcome = clinic("upgrade")
    assert outcome.status == 0, outcome.err
    (backup,) = home.glob("twofold.db.*.backup")
    assert modes(home)[backup.name] == 0o600
    with contextlib.closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("select name from user").fetchall() == [("anna",)]
        assert not copy.execute("select * from sqlite_master where name = 'note'").fetchall()
    assert len(backup.read_bytes()) == len(before)
    assert clinic("user", "list").status == 0
    assert clinic("upgrade").out == "The database is up to date.\n"


def test_upgrade_without_room(home, clinic, later_version):
    """An upgrade that cannot copy the database first says so and changes nothing."""
    with files_of_at_most(100_000):
        outcome = clinic("upgrade")
    assert outcome.status == 1
    assert ".backup cannot be written" in outcome.err
    assert not list(home.glob("twofold.db.*.backup"))
    assert clinic("upgrade").status == 0


def test_a_migration_that_fails_changes_nothing(home, clinic, later_version):
    (database._MIGRATIONS / "0003_broken.py").write_text("def up(migrator, db):\n    raise ValueError\n")
    outcome = clinic("upgrade")
    assert outcome.status == 1
    with contextlib.closing(sqlite3.connect(home / "twofold.db")) as present:
        assert not present.execute("select * from sqlite_master where name = 'note'").fetchall()


def test_a_newer_schema_is_refused_and_says_so(home, clinic):
    with sqlite3.connect(home / "twofold.db") as database:
        database.execute("insert into schema_migration (name, applied) values ('9999_later', '2030-01-01')")
    for command in (("serve", "--port", "0"), ("upgrade",), ("user", "list")):
        outcome = clinic(*command)
        assert outcome.status == 1
        assert "newer version" in outcome.err


@pytest.mark.parametrize(
    "name", ["twofold.toml", "master.key", "ssh_host_ed25519_key", "twofold.db", "node.id"]
)
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_special_files_are_refused(home, clinic, name, kind):
    """The refusal is one line, and nobody waits."""
    path = home / name
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600) if kind == "fifo" else path.mkdir(0o700)
    outcome = clinic("serve", "--port", "0")
    assert outcome.status == 1
    assert "Internal error" not in outcome.err
    assert name in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["", "twofold.toml", "twofold.db"])
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ()], ids=["serve", "the app"])
def test_home_that_others_can_change(home, clinic, what, command):
    """Nothing is sent from it."""
    path = home / what if what else home
    nobody = pwd.getpwnam("nobody")
    os.chown(path, nobody.pw_uid, nobody.pw_gid)
    outcome = clinic(*command)
    assert outcome.status == 1
    assert f"{path} belongs to the user nobody, but this runs as root" in outcome.err
    assert clinic("user", "list").status == 0
    os.chown(path, 0, 0)


def test_suggested_command_with_spaces(run, home, tmp_path):
    """It can be pasted though the home has spaces."""
    spaced = tmp_path / "my $home's"
    arguments = ("--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    made = run("--home", str(spaced), "init", *arguments)
    suggested = made.out.splitlines()[-1].partition("Start the server with: ")[2]
    assert shlex.split(suggested) == ["twofold", "--home", str(spaced), "serve"]
    spaced.chmod(0o755)
    suggested = run("--home", str(spaced), "user", "list").err.partition("Restrict it with: ")[2]
    assert shlex.split(suggested) == ["chmod", "700", str(spaced)]
    spaced.chmod(0o700)
    for name in ("twofold.db", "master.key"):
        (spaced / name).chmod(0o644)
    suggested = run("--home", str(spaced), "user", "list").err.partition("Restrict them with: ")[2]
    assert shlex.split(suggested) == ["chmod", "600", str(spaced / "twofold.db"), str(spaced / "master.key")]


@pytest.mark.parametrize(
    ("option", "answer"), [("--account", " "), ("--admin", "no name"), ("--email", "anna")]
)
def test_init_answer_is_checked_first(run, home, option, answer):
    """One that cannot be taken is refused before anything is asked."""
    outcome = run("init", option, answer)
    assert outcome.status == 1
    assert "no terminal" not in outcome.err
    assert not home.exists()


def test_a_database_that_was_moved_is_not_upgraded(home, clinic, tmp_path, monkeypatch):
    assert clinic("database", "copy", "--to", str(tmp_path / "moved.db"), "--yes").status == 0
    refused = clinic("user", "list").err
    assert "was moved to" in refused
    current = clinic("upgrade")
    assert (current.status, current.err) == (1, refused)
    before = sorted(path.name for path in home.iterdir())
    later_version_of(monkeypatch, tmp_path)
    older = clinic("upgrade")
    assert (older.status, older.err) == (1, refused)
    assert sorted(path.name for path in home.iterdir()) == before
