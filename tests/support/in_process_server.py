"""Serving an installation from the tests' own process, by a clock that is ahead of the system's."""

import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from data.delivery.notices import sending
from data.operations.maintenance import installation_state
from data.operations.signin import worker_sessions
from data.operations.signin.admission import Session
from data.storage.home import Home
from data.store import Store
from sshserver.server import Server, serve
from sshserver.terminal.capabilities import Terminal
from sshserver.workers.heartbeat import WorkerIdentity
from tui.app import TwofoldApp
from tui.cli.commands.setup import load_host_key
from tui.cli.open_installation import opened, system_clock


class _Into(logging.Handler):
    """Writes what is logged into bytes."""

    def __init__(self, log: bytearray) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log += self.format(record).encode() + b"\n"


@contextmanager
def logging_into(log: bytearray) -> Iterator[None]:
    """Have `log` take all there is to log."""
    handler, logger = _Into(log), logging.getLogger("twofold")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


@asynccontextmanager
async def serving_ahead(folder: Path, by: timedelta, log: bytearray) -> AsyncIterator[Server]:
    """Serve the home in `folder` as `twofold serve` does, but for the clock."""

    def clock() -> datetime:
        return system_clock() + by

    home = Home(folder)
    with logging_into(log), home.serving() as node, opened(home, node) as found:
        carriers = found.settings.carriers
        found.store.rest()
        store = Store(found.database, replace(found.store.services, clock=clock))
        store.recognise = installation_state.fault_of

        def make_app(session: Session, terminal: Terminal) -> TwofoldApp:
            return TwofoldApp(store, session=session, clock=clock, terminal=terminal, carriers=carriers)

        await store.run(worker_sessions.take_node, node)
        server = await serve(
            store,
            load_host_key(home),
            make_app,
            carriers=carriers,
            limits=found.settings.limits,
            identity=WorkerIdentity(secrets.token_hex(8), node),
        )
        try:
            async with sending(store, carriers):
                yield server
        finally:
            await server.drain()
            store.close()
