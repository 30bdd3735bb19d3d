"""The supervisor's own rules: how long it waits, and how it holds a port."""

import socket

import pytest

from sshserver.workers.port import PortError, hold_port
from sshserver.workers.supervisor import delay_before_restart


def test_restart_delays():
    """The first failure restarts at once, a row of them ever more slowly."""
    delays = [delay_before_restart(failures) for failures in range(1, 12)]
    assert delays[:4] == [0.0, 0.5, 1.0, 2.0]
    assert delays == sorted(delays)
    assert delays[-1] == delay_before_restart(10_000) == 30.0


def test_held_port():
    """It is shared with those who share and nobody else."""
    (held,) = hold_port("127.0.0.1", 0)
    where = held.getsockname()
    with held, socket.socket() as worker, socket.socket() as stranger:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(where)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(where)
        worker.listen()
        socket.create_connection(where).close()
        with pytest.raises(OSError, match="in use"):
            stranger.bind(where)


def test_a_port_that_others_share_already_is_taken():
    (held,) = hold_port("127.0.0.1", 0)
    with held, socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(held.getsockname())
        worker.listen()
        with pytest.raises(PortError, match="in use"):
            hold_port("127.0.0.1", held.getsockname()[1])


def test_every_address_of_a_name_gets_the_same_port(monkeypatch):
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: both)
    first, second = hold_port("localhost", 0)
    with first, second:
        assert first.getsockname()[1] == second.getsockname()[1]
        assert (first.getsockname()[0], second.getsockname()[0]) == ("127.0.0.1", "127.0.0.2")
