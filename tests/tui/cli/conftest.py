"""The command line, run in this process exactly as the installed program runs it."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tui.cli import main

ONE_TIME = "a one time passphrase"


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `twofold --home HOME ARGUMENTS` without a terminal."""
    monkeypatch.setattr("os.umask", lambda mask: mask)

    def run(*arguments: str, stdin: str | bytes = "") -> Outcome:
        raw = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "argv", ["twofold", "--home", str(home), *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return Outcome(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def clinic(run: Run) -> Run:
    """An initialised home with the administrator anna."""
    arguments = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    outcome = run(*arguments, "--password-stdin", stdin=ONE_TIME + "\n")
    assert outcome.status == 0, outcome.err
    return run
