"""`--yes`, over the whole command tree: who takes it, who asks, and that nothing is done unasked."""

import json
import shutil
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

import click
import pytest
from support.command_tree import commands
from support.pseudo_terminal import TerminalProgram

from data.operations.derived_user_columns import refresh_standing
from data.storage import models
from data.storage.home import Home
from tui.cli.confirmation import YesOption
from tui.cli.main import cli
from tui.cli.open_installation import system_clock

PROGRAM = Path(sys.executable).with_name("twofold")
READING = {
    *(("user", "list"), ("user", "show"), ("user", "explain"), ("user", "export"), ("user", "key", "list")),
    *(("user", "principal", "list"), ("practice", "principal", "list")),
    *(("account", "list"), ("account", "show"), ("practice", "list"), ("session", "list")),
    *(("policy", "show"), ("policy", "checklist"), ("clock", "show"), ("doctor",), ("hostkey",)),
    *(("audit", "list"), ("audit", "export"), ("audit", "head"), ("audit", "verify")),
    *(("application", "list"), ("application", "show"), ("target", "list"), ("target", "show")),
    *(("ca", "show"), ("ca", "krl"), ("cert", "list")),
    *(("overview",), ("report",), ("delivery", "show")),
    *(("print-unit",), ("print-containerfile",), ("completion",), ("help",)),
}
SERVING = {("serve",)}
"""What runs until it is stopped is no change."""
NEW_FILE = "{home}/../file"
ASKING = {
    ("policy", "set"): ("--mode", "off"),
    ("application", "rotate"): ("vpn",),
    ("ca", "rotate"): (),
    ("cert", "withdraw"): ("7",),
    ("application", "disable"): ("vpn",),
    ("application", "remove"): ("vpn",),
    ("target", "remove"): ("db1",),
    ("user", "disable-2fa"): ("ben",),
    ("user", "clear-2fa"): ("ben",),
    ("user", "deactivate"): ("ben",),
    ("user", "temporary-code"): ("ben",),
    ("user", "delete"): ("ben",),
    ("user", "principal", "add"): ("ben", "deploy"),
    ("user", "principal", "remove"): ("ben", "web"),
    ("practice", "principal", "add"): ("Main", "deploy"),
    ("practice", "principal", "remove"): ("Main", "web"),
    ("user", "import"): ("{home}/../people.csv",),
    ("user", "invite"): ("--practice", "Main", "--csv", NEW_FILE),
    ("user", "remind"): ("--practice", "Main"),
    ("audit", "archive"): ("--before", "2100-01-01", "--to", NEW_FILE),
    ("key", "rotate"): (),
    ("key", "forget"): ("0" * 32,),
    ("clock", "repair"): (),
    ("database", "copy"): ("--to", NEW_FILE),
    ("restore",): ("{home}/../backup",),
}
"""What asks before it acts, and arguments with which it would."""


def yes_of(command: click.Command) -> YesOption | None:
    return next((option for option in command.params if isinstance(option, YesOption)), None)


@pytest.mark.feature("off-announced")
def test_yes_option():
    without = {path for path, command in commands(cli) if yes_of(command) is None}
    assert without == READING | SERVING


def test_what_asks_is_tried_below():
    assert {path for path, command in commands(cli) if (yes := yes_of(command)) and yes.asks} == set(ASKING)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Where the first `ready` clinic is kept, of which each test gets a copy."""
    return tmp_path_factory.mktemp("ready") / "kept"


@pytest.fixture
def ready(clinic, home, template):
    """A clinic in which every command of `ASKING` would do something."""
    if not template.exists():
        make_ready(clinic, home)
        shutil.copytree(home.parent, template)
    shutil.copytree(template, home.parent, dirs_exist_ok=True)
    return clinic


def make_ready(clinic, home):
    assert clinic("user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa").status == 0
    assert clinic("user", "add", "kim", "--email", "kim@clinic.example").status == 0
    assert clinic("user", "principal", "add", "ben", "web", "--yes").status == 0
    assert clinic("practice", "principal", "add", "Main", "web", "--yes").status == 0
    assert clinic("application", "add", "vpn", "--http", "--asks", "code").status == 0
    assert clinic("target", "add", "db1", "--host", "10.0.0.5").status == 0
    with Home(home).serving():  # Which names the node, as each of them that must be alone does.
        pass
    (home.parent / "people.csv").write_text("name,email\neve,eve@clinic.example\n")
    clinic("ca", "init")
    assert clinic("backup", str(home.parent / "backup")).status == 0
    (home / "twofold.toml").write_text(
        '[server]\npublic_address = "ssh.clinic.example"\n'
        '[smtp]\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"\nfrom = "door@clinic.example"\n'
    )
    Home(home).kept_key("0" * 32).touch(mode=0o600)
    models.database.connect(reuse_if_open=True)
    now = system_clock()
    models.Factor.create(
        user=models.User.get(models.User.name == "ben"), kind="app", sealed_secret=b"",
        last_step=int((now + timedelta(days=2)).timestamp()) // 30, confirmed_at=now,
    )  # fmt: skip
    models.Certificate.insert(
        serial=7, authority=1, user=models.User.get(models.User.name == "kim").id, key_id="x",
        fingerprint="x", principals="kim", issued_at=now, until=now + timedelta(days=1),
    ).execute()  # fmt: skip
    refresh_standing(models.User.name == "ben", now)
    models.database.close()


def everything(home: Path) -> tuple[object, ...]:
    """Return all that an installation holds, and the files around it."""
    connection = sqlite3.connect(home / "twofold.db")
    content = tuple(connection.iterdump())
    connection.close()
    files = sorted(str(path) for path in home.parent.rglob("*") if not path.name.startswith("twofold.db-"))
    return content, (home / "master.key").read_bytes(), files


@pytest.mark.feature("off-announced", "delete")
@pytest.mark.parametrize("path", ASKING, ids=" ".join)
def test_without_terminal_and_yes(ready, home, path):
    """It says what would happen and does nothing."""
    arguments = [*path, *(argument.format(home=home) for argument in ASKING[path])]
    before = everything(home)
    outcome = ready(*arguments)
    assert outcome.status == 2
    told = outcome.err.splitlines()
    assert len(told) > 1
    assert "Nothing was done: there is no terminal for the confirmation. Add --yes to confirm." in told[-1]
    assert everything(home) == before
    outcome = ready(*arguments, "--yes")
    assert (outcome.status, "no terminal" in outcome.err) == (0, False)
    assert everything(home) != before


def test_one_of_several_declined(clinic, home):
    """No change is made."""
    before = everything(home)
    refused = clinic("policy", "set", "--remember-days", "3", "--mode", "permanent", "--yes")
    assert refused.status == 1
    refused = clinic("policy", "set", "--remember-days", "3", "--mode", "required")
    assert refused.status == 2
    assert everything(home) == before


@pytest.mark.parametrize("answer", ["n", "y"])
async def test_on_a_terminal_it_asks(ready, home, answer):
    command = [str(PROGRAM), "--home", str(home), "user", "deactivate", "ben"]
    terminal = await TerminalProgram.start(command)
    await terminal.expect("ben can no longer sign in")
    await terminal.expect("Deactivate ben")
    terminal.type(f"{answer}\r")
    assert await terminal.end() == (0 if answer == "y" else 1)
    shown = json.loads(ready("user", "show", "ben", "--json").out)
    assert shown["active"] == (answer == "n")


@pytest.mark.feature("off-announced")
def test_turning_off_names_the_affected(ready):
    told = ready("policy", "set", "--mode", "off").err
    assert "1 person will sign in without a code: ben. Their methods are kept." in told
