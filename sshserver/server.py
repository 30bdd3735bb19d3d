"""The SSH server: how it starts, and how it stops without cutting anyone off."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final

import asyncssh
from asyncssh.public_key import SSHKey

from data.delivery.carriers import Carriers
from data.operations.certificates import cleanup
from data.operations.maintenance import clock_jumps, kept_counts
from data.operations.policy import deadline_reminders
from data.operations.signin import dummy_hashes, worker_sessions
from data.operations.users import import_staging
from data.periodic import periodically
from data.rules.protocol_misuse import Misuse
from data.store import Store
from sshserver.algorithms import Algorithms
from sshserver.auth_backend import AuthBackend, StoreBackend
from sshserver.background import clock_watch
from sshserver.background.check_up import CHECK_UP_SECONDS, check_up
from sshserver.background.jump_reaper import NOTE_SECONDS, close_left_behind, end_ended_jumps, note_carried
from sshserver.background.session_reaper import EVERY_SECONDS, end_ended_sessions
from sshserver.compat import asyncssh_gcm, asyncssh_kex, asyncssh_logging, asyncssh_saslprep, asyncssh_shim
from sshserver.limits.limit_values import Limits
from sshserver.limits.shared_counters import SharedCounters
from sshserver.listener import TURN, bind
from sshserver.selftest import app_check, signin_check
from sshserver.server_context import AppFactory, CommandRunner, ServerContext
from sshserver.signin.connection import Connection
from sshserver.telemetry import crash_reports
from sshserver.telemetry.connection_events import Telemetry
from sshserver.telemetry.metrics import Metrics
from sshserver.workers.heartbeat import WorkerIdentity, keep_present

_log = logging.getLogger("twofold.ssh")
_USUAL: Final = Algorithms()
_RECEIVE_WINDOW: Final = 65536
_CLEANUP_SECONDS: Final = 60.0
"""How often interrupted imports are looked for."""
_FORGETTING_SECONDS: Final = 86_400.0
_NOTING_SECONDS: Final = 60.0
"""How often the counts of days that are over for long are removed."""
_LEAVING_SECONDS: Final = 1.0
_ENDING_SECONDS: Final = 1.0
"""How long an app may take to end when its session was ended. Together with the database query before it and
the client's own time after it, this stays below five seconds."""
_CUTTING_OFF_SECONDS: Final = 0.5
_SHUTTING_DOWN: Final = "The server is shutting down."


