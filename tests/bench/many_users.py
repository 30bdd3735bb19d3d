"""Compares the users table at a million users and a thousand, and sign-ins during an import and before it."""

import asyncio
import base64
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import asyncssh
from bench import large_account
from bench.client import Login, sign_in
from bench.enrolled_users import SECRET, EnrolledUsers, build
from bench.processes import Server, cores, on_any_core, on_core, serve
from bench.report import Result, Row, Skipped, median, percentile
from support.database import services
from support.postgresql_server import find_binaries, running_postgresql

from data.operations.policy import overview
from data.operations.users import user_import, user_summaries
from data.operations.users.user_search import SortKey, UserQuery
from data.rules.domain_types import Method, Role, Status
from data.rules.public_keys import PublicKey
from data.rules.users_csv import PersonRow
from data.storage import models
from data.storage.database import open_database
from data.storage.home import Home
from data.store import Store
from tui.cli.open_installation import installation

TABLE = "The users table: CPU of one page"
OVERVIEW = "The overview: CPU of one look"
IMPORT = "Signing in with a key while people are imported"
_RATE = 10
"""Sign-ins that are begun in a second."""
_NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
# Last sign-ins are spread over the first 31 years since the epoch.
_LATELY = datetime(1999, 1, 1, tzinfo=UTC)
_LONG_AGO = datetime(1970, 1, 15, tzinfo=UTC)
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
    "search: a first name, pending": UserQuery("clara", Status.PENDING),
    "search: a practice, locked": UserQuery("mi", Status.LOCKED),
    "search: two first names": UserQuery("anna boris"),
    "search: a first name and a practice": UserQuery("clara mi"),
    "search: a first name and two letters": UserQuery("clara k e"),
    "search: words that all have": UserQuery("clinic example"),
    "search: three practices": UserQuery("ka mi lo"),
    "search: nobody": UserQuery("zzz"),
    "search: a first name, support": UserQuery("clara", role=Role.SUPPORT),
    "filtered: support": UserQuery(role=Role.SUPPORT),
    "filtered: support, by last sign-in": UserQuery(sort=SortKey.LAST_SIGNIN, role=Role.SUPPORT),
    "filtered: system administrators": UserQuery(role=Role.SYSTEM_ADMIN),
    "filtered: app": UserQuery(method=Method.APP),
    "filtered: e-mail": UserQuery(method=Method.EMAIL),
    "filtered: text message, which nobody has": UserQuery(method=Method.SMS),
    "filtered: never signed in": UserQuery(never_signed_in=True),
    "filtered: never signed in, a later page": UserQuery(after=("hanna", 0), never_signed_in=True),
    "filtered: not lately, by last sign-in": UserQuery(sort=SortKey.LAST_SIGNIN, signed_in_before=_LATELY),
    "filtered: long ago": UserQuery(signed_in_before=_LONG_AGO),
    "filtered: locked, never signed in": UserQuery(status=Status.LOCKED, never_signed_in=True),
    "filtered: enabled, app, never signed in": UserQuery(
        status=Status.ENABLED, method=Method.APP, never_signed_in=True
    ),
    "filtered: pending with an app, which nobody is": UserQuery(status=Status.PENDING, method=Method.APP),
    "filtered: support, e-mail, not lately": UserQuery(
        role=Role.SUPPORT, method=Method.EMAIL, signed_in_before=_LATELY
    ),
    "filtered: pending for long": UserQuery(status=Status.PENDING, pending_before=_LATELY),
    "filtered: few recovery codes": UserQuery(few_recovery_codes=True),
    "filtered: few recovery codes, support": UserQuery(few_recovery_codes=True, role=Role.SUPPORT),
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
    yield from _overviews(folder, sizes[0], sizes[-1], rounds=5 if quick else 60)
    yield from _during_import(build(folder, 320), "SQLite", rows=40, quiet=20) if quick else _imports(folder)


def _pages(folder: Path, size: int, *, rounds: int) -> dict[str, float]:
    store = Store(open_database(large_account.make(folder, size)), services(lambda: _NOW))
    found: dict[str, float] = {}
    for what, query in _QUERIES.items():
        taken = []
        for _ in range(rounds + 1):
            begun = time.process_time()
            store.run_now(user_summaries.list_users, large_account.OPERATOR, query)
            taken.append(time.process_time() - begun)
        found[what] = median(taken[1:])
    store.close()
    return found


