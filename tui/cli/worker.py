"""The workers of a node: `python -m tui.cli.worker`, started by `twofold serve` and by nobody else."""

import asyncio
import os
import socket
from functools import partial

from sshserver.limits.shared_counters import SharedCounters
from sshserver.telemetry.connection_events import Telemetry
from sshserver.workers.fork_server import serve_forks
from sshserver.workers.heartbeat import WorkerIdentity
from sshserver.workers.worker import READY, Assignment, WorkerPipe
from tui.cli import logging_setup
from tui.cli.main import words_for
from tui.cli.open_installation import Installation, installation
from tui.cli.serving import serve_until_told


def work(end: socket.socket, memory: int) -> int:
    """Serve as the supervisor at the other end of a pipe says, and report to it; return the exit status."""
    pipe = WorkerPipe(end)
    try:
        given = pipe.assignment()
        with installation(given.open_home(), f"{given.node}.{given.index}") as here:
            logging_setup.configure(here.settings.log_level, here.settings.log_format, worker=given.index + 1)
            asyncio.run(_serve(here, given, pipe, SharedCounters(memory, given.workers)))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the supervisor says it.
        pipe.report({"failed": words_for(error)})
        return 1
    return 0


async def _serve(
    here: Installation, given: Assignment, pipe: WorkerPipe, shared_counters: SharedCounters
) -> None:
    telemetry = Telemetry()
    await serve_until_told(
        here,
        WorkerIdentity(given.worker, given.node, given.index, shared_counters),
        given.host,
        given.port,
        telemetry=telemetry,
        ready=lambda _server: pipe.report(READY),
        lifeline=partial(pipe.answer, telemetry.metrics.text),
    )


if __name__ == "__main__":
    os.umask(0o077)
    serve_forks(work)
