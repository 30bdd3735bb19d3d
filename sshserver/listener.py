"""Listening sockets that hang up on a flood before any work is done for its connections."""

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from data.rules.source_addresses import source_of
from sshserver.limits.unauthenticated import Penalties

BACKLOG: Final = 1024
"""Connections that wait to be accepted; when it is full, a client retries after one to three seconds."""
TURN: Final = 32
"""Connections that are accepted before other work gets a turn."""
_HUNG_UP_ON_IN_A_TURN: Final = 256
_WITHOUT_A_GOODBYE: Final = struct.pack("ii", 1, 0)


class ConnectionRate:
    """Limits how many connections each source opens per second."""

    def __init__(
        self, most: int, least: int, penalties: Penalties, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow `most` to each source; each of its `penalties` halves that, but never below `least`."""
        self._most = most
        self._least = least
        self._penalties = penalties
        self._clock = clock
        self._second = 0
        self._opened: Counter[str] = Counter()

    def takes(self, address: str) -> bool:
        """Count a connection, and return whether it is allowed."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._opened.clear()
        source = source_of(address)
        self._opened[source] += 1
        return self._opened[source] <= max(self._least, self._most >> self._penalties.of(source))


class ListeningSocket(socket.socket):
    """Accepts the connections that `takes` allows, and hangs up on the others."""

    takes: Callable[[str], bool]
    most_open: int | None = None
    """How many connections may be open at a time, if that is limited here; a quarter of them per source."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: list[tuple[str, socket.socket]] = []

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Listen with a long queue, independent of how many are accepted at a time."""
        super().listen(max(backlog, BACKLOG))

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection that is allowed.

        Raises:
            BlockingIOError: when none waits, or when other work must get a turn.
        """
        for _ in range(_HUNG_UP_ON_IN_A_TURN):
            accepted, address = super().accept()
            if self.takes(str(address[0])) and self._has_room(str(address[0]), accepted):
                return accepted, address
            with contextlib.suppress(OSError):
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_A_GOODBYE)
            accepted.close()
        raise BlockingIOError

    def _has_room(self, address: str, accepted: socket.socket) -> bool:
        if self.most_open is None:
            return True
        source = source_of(address)
        self._open = [known for known in self._open if known[1].fileno() >= 0]
        of_source = sum(1 for known, _ in self._open if known == source)
        if len(self._open) >= self.most_open or of_source >= self.most_open // 4:
            return False
        self._open.append((source, accepted))
        return True


async def bind(
    host: str,
    port: int,
    takes: Callable[[str], bool],
    *,
    reuse_port: bool = False,
    most_open: int | None = None,
) -> list[ListeningSocket]:
    """Bind a socket for every address of `host`; an empty host means every interface.

    `reuse_port` lets other processes listen there too.

    Raises:
        OSError: when an address cannot be bound.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[ListeningSocket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = ListeningSocket(family, kind, protocol)
            sockets.append(listening)
            listening.takes = takes
            listening.most_open = most_open
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets
