"""Commands on channels: their words, their streams, and how they are told to stop."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncssh
import pytest
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import HOST, Running, connect, running_server, until

from data.operations.signin.admission import Session
from sshserver.command_streams import CommandStoppedError, Interruption, Streams
from sshserver.limits.limit_values import Limits
from sshserver.session import app_session as words
from sshserver.session.channel_streams import encoding_of

pytestmark = pytest.mark.feature("member-commands")
KEY = asyncssh.generate_private_key("ssh-ed25519")
Program = Callable[[Sequence[str], Streams], int]


class Commands:
    """Runs a program for each command in a thread of its own, and notes how it ended."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.under_way = 0
        self.raised: list[BaseException] = []

    async def run(self, _session: Session, arguments: Sequence[str], streams: Streams) -> int:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._work, args=(arguments, streams, ended), daemon=True).start()
        return await ended

    def _work(self, arguments: Sequence[str], streams: Streams, ended: "asyncio.Future[int]") -> None:
        self.under_way += 1
        status = 1
        try:
            status = self.program(arguments, streams)
            streams.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the tests look at each.
            self.raised.append(error)
        self.under_way -= 1
        loop = ended.get_loop()
        loop.call_soon_threadsafe(lambda: ended.done() or ended.set_result(status))


@asynccontextmanager
async def commands(
    program: Program, limits: Limits | None = None
) -> AsyncIterator[tuple[Running, Commands, asyncssh.SSHClientConnection]]:
    """Serve a program, with a client that is signed in."""
    made = Commands(program)
    backend = FakeBackend([KEY], without_code={"alice"})
    async with running_server(backend, limits, run_command=made.run) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        async with connection:
            yield running, made, connection


def echo_arguments(arguments: Sequence[str], streams: Streams) -> int:
    streams.stdout.write("\n".join(arguments))
    streams.stderr.write("aside ü\n")
    streams.stderr.flush()
    return 7


async def test_words_streams_and_status():
    """A line is split as a shell does and never expanded; each stream arrives on its own."""
    async with commands(echo_arguments) as (_, _, alice):
        result = await alice.run("say 'two words' \"$HOME\" * ; x # y\n`id`")
    assert result.stdout.split("\n") == ["say", "two words", "$HOME", "*", ";", "x", "#", "y", "`id`"]
    assert (result.stderr, result.exit_status) == ("aside ü\n", 7)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"say 'open", b"twofold: A quote or backslash in the command has no end.\n"),
        (b"say \\", b"twofold: A quote or backslash in the command has no end.\n"),
        (b"say \xff", b"twofold: The command is not UTF-8.\n"),
        (b"x" * 32_769, b"twofold: The command is longer than 32768 characters.\n"),
    ],
    ids=["quote", "backslash", "encoding", "length"],
)
async def test_line_without_words(line, said):
    """It is wrong usage, said in one line; nothing is run."""
    async with commands(echo_arguments) as (_, made, alice):
        result = await alice.run(line, encoding=None)
        assert (result.exit_status, result.stdout, result.stderr) == (2, b"", said)
        assert made.raised == []


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [
        ({}, "utf-8"),
        ({"LANG": "de_DE.ISO-8859-1@euro"}, "iso8859-1"),
        ({"LANG": "de_DE.ISO-8859-1", "LC_ALL": "C"}, "ascii"),
        ({"LC_CTYPE": "ja_JP.eucJP"}, "euc_jp"),
        ({"LANG": "en_US.UTF-16"}, "utf-8"),
        ({"LANG": "en_US.rot13"}, "utf-8"),
        ({"LANG": "C.UTF-8"}, "utf-8"),
        ({"LANG": "de_DE"}, "utf-8"),
    ],
)
def test_encoding(environment, encoding):
    assert encoding_of(environment) == encoding


async def test_locale_and_line_ends():
    """What the client's locale lacks is escaped; only a terminal gets carriage returns."""
    async with commands(lambda _words, streams: bool(print("ü€\n", file=streams.stdout))) as (_, _, alice):
        for environment, terminal, shown in (
            ({"LC_ALL": "C"}, None, b"\\xfc\\u20ac\n\n"),
            ({"LANG": "de_DE.ISO-8859-15"}, None, "ü€\n\n".encode("iso8859-15")),
            ({}, "xterm", "ü€\r\n\r\n".encode()),
        ):
            result = await alice.run("x", env=environment, term_type=terminal, encoding=None)
            assert (result.stdout, result.exit_status) == (shown, 0)


