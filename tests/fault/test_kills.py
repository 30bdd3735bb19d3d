"""The server is killed at random moments: what was acknowledged is there, and no code is good twice."""

import asyncio
import random
import secrets
import subprocess
import time
from pathlib import Path

import pytest
from support.installed_program import PROGRAM
from support.random_kills import CodeSpentError, KilledHome
from support.ssh_users import SECRET

from data.rules import totp
from data.storage import models
from data.storage.home import Home
from tui.cli.open_installation import installation

KILLS = 3
MANY_KILLS = 100
LIVES = 0.2, 1.5
"""The least and the most seconds that a server lives after it has said that it is ready."""


def twofold(home: Path, *arguments: str) -> str:
    command = [PROGRAM, "--home", home, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


async def kill_again_and_again(home: KilledHome, kills: int, *, signers: int, newcomers: int, admins: int):
    """Serve, and kill at random moments, while people sign in, enrol and administer."""
    home.fill(signers=signers, newcomers=newcomers, admins=admins)
    chiefs = [f"chief{number}" for number in range(admins)]
    everybody = [f"signer{number}" for number in range(signers)]
    async with asyncio.TaskGroup() as work:
        work.create_task(home.sign_in_until_over(everybody[::2]))
        work.create_task(home.sign_in_until_over(everybody[1::2]))
        work.create_task(home.enrol_until_over([f"newcomer{number}" for number in range(newcomers)]))
        work.create_task(home.administer_until_over(chiefs))
        for kill in range(kills):
            await home.serve()
            if kill == kills - 1:
                await home.somebody_of_each_was_told()
            await asyncio.sleep(home.random.uniform(*LIVES))
            await home.kill()
        home.over = True
        home.ready.set()


async def look_whether_all_is_there(home: KilledHome) -> None:
    """Compare what was acknowledged with what there is, and send each last code once more."""
    done = home.done
    with installation(Home(home.path)) as here:
        admitted = here.store.run_now(count_admissions)
        names = here.store.run_now(lambda _tx: {row.name for row in models.User.select()})
        assert here.store.run_now(lambda _tx: models.database.obj.faults()) == []
    assert set(done.created) <= names
    for name, steps in done.signed_in.items():
        assert len(steps) <= admitted.get(name, 0) <= len(done.tried[name]), name

    await home.serve()
    for name, steps in done.signed_in.items():
        if steps[-1] >= int(time.time()) // totp.STEP_SECONDS - 1:
            with pytest.raises(CodeSpentError):
                async with home.connected(name, [totp.code_at(SECRET, steps[-1])]):
                    pass
    for name, codes in done.enrolled.items():
        async with home.connected(name, [codes[-1]]):
            pass
    assert await home.stop() == 0
    twofold(home.path, "doctor")
    twofold(home.path, "audit", "verify")
    assert b"Traceback" not in home.log


def count_admissions(_tx) -> dict[str, int]:
    table = models.AuditEntry
    counts: dict[str, int] = {}
    for row in table.select().where(table.event == "signin.admitted"):
        counts[row.user] = counts.get(row.user, 0) + 1
    return counts


def home_at(folder: Path, seed: str, workers: int, *arguments: str) -> KilledHome:
    twofold(
        folder, "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example", *arguments
    )
    return KilledHome(folder, random.Random(seed), workers)


@pytest.fixture
def seed() -> str:
    chosen = secrets.token_hex(4)
    print(f"seed: {chosen}")  # noqa: T201 - shown when the test fails.
    return chosen


async def test_acknowledged_work_outlives_kills(tmp_path, seed):
    home = home_at(tmp_path / "home", seed, 1)
    await kill_again_and_again(home, KILLS, signers=24, newcomers=12, admins=3)
    await look_whether_all_is_there(home)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "workers"), [("sqlite", 1), ("sqlite", 2), ("postgresql", 2)])
async def test_acknowledged_work_outlives_a_hundred_kills(tmp_path, seed, kind, workers, request):
    database = []
    if kind == "postgresql":
        server = request.getfixturevalue("postgresql")
        database = ["--database", server.url(server.new_database())]
    home = home_at(tmp_path / "home", seed, workers, *database)
    await kill_again_and_again(home, MANY_KILLS, signers=60, newcomers=300, admins=16)
    await look_whether_all_is_there(home)