class Server:
    """A listening server."""

    def __init__(self, acceptors: list[asyncssh.SSHAcceptor], context: ServerContext[Connection]) -> None:
        """Represent what `serve` started."""
        self._acceptors = acceptors
        self._context = context
        self._closed = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._leave: Callable[[], Awaitable[object]] | None = None

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self.addresses[0][1]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Every address and port that the server listens on."""
        found = (address for acceptor in self._acceptors for address in acceptor.get_addresses())
        return [(str(address[0]), int(address[1])) for address in found]

    @property
    def connection_count(self) -> int:
        """The number of connections, signed in or not."""
        return len(self._context.connections)

    @property
    def session_count(self) -> int:
        """The number of channels."""
        return sum(len(connection.channels.sessions) for connection in self._context.connections)

    @property
    def misuses(self) -> dict[Misuse, int]:
        """How often each kind of misuse was refused so far."""
        return dict(self._context.misuses)

    def session_ids(self) -> set[int]:
        """Return the numbers of the sessions of all admitted connections."""
        return {known.session_id for known in self._context.connections if known.session_id is not None}

    def follow(self, store: Store, every: float) -> None:
        """End sessions that are over in `store`, finish imports and check up, again and again."""
        now = store.services.clock
        there = partial(store.read, clock_jumps.database_clock)
        jumps = clock_watch.ClockWatch(now)
        self._repeat(partial(end_ended_sessions, self, store, set()), every, "Looking for ended sessions")
        self._repeat(partial(end_ended_jumps, self, store), every, "Looking for jumps to end")
        self._repeat(partial(note_carried, self, store), NOTE_SECONDS, "Counting the bytes of jumps")
        self._repeat(partial(close_left_behind, store), _CLEANUP_SECONDS, "Closing jumps of dead servers")
        self._repeat(partial(import_staging.clean_up_all, store), _CLEANUP_SECONDS, "Finishing imports")
        self._repeat(partial(check_up, store), CHECK_UP_SECONDS, "Checking up")
        self._repeat(
            partial(store.run, kept_counts.forget_old_days), _FORGETTING_SECONDS, "Removing old counts"
        )
        self._repeat(
            partial(store.run, cleanup.forget_ended), _FORGETTING_SECONDS, "Removing ended certificates"
        )
        self._repeat(partial(store.run, deadline_reminders.note_time), _NOTING_SECONDS, "Noting the time")
        self._repeat(jumps.look, clock_watch.WATCH_SECONDS, "Watching the clock")
        self._repeat(
            partial(clock_watch.compare, now, there), clock_watch.COMPARE_SECONDS, "Comparing clocks"
        )

    def stay_present(self, store: Store, identity: WorkerIdentity) -> None:
        """Register in `store` as the worker `identity` until the server is drained."""
        self._run_beside(keep_present(store, identity), "Heartbeat")
        self._leave = lambda: store.run(worker_sessions.leave, identity.worker)

    def measure(self, metrics: Metrics) -> None:
        """Measure the event loop's lag from now on."""
        self._run_beside(metrics.measure_lag(), "Measuring the lag")

    def end_sessions(self, session_ids: Iterable[int], reason: str) -> int:
        """End these sessions and show their users the reason; return how many were here."""
        wanted = set(session_ids)
        found = [known for known in self._context.connections if known.session_id in wanted]
        for connection in found:
            self._context.start(self._end(connection, reason, _ENDING_SECONDS))
        return len(found)

    def jump_ids(self) -> set[int]:
        """Return the numbers of all open jumps."""
        return {
            number
            for known in self._context.connections
            for number in known.channels.forwarding.jumps.values()
        }

    def end_jumps(self, reasons: Mapping[int, str]) -> None:
        """End these jumps, each for its reason."""
        for connection in tuple(self._context.connections):
            for jump_id in reasons.keys() & set(connection.channels.forwarding.jumps.values()):
                connection.channels.forwarding.close(jump_id, reasons[jump_id])

    def carried(self) -> dict[int, tuple[int, int]]:
        """Return what those jumps have carried that carried anything since this was last called."""
        found: dict[int, tuple[int, int]] = {}
        for connection in self._context.connections:
            found |= connection.channels.forwarding.carried()
        return found

    async def drain(self, reason: str = _SHUTTING_DOWN) -> None:
        """Stop: close the port, warn and close the sessions, and wait until everything is recorded."""
        for acceptor in self._acceptors:
            acceptor.close()
        for task in self._background:
            task.cancel()
        self._context.closing.set()
        seconds = self._context.limits.drain_seconds
        ends = [self._end(connection, reason, seconds) for connection in tuple(self._context.connections)]
        await asyncio.gather(*ends)
        for _ in range(2):  # Closing connections leave work behind: recording the end of their sessions.
            await asyncio.sleep(0)
            if self._context.work:
                await asyncio.wait(self._context.work, timeout=self._context.limits.drain_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._context.limits.drain_seconds):
                for acceptor in self._acceptors:
                    await acceptor.wait_closed()
        await self._disappear()
        self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until `drain` has ended."""
        await self._closed.wait()

    def _repeat(self, act: Callable[[], Awaitable[object]], every: float, what: str) -> None:
        self._run_beside(periodically(act, every, what, crash_reports.report), what)

    def _run_beside(self, work: Coroutine[Any, Any, None], what: str) -> None:
        self._background.append(asyncio.get_running_loop().create_task(work, name=what))

    async def _disappear(self) -> None:
        if self._leave is None:
            return
        try:
            await self._leave()
        except Exception as error:  # noqa: BLE001 - the lease ends what does not end here.
            crash_reports.report(error, "Leaving")

    async def _end(self, connection: Connection, reason: str, seconds: float) -> None:
        """Close a connection; apps and clients that do not read get `seconds` to end."""
        gone = connection.transport.gone
        connection.channels.forwarding.end(reason)
        tasks = [session.task for session in connection.channels.sessions if session.task is not None]
        for session in tuple(connection.channels.sessions):
            session.end(reason)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
            # Most clients leave with their last channel; if cut off, they would report an error.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), _LEAVING_SECONDS)
        connection.transport.disconnect(reason)
        try:
            await asyncio.wait_for(gone.wait(), _CUTTING_OFF_SECONDS)
        except TimeoutError:
            connection.transport.abort()
            await gone.wait()


async def serve(
    store: Store,
    host_key: SSHKey,
    make_app: AppFactory,
    *,
    run_command: CommandRunner | None = None,
    carriers: Carriers | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: Limits | None = None,
    reap_seconds: float = EVERY_SECONDS,
    identity: WorkerIdentity | None = None,
    algorithms: Algorithms = _USUAL,
    telemetry: Telemetry | None = None,
) -> Server:
    """Start serving `make_app`'s app to users of `store`, behind both factors, and running their commands.

    `carriers` send the codes that no app generates. Sessions that have ended in the store are closed shortly
    after `reap_seconds`. `port` 0 picks a free one. `identity` says which worker this is; workers of one node
    share the port. `telemetry` records connections. When this returns, the self-test has passed.

    Raises:
        AlgorithmsError: when the algorithms are not available here.
        AppTestError: when an app in a session does not behave as it must.
        OSError: when the server cannot listen on the address.
        SelfTestError: when a first factor alone would open a channel, or both would not.
        ShimError: when the installed asyncssh is not the version that this was written for.
        StoreUnavailableError: when the worker cannot register itself.
    """
    crash_reports.contain_loop_errors(asyncio.get_running_loop())
    await _all_of(
        app_check.run(),
        signin_check.run(partial(listen, algorithms=algorithms)),
        _look_at(store),
    )
    backend = StoreBackend(store, carriers, identity.worker if identity else None)
    shared_counters = (
        (identity.shared_counters, identity.index) if identity and identity.shared_counters else None
    )
    if identity is not None:
        # Sessions of an unregistered worker would be taken for abandoned ones.
        await store.run(worker_sessions.beat, identity.worker, identity.node)
    try:
        server = await listen(
            backend,
            host_key,
            make_app,
            host,
            port,
            limits or Limits(),
            shared_counters,
            algorithms,
            telemetry or Telemetry(),
            run_command,
            store,
        )
    except BaseException:
        if identity is not None:
            await store.run(worker_sessions.leave, identity.worker)
        raise
    server.follow(store, reap_seconds)
    if identity is not None:
        server.stay_present(store, identity)
    return server


async def _all_of(*tests: Coroutine[Any, Any, None]) -> None:
    """Run these concurrently until all have ended; one that fails ends the others."""
    tasks = [asyncio.ensure_future(test) for test in tests]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _look_at(store: Store) -> None:
    """Read what must be known about the database before anyone signs in."""
    clock_watch.warn_of_newer(await store.read(clock_jumps.newest_entry), store.services.clock())
    await store.read(dummy_hashes.count_costs)


async def listen(
    backend: AuthBackend,
    host_key: SSHKey,
    make_app: AppFactory,
    host: str,
    port: int,
    limits: Limits,
    shared_counters: tuple[SharedCounters, int] | None = None,
    algorithms: Algorithms = _USUAL,
    telemetry: Telemetry | None = None,
    run_command: CommandRunner | None = None,
    store: Store | None = None,
) -> Server:
    """Start listening, without the self-test; with `shared_counters`, as one of several workers of a port.

    Without `telemetry`, connections are not recorded; without `store`, which holds the targets, there are no
    jumps.

    Raises:
        AlgorithmsError: when the algorithms are not available here.
        OSError: when the server cannot listen on the address.
        ShimError: when the installed asyncssh is not the version that this was written for.
    """
    # Below WARNING asyncssh logs user names; at its debug levels, even passwords.
    asyncssh.set_log_level(logging.WARNING)
    asyncssh.set_debug_level(1)
    asyncssh_shim.check()
    asyncssh_kex.install()
    asyncssh_gcm.install()
    asyncssh_logging.install()
    asyncssh_saslprep.install()
    context: ServerContext[Connection] = ServerContext(
        backend, make_app, limits, run_command, shared_counters, telemetry or Telemetry(silent=True), store
    )
    options = _options(host_key, limits, algorithms)
    acceptors = [
        await asyncssh.create_server(lambda: Connection(context), sock=listening, backlog=TURN, **options)
        for listening in await bind(
            host, port, context.takes_connection, reuse_port=shared_counters is not None
        )
    ]
    return Server(acceptors, context)


def _options(host_key: SSHKey, limits: Limits, algorithms: Algorithms) -> dict[str, Any]:
    return {
        "server_host_keys": [host_key],
        "server_version": "Twofold",
        **algorithms.options(),
        "public_key_auth": True,
        "kbdint_auth": True,
        "password_auth": False,
        "host_based_auth": False,
        "gss_host": None,
        "gss_kex": False,
        "gss_auth": False,
        "x509_trusted_certs": None,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "allow_scp": False,
        "sftp_factory": None,
        "allow_pty": True,
        "line_editor": False,
        "encoding": None,
        "window": _RECEIVE_WINDOW,
        # Sign-in has its own deadline for each factor.
        "login_timeout": 0,
        "keepalive_interval": limits.keepalive_seconds,
        # asyncssh gives up on a client one interval after the last of these went unanswered.
        "keepalive_count_max": limits.keepalive_count - 1,
    }
