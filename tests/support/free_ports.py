"""Ports for programs that must be told one."""

import secrets
import socket
from contextlib import suppress
from pathlib import Path

_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a free port of the loopback interface that the system gives to nobody by itself.

    One that it gives could be given to another test before the program takes it.
    """
    lowest = max(int(_GIVEN.read_text().split()[0]), 20_000)
    while True:
        port = 10_000 + secrets.randbelow(lowest - 10_000)
        with socket.socket(type=kind) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
