"""Compares judging codes on SQLite with PostgreSQL, and one worker with two, without SSH."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.client import code
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import ENVIRONMENT
from bench.report import Result, Row, Skipped, median
from support.postgresql_server import find_binaries, running_postgresql

from data.operations.signin.admission import Admitted, Attempt
from data.operations.signin.first_factor import find_candidate
from data.operations.signin.second_factor import submit_code
from data.rules.domain_types import Application, FirstFactor
from data.rules.source_addresses import Origin
from data.storage.home import Home
from tui.cli.open_installation import installation

SECTION = "Judging a code in process: a look-up, a verdict, a session and its audit rows"
_ORIGIN = Origin(Application.SSH, "192.0.2.1")


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure both databases, with one worker and with two at once."""
    count, rounds = (20, 1) if quick else (300, 3)
    users = 3 * count * (rounds + 1)
    yield from _measure(build(folder / "sqlite", users), "SQLite", count, rounds)
    binaries = find_binaries()
    if binaries is None:
        yield Skipped(SECTION, "there is no PostgreSQL: apt-get install postgresql")
        return
    with running_postgresql(binaries, "fsync=on", "synchronous_commit=on", "full_page_writes=on") as server:
        url = server.url(server.new_database())
        yield from _measure(build(folder / "postgresql", users, database=url), "PostgreSQL", count, rounds)


def _measure(enrolled: EnrolledUsers, subject: str, count: int, rounds: int) -> Iterator[Row]:
    alone, both, cpu, cpu_of_both = [], [], [], []
    for turn in range(rounds + 1):
        one = _run(enrolled, [enrolled.take(count)])
        two = _run(enrolled, [enrolled.take(count), enrolled.take(count)])
        if turn:  # the first is to warm up
            alone.append(count / one[0])
            both.append(2 * count / two[0])
            cpu.append(one[1] / count)
            cpu_of_both.append(two[1] / count / 2)
    yield Row(SECTION, "CPU of the worker for each", subject, 1000 * median(cpu), "ms", goal="2")
    yield Row(
        SECTION,
        "CPU of the workers for each, two at once",
        subject,
        1000 * median(cpu_of_both),
        "ms",
        goal="2",
    )
    yield Row(SECTION, "rate, one worker", subject, median(alone), "/s")
    yield Row(SECTION, "rate, two workers", subject, median(both), "/s")
    goal = "1.7 or more" if subject == "PostgreSQL" else ""
    yield Row(
        SECTION, "growth by the second worker", subject, median(both) / median(alone), "times", goal=goal
    )


def _run(enrolled: EnrolledUsers, shares: list[list[str]]) -> tuple[float, float]:
    """Have each share judged by a process of its own; return the longest time and the CPU together."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.verifying", str(enrolled.home.path), share[0], str(len(share))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )
        for share in shares
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    told = [worker.communicate(timeout=300)[0].split() for worker in workers]
    return max(float(wall) for wall, _ in told), sum(float(cpu) for _, cpu in told)


def _work(home: Path, first: str, count: int) -> None:
    begin = int(first.removeprefix("user"))
    with installation(Home(home), f"bench-{begin}") as here:
        here.store.run_now(find_candidate, first, _ORIGIN)
        print("ready", flush=True)
        sys.stdin.readline()
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(begin, begin + count):
            candidate = here.store.run_now(find_candidate, f"user{number:05}", _ORIGIN)
            (fingerprint,) = candidate.key_fingerprints
            attempt = Attempt(
                candidate.user_id or 0, candidate.username, candidate.origin, FirstFactor.KEY, fingerprint
            )
            judged = here.store.run_now(submit_code, attempt, code(SECRET))
            assert isinstance(judged, Admitted), judged
        print(time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    _work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