def _overviews(folder: Path, *sizes: int, rounds: int) -> Iterator[Row]:
    """Look at a small and a large account in turns, so that whatever else the machine does falls on both."""
    stores = {
        size: Store(open_database(large_account.make(folder, size)), services(lambda: _NOW)) for size in sizes
    }
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(rounds + 1):
        for size, store in stores.items():
            models.database.initialize(store._database)
            begun = time.process_time()
            seen = store.run_now(overview.show_overview, large_account.OPERATOR)
            if turn:
                taken[size].append(time.process_time() - begun)
            assert isinstance(seen, overview.Overview), seen
    for store in stores.values():
        store.close()
    small, large = (median(taken[size]) for size in sizes)
    for size, cpu, goal in zip(sizes, (small, large), ("", "15"), strict=True):
        yield Row(OVERVIEW, "server CPU", f"{size:,} users", 1000 * cpu, "ms", goal=goal)
    yield Row(OVERVIEW, "growth", f"{sizes[-1]:,} users", large / small, "times", goal="2")


def _imports(folder: Path) -> Iterator[Result]:
    """Measure sign-ins during an import on both databases."""
    yield from _during_import(build(folder / "sqlite", 3_200), "SQLite", rows=100_000, quiet=200)
    binaries = find_binaries()
    if binaries is None:
        yield Skipped(IMPORT, "there is no PostgreSQL: apt-get install postgresql")
        return
    with running_postgresql(binaries, "fsync=on", "synchronous_commit=on", "full_page_writes=on") as server:
        enrolled = build(folder / "postgresql", 3_200, database=server.url(server.new_database()))
        yield from _during_import(enrolled, "PostgreSQL", rows=100_000, quiet=200)


def _during_import(enrolled: EnrolledUsers, subject: str, *, rows: int, quiet: int) -> Iterator[Row]:
    """Sign in at a steady rate, first with nothing else to do and then for as long as an import takes."""
    with serve(enrolled.home.path) as server, on_core(cores()[1]):
        calm_ones = asyncio.run(_steadily(enrolled, server, quiet, lambda: False))
        during, wall = asyncio.run(_both(enrolled, server, rows, 15 * quiet))
    note = f"{rows} people in {wall:.0f} s, {len(during)} sign-ins; the import is on either core"
    yield Row(IMPORT, "refused, quiet", subject, sum(map(math.isinf, calm_ones)), "")
    yield Row(IMPORT, "refused, during an import", subject, sum(map(math.isinf, during)), "", goal="0")
    for share, what, goal in ((0.5, "median", ""), (0.95, "95th percentile", "3"), (1.0, "slowest", "")):
        calm, busy = percentile(calm_ones, share), percentile(during, share)
        yield Row(IMPORT, f"{what}, quiet", subject, 1000 * calm, "ms")
        yield Row(IMPORT, f"{what}, during an import", subject, 1000 * busy, "ms", note)
        yield Row(IMPORT, f"{what}, growth", subject, busy / calm, "times", goal=goal)


async def _steadily(
    enrolled: EnrolledUsers, server: Server, most: int, over: Callable[[], bool]
) -> list[float]:
    """Begin a sign-in each tick, whether or not those before have ended; count from when it was due."""
    begun, pending = time.perf_counter(), []
    for tick in range(most):
        if over():
            break
        due = begun + tick / _RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        pending.append(asyncio.create_task(_since(due, enrolled, server)))
    return list(await asyncio.gather(*pending))


async def _since(due: float, enrolled: EnrolledUsers, server: Server) -> float:
    """Sign in; whoever is refused waits for ever."""
    try:
        await sign_in(Login(server.port, enrolled.take(1)[0], SECRET, key=enrolled.key))
    except (asyncssh.Error, OSError):
        return math.inf
    return time.perf_counter() - due


async def _both(enrolled: EnrolledUsers, server: Server, rows: int, most: int) -> tuple[list[float], float]:
    """Import in another process, as the command does, and sign in until it has ended."""
    with ProcessPoolExecutor(1, get_context("spawn")) as importer:
        await asyncio.wrap_future(importer.submit(on_any_core))
        importing_all = importer.submit(_import, enrolled.home.path, rows)
        taken = await _steadily(enrolled, server, most, importing_all.done)
        return taken, await asyncio.wrap_future(importing_all)


def _import(home: Path, rows: int) -> float:
    """Import people with a key each, as many as make a hospital."""
    wanted = [_newcomer(n) for n in range(rows)]
    begun = time.perf_counter()
    with installation(Home(home), "bench-import") as here:
        asyncio.run(user_import.import_people(here.store, here.actor, wanted, lambda _more: None))
    return time.perf_counter() - begun


def _newcomer(number: int) -> PersonRow:
    name, blob = f"new{number}", base64.b64encode(number.to_bytes(51)).decode()
    mark = "SHA256:" + base64.b64encode(number.to_bytes(32)).decode().rstrip("=")
    key = PublicKey("ssh-ed25519", blob, "laptop", mark)
    return PersonRow(
        number + 2, name, f"{name}@bench.example", f"New Person {number}", None, "", required=False, key=key
    )
