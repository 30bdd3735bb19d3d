"""The process that workers are forked from, driven as the supervisor drives it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from sshserver.workers.fork_server import ForkError, ForkServer

PATIENCE = 60
PROGRAM = """
import os, signal, socket, sys, threading, time
from sshserver.workers.fork_server import serve_forks

def work(pipe, memory):
    orders = pipe.makefile("rb", buffering=0)
    for order in orders:
        match order.decode().split():
            case ["end", status]:
                return int(status)
            case ["fail"]:
                raise ValueError
            case ["write"]:
                os.pwrite(memory, b"written", 0)
                pipe.sendall(b"done\\n")
            case ["stdin"]:
                pipe.sendall(repr(sys.stdin.read()).encode() + b"\\n")
            case ["files"]:
                pipe.sendall(b"%d\\n" % len(os.listdir("/proc/self/fd")))
    return 0

"""


@contextlib.contextmanager
def forking(more: str = "serve_forks(work)") -> Iterator[ForkServer]:
    forks = ForkServer([sys.executable, "-c", PROGRAM + more])
    try:
        yield forks
    finally:
        forks.close()


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create("test")
    yield descriptor
    os.close(descriptor)


async def asked(forked, order: bytes) -> bytes:
    forked.writer.write(order + b"\n")
    return await asyncio.wait_for(forked.reader.readline(), PATIENCE)


async def test_what_was_forked_works_and_its_exit_status_arrives(memory):
    with forking() as forks:
        first, second = [await forks.fork(memory) for _ in range(2)]
        assert await asked(first, b"write") == b"done\n"
        assert os.pread(memory, 7, 0) == b"written"
        assert await asked(first, b"stdin") == b"''\n"
        assert await asked(first, b"end 3") == b""
        assert await asyncio.wait_for(first.ended, PATIENCE) == 3
        assert await asked(second, b"fail") == b""
        assert await asyncio.wait_for(second.ended, PATIENCE) == 1


async def test_none_of_the_others_files_is_held_by_what_is_forked_later(memory):
    with forking() as forks:
        crowd = [await forks.fork(memory) for _ in range(5)]
        files = {await asked(forked, b"files") for forked in crowd}
        assert len(files) == 1


async def test_a_signal_ends_it_however_early_it_comes_and_one_that_has_ended_is_sent_none(memory):
    with forking() as forks:
        for _ in range(20):
            forked = await forks.fork(memory)
            forked.signal(signal.SIGTERM)
            assert await asyncio.wait_for(forked.ended, PATIENCE) == -signal.SIGTERM
            forked.signal(signal.SIGKILL)


async def test_without_its_fork_server_it_is_ended_and_another_fork_server_is_started(memory):
    with forking() as forks:
        forked = await forks.fork(memory)
        os.kill(forks._process.pid, signal.SIGKILL)
        assert await asyncio.wait_for(forked.ended, PATIENCE) is None
        assert await asyncio.wait_for(forked.reader.read(), PATIENCE) == b""
        forks._process.wait()
        another = await forks.fork(memory)
        assert await asked(another, b"write") == b"done\n"


async def test_a_process_with_several_threads_is_not_forked(memory):
    threaded = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); serve_forks(work)"
    with forking(threaded) as forks, pytest.raises(ForkError):
        await forks.fork(memory)


async def test_a_program_that_cannot_be_loaded_forks_nothing(memory):
    with forking("sys.exit(1)") as forks, pytest.raises(ForkError):
        await forks.fork(memory)


async def test_it_ends_with_whoever_started_it():
    with forking() as forks:
        forks._orders.close()
        assert await asyncio.to_thread(forks._process.wait, PATIENCE) == 0
