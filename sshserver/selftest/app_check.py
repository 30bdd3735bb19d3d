"""The test, at every start, that an app in a session gets keys and reveals no values when it fails."""

import asyncio
import logging
import secrets
import sys
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from sshserver.compat.textual_app import ContainedApp
from sshserver.compat.textual_screen import ContainedScreen
from sshserver.limits.limit_values import Limits
from sshserver.session.channel_driver import ChannelDriver
from sshserver.terminal.capabilities import Colours, Terminal

_SECONDS: Final = 10.0
_COMPLETE: Final = "Complete"
_CHANGED: Final = "Changed"
_HOOKS: Final = frozenset({"_process_messages", "_handle_exception", "_print_error_renderables"})
_COLOUR: Final = (b"\x1b[38;", b"\x1b[48;")


class AppTestError(RuntimeError):
    """Textual does not behave as this project needs."""


class _Wire:
    """A terminal that only records bytes."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.driver: ChannelDriver | None = None
        self._received = asyncio.Event()

    def send(self, data: bytes) -> None:
        self.sent += data
        self._received.set()

    async def shows(self, word: str) -> None:
        """Wait until `word` was drawn."""
        while word.encode() not in self.sent:
            self._received.clear()
            await self._received.wait()

    def attach(self, driver: ChannelDriver) -> None:
        self.driver = driver

    def act(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Witness(ContainedApp):
    """Waits for Escape and `q`, and fails if it is given a secret. It records which hooks are called."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "note"), Binding("q", "leave")]

    def __init__(self, secret: str = "") -> None:
        super().__init__()
        self.secret = secret
        self.called: set[str] = set()
        self.ready = asyncio.Event()
        self.noted = asyncio.Event()
        self.streams: tuple[object, object] | None = None

    def compose(self) -> ComposeResult:
        yield Static("Ready.", id="words")

    def on_mount(self) -> None:
        self.streams = (sys.stdout, sys.stderr)
        self.query_one("#words").styles.background = "red"
        self.ready.set()
        if self.secret:
            raise ValueError(self.secret)

    def action_note(self) -> None:
        self.noted.set()

    def action_leave(self) -> None:
        self.exit("left")

    async def _process_messages(self, *args: Any, **kwargs: Any) -> None:
        self.called.add("_process_messages")
        await super()._process_messages(*args, **kwargs)

    def _handle_exception(self, error: Exception) -> None:
        self.called.add("_handle_exception")
        super()._handle_exception(error)

    def _print_error_renderables(self) -> None:
        self.called.add("_print_error_renderables")
        super()._print_error_renderables()


class _AwaitedScreen(ContainedScreen[None]):
    """Is not drawn until it is complete, and then at every change."""

    PATIENCE = _SECONDS

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield Static("Incomplete", id="words")

    def on_screen_resume(self) -> None:
        self.opened.set()

    def finish(self) -> None:
        self.change(_COMPLETE)
        self.complete()

    def change(self, words: str) -> None:
        self.query_one("#words", Static).update(words)


async def run() -> None:
    """Run an app that ends on a key, and one that fails.

    Raises:
        AppTestError: when either does not behave as this project promises.
    """
    factory = asyncio.get_running_loop().get_task_factory()
    try:
        async with asyncio.timeout(_SECONDS):
            await _leaves_by_keys()
            await _fails_silently(secrets.token_hex())
    except AppTestError:
        raise
    except Exception as error:  # noqa: BLE001 - after any failure, the app must not be served.
        raise AppTestError(f"the app's self-test failed: {type(error).__name__}") from None
    _expect("the loop's tasks stay as they are", asyncio.get_running_loop().get_task_factory() is factory)


async def _leaves_by_keys() -> None:
    app, wire, ended = _start(_Witness())
    ready = asyncio.ensure_future(app.ready.wait())
    try:
        await asyncio.wait([ended, ready], return_when=asyncio.FIRST_COMPLETED)
        if wire.driver is None:
            raise AppTestError("the app's self-test failed: no driver was started")
        wire.driver.feed(b"\x1b")
        await app.noted.wait()
        await _draws_what_is_complete(app, wire)
        wire.driver.feed(b"q")
        _expect("keys arrive", await ended == "left")
    finally:
        ready.cancel()
        await _end(ended)
    _expect("the process's streams stay as they are", app.streams == (sys.stdout, sys.stderr))
    _expect("a terminal without colours gets none", not any(colour in wire.sent for colour in _COLOUR))


async def _draws_what_is_complete(app: _Witness, wire: _Wire) -> None:
    waiting = _AwaitedScreen()
    app.call_later(app.push_screen, waiting)
    await waiting.opened.wait()
    waiting.call_later(waiting.finish)
    await wire.shows(_COMPLETE)
    waiting.call_later(waiting.change, _CHANGED)
    await wire.shows(_CHANGED)
    _expect("a screen is not drawn before it is complete", b"Incomplete" not in wire.sent)


async def _fails_silently(secret: str) -> None:
    app, wire, ended = _start(_Witness(secret))
    log = logging.getLogger("twofold.crash")
    log.disabled = True  # This failure is expected.
    try:
        await ended
    finally:
        log.disabled = False
        await _end(ended)
    _expect("a failure is reported", app.crash_message is not None)
    _expect("a failure shows no values", secret.encode() not in wire.sent)
    _expect(f"Textual calls {', '.join(sorted(_HOOKS - app.called))}", app.called >= _HOOKS)


def _start(app: _Witness) -> tuple[_Witness, _Wire, "asyncio.Task[str | None]"]:
    wire = _Wire()
    terminal = Terminal(term="vt100", colours=Colours.NONE)
    app.host(terminal, partial(ChannelDriver, wire=wire, limits=Limits()))
    return app, wire, asyncio.get_running_loop().create_task(app.run_hosted(terminal))


async def _end(task: "asyncio.Task[str | None]") -> None:
    task.cancel()
    await asyncio.wait([task])


def _expect(what: str, fulfilled: bool) -> None:
    if not fulfilled:
        raise AppTestError(f"the app's self-test failed. Expected: {what}")
