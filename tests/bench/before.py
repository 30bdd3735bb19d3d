"""The product as it was at an earlier commit, from a worktree of this repository."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
from bench.enrolled_users import EnrolledUsers
from bench.processes import REPOSITORY, environment

from data.storage.home import Home

_BUILD = """
import sys
from pathlib import Path
from bench.enrolled_users import build
build(Path(sys.argv[1]), int(sys.argv[2]), database=sys.argv[3] or None)
"""


class NoCommitError(Exception):
    """There is nothing to compare with here."""


def commit(named: str | None) -> str:
    """Return the commit of a revision; without one, the commit that this branch began from.

    That is where the branch leaves the one it follows, or the commit before this one if it has not left it.

    Raises:
        NoCommitError: when there is no such revision, or no repository.
    """
    found = _git("rev-parse", "--verify", f"{named or 'HEAD'}^{{commit}}")
    if named:
        return found
    try:
        began = _git("merge-base", "HEAD", "@{upstream}")
    except NoCommitError:
        began = found
    return began if began != found else _git("rev-parse", "--verify", "HEAD~1")


@contextmanager
def worktree(folder: Path, revision: str) -> Iterator[Path]:
    """Check a commit out into a folder, and take it away again."""
    _git("worktree", "add", "--detach", str(folder), revision)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def build(tree: Path, folder: Path, users: int, database: str | None = None) -> EnrolledUsers:
    """Have that commit make an installation, with the tables that it knows."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-P", "-c", _BUILD, folder, str(users), database or ""],
        check=True,
        env=environment(tree),
    )
    home = Home(folder / "home")
    return EnrolledUsers(home, asyncssh.read_private_key(home.path / "bench.key"))


def _git(*arguments: str) -> str:
    try:
        ended = subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise NoCommitError("there is no git") from None
    except subprocess.CalledProcessError as failed:
        raise NoCommitError(failed.stderr.strip()) from None
    return ended.stdout.strip()