def digest(_words: Sequence[str], streams: Streams) -> int:
    """Read all in small parts, and write its digest."""
    found = hashlib.sha256()
    while part := streams.stdin.read(1_000):
        found.update(part)
    streams.stdout.write(found.hexdigest())
    return 0


async def test_input_to_its_end():
    """Far more than is read ahead arrives whole, and its end does not end the command."""
    given = bytes(range(256)) * 20_000
    async with commands(digest) as (_, _, alice):
        result = await alice.run("x", input=given, encoding=None)
    assert result.stdout.decode() == hashlib.sha256(given).hexdigest()


async def test_endless_input():
    """What a command does not read is not read from the client either."""
    goes_on = threading.Event()

    def takes_little(_words: Sequence[str], streams: Streams) -> int:
        streams.stdin.read(1_000_000)
        goes_on.wait()
        return 0

    async with commands(takes_little) as (_, _, alice):
        process = await alice.create_process("x", encoding=None)
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                process.stdin.write(bytes(65_536))
                await process.stdin.drain()
                sent += 65_536

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send(), 1)
        goes_on.set()
        assert (await process.wait()).exit_status == 0
    assert sent < 2_000_000


async def test_slow_reader():
    """A command waits for its reader, who gets everything in order at last."""
    written = 0

    def much(_words: Sequence[str], streams: Streams) -> int:
        nonlocal written
        for number in range(400_000):
            written += streams.stdout.write(f"{number}\n")
        return 0

    async with commands(much) as (_, made, alice):
        process = await alice.create_process("x", window=65_536)
        process.channel.pause_reading()
        await until(lambda: written > 65_536)
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.3)
        assert written < 1_000_000
        assert made.under_way == 1
        process.channel.resume_reading()
        result = await process.wait()
        assert result.stdout == "".join(f"{number}\n" for number in range(400_000))
        assert result.exit_status == 0


async def test_writing_on_the_loop():
    """What a coroutine writes while its command waits for it blocks nothing, however much it is."""

    def waits(_words: Sequence[str], streams: Streams) -> int:
        async def report() -> None:
            for _ in range(40):
                streams.stdout.write("x" * 10_000)
                streams.stdout.flush()

        asyncio.run_coroutine_threadsafe(report(), loop).result()
        return 0

    loop = asyncio.get_running_loop()
    async with commands(waits) as (_, _, alice):
        result = await asyncio.wait_for(alice.run("x"), 30)
    assert len(result.stdout) == 400_000


def writes_for_ever(_words: Sequence[str], streams: Streams) -> int:
    while True:
        streams.stdout.write("more\n")


def writes_much(_words: Sequence[str], streams: Streams) -> int:
    for _ in range(500_000):
        streams.stdout.write("more\n")
    return 0


