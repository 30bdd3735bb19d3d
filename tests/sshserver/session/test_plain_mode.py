"""When a session is the plain mode, what it is given, and how it is warned and ended."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import asyncssh
import pytest
from support.fake_backend import FakeBackend
from support.ssh_server import connect, running_server

from data.operations.signin.admission import Admitted, Session
from sshserver.command_streams import CommandStoppedError, Streams
from sshserver.limits.limit_values import Limits

KEY = asyncssh.generate_private_key("ssh-ed25519")


class Commands:
    """Notes the commands that are run; the plain mode asks until the input ends."""

    def __init__(self) -> None:
        self.run_with: list[tuple[list[str], Streams]] = []

    async def run(self, _session: Session, arguments: Sequence[str], streams: Streams) -> int:
        self.run_with.append(([*arguments], streams))
        return await asyncio.to_thread(self._converse, streams)

    def _converse(self, streams: Streams) -> int:
        with suppress(EOFError, CommandStoppedError, BrokenPipeError):
            while streams.ask is not None:
                streams.stdout.write(f"{streams.ask('? ')} in {streams.columns}\n")
                streams.stdout.flush()
        return 0


class PlainBackend(FakeBackend):
    """Everyone prefers the plain mode."""

    def _admit(self, username: str) -> Admitted:
        return Admitted(replace(super()._admit(username).session, plain=True))


def backend(*, prefers_plain: bool = False) -> FakeBackend:
    return (PlainBackend if prefers_plain else FakeBackend)([KEY], without_code={"alice"})


PLAIN = {
    "dumb": {"term_type": "dumb"},
    "unknown": {"term_type": "unknown"},
    "malformed type": {"term_type": "no such\x1b[2Jterminal"},
    "no terminal": {},
    "ACCESSIBLE": {"term_type": "xterm", "env": {"ACCESSIBLE": "1"}},
    "TWOFOLD_PLAIN": {"term_type": "xterm", "env": {"TWOFOLD_PLAIN": "yes"}},
    "its command": {"term_type": "xterm", "command": "plain"},
    "its command, without a terminal": {"command": "plain"},
}


@pytest.mark.feature("plain-chosen")
@pytest.mark.parametrize("how", PLAIN)
async def test_each_cause_chooses_the_plain_mode(how):
    commands = Commands()
    async with running_server(backend(), run_command=commands.run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            size = {"term_size": (40, 12)} if "term_type" in PLAIN[how] else {}
            end = "\x04" if size else ""
            ended = await connection.run(input=f"one\n{end}", **PLAIN[how], **size)
        assert running.apps == []
    ((arguments, streams),) = commands.run_with
    assert arguments == ["plain"]
    assert ended.exit_status == 0
    has_terminal = "term_type" in PLAIN[how]
    assert streams.size is None if not has_terminal else (streams.columns, streams.rows) == (40, 12)
    shown = "? one\r\none in 40\r\n? \r\n" if has_terminal else "? \none in None\n? "
    assert ended.stdout == shown


@pytest.mark.feature("plain-chosen")
async def test_the_preference_chooses_the_plain_mode():
    commands = Commands()
    async with running_server(backend(prefers_plain=True), run_command=commands.run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            await connection.run(input="\x04", term_type="xterm-256color")
        assert running.apps == []
    assert [arguments for arguments, _ in commands.run_with] == [["plain"]]


@pytest.mark.parametrize("environment", [{}, {"ACCESSIBLE": "0"}, {"TWOFOLD_PLAIN": ""}])
async def test_otherwise_a_terminal_gets_the_app(environment):
    commands = Commands()
    async with running_server(backend(), run_command=commands.run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            process = await connection.create_process(term_type="xterm", env=environment)
            process.stdin.write("q")
            assert "Goodbye." in await asyncio.wait_for(process.stdout.read(), 60)
        assert len(running.apps) == 1
    assert commands.run_with == []


async def test_it_is_counted_like_an_app():
    """A user can have as many as apps, and is told when that is reached."""
    async with running_server(backend(), Limits(sessions_per_user=1), run_command=Commands().run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            first = await connection.create_process(term_type="dumb")
            await asyncio.wait_for(first.stdout.readuntil("? "), 30)
            second = await connection.run("plain", term_type="xterm")
            assert (second.exit_status, "too many open sessions" in second.stderr) == (1, True)
            first.stdin.write("\x04")
            await asyncio.wait_for(first.wait_closed(), 30)


async def test_another_width_is_followed_and_rubbish_is_survived():
    async with running_server(backend(), run_command=Commands().run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            process = await connection.create_process(
                "plain", term_type="xterm", term_size=(80, 24), encoding=None
            )
            await shows(process, b"? ")
            process.stdin.write(b"ha")
            await shows(process, b"ha")
            for size in ((0, 0), (1, 1), (100_000, 100_000), (40, 10)):
                process.change_terminal_size(*size)
            process.stdin.write(b"lf\xff\xfe\x00\x1b[?9zA\x9b\r")
            await shows(process, "half\ufffd\ufffdA\ufffd in 40\r\n".encode())
            process.close()


async def shows(process: asyncssh.SSHClientProcess[bytes], words: bytes) -> None:
    """Wait until words are shown."""
    shown = b""
    while words not in shown:
        piece = await asyncio.wait_for(process.stdout.read(1024), 30)
        assert piece, shown
        shown += piece


@pytest.mark.parametrize("terminal", [{"term_type": "dumb"}, {}], ids=["dumb", "no terminal"])
async def test_a_silent_user_is_warned_then_signed_out(terminal):
    limits = Limits(idle_minutes=0.02, idle_warning_seconds=1.0)
    async with running_server(backend(), limits, run_command=Commands().run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            process = await connection.create_process(**terminal)
            shown = await asyncio.wait_for(process.stdout.read(), 60)
            shown += await process.stderr.read()
            await process.wait_closed()
    assert "This session ends in 1 second. Press any key to stay." in " ".join(shown.split())
    assert shown.rstrip().endswith("\ntwofold: Signed out after 0.02 minutes without activity.")
    assert "\x1b" not in shown


async def test_an_ended_session_says_why():
    async with running_server(backend(), run_command=Commands().run) as running:
        connection, _ = await connect(running.port, "alice", [], keys=[KEY])
        async with connection:
            process = await connection.create_process(term_type="dumb")
            await asyncio.wait_for(process.stdout.readuntil("? "), 30)
            running.server.end_sessions(running.server.session_ids(), "An administrator ended this session.")
            assert (
                "An administrator ended this session."
                in await asyncio.wait_for(process.stdout.read(), 30) + await process.stderr.read()
            )
