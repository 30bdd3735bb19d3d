"""The disk is full, or takes no writes, under a real server; what people at a real `ssh` see of it."""

import os
import resource
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.installed_program import PROGRAM, Clinic, sign_out
from support.pseudo_terminal import TerminalProgram

REFUSED = r"Sign-in is not possible right now because the database is unavailable\. This did not count"


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
    assert b"The database cannot write: its disk is full, or failing" in clinic.log


async def test_unwritable_file(clinic, require_program):
    # Root writes whatever it owns, unless it may not.
    under = [require_program("setpriv"), "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    (clinic.home / "twofold.db").chmod(0o400)
    serving = [*under, PROGRAM, "--home", clinic.home, "serve", "--port", "0", "--workers", "1"]
    ended = subprocess.run(serving, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "its file cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    for file in clinic.home.glob("twofold.db*"):
        file.chmod(0o600)
    await clinic.serve("--workers", "1")
    clinic.known_hosts()
    await sign_out(await sign_in(clinic))
    assert await clinic.stop() == 0
    clinic.twofold("doctor")
