"""Sockets that hang up on a flood."""

import asyncio
import contextlib
import os
import resource
import socket

import pytest

from sshserver.limits.unauthenticated import Penalties
from sshserver.listener import ConnectionRate, bind


def test_rate_of_a_source():
    """Each source may open so many in a second, and again in the next."""
    now = [10.0]
    pace = ConnectionRate(2, 1, Penalties(60), clock=lambda: now[0])
    assert [pace.takes("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert pace.takes("192.0.2.2")
    now[0] = 10.9
    assert not pace.takes("192.0.2.1")
    now[0] = 11.0
    assert pace.takes("192.0.2.1")


def test_rate_of_a_source_that_made_room():
    """It opens fewer until its connections are forgotten."""
    now = [10.0]
    penalties = Penalties(60, clock=lambda: now[0])
    pace = ConnectionRate(200, 10, penalties, clock=lambda: now[0])

    def taken_in_a_second():
        now[0] += 1
        return sum(pace.takes("192.0.2.1") for _ in range(300))

    found = [taken_in_a_second()]
    for _ in range(6):
        penalties.add("192.0.2.1")
        found.append(taken_in_a_second())
    assert found == [200, 100, 50, 25, 12, 10, 10]
    assert sum(pace.takes("192.0.2.2") for _ in range(300)) == 200
    now[0] += 60
    assert taken_in_a_second() == 200


def test_addresses_of_one_network_are_one_source():
    pace = ConnectionRate(1, 1, Penalties(60), clock=lambda: 0.0)
    assert pace.takes("2001:db8:1:2::1")
    assert not pace.takes("2001:db8:1:2::2")
    assert pace.takes("192.0.2.1")
    assert not pace.takes("::ffff:192.0.2.1")


async def test_refused_connection_is_closed():
    """The next one is accepted."""
    judged = []

    def takes(address):
        judged.append(address)
        return len(judged) > 2

    (listening,) = await bind("127.0.0.1", 0, takes)
    listening.listen()
    address = listening.getsockname()
    clients = [socket.create_connection(address) for _ in range(3)]
    accepted, peer = listening.accept()
    assert peer == clients[2].getsockname()
    assert judged == ["127.0.0.1"] * 3
    for client in clients[:2]:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(BlockingIOError):
        listening.accept()
    for one in (*clients, accepted, listening):
        one.close()


class Served(asyncio.Protocol):
    """Says that a connection was accepted."""

    def __init__(self, served):
        self.connection_made = lambda _transport: served.set()


@contextlib.contextmanager
def no_file_left():
    """Let this process open no file more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_file_left():
    """A connection waits until there is one again."""
    loop, served = asyncio.get_running_loop(), asyncio.Event()
    failures = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    (listening,) = await bind("127.0.0.1", 0, lambda _address: True)
    client = socket.socket()
    client.setblocking(False)
    server = await loop.create_server(lambda: Served(served), sock=listening)
    with no_file_left():
        await loop.sock_connect(client, listening.getsockname())
        while not failures:
            await asyncio.sleep(0.01)
        assert isinstance(failures[0], OSError)
    await asyncio.wait_for(served.wait(), 20)
    client.close()
    server.close()


async def test_a_name_is_listened_on_at_every_address_it_has(monkeypatch):
    async def both(*_arguments, **_options):
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET, kind, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, kind, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, kind, 6, "", ("127.0.0.2", 0)),
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    sockets = await bind("both.example", 0, lambda _address: True)
    assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1", "127.0.0.2"]
    for one in sockets:
        one.close()


async def test_an_address_in_use_leaves_no_socket_behind():
    (first,) = await bind("127.0.0.1", 0, lambda _address: True)
    first.listen()
    with pytest.raises(OSError, match="in use"):
        await bind("127.0.0.1", first.getsockname()[1], lambda _address: True)
    first.close()
