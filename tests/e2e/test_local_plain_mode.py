"""The plain mode on the host, by the installed program: at terminals of several kinds, and from a pipe."""

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from support.forked import run_twofold
from support.installed_program import PROGRAM
from support.pseudo_terminal import TerminalProgram

pytestmark = pytest.mark.feature("plain-local")
PASSWORD = "a walrus hums in july"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "home"
    twofold(found, "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    return found


def twofold(home: Path, *arguments: str) -> str:
    ended = run_twofold(("--home", home, *arguments))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def newcomer(home: Path) -> str:
    """Add ben, of whom nothing is required, and return his one-time password."""
    added = twofold(home, "user", "add", "ben", "--email", "ben@clinic.example")
    return re.search(r"One-time password[^:]*: (\S+)", added).group(1)


async def interrupts(terminal: TerminalProgram) -> None:
    """Press Ctrl+C until the prompt is back: Python may miss one while it waits for the next key again."""
    for _ in range(30):
        terminal.type("\x03")
        with suppress(AssertionError):
            await terminal.expect("twofold> ", seconds=2)
            return
    raise AssertionError(terminal.output)


async def test_a_variable_chooses_it(home):
    person = await TerminalProgram.start(
        [PROGRAM, "--home", home], term="vt100", environment={"ACCESSIBLE": "1"}
    )
    await person.expect("User name: ")
    person.type("\x04")
    assert await person.end() == 1


async def test_a_sign_in_and_the_prompt_at_a_dumb_terminal(home):
    password = newcomer(home)
    ben = await TerminalProgram.start([PROGRAM, "--home", home], term="dumb")
    await ben.expect("User name: ")
    ben.type("ben\r")
    await ben.expect("Password: ")
    ben.type("wrong\r")
    await ben.expect("Wrong user name or password.")
    ben.type("ben\r")
    await ben.expect("Password: ")
    ben.type(f"{password}\r")
    for _ in range(2):
        await ben.expect("assword: ")
        ben.type(f"{PASSWORD}\r")
    await ben.expect("2FA is not set up.")
    await ben.expect("twofold> ")
    ben.type("half a line")
    await ben.expect("half a line")
    await interrupts(ben)
    ben.type("me sessions\r")
    await ben.expect("local, since")
    await ben.expect("twofold> ")
    ben.type("user list\r")
    await ben.expect("Only support")
    await ben.expect("twofold> ")
    ben.type("exit\r")
    await ben.expect("Signed out.")
    assert await ben.end() == 0
    assert PASSWORD.encode() not in ben.output
    assert b"\x1b" not in ben.output
    assert "local" in twofold(home, "audit", "list")
    assert twofold(home, "session", "list").count("\n") <= 1


async def test_it_ends_when_the_session_is_ended(home):
    password = newcomer(home)
    ben = await TerminalProgram.start([PROGRAM, "--home", home, "--plain"], term="dumb")
    for prompt, answer in (
        ("User name: ", "ben"), ("Password: ", password), ("assword: ", PASSWORD), ("assword: ", PASSWORD)
    ):  # fmt: skip
        await ben.expect(prompt)
        ben.type(f"{answer}\r")
    await ben.expect("twofold> ")
    twofold(home, "user", "deactivate", "ben", "--yes")
    await ben.expect("twofold: .*deactivated")
    assert await ben.end() == 1


def test_lines_of_standard_input_are_answers(home):
    """So does a script sign in: without a terminal, nothing is hidden and nothing is echoed."""
    password = newcomer(home)
    typed = f"ben\n{password}\n{PASSWORD}\n{PASSWORD}\nme --json\n"
    ended = subprocess.run(
        [PROGRAM, "--home", home, "--plain"],
        input=typed, capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip
    assert (ended.returncode, '"name": "ben"' in ended.stdout) == (0, True), ended
    assert "\x1b" not in ended.stdout + ended.stderr


def test_it_takes_no_command(home):
    ended = run_twofold(("--home", home, "--plain", "user", "list"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--plain is for the app, and takes no command." in ended.stderr
