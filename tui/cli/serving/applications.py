"""Answering other applications in this process: over HTTP, by RADIUS, and on the host through a socket."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from data.authserver import verify_socket
from data.authserver.addresses import Addresses, RadiusPortError
from data.authserver.certificate import Certificate
from data.authserver.http_settings import HttpSettings, HttpSettingsError
from data.authserver.verification import Verifier
from sshserver.limits.limit_values import Limits
from sshserver.limits.unauthenticated import Penalties
from sshserver.listener import ConnectionRate, ListeningSocket, bind
from sshserver.telemetry import crash_reports
from sshserver.workers.heartbeat import WorkerIdentity
from sshserver.workers.port import PortError
from tui.cli.command_groups import load
from tui.cli.open_installation import Installation

_CONNECTIONS: Final = 256
"""Connections over HTTP that one process has open at a time."""


def limits_beside(here: Installation, http: HttpSettings) -> Limits:
    """Return the limits of the SSH server beside HTTP, which has open files of its own."""
    limits = here.settings.limits
    kept = limits.descriptors_kept_back + (_CONNECTIONS if http.host else 0)
    return replace(limits, descriptors_kept_back=kept)


@contextlib.asynccontextmanager
async def answering_applications(
    here: Installation, identity: WorkerIdentity, addresses: Addresses, count: Callable[[str], object]
) -> AsyncIterator[Addresses]:
    """Answer applications while this lasts; yield where, with the ports that were picked.

    Every worker of a node answers over HTTP. One of them serves the socket; when it dies, the one that
    takes its place does. One owns the port of RADIUS; when it dies, another takes it. `count` is called with
    why a packet was not answered.

    Raises:
        ExplainedError: when HTTP or RADIUS cannot be served; it says what to do.
    """
    http, radius = addresses.http, addresses.radius
    shared = identity.shared_counters is not None
    verifier = Verifier(here.store, here.settings.carriers)
    async with contextlib.AsyncExitStack() as serving:
        if http.host:
            sockets = await _bind(here, http, shared=shared)
            http = http.at(http.host, int(sockets[0].getsockname()[1]))
            serve_http = load("data.authserver.http_server:serving_http")
            tls = Certificate(http.certificate, http.key) if http.certificate and http.key else None
            drain = here.settings.limits.drain_seconds
            await serving.enter_async_context(
                serve_http(
                    here.store, verifier, http, sockets, tls, crash_reports.report, drain_seconds=drain
                )
            )
        if identity.index == 0:
            await serving.enter_async_context(
                verify_socket.serving(here.store, verifier, here.home.path, crash_reports.report)
            )
        if radius[0]:
            serve_radius = load("data.authserver.radius_listener:serving_radius")
            drain = here.settings.limits.drain_seconds
            report = crash_reports.report
            listening = serve_radius(
                here.store, verifier, *radius, count, report, shared=shared, drain_seconds=drain
            )
            try:
                radius = radius[0], await serving.enter_async_context(listening)
            except OSError as error:
                raise RadiusPortError(*radius, error) from None
        yield Addresses(http, radius)


async def _bind(here: Installation, http: HttpSettings, *, shared: bool) -> list[ListeningSocket]:
    most = here.settings.limits.connections_per_second
    takes = ConnectionRate(most, most, Penalties(0)).takes
    try:
        return await bind(http.host, http.port, takes, reuse_port=shared, most_open=_CONNECTIONS)
    except OSError as error:
        reason = PortError(http.host, http.port, error)
        raise HttpSettingsError(f"{reason} Choose another address for HTTP with --http.") from None
