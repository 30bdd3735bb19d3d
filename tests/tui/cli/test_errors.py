"""Errors reach a person as one line on stderr that says what to do."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tui.cli.main import COMMANDS, cli


def one_line(err: str) -> str:
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("frob",), "See: twofold --help"),
        (("user", "frob"), "See: twofold user --help"),
        (("user", "add"), "See: twofold user add --help"),
        (("user", "lst"), "Did you mean 'list'? See: twofold user --help"),
        (("audit", "verify", "--archive", "none"), "No such file or directory. See: twofold audit verify"),
        (("user", "add", "x"), "--email"),
        (("user", "edit", "anna"), "--email, --name or --phone"),
        (("policy", "set", "--mode", "sometimes"), "'off', 'optional', 'required', 'permanent'"),
        (("user", "unlock", "anna"), "Enter a reason with --reason"),
        (("audit", "list", "--since", "yesterday"), "30m, 2h, 7d"),
        (("audit", "list", "--since", "999999d"), "30m, 2h, 7d"),
        (("audit", "list", "--event", "frob"), "The types start with: account, address"),
        (("serve", "--port", "70000"), "--port"),
        ((), "needs a terminal"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(clinic, arguments, says):
    outcome = clinic(*arguments)
    assert outcome.status == 2
    assert says in one_line(outcome.err)
    assert outcome.out == ""


@pytest.mark.feature("unique-address")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("user", "show", "nobody"), "user was not found"),
        (("user", "unlock", "anna", "--reason", "a slip"), "not locked"),
        (("user", "deactivate", "--yes", "anna"), "last active"),
        (
            ("user", "add", "Anna", "--email", "b@clinic.example"),
            "The name anna cannot be used. anna2 is free.",
        ),
        (("user", "add", "ben", "--email", "ANNA@clinic.example"), "cannot be used"),
        (("user", "add", "ben", "--email", "rubbish"), "e-mail address"),
        (("user", "add", "-", "--email", "b@clinic.example"), "user name"),
        (("user", "key", "remove", "anna", "SHA256:x"), "key was not found"),
        (("policy", "set", "--mode", "optional", "--yes"), "already"),
        (("init", "--account", "x", "--admin", "y", "--email", "z@z.example"), "already initialised"),
    ],
)
def test_a_refused_operation_is_one_line_and_status_1(clinic, arguments, says):
    outcome = clinic(*arguments)
    assert outcome.status == 1
    assert says in one_line(outcome.err)
    assert outcome.out == ""


def test_unforeseen_error(run, monkeypatch):
    """It shows its place and nothing that was typed."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("hunter2hunter2")

    monkeypatch.setattr(cli, "main", fail)
    outcome = run("user", "list")
    assert outcome.status == 1
    assert "RuntimeError" in one_line(outcome.err)
    assert "hunter2" not in outcome.err


def test_escape_sequences_in_an_argument(clinic):
    outcome = clinic("user", "show", "\x1b]0;owned\x07")
    assert "\x1b" not in outcome.err
    outcome = clinic("\x1b[31mfrob")
    assert "\x1b" not in one_line(outcome.err)


def test_a_closed_pipe_is_no_error_report(home, clinic):
    program = Path(sys.executable).with_name("twofold")
    shell = f"{program} --home {home} audit list | true"
    ended = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=True)
    assert "Traceback" not in ended.stderr
    assert "Internal error" not in ended.stderr


@pytest.mark.parametrize("arguments", ["user list", "user export", "audit head", "doctor --json"])
def test_output_that_finds_no_room_is_said(home, clinic, arguments):
    program = Path(sys.executable).with_name("twofold")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [program, "--home", home, *arguments.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert "cannot be written: No space left on device" in one_line(ended.stderr)


def _commands(group, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))


@pytest.mark.parametrize("path", [(), *(path for path, _ in _commands(cli))], ids=" ".join)
def test_help_has_an_example(run, path):
    outcome = run(*path, "--help")
    assert outcome.status == 0
    assert re.search(r"Examples?:", outcome.out)
    examples = outcome.out.split("Example", 1)[1]
    # Some are for members alone, who give them over SSH.
    assert any(f"{word} {' '.join(path)}".strip() in examples for word in ("twofold", "ssh gate"))


def test_a_line_that_never_ends_is_no_password(clinic):
    outcome = clinic("user", "password", "anna", "--password-stdin", stdin="x" * 1_000_000)
    assert outcome.status == 2
    assert "too long for a password" in one_line(outcome.err)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "9" * 100_000, '{"chain": ' * 50_000, "\0" * 1_000, "x" * 9_999]
)
@pytest.mark.parametrize("option", ["--archive", "--head"])
def test_what_is_nested_or_huge_is_no_audit_file(clinic, tmp_path, option, content):
    (tmp_path / "file").write_text(content + "\n")
    outcome = clinic("audit", "verify", option, str(tmp_path / "file"))
    assert outcome.status != 0
    assert "Internal error" not in one_line(outcome.err)


def test_a_count_of_too_many_digits_ends_in_one_line(clinic, monkeypatch):
    monkeypatch.setenv("SMS_MESSAGES", "9" * 5_000)
    outcome = clinic("sms", "received")
    assert outcome.status == 1
    assert "Internal error" not in one_line(outcome.err)


