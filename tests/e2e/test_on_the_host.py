"""The installed program on the host: first start, later starts, questions on a terminal, the local app."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.authenticator_app import Phone
from support.forked import run_twofold
from support.installed_program import manual_key
from support.pseudo_terminal import TerminalProgram
from support.terminal_answers import ANSWERS

from data.operations.signin import worker_sessions
from data.storage.home import Home
from sshserver.workers.heartbeat import WorkerIdentity, keep_present
from tui.cli.open_installation import opened

PROGRAM = Path(sys.executable).with_name("twofold")
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
PASSWORD = "a walrus hums in july"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


async def start(home: Path, *arguments: str) -> tuple[asyncio.subprocess.Process, str]:
    """Start the server and return it with all that it printed until it was ready."""
    server = await asyncio.create_subprocess_exec(
        PROGRAM, "--home", home, "serve", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed = ""
    while not LISTENING.search(printed):
        line = await asyncio.wait_for(server.stdout.readline(), 90)
        assert line, (await server.stderr.read()).decode()
        printed += line.decode()
    return server, printed


async def stop(server: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> None:
    server.send_signal(number)
    assert await asyncio.wait_for(server.wait(), 30) == 0
    assert await server.stderr.read() == b""


def twofold(home: Path, *arguments: str) -> str:
    """Run a command that is not the subject."""
    ended = run_twofold(("--home", home, *arguments))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


async def test_first_and_later_starts(home):
    """The first prints what a newcomer needs; later ones just serve."""
    server, printed = await start(home, "--init", "--port", "0")
    port = LISTENING.search(printed).group(1)
    assert f"ssh -p {port} admin@127.0.0.1" in printed
    assert f"ssh-keygen -R '[127.0.0.1]:{port}'" in printed
    fingerprint = re.search(r"SHA256:\S+", printed).group()
    assert re.search(r"one-time password +\S{23}\n", printed)
    hostkey = subprocess.run(
        [PROGRAM, "--home", home, "hostkey"], capture_output=True, text=True, check=True, timeout=60
    )
    assert hostkey.stderr.strip() == fingerprint
    await stop(server)

    server, printed = await start(home, "--init", "--port", "0")
    port = LISTENING.search(printed).group(1)
    assert printed.split() == ["ssh", "-p", port, "admin@127.0.0.1", "listening", "on", f"127.0.0.1:{port}"]
    await stop(server, signal.SIGINT)

    server, printed = await start(home, "--port", "0")
    assert LISTENING.fullmatch(printed.strip())
    await stop(server, signal.SIGINT)


async def test_a_start_on_a_terminal_says_what_it_does_meanwhile(home):
    command = [str(PROGRAM), "--home", str(home), "serve", "--init", "--port", "0", "--workers", "2"]
    terminal = await TerminalProgram.start(command)
    await terminal.expect("Starting 2 workers. Each first verifies")
    await terminal.expect("listening on 127.0.0.1:")
    terminal.type("\x03")
    assert await terminal.end() == 0


@pytest.mark.parametrize(
    ("name", "workers", "advice"),
    [
        ("home", "1", "Choose another with --port."),
        (".twofold", "2", "Choose another with --port, or with: make run PORT=2300"),
    ],
    ids=["another home, one worker", "the home of make, two workers"],
)
def test_a_port_in_use_is_said_in_one_line(tmp_path, name, workers, advice):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [PROGRAM, "--home", name, "serve", "--init", "--port", str(port), "--workers", workers]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == f"twofold: Port {port} is in use on 127.0.0.1. {advice}\n"
    assert "One-time password of admin: " in ended.stdout, "it would never be shown again"


async def test_init_asks_for_what_is_missing_on_a_terminal(home):
    terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home), "init"])
    await terminal.expect("Name of the organisation")
    terminal.type("Clinic\r")
    await terminal.expect("User name of the first administrator")
    terminal.type("no name\r")
    await terminal.expect("user name may contain only")
    await terminal.expect("User name of the first administrator")
    terminal.type("\r")
    await terminal.expect("E-mail address of the first administrator")
    terminal.type("anna\r")
    await terminal.expect("not an e-mail address")
    await terminal.expect("E-mail address of the first administrator")
    terminal.type("anna@clinic.example\r")
    await terminal.expect("One-time password of admin: ")
    assert await terminal.end() == 0
    assert "admin" in twofold(home, "user", "list")


async def test_mode_change_is_confirmed(home):
    twofold(home, "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    command = [str(PROGRAM), "--home", str(home), "policy", "set", "--mode", "required"]
    for answer, mode in (("n", "optional"), ("y", "required")):
        terminal = await TerminalProgram.start(command)
        await terminal.expect("1 person must set it up at the next sign-in: anna")
        await terminal.expect("Change the mode")
        terminal.type(f"{answer}\r")
        assert await terminal.end() == (0 if answer == "y" else 1)
        assert f'"mode": "{mode}"' in twofold(home, "policy", "show", "--json")


@pytest.mark.feature("attempts")
async def test_local_app_signs_in(home, require_program):
    """It uses the same rules and counters as SSH."""
    phone = Phone(require_program("oathtool"))
    arguments = ("--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    printed = twofold(home, "init", *arguments)
    one_time = re.search(r"One-time password of anna: (\S+)", printed).group(1)

    terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home)])
    await sign_in(terminal, "anna", one_time)
    await terminal.expect_on_screen("Choose a new password")
    terminal.type(f"{PASSWORD}\r{PASSWORD}\r")
    await terminal.expect_on_screen("You need an authenticator app")
    terminal.type("\r")
    await terminal.expect_on_screen("Enable 2FA")
    phone.type_in(await manual_key(terminal))
    terminal.type(await phone.new_code() + "\r")
    await terminal.expect_on_screen("recovery codes")
    await terminal.kill()

    # Whoever leaves before the recovery codes are saved gets new ones at the next sign-in.
    terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home)])
    await sign_in(terminal, "anna", PASSWORD)
    await terminal.expect_on_screen("Verification code")
    terminal.type(phone.wrong_code() + "\r")
    await terminal.expect_on_screen("6 attempts left")
    assert re.search(r"Attempts left +6\b", twofold(home, "user", "show", "anna"))
    terminal.type(await phone.new_code() + "\r")
    await terminal.expect_on_screen("New recovery codes")
    terminal.type("y")
    await terminal.expect_on_screen("[x] I have saved")
    terminal.type("\r")
    await terminal.expect_on_screen("1 M")
    terminal.type("q")
    assert await terminal.end() == 0
    assert b"Signed out." in terminal.output
    assert re.search(r" local +Signed in", twofold(home, "audit", "list"))


async def test_killed_local_app(home):
    """What it left open ends; one that is left normally leaves nothing."""
    arguments = ("--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    one_time = re.search(r"One-time password of anna: (\S+)", twofold(home, "init", *arguments)).group(1)
    with opened(Home(home)) as found:
        terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home)])
        await sign_in(terminal, "anna", one_time)
        await terminal.expect_on_screen("Choose a new password")
        (killed,) = await found.store.read(worker_sessions.beats)
        await terminal.kill()
        assert "anna" in twofold(home, "session", "list")
        watching = asyncio.create_task(
            keep_present(found.store, WorkerIdentity("other", "node"), every=0.05, lease=1)
        )
        async with asyncio.timeout(60):
            while killed in await found.store.read(worker_sessions.beats):
                await asyncio.sleep(0.05)
        watching.cancel()
        await found.store.run(worker_sessions.leave, "other")
        assert "anna" not in twofold(home, "session", "list")

        terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home)])
        await sign_in(terminal, "anna", one_time)
        await terminal.expect_on_screen("Choose a new password")
        assert len(await found.store.read(worker_sessions.beats)) == 1
        terminal.type("\x1b")
        await terminal.end()
        assert await found.store.read(worker_sessions.beats) == {}


async def test_moved_file_ends_the_local_app(home):
    """It says why."""
    twofold(home, "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home)])
    await terminal.expect_on_screen("User name")
    (home / "twofold.db").rename(home / "moved.away")
    terminal.type("anna\rwhatever it is\r")
    await terminal.expect(r"twofold\.db was moved, replaced or removed while it was in use")
    assert await terminal.end() == 1


async def test_late_answers_and_odd_bytes(home):
    arguments = ("--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    one_time = re.search(r"One-time password of anna: (\S+)", twofold(home, "init", *arguments)).group(1)
    terminal = await TerminalProgram.start([str(PROGRAM), "--home", str(home)])
    await terminal.expect_on_screen("User name")
    for given in ("anna", one_time):
        terminal.type(given[:2])
        for answer in map(str.encode, ANSWERS.values()):
            terminal.type(answer)
            terminal.type(answer[:2])
            for place in range(2, len(answer)):
                terminal.type(answer[place : place + 1])
        terminal.type(f"{given[2:]}\n")
    await terminal.expect_on_screen("Choose a new password")
    in_latin_1 = "Grüße aus Köln am Rhein".encode("latin-1")
    terminal.type(in_latin_1 + b"\r")
    await terminal.expect_on_screen("Your terminal does not send UTF-8")
    terminal.type(in_latin_1 + b"\r")
    await terminal.expect_on_screen("did not arrive as UTF-8")
    terminal.type(f"{PASSWORD}\r{PASSWORD}\r")
    await terminal.expect_on_screen("You need an authenticator app")
    await terminal.kill()


async def sign_in(terminal: TerminalProgram, name: str, password: str) -> None:
    await terminal.expect_on_screen("User name")
    terminal.type(f"{name}\t{password}\r")


def test_no_home_and_no_entry(home, require_program):
    """Without HOME and an entry of the user the error says what to do."""
    nobody = [require_program("unshare"), "--user", "--map-user=54321", PROGRAM]
    environment = {"PATH": "/usr/bin:/bin"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*nobody, *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    if subprocess.run([*nobody[:-1], "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    ended = run("user", "list")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "HOME is not set" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    arguments = ("--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    assert run("--home", str(home), "init", *arguments).returncode == 0
    assert "operator:54321" in run("--home", str(home), "audit", "list").stdout
