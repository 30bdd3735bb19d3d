"""The only file beside `_textual_turns` that touches private names of Textual, which is pinned for them.

Textual expects to own its process. Here many apps share one: a crash shows no values, colours are those
of the client and not of the server's environment, standard output stays where it is, and an ended app
can be collected.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, TextIO, TypeVar, cast

from rich.console import Console, RenderableType
from textual._parser import ParseTimeout
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.app import App, SystemCommand
from textual.cache import LRUCache
from textual.command import CommandPalette
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.tokenizer import Token
from textual.css.types import CSSLocation
from textual.driver import Driver
from textual.events import Idle, Mount, Resize, ScreenResume
from textual.filter import LineFilter, Monochrome, NoColor
from textual.geometry import Size
from textual.message import Message
from textual.messages import InBandWindowResize
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed

from sshserver.compat.textual_turns import ContainedPalette, DrawnInTurn, Turns
from sshserver.telemetry import crash_reports
from sshserver.terminal.capabilities import Colours, Terminal
from sshserver.terminal.sequences import ALT_LENGTH, ESC, SequenceReader
from sshserver.terminal.typeahead import TypeAheadApp

T = TypeVar("T")
_log = logging.getLogger("twofold.app")
_ROUNDS = 16
"""How often a screen looks whether its widgets are done, before it is drawn as it is."""
_COLOUR_SYSTEMS: dict[Colours, Literal["standard", "256", "truecolor"]] = {
    # A monochrome terminal still gets bold and reverse, which rich writes only for some colour system.
    Colours.NONE: "standard",
    Colours.SIXTEEN: "standard",
    Colours.INDEXED: "256",
    Colours.TRUE: "truecolor",
}
_OTHER_KEY = re.compile(r"\x1b\[27;(\d+);(\d+)~")
_SHIFT = 2
"""xterm's number for Shift alone; what is greater stands for other modifiers too."""
Variables = frozenset[tuple[str, str]]
_parsed_rules: LRUCache[tuple[object, ...], list[RuleSet]] = LRUCache(1024)
_tokens: LRUCache[Variables, dict[str, list[Token]]] = LRUCache(16)
_css_variables: LRUCache[tuple[type, str], dict[str, str]] = LRUCache(16)


class SharedStylesheet(Stylesheet):
    """A style sheet whose rules are parsed once in the process for each theme, not in every app.

    Parsed rules are only read; what changes in an app are the styles of its own widgets.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._theme: Variables = frozenset(variables.items())

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take the variables of another theme."""
        super().set_variables(variables)
        self._theme = frozenset(variables.items())

    @property
    def _variable_tokens(self) -> dict[str, list[Token]]:
        tokens = _tokens.get(self._theme)
        if tokens is None:
            _tokens[self._theme] = tokens = super()._variable_tokens
        return tokens

    def reparse(self) -> None:
        """Take the rules that belong to the present variables."""
        self.parse()

    def _parse_rules(
        self,
        css: str,
        read_from: CSSLocation,
        is_default_rules: bool = False,
        tie_breaker: int = 0,
        scope: str = "",
    ) -> list[RuleSet]:
        key = (css, read_from, is_default_rules, tie_breaker, scope, self._theme)
        rules = _parsed_rules.get(key)
        if rules is None:
            rules = super()._parse_rules(css, read_from, is_default_rules, tie_breaker, scope)
            _parsed_rules[key] = rules
        return rules


class BlankScreen(Screen[None]):
    """What lies below all other screens; it is never drawn for itself."""

    def _extend_compose(self, widgets: list[Widget]) -> None:
        """Leave out what would be shown in front."""

    def _compositor_refresh(self) -> None:
        if self is not self.app.screen:
            super()._compositor_refresh()


