"""Sessions: how they end, what they share, and what they leave behind."""

import asyncio
import contextlib
import gc
import logging
import os
import sys
import weakref

import asyncssh
import pytest
from support.fake_backend import CODE, PASSWORD, FakeBackend
from support.pseudo_terminal import PATIENCE
from support.ssh_server import GreetingApp, connect, running_server, until
from textual.app import App
from textual.filter import Monochrome, NoColor

from sshserver.compat.textual_turns import DrawnInTurn
from sshserver.limits.limit_values import Limits
from sshserver.session import app_session as session_module
from sshserver.session.app_session import AppSession
from sshserver.session.channel_driver import ChannelDriver
from sshserver.signin.connection import Connection
from sshserver.terminal.capabilities import Colours

KEY = asyncssh.generate_private_key("ssh-ed25519")


class Screen:
    """An asyncssh client's session, and what it has seen."""

    def __init__(self, process):
        self.process = process
        self.seen = ""

    async def expect(self, text, seconds=PATIENCE):
        async with asyncio.timeout(seconds):
            while text not in self.seen:
                data = await self.process.stdout.read(65536)
                assert data, f"{text!r} was not shown: {self.seen!r}"
                self.seen += data

    async def rest(self):
        async with asyncio.timeout(PATIENCE):
            self.seen += await self.process.stdout.read()
        return (await self.process.wait()).exit_status


class Counted:
    """A function, and how often it was called."""

    def __init__(self, function):
        self.function = function
        self.calls = 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)


async def open_screen(running, user="alice", **options):
    connection, _ = await connect(running.port, user, [CODE], keys=[KEY])
    given = {"term_type": "xterm-256color", "term_size": (80, 24), "encoding": "utf-8"} | options
    return connection, Screen(await connection.create_process(**given))


async def test_result_and_status():
    """The result of the app is the last line, and the status is 0."""
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        screen.process.stdin.write("q")
        assert await screen.rest() == 0
        assert screen.seen.endswith("\x1b[?1049l\x1b[?25hGoodbye.\r\n")
        connection.close()


async def test_what_was_typed_before_the_app_started_arrives():
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        screen.process.stdin.write("q")
        assert await screen.rest() == 0
        connection.close()


async def test_channels_share_a_session():
    """They end it together."""
    backend = FakeBackend([KEY])
    async with running_server(backend) as running:
        connection, first = await open_screen(running)
        second = Screen(await connection.create_process(term_type="xterm", term_size=(80, 24)))
        await first.expect("Hello alice")
        await second.expect("Hello alice")
        assert [app.session.id for app in running.apps] == [1, 1]
        second.process.stdin.write("q")
        assert await second.rest() == 0
        first.process.stdin.write("a")
        assert backend.ended == []
        connection.close()
        await until(lambda: backend.ended == [1])


@pytest.mark.feature("session-idle")
async def test_idle_session():
    """It is warned and then ended with a line."""
    limits = Limits(idle_minutes=15, idle_warning_seconds=899.9)
    async with running_server(FakeBackend([KEY]), limits) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Still there?")
        watch = idle_watch(running)
        watch._last -= 900
        watch._look()
        assert await screen.rest() == 0
        assert screen.seen.endswith("Signed out after 15 minutes without activity.\r\n")
        connection.close()


def idle_watch(running):
    """Return what watches over the only session."""
    (connection,) = running.server._context.connections
    (session,) = connection.channels.sessions
    return session._idle


async def test_typing_keeps_a_session():
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        touched = idle_watch(running)._last
        screen.process.stdin.write("a")
        await until(lambda: running.app.keys == ["a"])
        assert idle_watch(running)._last > touched
        connection.close()


@pytest.mark.parametrize("noise", ["\0", "\x1b[I", "\x1b[<35;4;2M"], ids=["NUL", "focus", "motion"])
async def test_what_no_person_typed_keeps_no_session(noise):
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        touched = idle_watch(running)._last
        screen.process.stdin.write(noise)
        screen.process.change_terminal_size(60, 20)  # It follows the noise, and shows that it was read.
        await until(lambda: running.app.size == (60, 20))
        assert idle_watch(running)._last == touched
        connection.close()


async def test_connection_without_channels():
    backend = FakeBackend([KEY])
    async with running_server(backend, Limits(unused_seconds=0.3)) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)
        await until(lambda: backend.ended == [1])


async def test_channels_that_run_nothing():
    backend = FakeBackend([KEY])
    async with running_server(backend, Limits(unused_seconds=0.3)) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        with contextlib.suppress(asyncssh.Error):
            async with asyncio.timeout(PATIENCE):
                while True:
                    assert (await connection.run("true")).exit_status == 1
        await until(lambda: backend.ended == [1])


async def test_vanished_client():
    limits = Limits(keepalive_seconds=0.1, keepalive_count=3)
    backend = FakeBackend([KEY])
    async with running_server(backend, limits) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        transport = connection._transport
        assert transport is not None
        transport.pause_reading()
        await until(lambda: running.server.connection_count == 0)
        await until(lambda: backend.ended == [1])


