"""The command line, run in this process exactly as the installed program runs it."""

import io
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from data.storage import models
from data.storage.database import open_database
from data.storage.home import Home
from data.storage.password_hashing import HashCost, Hasher
from tui.cli import logging_setup, main
from tui.cli.commands.setup import initialise

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
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
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

    yield run
    # The program logs to standard error from its start on; tests in this process do not.
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, logging_setup._StandardError)]:
        root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Hash with next to no memory: what a command does is the subject, not what a guess costs."""
    with pytest.MonkeyPatch.context() as patch:
        begin = Hasher.__init__

        def cheaply(hasher: Hasher, cost: HashCost) -> None:
            begin(hasher, replace(cost, memory=8 * cost.lanes))

        patch.setattr(Hasher, "__init__", cheaply)
        yield


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, cheap_hashes: None) -> Path:
    """A home with the administrator anna, as `init` makes it, of which each test gets a copy."""
    home = tmp_path_factory.mktemp("installed") / "home"
    initialise(Home(home), "Clinic", "anna", "anna@clinic.example", ONE_TIME)
    return home


@pytest.fixture
def clinic(run: Run, home: Path, installed: Path) -> Run:
    """An initialised home with the administrator anna, whose database the tables are bound to."""
    shutil.copytree(installed, home)
    models.database.initialize(open_database(home / "twofold.db"))
    return run
