"""The port for RADIUS: one process of a node owns it, and another takes it when that one is gone."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from data.authserver.radius_packets import MOST_BYTES
from data.authserver.radius_server import READ_SECONDS, RadiusServer
from data.authserver.verification import Verifier
from data.periodic import Report, periodically
from data.store import Store, StoreUnavailableError

_TURN: Final = 32
"""Packets that are taken before other work gets a turn."""
_WAITING_BYTES: Final = 1_048_576
"""Packets that wait to be taken; what the system allows of it."""
TAKEOVER_SECONDS: Final = 0.5
"""How often it is looked whether the port is free."""


@contextlib.asynccontextmanager
async def serving_radius(
    store: Store,
    verifier: Verifier,
    host: str,
    port: int,
    count: Callable[[str], object],
    report: Report,
    *,
    shared: bool,
    drain_seconds: float,
) -> AsyncIterator[int]:
    """Answer applications by RADIUS while this lasts, then answer what is being judged; yield the port.

    If it is `shared`, another process may own the port; this one then waits until that one is gone.

    Raises:
        OSError: when the port cannot be had.
    """
    server = RadiusServer(store, verifier, count, report)
    sockets: list[socket.socket] = []
    try:
        sockets += bind(host, port)
        port = int(sockets[0].getsockname()[1])
    except OSError as error:
        if not shared or error.errno != errno.EADDRINUSE:
            raise

    async def own() -> None:
        while not sockets:
            await asyncio.sleep(TAKEOVER_SECONDS)
            with contextlib.suppress(OSError):
                sockets.extend(bind(host, port))
        for each in sockets:
            asyncio.get_running_loop().add_reader(each, _take_turn, each, server)
        await periodically(server.read_clients, READ_SECONDS, "Reading the RADIUS clients", report)

    if sockets:
        with contextlib.suppress(StoreUnavailableError):
            await server.read_clients()
    owning = asyncio.create_task(own(), name="RADIUS")
    try:
        yield port
    finally:
        owning.cancel()
        for each in sockets:
            asyncio.get_running_loop().remove_reader(each)
        await server.drain(drain_seconds)
        for each in sockets:
            each.close()


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of `host` to one port, which nobody else may have; 0 picks a free one.

    Raises:
        OSError: when it cannot be bound.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as closing:
        sockets = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            made = closing.enter_context(socket.socket(family, kind, protocol))
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_BYTES)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address[0], port, *address[2:]))
            port = int(made.getsockname()[1])
            sockets.append(made)
        closing.pop_all()
    return sockets


def _take_turn(listening: socket.socket, server: RadiusServer) -> None:
    for _ in range(_TURN):
        try:
            data, address = listening.recvfrom(MOST_BYTES + 1)
        except OSError:  # None waits, or a client has refused an earlier answer.
            return
        server.receive(data, address, partial(_send, listening, address))


def _send(listening: socket.socket, address: object, reply: bytes) -> None:
    with contextlib.suppress(OSError):  # It is lost as any packet may be; the client asks again.
        listening.sendto(reply, address)  # type: ignore[call-overload] # what recvfrom returned.
