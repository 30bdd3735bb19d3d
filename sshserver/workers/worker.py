"""The messages between a worker and its supervisor."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from data.storage.home import Home

READY: Final[Mapping[str, object]] = {"ready": True}
"""The report of a worker that serves; otherwise it is `{"failed": REASON}`."""
_REPORT_SECONDS: Final = 10.0
"""How long a supervisor may take to read a report."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker gets when it starts; `worker` is its name, and `index` its place among `workers`."""

    home: str
    master_key: str
    """The master key file, or nothing if it is in the home."""
    host: str
    port: int
    node: str
    workers: int
    http: tuple[str, int] = ("", 0)
    """Where other applications ask over HTTP; nowhere, if there is no host."""
    radius: tuple[str, int] = ("", 0)
    """Where they ask by RADIUS; one worker has the port."""
    worker: str = ""
    index: int = 0

    def open_home(self) -> Home:
        """Return the home to serve."""
        return Home(Path(self.home), Path(self.master_key) if self.master_key else None)

    def line(self) -> bytes:
        """Return this in the form that the supervisor sends."""
        return json.dumps(asdict(self)).encode() + b"\n"


class WorkerPipe:
    """The worker's end of its pipe to the supervisor, which closes when the supervisor ends."""

    def __init__(self, end: socket.socket) -> None:
        """Use a connected socket, which the caller still owns."""
        self._end = end

    def assignment(self) -> Assignment:
        """Wait for this worker's assignment, which is the first message."""
        with self._end.makefile("rb", buffering=0) as lines:
            return Assignment(**json.loads(lines.readline()))

    def report(self, report: Mapping[str, object]) -> None:
        """Send a report.

        Raises:
            OSError: when the supervisor is gone, or does not read.
        """
        self._end.settimeout(_REPORT_SECONDS)
        self._end.sendall(json.dumps(report).encode() + b"\n")

    async def answer(self, measure: Callable[[], str]) -> None:
        """Answer each question of the supervisor with `measure()`, until the supervisor is gone."""
        reader, writer = await asyncio.open_connection(sock=self._end.dup())
        while question := await reader.readline():
            report = {"asked": int(question), "metrics": measure()}
            writer.write(json.dumps(report).encode() + b"\n")
        writer.close()