class ContainedScreen(DrawnInTurn, Screen[T]):
    """A screen that can wait with its first picture until there is something to show."""

    PATIENCE: ClassVar[float] = 0.0
    """After so many seconds it is drawn as it is; without any, it is drawn at once."""

    def __init__(self) -> None:
        super().__init__()
        self._is_held = self.PATIENCE > 0
        self._impatience: asyncio.TimerHandle | None = None
        self._is_new = True

    def _post_register(self, app: App[Any]) -> None:
        """Take the classes that belong to the terminal's size before any style is applied."""
        super()._post_register(app)
        size = app.size
        for dimension, breakpoints in (
            (size.width, app.HORIZONTAL_BREAKPOINTS),
            (size.height, app.VERTICAL_BREAKPOINTS),
        ):
            self.add_class(*self._get_breakpoint_classes(dimension, breakpoints or []), update=False)

    def complete(self) -> None:
        """Draw the first picture as soon as all widgets have taken in what they were told."""
        self._settle(_ROUNDS)

    def _settle(self, rounds: int) -> None:
        if not self._is_held:
            return
        parts = chain.from_iterable(map(_with_scrollbars, self.walk_children(Widget)))
        busy = next(filter(_has_messages, parts), None)
        if busy is not None and rounds:
            busy.call_later(self.call_later, self._settle, rounds - 1)
        elif self._layout_required and rounds:
            self._layout_required = False
            self._refresh_layout()
            self.call_later(self._settle, rounds - 1)
        else:
            self._draw()

    def _draw(self) -> None:
        """Draw all of it, and from now on whatever changes."""
        self._release()
        self._compositor.update_widgets({self})
        self._dirty_widgets.clear()
        self._repaint_required = self._scroll_required = False
        self._compositor_refresh()
        self.check_idle()

    def _release(self) -> None:
        self._is_held = False
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _compositor_refresh(self) -> None:
        if not self._is_held:
            super()._compositor_refresh()

    async def _on_idle(self, event: Idle) -> None:
        if self._is_held:
            event.prevent_default()
            await self._invoke_and_clear_callbacks()

    def _on_mount(self, _event: Mount) -> None:
        if self._is_held:
            self._impatience = asyncio.get_running_loop().call_later(self.PATIENCE, self._draw)

    def _on_screen_resume(self, event: ScreenResume) -> None:
        if self._is_new:  # Its styles have been applied just now.
            event.refresh_styles = self._is_new = False

    def _on_screen_suspend(self) -> None:
        self._release()

    def _on_unmount(self) -> None:
        self._release()


