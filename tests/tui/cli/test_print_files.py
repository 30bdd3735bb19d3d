"""The files that are printed to start from, tried by the programs that read them where those can be had."""

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from tui.cli.main import cli


@pytest.fixture
def unit(run, tmp_path) -> Path:
    path = tmp_path / "twofold.service"
    path.write_text(run("print-unit").out)
    return path


def complaints_about(unit: Path, require_program: Callable[[str], str]) -> list[str]:
    """Verify a unit; what is said of those that other packages installed is left out."""
    command = [require_program("systemd-analyze"), "verify", "--man=no", str(unit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0
    lines = (ended.stdout + ended.stderr).splitlines()
    return [line for line in lines if not line.startswith(("/lib/systemd/", "/usr/lib/systemd/"))]


def test_systemd_takes_the_unit_without_a_word(unit, require_program):
    assert complaints_about(unit, require_program) == []


def test_systemd_finds_the_unit_well_hardened(unit, require_program):
    # The threshold is in tenths: beyond 2.0 a service begins to be "medium".
    command = [require_program("systemd-analyze"), "security", "--offline=yes", "--threshold=20", str(unit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout


def test_systemd_unit(unit):
    """It starts this program with the key as a credential."""
    text = unit.read_text()
    program = Path(sys.executable).with_name("twofold")
    assert f"ExecStart={program} --home %S/twofold --master-key %d/master.key serve\n" in text
    assert "LoadCredential=master.key:/etc/twofold/master.key\n" in text
    assert "@PRO" not in text


def test_path_with_special_signs(run, tmp_path, monkeypatch, require_program):
    """systemd takes a program whose path has signs that it reads."""
    folder = tmp_path / "100% my $dir %h"
    folder.mkdir()
    program = folder / "twofold"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    unit = tmp_path / "twofold.service"
    unit.write_text(run("print-unit").out)
    assert complaints_about(unit, require_program) == []
    assert f"-- {shlex.quote(str(program))} --home /var/lib/twofold init\n" in unit.read_text()


@pytest.mark.parametrize(
    ("program", "protection"),
    [
        ("/opt/twofold/bin/python", "yes"),
        ("/home/anna/twofold/.venv/bin/python", "read-only"),
        ("/root/v/bin/python", "read-only"),
    ],
)
def test_program_in_a_home(run, monkeypatch, program, protection):
    """Its service can see it."""
    monkeypatch.setattr(sys, "executable", program)
    assert f"ProtectHome={protection}\n" in run("print-unit").out


def test_containerfile(run):
    """It runs an accepted command as an unprivileged user."""
    text = run("print-containerfile").out
    parsed = DockerfileParser(fileobj=io.BytesIO(text.encode()))
    instructions = [(step["instruction"], step["value"]) for step in parsed.structure]
    names = [name for name, _ in instructions if name != "COMMENT"]
    assert names.count("FROM") == 2
    last = {name: value for name, value in instructions if name != "COMMENT"}
    assert last["USER"] == "10001"
    assert "--uid 10001" in last["RUN"]
    assert last["VOLUME"] in last["RUN"]
    assert last["VOLUME"] in last["ENV"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(last["ENTRYPOINT"]) == ["twofold"]
    name, *arguments = json.loads(last["CMD"])
    command = cli.get_command(None, name)
    context = command.make_context(name, arguments)
    assert context.params["host"] == "0.0.0.0"
    assert str(context.params["port"]) == last["EXPOSE"]
    assert parsed.parent_images[0] == parsed.parent_images[1]


def test_neither_needs_an_installation(run, home):
    for command in ("print-unit", "print-containerfile"):
        outcome = run(command)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out.endswith("\n")
    assert not home.exists()


# The master key apart from the home.


@pytest.fixture
def apart(home, clinic, tmp_path, monkeypatch) -> Path:
    """The master key of `clinic`, moved out of the home and named by the environment."""
    path = tmp_path / "credentials" / "master.key"
    path.parent.mkdir()
    (home / "master.key").rename(path)
    monkeypatch.setenv("TWOFOLD_MASTER_KEY", str(path))
    return path


def test_master_key_by_option_and_environment(run, apart, monkeypatch):
    assert run("user", "list").status == 0
    monkeypatch.delenv("TWOFOLD_MASTER_KEY")
    assert "master key" in run("user", "list").err
    assert run("--master-key", str(apart), "user", "list").status == 0


def test_missing_master_key(run, apart):
    apart.unlink()
    outcome = run("user", "list")
    assert (outcome.status, outcome.err) == (
        1,
        f"twofold: There is no master key at {apart}. Check --master-key.\n",
    )


@pytest.mark.parametrize(("mode", "status"), [(0o400, 0), (0o440, 0), (0o604, 1), (0o666, 1)])
def test_open_master_key(run, apart, mode, status):
    apart.chmod(mode)
    outcome = run("user", "list")
    assert outcome.status == status
    assert ("accessible to everyone" in outcome.err) == bool(status)


def test_unreadable_master_key(home, clinic, apart, require_program):
    apart.parent.chmod(0o000)
    program = [Path(sys.executable).with_name("twofold"), "--home", home, "user", "list"]
    if os.geteuid() == 0:
        # Root reads whatever it owns, unless it may not.
        program = [require_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", *program]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    apart.parent.chmod(0o700)
    assert ended.returncode == 1
    assert ended.stderr == f"twofold: {apart}: Permission denied. Run this as its owner or as root.\n"


def test_a_wrong_master_key_is_refused(run, apart):
    apart.write_text(os.urandom(32).hex())
    outcome = run("user", "list")
    assert outcome.status == 1
    assert str(apart) in outcome.err


def test_init_with_a_master_key(run, home, tmp_path):
    """It makes the key apart or takes the one that is there."""
    apart = tmp_path / "apart.key"
    arguments = ("--master-key", str(apart), "init", "--account", "A", "--admin", "anna", "--email")
    assert run(*arguments, "nonsense").status == 1
    assert not home.exists()
    apart.write_text(bytes(range(32)).hex())
    apart.chmod(0o600)
    assert run(*arguments, "a@b.example").status == 0
    assert apart.read_text() == bytes(range(32)).hex()
    assert not (home / "master.key").exists()
    assert run(*arguments, "a@b.example").status == 1
    assert run("--master-key", str(apart), "user", "list").status == 0
