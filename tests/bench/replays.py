"""Sends one code by two connections at nearly the same time, to Twofold and to sshd."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import asyncssh
from bench import openssh
from bench.client import Login, code, sign_in
from bench.enrolled_users import SECRET, build
from bench.processes import cores, on_core, serve
from bench.report import Result, Row, Skipped
from bench.signing_in import FACTORS, SSHD, login_by

SECTION = "The same code on two connections within 10 ms"


def measure(folder: Path, *, quick: bool) -> Iterator[Result]:
    """Count how often both are let in."""
    trials = 2 if quick else 60
    enrolled = build(folder, 2 * trials)
    with on_core(cores()[1]):
        with serve(enrolled.home.path) as ours:
            for factor in FACTORS:
                pairs = (
                    [login_by(factor, ours.port, name, enrolled.key)] * 2 for name in enrolled.take(trials)
                )
                yield _row(factor, "twofold", asyncio.run(_replays(pairs)), trials, "0")
        if why := openssh.missing():
            yield Skipped(SECTION, why)
            return
        public = enrolled.key.export_public_key("openssh").decode()
        with openssh.account():
            for factor in FACTORS:
                with openssh.running(factor, public) as sshd:
                    pair = [login_by(factor, sshd.port, openssh.USER, enrolled.key)] * 2
                    twice = asyncio.run(_replays([pair] * trials, sshd.refill))
                    yield _row(factor, SSHD, twice, trials)


def _row(factor: str, subject: str, twice: int, trials: int, goal: str = "") -> Row:
    return Row(SECTION, f"{factor}: both let in", subject, twice, f"of {trials}", goal=goal)


async def _replays(pairs: Iterable[list[Login]], before: Callable[[], object] = lambda: None) -> int:
    """Send one code by two connections, from at once to 10 ms apart; return how often both are let in."""
    twice = 0
    for trial, pair in enumerate(pairs):
        before()
        twice += await _replay(pair, 0.010 * (trial % 10) / 9)
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
