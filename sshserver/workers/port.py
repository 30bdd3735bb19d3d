"""The port: holding it for workers that come and go, and errors in getting it."""

import errno
import socket

from data.errors import ExplainedError
from data.rules.safe_text import safe


class PortError(ExplainedError):
    """The server cannot listen on an address."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE:
            super().__init__(f"Port {port} is in use on {safe(host)}.")
        else:
            super().__init__(f"Cannot listen on {safe(host)}:{port}: {error.strerror}.")


def hold_port(host: str, port: int) -> list[socket.socket]:
    """Bind every address of `host` to one port that workers of this supervisor share; 0 picks a free one.

    Raises:
        PortError: when it is in use, by this program or another.
    """
    try:
        return _hold(host, port)
    except OSError as error:
        raise PortError(host, port, error) from None


def _hold(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address[:2]) for family, _, _, _, address in found))
    held: list[socket.socket] = []
    try:
        for family, address in addresses:
            where = (str(address[0]), port)
            with _bound(family, where, shared=False) as alone:
                # A shared socket would join any other shared one; this fails if anyone listens there.
                alone.listen()
                port = int(alone.getsockname()[1])
            held.append(_bound(family, (where[0], port), shared=True))
    except OSError:
        for known in held:
            known.close()
        raise
    return held


def _bound(family: socket.AddressFamily, where: tuple[str, int], *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
    except OSError:
        made.close()
        raise
    return made