async def test_closed_reader(require_program, tmp_path):
    """`| head -1` is quiet; OpenSSH drops the rest, because it tells only its own server to stop."""
    key = tmp_path / "key"
    key.write_bytes(KEY.export_private_key("openssh"))
    key.chmod(0o600)
    async with commands(writes_much) as (running, made, _):
        ssh = (
            f"{require_program('ssh')} -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
            f"-o LogLevel=ERROR -i {key} -p {running.port} alice@{HOST} x"
        )
        process = await asyncio.create_subprocess_shell(
            f"{ssh} | head -1", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert await asyncio.wait_for(process.communicate(), 30) == (b"more\n", b"")
        await until(lambda: not made.under_way)
    assert made.raised == []


@pytest.mark.parametrize("program", [writes_for_ever, digest], ids=["writing", "reading"])
async def test_client_that_is_gone(program):
    """Its commands end, and their threads."""
    async with commands(program) as (_, made, alice):
        await alice.create_process("x")
        await until(lambda: made.under_way)
        alice.abort()
        await until(lambda: made.raised and not made.under_way)
    assert [type(error) for error in made.raised] == [BrokenPipeError]


@pytest.mark.parametrize(
    ("signal", "raised"), [("INT", KeyboardInterrupt), ("TERM", BrokenPipeError), ("HUP", BrokenPipeError)]
)
async def test_signals(signal, raised):
    async with commands(digest) as (_, made, alice):
        process = await alice.create_process("x")
        await until(lambda: made.under_way)
        process.send_signal(signal)
        assert (await process.wait()).exit_status == 1
    assert [type(error) for error in made.raised] == [raised]


async def test_ctrl_c_at_a_terminal():
    """It interrupts what the command does, and what it asks."""

    def asks(arguments: Sequence[str], streams: Streams) -> int:
        assert streams.ask is not None
        if arguments == ["ask"]:
            streams.ask("Name: ")
        while not streams.interruption:
            streams.stdout.write(".\n")
            streams.stdout.flush()
        streams.interruption.check()
        return 0

    async with commands(asks) as (_, made, alice):
        for command, shown in (("ask", "Name: "), ("work", ".")):
            process = await alice.create_process(command, term_type="xterm")
            assert await process.stdout.readexactly(len(shown)) == shown
            process.stdin.write("\x03")
            assert (await process.wait()).exit_status == 1
    assert [type(error) for error in made.raised] == [KeyboardInterrupt] * 2


def test_the_end_of_a_session_outlives_a_ctrl_c():
    """Whoever deals with a Ctrl+C must not go on in a session that was ended meanwhile."""
    interruption = Interruption()
    interruption.set(KeyboardInterrupt())
    interruption.set(CommandStoppedError("Ended by sam."))
    interruption.set(KeyboardInterrupt())
    interruption.clear()
    with pytest.raises(CommandStoppedError, match="sam"):
        interruption.check()
    interruption.check(writing=True)
    interruption.set(BrokenPipeError())
    with pytest.raises(BrokenPipeError):
        interruption.check(writing=True)


async def test_ended_session():
    """A command that waits is stopped; it may still say what was done, and its user is told why."""

    def says_what_was_done(_words: Sequence[str], streams: Streams) -> int:
        try:
            streams.stdin.read()
        except CommandStoppedError:
            streams.stdout.write("One of two was done.\n")
        return 1

    async with commands(says_what_was_done) as (running, made, alice):
        process = await alice.create_process("x")
        await until(lambda: made.under_way)
        running.server.end_sessions(running.server.session_ids(), "An administrator ended it.")
        result = await asyncio.wait_for(process.wait(), 30)
    assert (result.stdout, result.stderr) == (
        "One of two was done.\n",
        "twofold: An administrator ended it.\n",
    )
    assert result.exit_status == 1


async def test_idle():
    """A command that waits for its client is stopped after a while; one that works is not."""
    goes_on = threading.Event()

    def waits_or_works(arguments: Sequence[str], streams: Streams) -> int:
        if arguments == ["wait"]:
            streams.stdin.read()
        goes_on.wait()
        return 0

    limits = Limits(idle_minutes=0.2 / 60, idle_warning_seconds=0.1)
    async with commands(waits_or_works, limits) as (_, made, alice):
        works = await alice.create_process("work")
        result = await alice.run("wait", stdin=asyncssh.PIPE)
        assert result.exit_status == 1
        assert result.stderr.startswith("twofold: Signed out after")
        assert [type(error) for error in made.raised] == [CommandStoppedError]
        goes_on.set()
        assert (await works.wait()).exit_status == 0


async def test_twenty_at_once():
    """Each has its own streams, exit status and locale."""
    all_here = threading.Barrier(20)

    def meets(arguments: Sequence[str], streams: Streams) -> int:
        all_here.wait()
        given = streams.stdin.read().decode()
        streams.stdout.write(f"{arguments[0]} {given} ü")
        streams.stderr.write(given)
        streams.stderr.flush()
        return int(arguments[0])

    async with commands(meets) as (_, _, alice):

        async def one(number: int) -> None:
            locale = "C" if number % 2 else "C.UTF-8"
            result = await alice.run(f"{number}", input=f"given {number}", env={"LC_ALL": locale})
            end = "\\xfc" if number % 2 else "ü"
            assert (result.stdout, result.stderr) == (f"{number} given {number} {end}", f"given {number}")
            assert result.exit_status == number

        await asyncio.gather(*map(one, range(20)))


async def test_limits_of_commands():
    """They are counted by themselves; between two, a connection may wait as long as an idle session."""
    limits = Limits(commands_per_user=2, sessions_per_user=1, unused_seconds=1)
    async with commands(digest, limits) as (_, made, alice):
        first, second = [await alice.create_process("x") for _ in range(2)]
        refused = await alice.run("x")
        assert (refused.exit_status, refused.stderr) == (1, f"{words.TOO_MANY_COMMANDS}\n")
        app = await alice.create_process(term_type="xterm")
        await app.stdout.read(1)
        for process in (first, second):
            process.stdin.write_eof()
            await process.wait()
        app.stdin.write("q")
        await app.wait()
        assert (await alice.run("x", input="a")).exit_status == 0
        await asyncio.sleep(1.5)
        assert (await alice.run("x", input="a")).exit_status == 0
        await until(lambda: not made.under_way)
