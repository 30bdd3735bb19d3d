"""Compares signing in to Twofold, to a bare asyncssh server and to sshd with libpam-google-authenticator."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKey
from bench import openssh
from bench.client import Login, code, sign_in, sign_in_all
from bench.enrolled_users import PASSWORD, SECRET, EnrolledUsers, build
from bench.processes import Server, cores, on_core, serve
from bench.report import Result, Row, Skipped, median

COST = "Signing in: connect, prove both factors, hang up"
REPLAY = "The same code on two connections within 10 ms"
_FACTORS = ("key", "password")
_TOGETHER = 8
_SSHD = "sshd + google-authenticator"
_OURS = "counted, spent and audited durably"
_THEIRS = {
    "sshd": "separates privileges, opens a PAM session",
    "bare": "in memory, stores nothing",
}

Logins = Callable[[int], list[Login]]


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Measure all servers with the same client."""
    count, rounds, trials = (4, 1, 2) if quick else (40, 5, 60)
    users = 2 * (count * (2 * rounds + 2) + trials)
    enrolled = build(folder, users)
    with on_core(cores()[1]):
        with serve(enrolled.home.path) as ours:
            for factor in _FACTORS:
                yield from _twofold(enrolled, ours, factor, count, rounds, trials)
        with Server([*_bare(enrolled)], b"listening") as bare:
            logins = partial(_repeated, _login(bare.port, "anyone", "key", enrolled.key))
            yield from _costs("bare asyncssh", "key", bare, logins, count, rounds, _THEIRS["bare"])
        yield from _openssh(enrolled, count, rounds, trials)


def _twofold(
    enrolled: EnrolledUsers, server: Server, factor: str, count: int, rounds: int, trials: int
) -> Iterator[Row]:
    """Measure the product: with a user for each sign-in, since a code is good once."""
    logins = _ours(enrolled, server.port, factor)
    yield from _costs("twofold", factor, server, logins, count, rounds, _OURS)
    twice = asyncio.run(_replays(lambda: logins(1) * 2, trials))
    yield Row(REPLAY, f"{factor}: both let in", "twofold", twice, f"of {trials}", goal="0")


def _bare(enrolled: EnrolledUsers) -> list[str | Path]:
    return [sys.executable, "-m", "bench.bare_server", enrolled.key_file, SECRET]


def _login(port: int, name: str, factor: str, key: SSHKey) -> Login:
    if factor == "key":
        return Login(port, name, SECRET, key=key)
    return Login(port, name, SECRET, password=PASSWORD)


def _repeated(login: Login, count: int) -> list[Login]:
    return [login] * count


def _ours(enrolled: EnrolledUsers, port: int, factor: str) -> Logins:
    return lambda count: [_login(port, name, factor, enrolled.key) for name in enrolled.take(count)]


def _costs(
    subject: str, factor: str, server: Server, logins: Logins, count: int, rounds: int, note: str,
    before: Callable[[], object] = lambda: None, together: int = _TOGETHER,
) -> Iterator[Row]:  # fmt: skip
    """Measure one after the other, and then several at a time; the first ones are to warm up."""
    asyncio.run(_one_by_one(logins(count), before))
    cpu, latency, rate = [], [], []
    for _ in range(rounds):
        begun = server.cpu()
        latency += asyncio.run(_one_by_one(logins(count), before))
        time.sleep(0.2)
        cpu.append((server.cpu() - begun) / count)
    if together:
        for _ in range(rounds):
            begun = time.perf_counter()
            asyncio.run(sign_in_all(logins(count), together))
            rate.append(count / (time.perf_counter() - begun))
    yield Row(COST, f"{factor}: server CPU", subject, 1000 * median(cpu), "ms", note)
    yield Row(COST, f"{factor}: latency", subject, 1000 * median(latency), "ms")
    if rate:
        yield Row(COST, f"{factor}: rate, {together} at a time", subject, median(rate), "/s")


async def _one_by_one(logins: list[Login], before: Callable[[], object]) -> list[float]:
    taken = []
    for login in logins:
        before()
        taken.append(await sign_in(login))
    return taken


def _openssh(enrolled: EnrolledUsers, count: int, rounds: int, trials: int) -> Iterator[Result]:
    if why := openssh.missing():
        yield Skipped(COST, why)
        return
    public = enrolled.key.export_public_key("openssh").decode()
    with openssh.account():
        for factor in _FACTORS:
            with openssh.running(factor, public) as sshd:
                logins = partial(_repeated, _login(sshd.port, openssh.USER, factor, enrolled.key))
                # Its file is written anew before each, so that DISALLOW_REUSE finds an unused code.
                yield from _costs(
                    _SSHD, factor, sshd.server, logins, count, rounds,
                    _THEIRS["sshd"], sshd.refill, together=0,
                )  # fmt: skip
                twice = asyncio.run(_replays(partial(logins, 2), trials, sshd.refill))
                yield Row(REPLAY, f"{factor}: both let in", _SSHD, twice, f"of {trials}")


async def _replays(
    pair: Callable[[], list[Login]], trials: int, before: Callable[[], object] = lambda: None
) -> int:
    """Send one code by two connections, from at once to 10 ms apart; return how often both are let in."""
    twice = 0
    for trial in range(trials):
        before()
        twice += await _replay(pair(), 0.010 * trial / max(1, trials - 1))
    return twice


async def _replay(pair: list[Login], apart: float) -> bool:
    """Have both connections wait at the question, and answer with the same code."""
    go, shown = asyncio.Event(), code(SECRET)
    arrived = asyncio.Semaphore(0)

    async def hold(late: float) -> None:
        arrived.release()
        await go.wait()
        await asyncio.sleep(late)

    logins = [
        Login(
            one.port, one.username, one.secret, one.key, one.password, lambda: shown,
            lambda late=late: asyncio.ensure_future(hold(late)),
        )
        for one, late in zip(pair, (0.0, apart), strict=True)
    ]  # fmt: skip
    tasks = [asyncio.create_task(_is_let_in(login)) for login in logins]
    for _ in tasks:
        await asyncio.wait_for(arrived.acquire(), 20)
    go.set()
    return all(await asyncio.gather(*tasks))


async def _is_let_in(login: Login) -> bool:
    try:
        await sign_in(login)
    except (asyncssh.Error, OSError):
        return False
    return True
