"""What is refused to everyone: one clear line on stderr, and never a byte on stdout."""

import asyncio
from collections.abc import Sequence

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32
from support.fake_backend import CODE, FakeBackend
from support.pseudo_terminal import TerminalProgram
from support.ssh_server import HOST, connect, running_server

from sshserver.limits.limit_values import Limits
from sshserver.session import app_session as words

KEY = asyncssh.generate_private_key("ssh-ed25519")
QUIET = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
QUIET += ["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(KEY.export_private_key("openssh"))
    path.chmod(0o600)
    return str(path)


async def run(command: Sequence[str]) -> tuple[int, bytes, bytes]:
    """Run a program without a terminal; return its status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["id"], words.NO_COMMANDS),
        (["-s", "sftp"], words.NO_SUBSYSTEMS),
        (["-s", "netconf"], words.NO_SUBSYSTEMS),
        (["-T"], words.NO_TERMINAL),
    ],
    ids=["exec", "sftp subsystem", "unknown subsystem", "shell without a terminal"],
)
async def test_no_terminal(require_program, key_file, arguments, line):
    """It gets one line on stderr and status 1."""
    ssh = require_program("ssh")
    remote = [part for part in arguments if not part.startswith("-")]
    options = [part for part in arguments if part.startswith("-")]
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        command = [ssh, *QUIET, "-i", key_file, "-p", str(running.port), *options, f"alice@{HOST}", *remote]
        assert await run(command) == (1, b"", f"{line}\n".encode())
        assert running.apps == []


@pytest.mark.parametrize("legacy", [False, True], ids=["over sftp", "over exec"])
async def test_scp_is_refused_in_words(require_program, key_file, tmp_path, legacy):
    scp = require_program("scp")
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        options = [*QUIET, "-i", key_file, "-P", str(running.port), *(["-O"] if legacy else [])]
        status, out, err = await run([scp, *options, f"alice@{HOST}:file", str(tmp_path)])
    assert status != 0
    assert out == b""
    assert (words.NO_COMMANDS if legacy else words.NO_SUBSYSTEMS).encode() in err


async def test_a_command_with_a_terminal_is_refused_too(require_program, key_file):
    ssh = require_program("ssh")
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        program = await TerminalProgram.start(
            [ssh, *QUIET, "-tt", "-i", key_file, "-p", str(running.port), f"alice@{HOST}", "id"]
        )
        assert await program.end() == 1
        assert words.NO_COMMANDS.encode() in program.output


@pytest.mark.parametrize("term", ["dumb", "", "no such\x1b[2Jterminal"])
async def test_unusable_terminal(require_program, key_file, term):
    """It gets one helpful line, and the session ends."""
    ssh = require_program("ssh")
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        program = await TerminalProgram.start(
            [ssh, *QUIET, "-i", key_file, "-p", str(running.port), f"alice@{HOST}"], term=term
        )
        assert await program.end() == 1
        assert program.output.decode().strip() == words.POOR_TERMINAL
        assert running.apps == []


async def test_forwarding_of_every_kind_is_refused(require_program, key_file):
    ssh = require_program("ssh")
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        base = [ssh, *QUIET, "-i", key_file, "-p", str(running.port)]
        status, _, err = await run(
            [*base, "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "-N", f"alice@{HOST}"]
        )
        assert status != 0
        assert b"remote port forwarding failed" in err
        status, out, err = await run([*base, "-W", f"{HOST}:{running.port}", f"alice@{HOST}"])
        assert (status != 0, out) == (True, b"")
        assert b"forwarding failed" in err or b"open failed" in err


async def test_insisting_client_is_refused():
    """Direct channels, agent and X11 are refused."""
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection(HOST, running.port)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_unix_connection("/tmp/agent")
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("", 0, HOST, 1)
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_path("/tmp/twofold.sock", "/tmp/other")
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_tun(asyncssh.SSHTunTapSession)


async def test_agent_and_x11_get_no():
    display = (Boolean(False), String("MIT-MAGIC-COOKIE-1"), String("00"), UInt32(0))
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            process = await connection.create_process(term_type="xterm")
            assert await process.channel._make_request(b"auth-agent-req@openssh.com") is False
            assert await process.channel._make_request(b"x11-req", *display) is False
            process.close()


async def test_eleventh_channel_is_refused():
    async with running_server(
        FakeBackend([KEY], without_code={"alice"}), Limits(sessions_per_connection=2)
    ) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            processes = [await connection.create_process(term_type="xterm") for _ in range(2)]
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process(term_type="xterm")
            for process in processes:
                process.close()
                await process.wait_closed()
            again = await connection.create_process(term_type="xterm")
            again.close()


async def test_sessions_per_user():
    """The limit is said when it is reached."""
    async with running_server(FakeBackend([KEY]), Limits(sessions_per_user=2)) as running:
        connections = [(await connect(running.port, "alice", [CODE], keys=[KEY]))[0] for _ in range(3)]
        processes = [await one.create_process(term_type="xterm") for one in connections[:2]]
        result = await connections[2].run(term_type="xterm")
        assert (result.exit_status, result.stdout) == (1, "")
        assert words.TOO_MANY in str(result.stderr)
        processes[0].close()
        await processes[0].wait_closed()
        process = await connections[2].create_process(term_type="xterm")
        process.close()
        for connection in connections:
            connection.close()
            await connection.wait_closed()


async def test_environment_variables(monkeypatch):
    """Of many few are kept, and none of the server's own change."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    many = {f"LC_A{chr(65 + n // 26)}{chr(65 + n % 26)}": "x" for n in range(100)}
    environment = {"LD_PRELOAD": "evil", "TEXTUAL": "debug", "LANG": "de_DE.UTF-8", **many}
    async with running_server(FakeBackend([KEY], without_code={"alice"})) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            process = await connection.create_process(
                term_type="xterm-256color", term_size=(90, 30), env=environment
            )
            await asyncio.wait_for(process.stdout.read(1), 10)
            terminal = running.app.terminal
            process.close()
    assert terminal.language == "de_DE.UTF-8"
    assert (terminal.no_color, terminal.colours.value, terminal.size) == (False, "256", (90, 30))
