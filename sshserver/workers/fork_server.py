"""The process that the workers of a node are forked from, after it has loaded the whole program.

It opens nothing and has one thread, so that a fork inherits neither a lock nor a connection (fork(2)). It
must be a separate process, because the supervisor has an event loop, threads and a database.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

_LONGEST_LINE: Final = 1 << 20
_HANDLED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_DESCRIPTORS: Final = 3
"""What comes with an order: the worker's end of its pipe, the socket that reports its process ID and exit
status, and the shared memory."""


class ForkError(Exception):
    """A process could not be forked."""


class Forked:
    """A forked process, as the supervisor sees it."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Represent the process at the other end of `reader` and `writer`."""
        self.pid = pid
        self.reader = reader
        self.writer = writer
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """Its exit status; None if it is unknown how it ended."""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ForkServer:
    """Starts the fork server and makes it fork; restarts one that was killed."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start `command`, which must call `serve_forks`; it loads while the caller continues."""
        self._command = command
        self._watches: set[asyncio.Task[None]] = set()
        self._start()

    def _start(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            # Ctrl-C must reach only the supervisor, which then ends the workers.
            self._process = subprocess.Popen(self._command, stdin=theirs.fileno(), process_group=0)  # noqa: S603 - ours.

    async def fork(self, memory: int) -> Forked:
        """Fork a process that shares the memory behind the descriptor `memory`.

        Raises:
            ForkError: when that fails.
        """
        if self._process.poll() is not None:
            self.close()
            self._start()
        ours, worker = socket.socketpair()
        fate, teller = socket.socketpair()
        with worker, teller:
            try:
                socket.send_fds(self._orders, [b"."], [worker.fileno(), teller.fileno(), memory])
            except OSError as error:
                ours.close()
                fate.close()
                raise ForkError(f"A worker could not be started: {error.strerror}.") from None
        telling, closing = await asyncio.open_connection(sock=fate)
        pid = await telling.readline()
        if not pid:
            ours.close()
            closing.close()
            raise ForkError("A worker could not be started: the system refused a new process.")
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        forked = Forked(int(pid), reader, writer)
        watch = asyncio.create_task(_watch(forked, telling, closing))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return forked

    def close(self) -> None:
        """End the fork server; the forked processes keep running."""
        self._orders.close()
        self._process.kill()
        self._process.wait()


async def _watch(forked: Forked, telling: asyncio.StreamReader, closing: asyncio.StreamWriter) -> None:
    """Wait for the end of a process. If the fork server is gone, end it too: its end would go unnoticed."""
    status = await telling.readline()
    if not status and not forked.reader.at_eof():
        forked.signal(signal.SIGKILL)
    forked.ended.set_result(int(status) if status else None)
    closing.close()
    forked.writer.close()


def serve_forks(work: Callable[[socket.socket, int], int]) -> None:
    """Fork a process for each order on standard input, until that ends; `work` returns its exit status.

    `work` gets the worker's end of its pipe to the supervisor, and the descriptor of the shared memory.
    """
    orders = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # What is written to standard output must not be taken for the supervisor's.
    tellers: dict[int, socket.socket] = {}
    # Only the supervisor reacts to these; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: _tell_of_ends(tellers))
    # Loaded objects live to the end. Outside garbage collection, they stay shared with the workers.
    gc.freeze()
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, 1, _DESCRIPTORS)
        if not order:
            return
        pipe, teller = (socket.socket(fileno=descriptor) for descriptor in descriptors[:2])
        memory = descriptors[2]
        # Its exit status must be reported after its process ID, even if it ends at once. Signals that arrive
        # before it has its own handlers must wait for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        pid = _fork()
        if pid == 0:
            for each in (orders, teller, *tellers.values()):
                each.close()
            _work(work, pipe, memory)
        if pid is not None:
            tellers[pid] = teller
            _tell(teller, pid)
        else:
            teller.close()
        pipe.close()
        os.close(memory)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)


def _fork() -> int | None:
    """Fork; return None if the system refuses a new process.

    Raises:
        RuntimeError: when another thread might hold a lock that the new process needs.
    """
    if threading.active_count() > 1:
        raise RuntimeError("A process with several threads must not be forked.")
    try:
        return os.fork()
    except OSError:
        return None


def _work(work: Callable[[socket.socket, int], int], pipe: socket.socket, memory: int) -> NoReturn:
    """Be a worker until this process ends, without the fork server's own clean-up."""
    status = 1
    try:
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        status = work(pipe, memory)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _tell_of_ends(tellers: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with tellers.pop(pid) as teller:
                _tell(teller, os.waitstatus_to_exitcode(status))


def _tell(teller: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # The supervisor is gone.
        teller.sendall(b"%d\n" % number)
