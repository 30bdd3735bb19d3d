"""One worker of several: `python -m tui.cli.worker`, started by the supervisor and by nobody else."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping

from sshserver.limits.shared_counters import SharedCounters
from sshserver.telemetry.connection_events import Telemetry
from sshserver.workers.heartbeat import WorkerIdentity
from tui.cli import logging_setup
from tui.cli.main import words_for
from tui.cli.open_installation import Installation, installation
from tui.cli.serving import serve_until_told
from tui.cli.supervisor import READY, Assignment


def main() -> None:
    """Serve by the assignment on standard input, report on standard output."""
    os.umask(0o077)
    reports = os.dup(1)
    os.dup2(2, 1)  # Whatever else is written to standard output is no report.
    try:
        given = Assignment(**json.loads(sys.stdin.buffer.readline()))
        with installation(given.open_home(), f"{given.node}.{given.index}") as here:
            logging_setup.configure(here.settings.log_level, here.settings.log_format, worker=given.index + 1)
            asyncio.run(_serve(here, given, reports))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the supervisor says it.
        _report(reports, {"failed": words_for(error)})
        sys.exit(1)


async def _serve(here: Installation, given: Assignment, reports: int) -> None:
    identity = WorkerIdentity(
        given.worker, given.node, given.index, SharedCounters(given.shared_counters, given.workers)
    )
    telemetry = Telemetry()

    async def answer_supervisor() -> None:
        """Answer until standard input ends: then the supervisor is gone."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        while question := await reader.readline():
            _report(reports, {"asked": int(question), "metrics": telemetry.metrics.text()})

    await serve_until_told(
        here,
        identity,
        given.host,
        given.port,
        telemetry=telemetry,
        ready=lambda _server: _report(reports, READY),
        lifeline=answer_supervisor,
    )


def _report(descriptor: int, report: Mapping[str, object]) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as pipe:
        pipe.write(json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main()