STRANGE = {"escape": "\x1b[31mred", "line": "two\nlines", "long": "x" * 5_000, "direction": "a\u202eb"}


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--home", "{}", "init", "--account", "x", "--admin", "y", "--email", "z@z.example"),
        ("--home", "{}", "serve", "--init", "--port", "0"),
        ("--home", "{}", "doctor"),
        ("--master-key", "{}", "user", "list"),
        ("backup", "{}"),
        ("restore", "{}", "--yes"),
        ("database", "copy", "--to", "{}", "--yes"),
        ("user", "export", "--output", "{}"),
        ("user", "import", "--yes", "{}"),
        ("user", "import", "--yes", "--google-authenticator", "anna={}"),
        ("user", "key", "add", "anna", "{}"),
        ("audit", "head", "--output", "{}"),
        ("audit", "verify", "--archive", "{}"),
        ("audit", "verify", "--head", "{}"),
        ("audit", "archive", "--yes", "--before", "2020-01-01", "--to", "{}"),
    ],
    ids=" ".join,
)
def test_path_that_cannot_be_shown(clinic, home, tmp_path, arguments, name):
    """It is refused in one line, and nothing is written."""
    before = sorted(tmp_path.iterdir())
    outcome = clinic(*(argument.format(tmp_path / name) for argument in arguments))
    assert outcome.status != 0
    assert "Internal error" not in outcome.err
    assert one_line(outcome.err).rstrip("\n").isprintable()
    assert outcome.out.replace("\n", "").isprintable()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "key", "add", "anna", "{}"),
        ("user", "import", "--yes", "{}"),
        ("user", "import", "--yes", "--google-authenticator", "anna={}"),
        ("audit", "verify", "--archive", "{}"),
        ("audit", "verify", "--head", "{}"),
        ("database", "copy", "--to", "postgresql://x/y", "--password-file", "{}"),
        ("--master-key", "{}", "user", "list"),
    ],
    ids=" ".join,
)
def test_endless_file(clinic, tmp_path, arguments):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        outcome = clinic(*(argument.format(path) for argument in arguments))
        assert outcome.status != 0
        assert "Internal error" not in one_line(outcome.err)


ROOT = Path(__file__).parents[3]
ADVICE = re.compile(r"\btwofold((?: +(?:--)?[a-z][a-z0-9-]*| +[A-Z]+\b)+)")
SOURCES = [path for folder in ("data", "sshserver", "tui") for path in ROOT.joinpath(folder).rglob("*.py")]


def test_commands_in_sentences_exist():
    """They are there with their options."""
    commands = dict(_commands(cli))
    named = {
        line.strip()
        for path in SOURCES
        for line in ADVICE.findall(path.read_text())
        if line.split()[0] in COMMANDS
    }
    assert len(named) > 50
    for line in named:
        words, options = line.split(), re.findall("--[a-z-]+", line)
        depth = max(depth for depth in range(1, len(words) + 1) if tuple(words[:depth]) in commands)
        known = [name for parameter in commands[tuple(words[:depth])].params for name in parameter.opts]
        assert set(options) <= {*known, "--help"}, line


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_about_a_command_is_its_own(name):
    command = cli.get_command(click.Context(cli), name)
    assert command.get_short_help_str(limit=100) == COMMANDS[name][1]


def loaded(names: set[str], *arguments: str | Path) -> tuple[set[str], subprocess.CompletedProcess[str]]:
    """Run a command in a process of its own; return which of these modules it has loaded."""
    program = (
        "import sys; from tui.cli import main\n"
        f"sys.argv[1:] = {[str(argument) for argument in arguments]}\n"
        "try: main()\n"
        "except SystemExit as end: status = end.code\n"
        f"print(*sorted({names} & set(sys.modules)))\n"
        "sys.exit(status)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return set(ended.stdout.splitlines()[-1].split()), ended


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_light_commands_import_little(arguments):
    found, ended = loaded({"peewee", "textual", "asyncssh", "data.store"}, *arguments)
    assert ended.returncode == 0
    assert found == set()


def test_no_command_and_no_supervisor_loads_textual():
    program = (
        "import sys, click, tui.cli.serving.node\n"
        "from tui.cli.main import cli\n"
        "def load(group):\n"
        "    context = click.Context(group)\n"
        "    for command in [group.get_command(context, name) for name in group.list_commands(context)]:\n"
        "        print(command.name)\n"
        "        if isinstance(command, click.Group): load(command)\n"
        "load(cli)\n"
        "print({'textual', 'rich'} & set(sys.modules))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *names, found = ended.stdout.splitlines()
    assert {"serve", "disable-2fa", "checklist", "key"} <= set(names)
    assert found == "set()"


@pytest.mark.parametrize(
    "arguments",
    [
        "policy set --mode required --yes",
        "user disable-2fa anna --yes",
        "user invite anna",
        "user explain anna",
        "session list",
        "audit verify",
        "doctor",
    ],
)
def test_what_a_command_does_needs_no_textual(clinic, home, arguments):
    found, ended = loaded({"textual", "rich"}, "--home", home, *arguments.split())
    assert ended.stdout
    assert found == set()


def test_a_list_loads_nothing_that_only_other_commands_need(clinic, home):
    slow = {"textual", "rich", "asyncssh", "zxcvbn", "email_validator", "phonenumbers"}
    found, ended = loaded(slow, "--home", home, "user", "list")
    assert "anna" in ended.stdout
    assert found == set()


def test_home_that_cannot_be_shown(run, tmp_path, monkeypatch):
    folder = tmp_path / STRANGE["escape"]
    folder.mkdir()
    monkeypatch.chdir(folder)
    for option in ("--home", "--master-key"):
        outcome = run(option, "here", "init", "--account", "x", "--admin", "y", "--email", "z@z.example")
        assert outcome.status == 2
        assert "contains characters that cannot be shown" in one_line(outcome.err)
        assert outcome.out == ""
    assert list(folder.iterdir()) == []
