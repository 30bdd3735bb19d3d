"""A host that allows few open files, and one user who wants them all."""

import asyncio
import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from support.installed_program import PROGRAM, Clinic, sign_out
from support.raw_ssh_client import USERAUTH_FAILURE, USERAUTH_SUCCESS, Closed, raw_client

MOST = 80
"""What the server holds open for itself, Ben, forty connections of Mallory and some that begin or end."""


def allowing(files: int) -> tuple[str, ...]:
    """Return the command that starts another one with half as many files, which that may double."""
    return ("sh", "-c", f'ulimit -S -n {files // 2}; ulimit -H -n {files}; exec "$@"', "sh")


@pytest.fixture
def keys(clinic: Clinic) -> dict[str, Path]:
    """Key files of two people who sign in without a code."""
    clinic.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    found = {}
    for name in ("ben", "mallory"):
        clinic.twofold("user", "add", name, "--email", f"{name}@clinic.example")
        found[name] = clinic.new_key(f"{name}_key")
        clinic.twofold("user", "key", "add", name, f"{found[name]}.pub")
    return found


def private(file: Path) -> Ed25519PrivateKey:
    key = load_ssh_private_key(file.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def limit(clinic: Clinic) -> int:
    """Return how many files the server may have open."""
    limits = Path(f"/proc/{clinic.server.pid}/limits").read_text()
    return int(re.search(r"^Max open files +(\d+)", limits, re.MULTILINE).group(1))


def open_files(clinic: Clinic) -> int:
    return len(list(Path(f"/proc/{clinic.server.pid}/fd").iterdir()))


async def hoard(clinic: Clinic, key: Ed25519PrivateKey, times: int, held: contextlib.AsyncExitStack) -> int:
    """Sign Mallory in so many times and start nothing; return how often she was let in.

    Beyond sixty sign-ins a minute she is turned away, which is a partial success.
    """
    admitted = 0
    for _ in range(times):
        with contextlib.suppress(Closed, ConnectionError):
            async with contextlib.AsyncExitStack() as refused:
                client = await refused.enter_async_context(raw_client(clinic.port))
                await client.begin()
                client.sign_with("mallory", key)
                if (await client.expect(USERAUTH_SUCCESS, USERAUTH_FAILURE))[0] == USERAUTH_SUCCESS:
                    await client.channel()
                    admitted += 1
                    held.push_async_callback(refused.pop_all().aclose)
    return admitted


async def ben_comes_and_goes(clinic: Clinic, key: Path) -> None:
    terminal = await clinic.connect("ben", key=key)
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)


@pytest.mark.parametrize(
    ("files", "times"),
    [(192, 60), pytest.param(1024, 3000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
    ids=["short", "long"],
)
async def test_endless_connections_of_one_user(clinic, keys, files, times):
    """They leave files for the others."""
    clinic.under = allowing(files)
    await clinic.serve("--workers", "1")
    clinic.known_hosts()
    assert limit(clinic) == files
    await clinic.logs(b"files.few")
    async with contextlib.AsyncExitStack() as held:
        hoarding = asyncio.create_task(hoard(clinic, private(keys["mallory"]), times, held))
        while not hoarding.done():
            await ben_comes_and_goes(clinic, keys["ben"])
            assert open_files(clinic) < MOST
            await asyncio.sleep(1)  # Beyond sixty sign-ins a minute Ben is turned away too.
        await ben_comes_and_goes(clinic, keys["ben"])
        assert await hoarding < times
    assert b"OSError" not in clinic.log
    assert await clinic.stop() == 0


def test_doctor_says_when_a_server_may_open_few_files(clinic):
    clinic.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    for files, said in ((1024, "note"), (5000, "ok")):
        command = [*allowing(files), PROGRAM, "--home", clinic.home, "doctor"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        found = f"{said} files: A server started from here can open {files:,} files"
        assert found in " ".join(shown.split())
        assert ("LimitNOFILE" in shown) is (said == "note")