class ContainedApp(TypeAheadApp):
    """An app that fails with a short message and a reference, locally and in an SSH session.

    Its result, if any, is shown as the last line once the screen is restored.
    """

    crash_message: str | None = None
    """What the person is told of an error that ended the app, or None."""
    turns: Turns | None = None
    _hosted = False
    _pointer_shape = "default"

    def __init__(self) -> None:
        """Share what is parsed of the style sheets with the other apps of the process."""
        super().__init__()
        self.stylesheet = SharedStylesheet(variables=self.get_css_variables())

    def get_css_variables(self) -> dict[str, str]:
        """Return the variables of the theme, which are worked out once in the process."""
        key = (type(self), self.current_theme.name)
        variables = _css_variables.get(key)
        if variables is None:
            _css_variables[key] = variables = super().get_css_variables()
        self.theme_variables = variables
        return variables

    def _set_pointer_shape(self, shape: str) -> None:
        """Leave the pointer alone until it is to look otherwise."""
        if shape != self._pointer_shape:
            self._pointer_shape = shape
            super()._set_pointer_shape(shape)

    def host(self, terminal: Terminal, driver: Callable[..., Driver], turns: Turns | None = None) -> None:
        """Prepare the app for a client's `terminal`, before `run_async`, to be drawn in `turns`.

        `driver` is called with the app and the keyword arguments `debug`, `mouse` and `size`.
        """
        self._hosted = True
        self.turns = turns
        self.driver_class = cast("type[Driver]", driver)
        self.features = frozenset()
        self.devtools = None
        self.no_color = terminal.no_color or terminal.colours is Colours.NONE
        self._filters = [known for known in self._filters if not isinstance(known, Monochrome | NoColor)]
        self._filters += _colour_filters(terminal)
        self.console = Console(
            color_system=_COLOUR_SYSTEMS[terminal.colours],
            file=cast("TextIO", self.console.file),
            width=terminal.columns,
            height=terminal.rows,
            markup=True,
            highlight=False,
            emoji=False,
            legacy_windows=False,
            force_terminal=True,
            safe_box=False,
            soft_wrap=False,
            _environ={},
        )

    async def run_hosted(self, terminal: Terminal) -> str | None:
        """Run the app to its end in a client's terminal and return its result."""
        self._task_factory = asyncio.get_running_loop().get_task_factory()
        return await self.run_async(size=terminal.size)

    def get_default_screen(self) -> Screen[Any]:
        """Begin with a screen that is drawn in turn."""
        return ContainedScreen()

    def action_command_palette(self) -> None:
        """Show the palette, which is drawn in turn like all screens."""
        if self.use_command_palette and not CommandPalette.is_open(cast("App[object]", self)):
            self.push_screen(ContainedPalette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the palette's commands but those that write files beside the server."""
        for command in super().get_system_commands(screen):
            if command.title != "Screenshot":
                yield command

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Do nothing: the file would be written on the server."""

    def panic(self, *renderables: RenderableType) -> None:
        """End the app; the renderables may hold values and are not shown."""
        del renderables
        self._fail(sys.exc_info()[1] or RuntimeError())

    async def _process_messages(self, *args: Any, **kwargs: Any) -> None:
        if self._hosted:
            # Textual has just put an eager task factory on the loop that all sessions share, and is
            # about to point the process's standard streams at this app.
            asyncio.get_running_loop().set_task_factory(self._task_factory)
            self._capture_stdout = cast("Any", sys.stdout)
            self._capture_stderr = cast("Any", sys.stderr)
        await super()._process_messages(*args, **kwargs)

    def _handle_exception(self, error: Exception) -> None:
        if self._exception is None and not self._hosted:
            # Textual's Pilot raises it in the test that drives the app.
            self._exception = error
            self._exception_event.set()
        self._fail(error)

    def _fatal_error(self) -> None:
        self._fail(sys.exc_info()[1] or RuntimeError())

    def _fail(self, error: BaseException) -> None:
        cause = error.error if isinstance(error, WorkerFailed) else error
        reference = crash_reports.report(cause, "The app")
        self._return_code = 1
        if self.crash_message is None:
            self.crash_message = crash_reports.words_for(reference)
            self._exit_renderables = [self.crash_message]
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        if self._hosted:
            self._exit_renderables.clear()
        else:
            super()._print_error_renderables()

    def _log(self, *args: Any, **kwargs: Any) -> None:
        """Keep Textual's own log silent: it holds keys as they are typed."""


class InputParser(XTermParser):
    """Textual's parser, given what is whole and may be a key; it would type what it does not understand.

    It lacks the cache that keeps every parser, and with it every app, alive. A line feed is Enter.
    """

    _parse_extended_key = XTermParser._parse_extended_key.__wrapped__  # type: ignore[assignment]  # noqa: SLF001

    def __init__(self) -> None:
        super().__init__()
        self._sequences = SequenceReader()
        self._is_after_return = False
        self.is_pasting = False
        """Whether a bracketed paste has begun."""

    @property
    def is_pending(self) -> bool:
        """Whether a sequence has begun that `tick` may have to give up."""
        return self._sequences.is_pending

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the messages of what was typed."""
        for part in self._sequences.feed(data):
            if part.startswith(ESC):
                yield from self._take(part)
            elif text := part if self.is_pasting else self._with_returns(part):
                yield from super().feed(text)

    def tick(self) -> Iterable[Message]:
        """Yield the key Esc when nothing has followed it."""
        if key := self._sequences.give_up():
            yield from self._take(key)

    def keep_cells(self) -> None:
        """Count the mouse in cells, whatever the terminal has announced."""
        self.mouse_pixels = False

    def _with_returns(self, text: str) -> str:
        if self._is_after_return:
            text = text.removeprefix("\n")
        self._is_after_return = text.endswith("\r")
        return text.replace("\r\n", "\r").replace("\n", "\r")

    def _take(self, sequence: str) -> Iterable[Message]:
        """Yield what a sequence stands for, if it is known."""
        self._is_after_return = False
        if self.is_pasting and sequence != BRACKETED_PASTE_END:
            return
        self.is_pasting = sequence == BRACKETED_PASTE_START
        try:
            yield from super().feed(_in_kitty_form(sequence))
            if self._timeout_time is None:
                return
            if len(sequence) <= ALT_LENGTH:  # Esc, or a key with Alt: Textual waits for more.
                self._gen.throw(ParseTimeout())
                yield from tuple(self._tokens)
        except (ArithmeticError, ValueError):
            pass  # A number in it is none that Textual can read.
        self._tokens.clear()
        self._gen = self.parse(self._tokens.append)
        self._awaiting = next(self._gen)
        self._timeout_time = None


class HostedDriver(Driver):
    """The side of a driver that faces the app."""

    @property
    def backlog(self) -> int:
        """How many messages and keys wait in the app."""
        waiting = self._app.keys_waiting if isinstance(self._app, TypeAheadApp) else 0
        return self._app._message_queue.qsize() + waiting  # noqa: SLF001

    def send_message(self, message: Message) -> None:
        """Hand a message to the app, which runs on the loop that calls."""
        self._app.post_message(message)

    def announce(self, message: Message) -> bool:
        """Hand a parsed message to the app; return False for a size, which only SSH may change."""
        if isinstance(message, Resize | InBandWindowResize):
            return False
        self.process_message(message)
        return True

    def announce_size(self, size: tuple[int, int]) -> None:
        """Tell the app the new size of its terminal in columns and rows."""
        self._size = size
        self._app.post_message(Resize(Size(*size), Size(*size)))

    def repaint(self) -> None:
        """Have the app draw its whole screen."""
        self._app.call_later(partial(self._app.refresh, layout=True))

    def open_url(self, url: str, new_tab: bool = True) -> None:
        """Open nothing: the browser would be the server's."""

    def deliver_binary(
        self,
        binary: BinaryIO | TextIO,
        *,
        delivery_key: str,  # noqa: ARG002 - as Textual's.
        save_path: Path,  # noqa: ARG002
        open_method: Literal["browser", "download"] = "download",  # noqa: ARG002
        encoding: str | None = None,  # noqa: ARG002
        mime_type: str | None = None,  # noqa: ARG002
        name: str | None = None,  # noqa: ARG002
    ) -> None:
        """Write nothing: the file would be the server's."""
        binary.close()


def _in_kitty_form(sequence: str) -> str:
    """Write a key of xterm's modifyOtherKeys with more than Shift so that Textual does not type it."""
    key = _OTHER_KEY.fullmatch(sequence)
    return f"\x1b[{key[2]};{key[1]}u" if key and int(key[1]) > _SHIFT else sequence


def _has_messages(widget: Widget) -> bool:
    return not widget._message_queue.empty()  # noqa: SLF001


def _with_scrollbars(widget: Widget) -> Iterator[Widget]:
    yield widget
    bars = (widget._vertical_scrollbar, widget._horizontal_scrollbar)  # noqa: SLF001
    yield from (bar for bar in bars if bar is not None)


def _colour_filters(terminal: Terminal) -> list[LineFilter]:
    if terminal.colours is Colours.NONE:
        return [NoColor()]
    return [Monochrome()] if terminal.no_color else []
