"""Commands in processes of their own that begin with everything imported: their start is not the subject."""

import io
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tui.cli.main",
        *(f"tui.cli.commands.{name}" for name in ("setup", "user", "user_changes", "policy", "audit")),
        "sshserver.hostkey",
    ]
)


def run_twofold(arguments: Sequence[str | Path], given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `twofold` in a process of its own with something on its standard input, and return how it ended."""
    words = [str(word) for word in arguments]
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write(given.encode())
        stdin.seek(0)
        process = _context.Process(target=_Command(words, (stdin, stdout, stderr)), daemon=True)
        process.start()
        process.join(60)
        assert process.exitcode is not None, words
        said = []
        for stream in (stdout, stderr):
            stream.seek(0)
            said.append(stream.read().decode())
        return subprocess.CompletedProcess(words, process.exitcode, *said)


class _Command:
    """What such a process runs, with its standard streams."""

    def __init__(self, words: list[str], streams: Sequence[Any]) -> None:
        self._words, self._streams, self._environment = words, streams, dict(os.environ)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_streams": [DupFd(stream.fileno()) for stream in self._streams]}

    def __call__(self) -> None:
        from tui.cli import main  # noqa: PLC0415 - imported already, and only there.

        for number, stream in enumerate(self._streams):
            os.dup2(stream.detach(), number)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
        os.environ.clear()
        os.environ.update(self._environment)
        sys.argv = ["twofold", *self._words]
        main()
