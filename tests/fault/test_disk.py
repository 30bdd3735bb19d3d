"""The disk is full, or takes no writes, under a real server; what people at a real `ssh` see of it."""

import os
import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from support.installed_program import Clinic, sign_out
from support.pseudo_terminal import TerminalProgram

REFUSED = r"Signing in is not possible right now: the database is not available\. Nothing was counted"


@pytest.fixture
async def clinic(tmp_path: Path, require_program) -> AsyncIterator[Clinic]:
    """An installation where ben signs in with a key."""
    found = Clinic(
        tmp_path, require_program("ssh"), require_program("ssh-keygen"), require_program("oathtool")
    )
    found.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    found.one_time_password("user", "add", "ben", "--email", "ben@clinic.example")
    key = found.new_key("ben_key")
    found.twofold("user", "key", "add", "ben", f"{key}.pub")
    yield found
    for terminal in found.open:
        await terminal.kill()
    if found.server is not None and found.server.returncode is None:
        found.server.kill()
        await found.server.wait()


async def sign_in(clinic: Clinic) -> TerminalProgram:
    terminal = await clinic.connect("ben", key=clinic.folder / "ben_key")
    await terminal.expect_on_screen("How it works")
    return terminal


async def is_refused(clinic: Clinic) -> None:
    terminal = await clinic.connect("ben", key=clinic.folder / "ben_key")
    await terminal.expect(REFUSED)
    assert await terminal.end() != 0
    assert b"enied" not in terminal.output


async def test_full_disk(clinic):
    """Sign-in and sessions say so, and service returns once there is room."""
    await clinic.serve("--workers", "1")
    clinic.known_hosts()
    inside = await sign_in(clinic)
    before = resource.prlimit(clinic.server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    await is_refused(clinic)
    inside.type("e")
    await inside.expect_on_screen("Full name")
    inside.type("\tBen\r\r\r")
    await inside.expect_on_screen("The database is not available right now: its disk is full")
    resource.prlimit(clinic.server.pid, resource.RLIMIT_FSIZE, before)
    await sign_out(await sign_in(clinic))
    inside.type("\r\r\r\r")
    await inside.expect_on_screen("✓")
    await sign_out(inside)
    assert await clinic.stop() == 0
    clinic.twofold("doctor")
    clinic.twofold("audit", "verify")
    assert b"Traceback" not in clinic.log
    assert b"The database fails to write: its disk is full, or fails" in clinic.log


async def test_unwritable_file(clinic, require_program):
    """The error says so, and it is served once it can be written."""
    if os.geteuid() == 0:
        # Root writes whatever it owns, unless it may not.
        clinic.under = (require_program("setpriv"), "--bounding-set=-dac_override")
    await clinic.serve("--workers", "1")
    clinic.known_hosts()
    await sign_out(await sign_in(clinic))
    database, restored = clinic.home / "twofold.db", clinic.home / "restored"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(restored)) as target:
        source.backup(target)
    restored.chmod(0o400)
    restored.replace(database)
    await is_refused(clinic)
    for file in clinic.home.glob("twofold.db*"):
        file.chmod(0o600)
    await sign_out(await sign_in(clinic))
    assert await clinic.stop() == 0
    clinic.twofold("doctor")
    assert b"its file cannot be written" in clinic.log
