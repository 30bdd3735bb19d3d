"""Serving in this process: the store, app and SSH server of one worker."""

import asyncio
import gc
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial

# The rules import these on first use; loading them before the port opens keeps sessions from waiting.
import email_validator  # noqa: F401
import phonenumbers  # noqa: F401
import zxcvbn  # noqa: F401

from data.authserver.addresses import Addresses
from data.delivery.notices import sending
from data.operations.audit.changes import ChangeFeed
from data.operations.signin.admission import Session
from sshserver.algorithms import STRICT, Algorithms, AlgorithmsError
from sshserver.compat.asyncssh_shim import ShimError
from sshserver.limits.shared_counters import SharedCounters
from sshserver.selftest.app_check import AppTestError
from sshserver.selftest.signin_check import SelfTestError
from sshserver.server import Server
from sshserver.server import serve as serve_ssh
from sshserver.server_context import AppFactory
from sshserver.telemetry.connection_events import Telemetry
from sshserver.terminal.capabilities import Terminal
from sshserver.workers.heartbeat import WorkerIdentity
from sshserver.workers.port import PortError
from sshserver.workers.worker import READY, Assignment, WorkerPipe
from tui.app import TwofoldApp
from tui.cli import logging_setup
from tui.cli.commands.setup import load_host_key
from tui.cli.open_installation import Installation, installation, refuse, refuse_lost, system_clock
from tui.cli.over_ssh.runner import MemberCommands
from tui.cli.running import words_for
from tui.cli.serving.applications import answering_applications, limits_beside


async def serve_until_told(
    here: Installation,
    identity: WorkerIdentity,
    host: str,
    port: int,
    addresses: Addresses,
    *,
    telemetry: Telemetry,
    ready: Callable[[Server, Addresses], object],
    lifeline: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT, the end of `lifeline` or the loss of the database's file; then drain.

    `ready` is called once, when the self-test has passed and both servers are listening.

    Raises:
        PortError: when the server cannot listen on the address.
        ClickException: when the database's file was lost.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    asyncio.wrap_future(here.store.lost).add_done_callback(lambda _lost: stop.set())
    held = None if lifeline is None else asyncio.ensure_future(lifeline())
    if held is not None:
        held.add_done_callback(lambda _ended: stop.set())
    server = await _start(here, identity, host, port, addresses, telemetry)
    if here.settings.metrics_port:
        here.store.on_timing = telemetry.metrics.stored
        server.measure(telemetry.metrics)
    # The objects that a server starts with live until its end. Scanning them in every garbage
    # collection would delay every session.
    gc.collect()
    gc.freeze()
    async with sending(here.store, here.settings.carriers):
        draining = None
        try:
            async with answering_applications(here, identity, addresses, telemetry.metrics.refused) as served:
                ready(server, served)
                await stop.wait()
                draining = asyncio.ensure_future(server.drain())
        finally:
            await (draining or server.drain())
    if held is not None:
        held.cancel()
    refuse_lost(here)


async def _start(
    here: Installation,
    identity: WorkerIdentity,
    host: str,
    port: int,
    addresses: Addresses,
    telemetry: Telemetry,
) -> Server:
    try:
        return await serve_ssh(
            here.store,
            load_host_key(here.home),
            _app_factory(here),
            run_command=MemberCommands(here.store, here.settings.carriers).run,
            carriers=here.settings.carriers,
            host=host,
            port=port,
            limits=limits_beside(here, addresses.http),
            identity=identity,
            algorithms=STRICT if here.settings.strict_algorithms else Algorithms(),
            telemetry=telemetry,
        )
    except OSError as error:
        raise PortError(host, port, error) from None
    except SelfTestError as error:
        refuse(str(error))
    except (AlgorithmsError, AppTestError, ShimError) as error:
        refuse(f"The server cannot start: {error}.")


def _app_factory(here: Installation) -> AppFactory:
    changes = ChangeFeed(here.store)

    def make_app(session: Session, terminal: Terminal) -> TwofoldApp:
        return TwofoldApp(
            here.store,
            session=session,
            clock=system_clock,
            terminal=terminal,
            carriers=here.settings.carriers,
            changes=changes,
        )

    return make_app


def work(end: socket.socket, memory: int) -> int:
    """Serve as told by the supervisor at the other end of a pipe; return the exit status."""
    pipe = WorkerPipe(end)
    try:
        given = pipe.assignment()
        with installation(given.open_home(), f"{given.node}.{given.index}") as here:
            logging_setup.configure(here.settings.log_level, here.settings.log_format, worker=given.index + 1)
            asyncio.run(_serve(here, given, pipe, SharedCounters(memory, given.workers)))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the supervisor reports it.
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
        Addresses(here.settings.http.at(*given.http), (given.radius[0], given.radius[1])),
        telemetry=telemetry,
        ready=lambda _server, _served: pipe.report(READY),
        lifeline=partial(pipe.answer, telemetry.metrics.text),
    )
