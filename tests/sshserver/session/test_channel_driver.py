"""The driver between a channel and an app: what is typed arrives, what is drawn leaves."""

import asyncio
from functools import partial

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_backend import session
from support.ssh_server import GreetingApp, until
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message
from textual.widgets import Static

from sshserver.limits.limit_values import Limits
from sshserver.session.channel_driver import ChannelDriver
from sshserver.terminal.capabilities import Terminal, clamp

LEAVE = b"\x1b[?1049l"


class FakeWire:
    """A channel in the memory of the test."""

    def __init__(self, early: bytes = b"") -> None:
        self.early = early
        self.sent = bytearray()
        self.driver: ChannelDriver | None = None
        self.reading = True
        self.acts = 0

    def send(self, data: bytes) -> None:
        self.sent += data

    def attach(self, driver: ChannelDriver) -> None:
        self.driver = driver
        driver.feed(self.early)

    def act(self) -> None:
        self.acts += 1

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def screen(self, columns: int = 80, rows: int = 24) -> str:
        """What a terminal shows that got everything sent so far."""
        screen = pyte.Screen(columns, rows)
        pyte.ByteStream(screen).feed(bytes(self.sent))
        return "\n".join(screen.display)


class RecordingApp(GreetingApp):
    """Notes what arrives."""

    def __init__(self) -> None:
        super().__init__(session(), Terminal())
        self.events: list[events.Event] = []

    def compose(self) -> ComposeResult:
        yield Static("first", id="keys")

    async def on_event(self, event: events.Event) -> None:
        # An event comes by a second time when a widget lets it bubble up.
        recorded = events.InputEvent | events.Paste | events.Resize
        if isinstance(event, recorded) and not event.is_forwarded:
            self.events.append(event)
        await super().on_event(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def typed(self) -> list[str]:
        return [event.key for event in self.of(events.Key)]


class SilentApp(App[str | None]):
    """An app that does not run."""

    def post_message(self, message: Message) -> bool:
        return True


class Stage:
    """A running app, its wire and its driver."""

    def __init__(self, early: bytes = b"", limits: Limits | None = None) -> None:
        self.wire = FakeWire(early)
        self.app = RecordingApp()
        self.limits = limits or Limits()

    @property
    def driver(self) -> ChannelDriver:
        assert self.wire.driver is not None
        return self.wire.driver

    async def __aenter__(self):
        self.app.host(Terminal(), partial(ChannelDriver, wire=self.wire, limits=self.limits))
        self.task = asyncio.create_task(self.app.run_hosted(Terminal()))
        await until(lambda: b"first" in self.wire.sent)
        return self

    async def __aexit__(self, *_):
        self.app.exit("bye")
        await asyncio.wait_for(self.task, 60)


async def test_the_terminal_is_taken_over_and_given_back():
    async with Stage() as stage:
        assert stage.wire.sent.startswith(b"\x1b[?1049h\x1b[?25l")
        for mode in (b"1000", b"1002", b"1006", b"2004"):
            assert b"\x1b[?" + mode + b"h" in stage.wire.sent
        assert b"\x1b[?1003h" not in stage.wire.sent
    assert stage.task.result() == "bye"
    for mode in (b"1000", b"1002", b"1006", b"2004", b"1049"):
        assert b"\x1b[?" + mode + b"l" in stage.wire.sent
    assert stage.wire.sent.endswith(b"\x1b[?25h")


async def test_a_lone_escape_arrives_without_another_key():
    async with Stage() as stage:
        stage.driver.feed(b"\x1b")
        await until(lambda: stage.app.typed == ["escape"])


async def test_an_escape_sequence_in_pieces_is_one_key():
    async with Stage() as stage:
        for piece in (b"\x1b", b"[", b"1;5", b"A", b"a"):
            stage.driver.feed(piece)
        await until(lambda: stage.app.typed == ["ctrl+up", "a"])


async def test_a_character_in_pieces_is_one_character():
    async with Stage() as stage:
        for byte in "ü€😀".encode():
            stage.driver.feed(bytes([byte]))
        await until(lambda: len(stage.app.typed) == 3)
        assert [event.character for event in stage.app.of(events.Key)] == ["ü", "€", "😀"]


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff\xfe\xc3",
        b"\x1b[99999999999999999999999;1u",
        b"\x1b[<99999;99999999;99999999M",
        b"\x1b[48;0;0;0;0t\x1b[<0;5;5M",
        b"\x1b]0;title\x07\x1bP\x1b\\\x9b\x00",
        b"\x1b[?2048;1$y\x1b[?2026;9$y",
    ],
)
async def test_no_input_ends_the_session(junk):
    async with Stage() as stage:
        stage.driver.feed(junk)
        await asyncio.sleep(0.15)
        stage.driver.feed(b"a")
        await until(lambda: "a" in stage.app.typed)
        assert not stage.task.done()


@given(chunks=st.lists(st.binary(max_size=40), max_size=12))
def test_whatever_bytes_came_the_next_key_is_read(chunks):
    read = []

    async def scene():
        driver = ChannelDriver(SilentApp(), wire=FakeWire(), limits=Limits())
        driver.start_application_mode()
        driver.send_message = read.append  # type: ignore[method-assign]
        for chunk in chunks:
            driver.feed(chunk)
        driver.feed(b"\xff \x1b[201~" + b" " * 40 + b"Z")
        driver.close()

    asyncio.run(scene())
    assert isinstance(read[-1], events.Key)
    assert read[-1].key == "Z"


