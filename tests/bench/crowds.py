"""The users table and its search with a thousand users, a hundred thousand and a million; and an import."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench import crowd
from bench.client import Login, sign_in
from bench.house import SECRET, House, build
from bench.processes import Server, cores, on_core, serve
from bench.report import Result, Row, median, percentile
from support.data_world import services

from data.operations.people import importing, reading
from data.operations.people.finding import SortKey, UserQuery
from data.rules.facts import Status
from data.rules.people_csv import PersonRow
from data.storage.database import open_database
from data.store import Store
from tui.cli.installation import installation

TABLE = "The users table: CPU of one page"
IMPORT = "Signing in with a key while people are imported"
_NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
_QUERIES = {
    "opening": UserQuery(),
    "a later page": UserQuery(after=("hanna", 0)),
    "sorted by e-mail": UserQuery(sort=SortKey.EMAIL),
    "sorted by last sign-in": UserQuery(sort=SortKey.LAST_SIGNIN),
    "filtered: enabled": UserQuery(status=Status.ENABLED),
    "filtered: locked": UserQuery(status=Status.LOCKED),
    "search: a first name": UserQuery("clara"),
    "search: a first and a last name": UserQuery("clara kalo"),
    "search: a letter": UserQuery("k"),
    "search: a number": UserQuery("030 2000"),
    "search: an address": UserQuery("clara.kalo"),
    "search: a practice": UserQuery("mi"),
    "search: a first name, locked": UserQuery("clara", Status.LOCKED),
    "search: nobody": UserQuery("zzz"),
}


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure each size in one process, and sign-ins during an import."""
    sizes = (100, 1_000) if quick else (1_000, 100_000, 1_000_000)
    smallest: dict[str, float] = {}
    for size in sizes:
        found = _pages(folder, size, rounds=3 if quick else 15)
        smallest = smallest or found
        for what, cpu in found.items():
            growth = f"{cpu / smallest[what]:.1f} times the smallest; goal 3" if found is not smallest else ""
            yield Row(TABLE, what, f"{size:,} users", 1000 * cpu, "ms", growth, "100")
    yield from _during_import(folder, *((40, 20) if quick else (100_000, 200)))


def _pages(folder: Path, size: int, *, rounds: int) -> dict[str, float]:
    store = Store(open_database(crowd.make(folder, size).path), services(lambda: _NOW))
    found: dict[str, float] = {}
    for what, query in _QUERIES.items():
        taken = []
        for _ in range(rounds + 1):
            begun = time.process_time()
            store.run_now(reading.list_users, crowd.OPERATOR, query)
            taken.append(time.process_time() - begun)
        found[what] = median(taken[1:])
    store.close()
    return found


def _during_import(folder: Path, rows: int, sign_ins: int) -> Iterator[Row]:
    house = build(folder, 4 * sign_ins)
    with serve(house.home.path) as server, on_core(cores()[1]):
        quiet = asyncio.run(_sign_ins(house, server, sign_ins))
        during, wall = asyncio.run(_both(house, server, rows, 2 * sign_ins))
    calm, busy = percentile(quiet, 0.95), percentile(during, 0.95)
    yield Row(IMPORT, "95th percentile, quiet", "twofold", 1000 * calm, "ms")
    note = f"{rows} people in {wall:.0f} s, {len(during)} sign-ins; the import shares the client's core"
    yield Row(IMPORT, "95th percentile, during an import", "twofold", 1000 * busy, "ms", note)
    yield Row(IMPORT, "growth", "twofold", busy / calm, "times", goal="3")


async def _sign_ins(house: House, server: Server, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        taken.append(await sign_in(Login(server.port, house.take(1)[0], SECRET, key=house.key)))
        await asyncio.sleep(0.05)
    return taken


async def _both(house: House, server: Server, rows: int, most: int) -> tuple[list[float], float]:
    """Import in a thread of this process, as the command does, and sign in until it has ended."""
    importer = asyncio.create_task(asyncio.to_thread(_import, house, rows))
    taken = []
    pause = max(0.05, rows / 100_000 * 0.15)
    while not importer.done() and len(taken) < most:
        taken += await _sign_ins(house, server, 1)
        await asyncio.sleep(pause)
    return taken, await importer


def _import(house: House, rows: int) -> float:
    person = PersonRow(0, "", "", "", None, "", required=False, key=None)
    wanted = [
        replace(person, row=n + 2, name=f"new{n}", email=f"new{n}@bench.example", full_name=f"New Person {n}")
        for n in range(rows)
    ]
    begun = time.perf_counter()
    with installation(house.home, "bench-import") as here:
        asyncio.run(importing.import_people(here.store, here.operator, wanted, lambda _more: None))
    return time.perf_counter() - begun
