"""An installation whose database is PostgreSQL: making one, joining it, and what is refused."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from support.postgresql_server import PASSWORD, PostgresqlServer

from data.storage.home import Home

PROGRAM = Path(sys.executable).with_name("twofold")
INIT = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")


@pytest.fixture
def url(postgresql: PostgresqlServer) -> str:
    """The URL of an empty database, its password in it."""
    return postgresql.url(postgresql.new_database())


def twofold(home: Path, *arguments: str, **options) -> subprocess.Popen[str]:
    """Start the installed program."""
    return subprocess.Popen(
        [PROGRAM, "--home", home, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_init_and_commands(home, run, url):
    outcome = run(*INIT, "--database", url)
    assert outcome.status == 0, outcome.err
    assert {file.name for file in home.iterdir()} == {"twofold.toml", "master.key", "ssh_host_ed25519_key"}
    assert PASSWORD not in outcome.out + outcome.err
    assert run("user", "add", "ben", "--email", "ben@clinic.example").status == 0
    assert "ben" in run("user", "list").out
    assert run("upgrade").out == "The database is up to date.\n"


def test_a_node_joins_by_a_copy_of_three_files(home, run, url, tmp_path):
    assert run(*INIT, "--database", url).status == 0
    other = tmp_path / "other"
    shutil.copytree(home, other)
    joined = twofold(other, "user", "add", "ben", "--email", "ben@clinic.example")
    assert joined.communicate(timeout=60)[1] == ""
    assert "ben" in run("user", "list").out


def test_another_master_key(home, run, url):
    """The refusal says where to get the right one."""
    assert run(*INIT, "--database", url).status == 0
    (home / "master.key").write_text("ab" * 32)
    outcome = run("user", "list")
    assert outcome.status == 1
    assert "Copy master.key from a node" in outcome.err
    assert PASSWORD not in outcome.err


def test_second_installation(home, run, url, tmp_path):
    """It is refused and leaves no home."""
    assert run(*INIT, "--database", url).status == 0
    again = twofold(tmp_path / "again", *INIT, "--database", url)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 1
    assert "To join it, copy twofold.toml, master.key and ssh_host_ed25519_key" in err
    assert PASSWORD not in err
    assert not (tmp_path / "again" / "master.key").exists()


def test_two_inits_at_once(url, tmp_path):
    """One works, and the other says that it is done."""
    starting = [twofold(tmp_path / name, *INIT, "--database", url) for name in ("one", "two")]
    said = [(process.communicate(timeout=60), process.returncode) for process in starting]
    assert sorted(status for _, status in said) == [0, 1]
    (refused,) = [err for (_, err), status in said if status]
    assert "already holds an installation" in refused


def test_foreign_database(home, run, postgresql):
    name = postgresql.new_database()
    postgresql.execute(name, "CREATE TABLE recipes (title text)")
    outcome = run(*INIT, "--database", postgresql.url(name))
    assert outcome.status == 1
    assert "contains other tables" in outcome.err
    tables = postgresql.execute(name, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables == [("recipes",)]
    assert not (home / "twofold.toml").exists()


def test_encoding_that_is_too_small(home, run, postgresql):
    """A database that cannot hold every text is refused."""
    name = postgresql.new_database(more="ENCODING 'SQL_ASCII' LOCALE 'C'")
    outcome = run(*INIT, "--database", postgresql.url(name))
    assert outcome.status == 1
    assert "ENCODING 'UTF8'" in outcome.err


def test_the_password_may_stand_in_a_file_of_its_own(home, run, postgresql, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    url = postgresql.url(postgresql.new_database(), password=None)
    outcome = run(*INIT, "--database", url, "--database-password-file", str(secret))
    assert outcome.status == 0, outcome.err
    assert PASSWORD not in (home / "twofold.toml").read_text()
    assert "anna" in run("user", "list").out


def test_password_where_libpq_looks(home, run, postgresql, tmp_path, monkeypatch):
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:*:*:*:{PASSWORD}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    url = postgresql.url(postgresql.new_database(), password=None)
    assert run(*INIT, "--database", url).status == 0
    assert "anna" in run("user", "list").out


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace(PASSWORD, "wr0ng-secret"),
        lambda url: re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", url),
        lambda url: url + "-not-there",
        lambda url: url + "?sslmode=verify-full",
        lambda url: url + "?sslmode=whatever",
        lambda url: url.replace("127.0.0.1", "no-such-host.invalid"),
    ],
    ids=["password", "port", "name", "tls", "sslmode", "host"],
)
def test_unreachable_database(home, run, url, change):
    """One line says so, without the password."""
    assert run(*INIT, "--database", url).status == 0
    settings = (home / "twofold.toml").read_text()
    (home / "twofold.toml").write_text(settings.replace(url, change(url)))
    for command in (("user", "list"), ("upgrade",), ("serve", "--port", "0")):
        outcome = run(*command)
        assert outcome.status == 1
        assert outcome.err.count("\n") == 1
        assert "postgresql://twofold@" in outcome.err
        assert "Internal error" not in outcome.err
        assert PASSWORD not in outcome.err
        assert "wr0ng-secret" not in outcome.err


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:s3cret@h/n",
        "postgresql://u:s3cret@h",
        "postgresql://u:s3@cret@h/n",
        "postgresql://u:s3/cret@h/n",
        "postgresql://u:s3%cret@h/n",
        "postgresql://u:s3cret@h/n?nonsense=1",
        "postgresql://u:s3cret@h:port/n",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(home, run, text):
    outcome = run(*INIT, "--database", text)
    assert outcome.status == 2
    assert "cret" not in outcome.err
    assert "postgresql://" in outcome.err
    assert not home.exists()


def test_a_copy_moves_the_installation_there_and_back(home, clinic, url):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    outcome = clinic("database", "copy", "--to", url, "--yes")
    assert outcome.status == 0, outcome.err
    assert "Now set `database`" in outcome.out
    for command in (("user", "list"), ("serve", "--port", "0"), ("database", "copy", "--to", url, "--yes")):
        refused = clinic(*command)
        assert refused.status == 1
        assert "was moved to postgresql://twofold@127.0.0.1" in refused.err
        assert PASSWORD not in outcome.out + outcome.err + refused.err
    (home / "twofold.toml").write_text(f'database = "{url}"\n')
    assert "ben" in clinic("user", "list").out

    file = home / "back.db"
    assert clinic("database", "copy", "--to", str(file), "--yes").status == 0
    assert "was moved to the file" in clinic("user", "list").err
    file.rename(home / "twofold.db")
    (home / "twofold.toml").write_text("")
    assert "ben" in clinic("user", "list").out


def test_copy_needs_an_empty_database(home, clinic, url):
    """It must be asked for."""
    assert "--yes" in clinic("database", "copy", "--to", url).err
    assert clinic("database", "copy", "--to", str(home / "twofold.db"), "--yes").status == 1
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE recipes (title text)")
    outcome = clinic("database", "copy", "--to", url, "--yes")
    assert outcome.status == 1
    assert f"/{name}: The database is not empty." in outcome.err
    assert clinic("user", "list").status == 0


def test_copy_waits_for_the_server(home, clinic, url):
    with Home(home).serving():
        outcome = clinic("database", "copy", "--to", url, "--yes")
    assert outcome.status == 1
    assert "Stop it first" in outcome.err
