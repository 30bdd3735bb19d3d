"""Server processes on one core and the client on another, and what the servers cost."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
TWOFOLD = str(Path(sys.executable).with_name("twofold"))
_CPUCLOCK_SCHED = 2
"""From Linux's posix-timers."""
_TICKS = os.sysconf("SC_CLK_TCK")


def environment(tree: Path) -> dict[str, str]:
    """Return the variables that have a process run the code of a tree."""
    return {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'tests'}"}


ENVIRONMENT = environment(REPOSITORY)


def cores() -> tuple[set[int], set[int]]:
    """Return the server's core and the client's; the same one where there is only one."""
    allowed = sorted(_ALL)
    return {allowed[0]}, {allowed[-1]}


_ALL = os.sched_getaffinity(0)


@contextmanager
def on_core(core: set[int]) -> Iterator[None]:
    """Keep this process, and what is started meanwhile, on a core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def on_any_core() -> None:
    """Let this process run wherever there is room."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


class Server:
    """A process of its own, with its children, on the server's core."""

    def __init__(
        self, command: Sequence[str | Path], ready: bytes | None = None, tree: Path = REPOSITORY
    ) -> None:
        with on_core(cores()[0]):
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                bufsize=0,  # What is not read yet must be seen by select.
                env=environment(tree),
            )
        self.line = self._line(ready) if ready is not None else b""

    def _line(self, ready: bytes) -> bytes:
        """Wait for the line that says that it is ready."""
        assert self.process.stdout is not None
        while select.select([self.process.stdout], [], [], 60)[0]:
            line = self.process.stdout.readline()
            if ready in line:
                return line
            if not line:
                break
        raise RuntimeError(f"the server did not start: {self.process.args}")

    @property
    def port(self) -> int:
        """The port that the line names."""
        return int(self.line.rpartition(b":")[2])

    def cpu(self) -> float:
        """Return the seconds of CPU so far, of all children too, those that ended among them."""
        return sum(_cpu(pid) for pid in family(self.process.pid))

    def memory(self) -> float:
        """Return the MB that it and its children hold alone, of what they share their part."""
        held = 0.0
        for pid in family(self.process.pid):
            with suppress(OSError):  # It has ended meanwhile.
                held += memory(pid)
        return held

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(home: Path, tree: Path = REPOSITORY) -> Server:
    """Start the product as operators do, with one worker; from another tree, as it is there."""
    return Server([TWOFOLD, "--home", home, "serve", "--port", "0", "--workers", "1"], b"listening", tree)


def family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found, parents = [pid], _parents()
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def memory(pid: int) -> float:
    """Return the proportional set size of a process in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = int(_fields(path)[1])
        except (OSError, IndexError):
            continue
    return found


def _cpu(pid: int) -> float:
    """Return the CPU of a process and of the children it has waited for.

    Its own is finer than /proc/PID/stat tells: the clock's number is that of clock_getcpuclockid(3).
    """
    try:
        children = sum(map(int, _fields(Path(f"/proc/{pid}/stat"))[13:15])) / _TICKS
        return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED) + children
    except OSError:
        return 0.0


def _fields(stat: Path) -> list[str]:
    """Return what follows the name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()