async def test_client_that_does_not_read():
    limits = Limits(unread_seconds=0.3, write_buffer_bytes=8192)

    class Chatterbox(GreetingApp):
        def on_mount(self):
            self.set_interval(0.01, lambda: self.query_one("#greeting").update(os.urandom(600).hex()))

    backend = FakeBackend([KEY])
    async with running_server(backend, limits, Chatterbox) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        process = await connection.create_process(term_type="xterm", term_size=(120, 40), window=4096)
        await until(lambda: running.apps)
        reference = weakref.ref(running.app)
        await until(lambda: running.server.session_count == 0 or not running.app.is_running)
        assert reference() is not None
        del process
        connection.close()
        await connection.wait_closed()
        await until(lambda: backend.ended == [1])


async def test_stalled_socket():
    """No frame is made until it takes data again."""
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        server_side = next(iter(running.server._context.connections))
        ssh = server_side.transport.ssh
        assert ssh is not None
        ssh.pause_writing()
        drawn = running.app.screen._compositor.render_update = Counted(
            running.app.screen._compositor.render_update
        )
        screen.process.stdin.write("abc")
        await until(lambda: running.app.keys == ["a", "b", "c"])
        await asyncio.sleep(0.1)
        assert drawn.calls == 0
        ssh.resume_writing()
        await screen.expect("a b c")
        connection.close()


async def test_the_end_of_input_ends_the_app():
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        screen.process.stdin.write_eof()
        assert await screen.rest() == 0
        connection.close()


async def test_resizes_are_clamped_and_reach_the_app():
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running, term_size=(10_000, 10_000))
        await screen.expect("Hello alice")
        assert running.app.size == (500, 200)
        screen.process.change_terminal_size(1, 1)
        await until(lambda: running.app.screen.size == (20, 5))
        connection.close()


async def test_the_palette_is_shown_and_drawn_in_turn():
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        screen.process.stdin.write("\x10")
        await screen.expect("Search for commands")
        assert isinstance(running.app.screen, DrawnInTurn)
        screen.process.change_terminal_size(60, 20)
        await until(lambda: running.app.screen.size == (60, 20))
        connection.close()


async def test_crash(caplog):
    """It shows a short message and a reference, and logs type and place only."""
    caplog.set_level(logging.DEBUG)
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        screen.process.stdin.write("x")
        assert await screen.rest() == 1
        connection.close()
    last_line = screen.seen.rpartition("\x1b[?25h")[2]
    assert last_line.startswith("An error ended this session")
    reference = last_line.split()[-1]
    assert "ValueError at support/ssh_server.py:" in caplog.text
    assert reference in caplog.text
    assert "correct horse battery" not in caplog.text + screen.seen
    assert "Traceback" not in caplog.text + screen.seen


@pytest.mark.parametrize("where", ["__init__", "compose", "on_mount", "worker", "css"])
async def test_an_app_that_fails_anywhere_says_the_same(where, caplog):
    class Failing(GreetingApp):
        CSS = "broken {" if where == "css" else ""

        def __init__(self, session, terminal):
            if where == "__init__":
                raise RuntimeError("secret words")
            super().__init__(session, terminal)

        def compose(self):
            if where == "compose":
                raise RuntimeError("secret words")
            yield from super().compose()

        def on_mount(self):
            if where == "on_mount":
                raise RuntimeError("secret words")
            if where == "worker":
                self.run_worker(self.fail())

        async def fail(self):
            raise RuntimeError("secret words")

    async with running_server(FakeBackend([KEY]), app_class=Failing) as running:
        connection, screen = await open_screen(running)
        assert await screen.rest() == 1
        connection.close()
    assert "An error ended this session" in screen.seen
    assert "secret words" not in caplog.text + screen.seen
    if where != "css":
        assert "RuntimeError at" in caplog.text


async def test_a_crashed_session_leaves_the_others_alone():
    async with running_server(FakeBackend([KEY])) as running:
        one, first = await open_screen(running)
        two, second = await open_screen(running, "bob")
        await first.expect("Hello alice")
        await second.expect("Hello bob")
        first.process.stdin.write("x")
        assert await first.rest() == 1
        second.process.stdin.write("q")
        assert await second.rest() == 0
        one.close()
        two.close()


async def test_standard_output_stays_where_it_is(capfd):
    before = (sys.stdout, sys.stderr)
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        assert (sys.stdout, sys.stderr) == before
        assert asyncio.get_running_loop().get_task_factory() is None
        connection.close()
    assert (sys.stdout, sys.stderr) == before
    assert capfd.readouterr() == ("", "")


async def test_shared_loop_keeps_its_task_factory(monkeypatch):
    def eager(loop, coroutine, **options):
        return asyncio.Task(coroutine, loop=loop, **options)

    monkeypatch.setattr(asyncio, "eager_task_factory", eager, raising=False)
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        assert asyncio.get_running_loop().get_task_factory() is None
        connection.close()