async def test_what_was_typed_before_the_app_started_arrives():
    async with Stage(early=b"abc") as stage:
        await until(lambda: stage.app.typed == ["a", "b", "c"])


async def test_clicks_and_drags_arrive():
    async with Stage() as stage:
        stage.driver.feed(b"\x1b[<0;3;2M\x1b[<32;4;2M\x1b[<0;4;2m")
        await until(lambda: len(stage.app.of(events.MouseEvent)) >= 3)
        down, move, up = stage.app.of(events.MouseEvent)[:3]
        assert isinstance(down, events.MouseDown)
        assert (down.x, down.y) == (2, 1)
        assert isinstance(move, events.MouseMove)
        assert isinstance(up, events.MouseUp)


async def test_paste_is_one_event():
    """Its bytes are no keys."""
    async with Stage() as stage:
        stage.driver.feed(b"\x1b[200~q one\r\nq two\x1b[201~b")
        await until(lambda: stage.app.typed == ["b"])
        assert [event.text for event in stage.app.of(events.Paste)] == ["q one\r\nq two"]


async def test_endless_paste_is_dropped():
    """The next key arrives."""
    async with Stage(limits=Limits(paste_characters=1000)) as stage:
        stage.driver.feed(b"\x1b[200~")
        for _ in range(20):
            stage.driver.feed(b"q" * 300)
        stage.driver.feed(b"qqq\x1b[20")
        stage.driver.feed(b"1~b")
        await until(lambda: stage.app.typed == ["b"])
        assert stage.app.of(events.Paste) == []


async def test_a_resize_reaches_the_app_and_its_screen():
    async with Stage() as stage:
        stage.driver.resize(clamp((3, 4000), Limits()))
        await until(lambda: stage.app.size == (20, 200))
        await until(lambda: stage.app.screen.size == (20, 200))


async def test_last_of_several_sizes():
    async with Stage() as stage:
        stage.driver.resize((100, 30))
        for columns in range(30, 200):
            stage.driver.resize((columns, 40))
        await until(lambda: stage.app.screen.size == (199, 40))
        widths = [event.size.width for event in stage.app.of(events.Resize)]
        assert widths[-2:] == [100, 199]


async def test_sizes_while_the_client_does_not_read():
    """Only the last one is laid out, once it reads."""
    async with Stage() as stage:
        stage.driver.pause_writing()
        stage.driver.resize((100, 30))
        stage.driver.resize((90, 30))
        stage.driver.feed(b"a")
        await until(lambda: stage.app.typed == ["a"])
        assert stage.app.size == (80, 24)
        stage.driver.resume_writing()
        await until(lambda: stage.app.screen.size == (90, 30))
        assert [event.size.width for event in stage.app.of(events.Resize)][-1:] == [90]


@pytest.mark.parametrize(
    "act", [b"a", b"\x03", b"\x1b[A", b"\x1b[200~text\x1b[201~", b"\x1b[<0;3;2M", b"\x1b[<65;3;2M"]
)
async def test_signs_of_activity(act):
    """A key, a paste, a click and the wheel show that somebody is there."""
    async with Stage() as stage:
        stage.driver.feed(act)
        assert stage.wire.acts == 1


@pytest.mark.parametrize(
    "noise",
    [b"\0" * 3, b"\x1b[<35;4;2M", b"\x1b[<32;4;2M", b"\x1b[I\x1b[O", b"\x1b[?2026;2$y", b"\x1b[12;40R"],
    ids=["NUL", "motion", "drag", "focus", "mode", "cursor"],
)
async def test_what_no_person_typed_does_not(noise):
    async with Stage() as stage:
        stage.driver.feed(noise)
        assert stage.wire.acts == 0


async def test_only_ssh_may_change_the_size():
    async with Stage() as stage:
        stage.driver.feed(b"\x1b[48;9999;9999;9;9ta")
        await until(lambda: stage.app.typed == ["a"])
        assert stage.app.size == (80, 24)


async def test_frames_while_the_client_does_not_read():
    """They are dropped, and then one is drawn whole."""
    async with Stage() as stage:
        stage.driver.pause_writing()
        before = len(stage.wire.sent)
        for number in range(20):
            stage.app.query_one("#keys", Static).update(f"frame {number}")
            await asyncio.sleep(0.02)
        assert len(stage.wire.sent) == before
        stage.wire.sent.clear()
        stage.driver.resume_writing()
        await until(lambda: "frame 19" in stage.wire.screen())
        # Everything on the screen was drawn again, not only what changed last.
        await until(lambda: stage.wire.sent.count(b"\x1b[") > 24)


async def test_terminal_is_given_back():
    """This holds even while the client does not read."""
    async with Stage() as stage:
        stage.driver.pause_writing()
    assert LEAVE in stage.wire.sent


async def test_flood_of_keys():
    """It is read no faster than the app takes it."""
    async with Stage(limits=Limits(input_backlog=50)) as stage:
        stage.driver.feed(b"a" * 200)
        assert not stage.wire.reading
        await until(lambda: stage.wire.reading)
        await until(lambda: len(stage.app.typed) == 200)


async def test_nothing_is_opened_or_written_on_the_server(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda *a, **k: opened.append(a))
    async with Stage() as stage:
        stage.app.open_url("https://example.org")
        stage.app.deliver_screenshot(path=str(tmp_path))
        stage.app.action_screenshot(path=str(tmp_path))
        titles = [command.title for command in stage.app.get_system_commands(stage.app.screen)]
        await asyncio.sleep(0.1)
    assert opened == []
    assert list(tmp_path.iterdir()) == []
    assert "Screenshot" not in titles
    assert "Quit" in titles
