"""An app that shares its process with others, although Textual expects it to be alone.

A crash shows no values, colours follow the client and not the server's environment, standard output and the
loop's tasks stay as they are, and an ended app can be garbage-collected.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal, TextIO, cast

from rich.console import Console, RenderableType
from textual.app import SystemCommand
from textual.cache import LRUCache
from textual.command import CommandPalette
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.screen import Screen
from textual.worker import WorkerFailed

from sshserver.compat import textual_strip
from sshserver.compat.textual_screen import ContainedScreen
from sshserver.compat.textual_stylesheet import SharedStylesheet
from sshserver.compat.textual_turns import ContainedPalette, Turns
from sshserver.telemetry import crash_reports
from sshserver.terminal.capabilities import ASK_BACKGROUND, Colours, Terminal
from sshserver.terminal.typeahead import TypeAheadApp

_COLOUR_SYSTEMS: dict[Colours, Literal["standard", "256", "truecolor"]] = {
    # A monochrome terminal still gets bold and reverse, which rich writes only for some colour system.
    Colours.NONE: "standard",
    Colours.SIXTEEN: "standard",
    Colours.INDEXED: "256",
    Colours.TRUE: "truecolor",
}
_css_variables: LRUCache[tuple[type, str], dict[str, str]] = LRUCache(16)


class ContainedApp(TypeAheadApp):
    """An app that fails with a short message and a reference, locally and in an SSH session.

    Its result, if any, is shown as the last line once the screen is restored.
    """

    crash_message: str | None = None
    """What the user is shown about an error that ended the app, or None."""
    turns: Turns | None = None
    _hosted = False
    _pointer_shape = "default"

    def __init__(self) -> None:
        """Share the parsed style sheets with the other apps of the process."""
        textual_strip.install()
        super().__init__()
        self.stylesheet = SharedStylesheet(variables=self.get_css_variables())

    def get_css_variables(self) -> dict[str, str]:
        """Return the variables of the theme, which are computed once per process."""
        key = (type(self), self.current_theme.name)
        variables = _css_variables.get(key)
        if variables is None:
            _css_variables[key] = variables = super().get_css_variables()
        self.theme_variables = variables
        return variables

    def _set_pointer_shape(self, shape: str) -> None:
        """Change the pointer only when its shape differs."""
        if shape != self._pointer_shape:
            self._pointer_shape = shape
            super()._set_pointer_shape(shape)

    def host(self, terminal: Terminal, driver: Callable[..., Driver], turns: Turns | None = None) -> None:
        """Prepare the app for a client's `terminal`, before `run_async`, drawn in `turns`.

        `driver` is called with the app and the keyword arguments `debug`, `mouse` and `size`.
        """
        self._hosted = True
        self.turns = turns
        self.driver_class = cast("type[Driver]", driver)
        self.features = frozenset()
        self.devtools = None
        self.show_colours(terminal)
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

    def show_colours(self, terminal: Terminal) -> None:
        """Send the terminal colours, unless it has none or its user wants none."""
        self.no_color = terminal.no_color or terminal.colours is Colours.NONE
        self._filters = [known for known in self._filters if not isinstance(known, Monochrome | NoColor)]
        if self.no_color:
            self._filters.append(NoColor())

    def ask_background(self) -> None:
        """Ask for the background's colour; the terminal answers with `BackgroundTold`, late or never."""
        if self._driver is not None:
            self._driver.write(ASK_BACKGROUND)

    async def run_hosted(self, terminal: Terminal) -> str | None:
        """Run the app to its end in a client's terminal and return its result."""
        self._task_factory = asyncio.get_running_loop().get_task_factory()
        return await self.run_async(size=terminal.size)

    def get_default_screen(self) -> Screen[Any]:
        """Return a first screen that is drawn in turn."""
        return ContainedScreen()

    def action_command_palette(self) -> None:
        """Show the palette, which is drawn in turn like all screens.

        It has no ID: one that was closed may not have been removed yet when the next one is opened.
        """
        if self.use_command_palette and not isinstance(self.screen, CommandPalette):
            self.push_screen(ContainedPalette())

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the palette's commands except those that would write files on the server."""
        for command in super().get_system_commands(screen):
            if command.title != "Screenshot":
                yield command

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Do nothing: the file would be written on the server."""

    def panic(self, *renderables: RenderableType) -> None:
        """End the app without showing the renderables, which may hold values."""
        del renderables
        self._fail(sys.exc_info()[1] or RuntimeError())

    async def _process_messages(self, *args: Any, **kwargs: Any) -> None:
        if self._hosted:
            # Textual has just set an eager task factory on the loop that all sessions share, and is about
            # to point the process's standard streams at this app.
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
        """Keep Textual's own log silent: it would hold typed keys."""
