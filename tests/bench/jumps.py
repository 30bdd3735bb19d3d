"""Compares `ssh -W` with that of sshd, in turns; then signs in beside a jump at full speed."""

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import openssh
from bench.client import Login, code, sign_in
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import Server, cores, on_core, serve
from bench.report import Result, Row, Skipped, median

from data.operations.results import Done
from data.operations.targets.registry import add_target
from data.rules.targets import NewTarget
from tui.cli.open_installation import installation

SECTION = "Jumps: ssh -W at aes128-gcm"
_MB = 1_000_000
_PIECE = bytes(1 << 20)
_SSHD = "sshd"
_READY = b"ready"
_DONE = b"done"


class _Target:
    """A host that says when it is reached, then sends or takes as many bytes as its client asks for."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.sendall(_READY)
            reader = client.makefile("rb")
            if not (asked := reader.readline().split()):
                return
            left = int(asked[1])
            while left > 0 and asked[0] == b"send":
                left -= client.send(_PIECE[: min(left, len(_PIECE))])
            while left > 0:
                left -= len(reader.read1(min(left, len(_PIECE)))) or left
            client.sendall(_DONE)

    def close(self) -> None:
        """Stop listening."""
        self._listening.close()


@dataclass
class _Side:
    """A server, and one connection of `ssh` to it, over which others go."""

    name: str
    server: Server
    control: Path
    port: int
    taken: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    used: dict[tuple[str, int], float] = field(default_factory=dict)
    opened: list[float] = field(default_factory=list)

    def open(self) -> "subprocess.Popen[bytes]":
        """Open a jump to the target."""
        command = ["ssh", "-F", "none", "-S", str(self.control), "-W", f"127.0.0.1:{self.port}", "127.0.0.1"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def carry(self, way: str, jumps: int, size: int) -> None:
        """Carry so many bytes over so many open jumps together, and keep how long it took."""
        began = self.server.cpu()
        with ExitStack() as stack:
            opened = [stack.enter_context(self.open()) for _ in range(jumps)]
            for jump in opened:
                assert jump.stdout is not None
                _read(jump.stdout.fileno(), len(_READY))
            threads = [threading.Thread(target=_carry, args=[jump, way, size // jumps]) for jump in opened]
            begun, cpu = time.perf_counter(), self.server.cpu()
            self.opened.append((cpu - began) / jumps)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.taken.setdefault((way, jumps), []).append(time.perf_counter() - begun)
            self.used[way, jumps] = self.used.get((way, jumps), 0.0) + self.server.cpu() - cpu
            for jump in opened:
                jump.terminate()


def _carry(jump: "subprocess.Popen[bytes]", way: str, size: int) -> None:
    assert jump.stdin is not None and jump.stdout is not None  # noqa: PT018
    jump.stdin.write(f"{way} {size}\n".encode())
    if way == "take":
        for _ in range(size // len(_PIECE)):
            _write_all(jump.stdin.fileno(), _PIECE)
        _write_all(jump.stdin.fileno(), _PIECE[: size % len(_PIECE)])
    _read(jump.stdout.fileno(), len(_DONE) + (size if way == "send" else 0))


def _read(file: int, left: int) -> None:
    while left > 0:
        read = os.read(file, min(left, len(_PIECE)))
        assert read, "the jump ended early"
        left -= len(read)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure both servers with the same client."""
    rounds, size, times = (2, 32 * _MB, 10) if quick else (9, 256 * _MB, 60)
    enrolled = build(folder, 1 + 3 * times)
    target = _Target()
    _add_target(enrolled, target.port)
    public = enrolled.key.export_public_key("openssh").decode()
    with ExitStack() as stack:
        stack.callback(target.close)
        stack.enter_context(on_core(cores()[1]))
        ours = stack.enter_context(serve(enrolled.home.path))
        mine = stack.enter_context(_connected(folder, enrolled, enrolled.take(1)[0], ours.port))
        sides = [_Side("twofold", ours, mine, target.port)]
        if why := openssh.missing_for_commands():
            yield Skipped(SECTION, why)
        else:
            stack.enter_context(openssh.account())
            sshd = stack.enter_context(openssh.running_for_commands(public))
            other = stack.enter_context(_connected(folder, enrolled, openssh.USER, sshd.port))
            sides.append(_Side(_SSHD, sshd.server, other, target.port))
        yield from _in_turns(sides, rounds, size)
        yield from _beside(sides[0], enrolled, times)