@pytest.mark.parametrize(
    ("term", "environment", "colours", "filters", "written"),
    [
        ("xterm-256color", {}, Colours.INDEXED, [], "48;5;"),
        ("xterm-256color", {"COLORTERM": "truecolor"}, Colours.TRUE, [], "48;2;"),
        ("xterm", {}, Colours.SIXTEEN, [], "\x1b[97;40m"),
        ("xterm-256color", {"NO_COLOR": "1"}, Colours.INDEXED, [NoColor], "39;49"),
        ("vt100", {}, Colours.NONE, [NoColor], "39;49"),
    ],
)
async def test_colours_are_those_of_the_clients_terminal(
    monkeypatch, term, environment, colours, filters, written
):
    monkeypatch.setenv("NO_COLOR", "1")
    async with running_server(FakeBackend([KEY])) as running:
        connection, screen = await open_screen(running, term_type=term, env=environment)
        await screen.expect("Hello alice")
        assert running.app.terminal.colours is colours
        found = [type(known) for known in running.app._filters if isinstance(known, Monochrome | NoColor)]
        assert found == filters
        assert running.app.no_color is bool(filters)
        assert written in screen.seen
        connection.close()


async def test_draining():
    """It tells sessions, closes strangers and listens no more."""
    backend = FakeBackend([KEY])
    async with running_server(backend) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        stranger = await asyncio.open_connection("127.0.0.1", running.port)
        await until(lambda: running.server.connection_count == 2)
        rest = asyncio.create_task(screen.rest())
        port = running.port
        await asyncio.wait_for(running.server.drain(), PATIENCE)
        await rest
        assert screen.seen.endswith("The server is shutting down.\r\n")
        assert backend.ended == [1]
        stranger[1].close()
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection("127.0.0.1", port)
        connection.close()


async def test_an_app_that_does_not_want_to_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(session_module, "_SHUT_DOWN_GRACE", 0.2)

    leaving = asyncio.Event()

    class Stubborn(GreetingApp):
        async def action_leave(self):
            leaving.set()
            await asyncio.sleep(60)

    async with running_server(FakeBackend([KEY]), app_class=Stubborn) as running:
        connection, screen = await open_screen(running)
        await screen.expect("Hello alice")
        screen.process.stdin.write("q")
        await asyncio.wait_for(leaving.wait(), PATIENCE)
        connection.abort()
        await until(lambda: running.server.connection_count == 0)
        await until(lambda: not running.app.is_running, seconds=50)


async def test_given_sessions_can_be_ended_with_a_reason():
    backend = FakeBackend([KEY])
    async with running_server(backend) as running:
        one, first = await open_screen(running)
        two, second = await open_screen(running, "bob")
        await first.expect("Hello alice")
        await second.expect("Hello bob")
        assert running.server.end_sessions([1, 99], "An administrator ended this session.") == 1
        await first.rest()
        assert "An administrator ended this session." in first.seen
        await asyncio.wait_for(one.wait_closed(), PATIENCE)
        await until(lambda: backend.ended == [1])
        second.process.stdin.write("q")
        assert await second.rest() == 0
        two.close()


async def test_after_fifty_sessions_nothing_of_them_is_alive(monkeypatch):
    seen: list[weakref.ref[object]] = []

    def watch(cls):
        original = cls.__init__

        def remembering(self, *args, **kwargs):
            seen.append(weakref.ref(self))
            original(self, *args, **kwargs)

        monkeypatch.setattr(cls, "__init__", remembering)

    for cls in (App, ChannelDriver, AppSession, Connection, asyncssh.SSHServerConnection):
        watch(cls)
    async with running_server(FakeBackend([KEY])) as running:
        tasks_before = len(asyncio.all_tasks())
        for number in range(50):
            connection, screen = await open_screen(running)
            await screen.expect("Hello alice")
            screen.process.stdin.write("\x1b[Aab\x1b[1;5Bq" if number % 2 else "\x1b[97;5u")
            if number % 2:
                assert await screen.rest() == 0
                connection.close()
            else:
                connection.abort()
            await connection.wait_closed()
            running.apps.clear()
            del connection, screen
        await until(lambda: running.server.connection_count == 0)
        await until(lambda: len(asyncio.all_tasks()) <= tasks_before)
        assert len(seen) == 250

        def alive() -> list[str]:
            gc.collect()
            return [type(found).__name__ for reference in seen if (found := reference()) is not None]

        await until(lambda: not alive())


async def test_a_log_at_debug_level_holds_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    secrets = [PASSWORD, CODE, "mistyped password", "999999", KEY.export_private_key().decode()[40:80]]
    async with running_server(FakeBackend([KEY])) as running:
        connection, _ = await connect(running.port, "alice", ["mistyped password", PASSWORD, "999999", CODE])
        process = await connection.create_process(term_type="xterm", term_size=(80, 24))
        screen = Screen(process)
        await screen.expect("Hello alice")
        process.stdin.write("my new password")
        await until(lambda: len(running.app.keys) == len("my new password"))
        connection.close()
        with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
            await connect(running.port, "a password typed as a name", ["wrong"])
    assert not any(secret in caplog.text for secret in [*secrets, "a password typed as a name"])
