"""What a worker hears from its supervisor, and what it reports."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from data.storage.home import Home

READY: Final[Mapping[str, object]] = {"ready": True}
"""What a worker reports once it serves; otherwise `{"failed": WHY}`."""
_REPORT_SECONDS: Final = 10.0
"""How long a supervisor may take to read a report."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is told when it starts; `worker` names it, and it is the one at `index` of so many."""

    home: str
    master_key: str
    """The file of the master key, or nothing where it is in the home."""
    host: str
    port: int
    node: str
    workers: int
    worker: str = ""
    index: int = 0

    def open_home(self) -> Home:
        """Return the home that is to be served."""
        return Home(Path(self.home), Path(self.master_key) if self.master_key else None)

    def line(self) -> bytes:
        """Write this as the supervisor sends it."""
        return json.dumps(asdict(self)).encode() + b"\n"


class WorkerPipe:
    """The worker's end of its pipe to the supervisor, which lives as long as that does."""

    def __init__(self, end: socket.socket) -> None:
        """Use a connected socket, which stays the caller's."""
        self._end = end

    def assignment(self) -> Assignment:
        """Wait for what this worker must do; nothing else has been sent by then."""
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
        """Answer each question of the supervisor with what `measure` gives, until the supervisor is gone."""
        reader, writer = await asyncio.open_connection(sock=self._end.dup())
        while question := await reader.readline():
            report = {"asked": int(question), "metrics": measure()}
            writer.write(json.dumps(report).encode() + b"\n")
        writer.close()