def _in_turns(sides: list[_Side], rounds: int, size: int) -> Iterator[Result]:
    for way, jumps in (("send", 1), ("send", 10), ("take", 1), ("take", 10)):
        for side in sides:
            side.carry(way, jumps, size // 8)  # To warm up.
            side.taken.clear()
            side.used.clear()
        for number in range(rounds):
            for side in sides if number % 2 else reversed(sides):
                side.carry(way, jumps, size)
        what = f"{'from' if way == 'send' else 'to'} the target, {jumps} jump{'s' if jumps > 1 else ''}"
        for side in sides:
            speed = size / _MB / median(side.taken[way, jumps])
            cpu = 1000 * side.used[way, jumps] / rounds / (size / _MB)
            yield Row(SECTION, what, side.name, speed, "MB/s", note=f"{cpu:.2f} ms of CPU a MB")
        if len(sides) > 1:
            mine, other = (median(side.taken[way, jumps]) for side in sides)
            yield Row(SECTION, f"{what}: speed beside sshd", "twofold", other / mine, "times", goal="0.9")
    for side in sides:
        yield Row(SECTION, "opening a jump", side.name, 1000 * median(side.opened), "ms", note="of CPU")


def _beside(side: _Side, enrolled: EnrolledUsers, times: int) -> Iterator[Result]:
    """Sign in while nothing else happens, and beside one jump at full speed, in turns."""
    quiet, busy = [], []
    for _ in range(3):
        quiet += _sign_in(side, enrolled, times // 3)
        with side.open() as jump:
            assert jump.stdin is not None and jump.stdout is not None  # noqa: PT018
            jump.stdin.write(b"send 1000000000000\n")
            sink = threading.Thread(target=_drain, args=[jump.stdout.fileno()])
            sink.start()
            time.sleep(0.5)
            busy += _sign_in(side, enrolled, times // 3)
            jump.terminate()
            sink.join()
    yield Row(SECTION, "sign-in, quiet", side.name, 1000 * median(quiet), "ms")
    yield Row(SECTION, "sign-in beside a jump at full speed", side.name, 1000 * median(busy), "ms")
    ratio = median(busy) / median(quiet)
    yield Row(SECTION, "sign-in beside a jump, to a quiet one", side.name, ratio, "times", goal="2")


def _drain(file: int) -> None:
    while os.read(file, 1 << 20):
        pass


def _sign_in(side: _Side, enrolled: EnrolledUsers, times: int) -> list[float]:
    async def all_of_them() -> list[float]:
        port = side.server.port
        return [await sign_in(Login(port, name, SECRET, key=enrolled.key)) for name in enrolled.take(times)]

    return asyncio.run(all_of_them())


def _add_target(enrolled: EnrolledUsers, port: int) -> None:
    with installation(enrolled.home) as here:
        added = here.store.run_now(add_target, here.actor, NewTarget("source", "127.0.0.1", port))
        assert isinstance(added, Done), added


@contextmanager
def _connected(folder: Path, enrolled: EnrolledUsers, user: str, port: int) -> Iterator[Path]:
    """Keep a connection of `ssh` to a port, and return its control socket."""
    control, asker = folder / user, folder / "askpass"
    asker.write_text(f"#!/bin/sh\necho {code(SECRET)}\n")
    asker.chmod(0o700)
    options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-c"]
    options += ["aes128-gcm@openssh.com", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-N", "-M"]
    master = subprocess.Popen(
        ["ssh", *options, "-S", control, "-i", enrolled.key_file, "-p", str(port), f"{user}@127.0.0.1"],
        env={**os.environ, "SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"},
        stdin=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            if control.exists():
                break
            time.sleep(0.05)
        else:
            raise RuntimeError("ssh did not connect")
        yield control
    finally:
        master.terminate()
        master.wait()
