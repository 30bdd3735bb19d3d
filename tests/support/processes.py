"""The processes of a server."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that were not waited for."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def with_descendants(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def open_files(pid: int) -> list[Path]:
    """Return what a process has open; sockets and pipes have names that are no paths."""
    return [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]


def listening_sockets(port: int) -> int:
    """Return how many sockets listen on a port of IPv4; workers that share one have one each."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(state == "0A" and int(local.partition(":")[2], 16) == port for _, local, _, state, *_ in lines)
