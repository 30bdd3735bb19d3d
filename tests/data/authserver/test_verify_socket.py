"""`twofold-verify` as scripts and pam_exec start it, against the socket of a running server."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.database import OPERATOR, PASSWORD
from support.http_server import add_application
from support.pam import authenticate

from data.authserver import verify_client, verify_socket
from data.authserver.verification import Verifier
from data.operations.applications import registry
from data.rules.applications import Asks
from sshserver.telemetry import crash_reports

pytestmark = pytest.mark.only_on("sqlite")
PROGRAM = Path(sys.executable).with_name("twofold-verify")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a path that is too long for a socket."""
    made = tmp_path / ("h" * 100)
    made.mkdir(mode=0o700)
    return made


@asynccontextmanager
async def answering(world, home: Path) -> AsyncIterator[Path]:
    async with verify_socket.serving(world.store, Verifier(world.store), home, crash_reports.report):
        yield home


async def run(home: Path, *arguments: str, given: bytes = b"", **environment: str) -> tuple[int, str, str]:
    """Run the installed program; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, "--home", home,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip
    printed, complaint = await process.communicate(given)
    return process.returncode, printed.decode(), complaint.decode()


@pytest.mark.feature("applications-host")
async def test_exit_statuses(world, home, ben):
    add_application(world, Asks.CODE, "sudo")
    add_application(world, Asks.PASSWORD_THEN_CODE, "cron")
    reject = (1, "", "twofold-verify: The code was not accepted.\n")
    async with answering(world, home):
        assert await run(home, ben, "--application", "sudo", given=world.code(ben).encode()) == (0, "", "")
        assert await run(home, ben, "--application=sudo", given=world.code(ben).encode() + b"\n") == reject
        assert await run(home, "nobody", "--application", "sudo", given=b"123456\0") == reject
        world.clock.forward(seconds=60)
        from_pam = world.code(ben).encode() + b"\0rubbish"
        assert await run(home, "--application", "sudo", given=from_pam, PAM_USER=ben) == (0, "", "")
        status, question, said = await run(home, ben, "--application", "cron", given=PASSWORD.encode())
        prompt, transaction = question.splitlines()
        assert (status, prompt, said) == (3, "Verification code:", "")
        world.clock.forward(seconds=60)
        answer = ("--application", "cron", "--transaction", transaction)
        assert await run(home, ben, *answer, given=world.code(ben).encode()) == (0, "", "")
        for arguments, given, words in (
            ((ben,), b"", "Name the application with --application. See: twofold-verify --help"),
            (("--application", "sudo"), b"", "Name the user, or set PAM_USER. See: twofold-verify --help"),
            ((ben, "anna", "--application", "sudo"), b"", "Name one user. See: twofold-verify --help"),
            ((ben, "--app", "sudo"), b"", "There is no option --app. See: twofold-verify --help"),
            ((ben, "--application", "sudo"), b"x" * 5_000, "The answer on standard input is too long."),
            ((ben, "--application", "sudo"), b"x" * 2_000, "pass must have at most 1024 characters."),
            ((ben, "--application", "sudo"), b"\xff1", "pass must be Unicode text."),
            ((ben, "--application", "door"), b"1", "No enabled application has that name."),
        ):
            status, _, complaint = await run(home, *arguments, given=given)
            assert (status, complaint.startswith(f"twofold-verify: {words}")) == (2, True), complaint
        world.run(registry.disable_application, OPERATOR, "sudo")
        assert (await run(home, ben, "--application", "sudo", given=b"1"))[0] == 2
    assert not (home / "twofold.sock").exists()
    status, _, complaint = await run(home, ben, "--application", "sudo", given=b"1")
    assert (status, "No server is running there. Start it with `twofold serve`" in complaint) == (2, True)


def leave_a_socket(home: Path) -> None:
    """Leave what a process leaves that was killed."""
    left, folder = socket.socket(socket.AF_UNIX), os.open(home, os.O_RDONLY)
    left.bind(verify_client.address_in(str(home), folder))
    left.close()
    os.close(folder)


@pytest.mark.feature("applications-host")
async def test_socket_is_private(world, home, monkeypatch):
    """Nobody else can open it, nor ask if they could; one that was left behind is replaced."""
    leave_a_socket(home)
    add_application(world, Asks.CODE, "sudo")
    previous = os.umask(0)
    try:
        async with answering(world, home):
            assert stat.S_IMODE((home / "twofold.sock").stat().st_mode) == 0o600
            assert (await run(home, "ben", "--application", "sudo", given=b"1"))[0] == 1
            monkeypatch.setattr(os, "geteuid", lambda: 12_345)
            monkeypatch.setattr(verify_socket, "_ROOT", 12_345)
            assert (await run(home, "ben", "--application", "sudo", given=b"1"))[0] == 2
    finally:
        os.umask(previous)


@pytest.mark.feature("applications-host")
async def test_by_pam_exec(world, home, ben, tmp_path):
    """As the manual has it for sudo and sshd: PAM asks, and hands the answer over with a NUL at its end."""
    add_application(world, Asks.CODE, "sudo")
    (tmp_path / "sudo").write_text(
        f"auth required pam_exec.so expose_authtok quiet {PROGRAM} --application sudo --home {home}\n"
    )
    async with answering(world, home):
        results = [
            await asyncio.to_thread(authenticate, tmp_path, "sudo", ben, [answer])
            for answer in (world.code(ben), world.code(ben), world.wrong_code(ben))
        ]
    assert results == [(accepted, ["Password: "]) for accepted in (True, False, False)]
    assert world.row(ben).attempts_left == 6


@pytest.mark.feature("applications-host")
async def test_waits_for_a_worker_that_is_replaced(world, home):
    """A socket at which nobody listens is tried again for a while."""
    add_application(world, Asks.CODE, "sudo")
    leave_a_socket(home)
    asking = asyncio.ensure_future(run(home, "ben", "--application", "sudo", given=b"1"))
    await asyncio.sleep(0.3)
    async with answering(world, home):
        assert (await asking)[0] == 1


async def test_rubbish_on_the_socket(world, tmp_path, monkeypatch):
    """Each gets an error or is hung up on, and the next is answered."""
    monkeypatch.setattr(verify_socket, "LINE_SECONDS", 0.2)
    async with answering(world, tmp_path) as home:
        for sent in (
            b"",
            b"{}",
            b"\n",
            b"[]\n",
            b"\xff\n",
            b"{" * 9_000 + b"\n",
            b"x" * 100_000,
            b'{"application":1}\n',
        ):
            reading, writing = await asyncio.open_unix_connection(home / "twofold.sock")
            writing.write(sent)
            async with asyncio.timeout(30):
                answer = await reading.read()
            assert not answer or json.loads(answer)["result"] == "error"
            writing.close()


@pytest.mark.feature("applications-host")
def test_imports_the_standard_library_only():
    """Without a site, nothing else can be imported; and of that, nothing slow is."""
    root = Path(verify_client.__file__).parents[2]
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r}); before = set(sys.modules); "
        "import data.authserver.verify_client; print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", "-S", "-c", program]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    ours = {name for name in found if name.partition(".")[0] == "data"}
    assert ours == {"data", "data.authserver", "data.authserver.verify_client"}
    slow = {
        "argparse",
        "asyncio",
        "dataclasses",
        "email",
        "getpass",
        "pathlib",
        "ssl",
        "subprocess",
        "typing",
    }
    assert not slow & set(found)
