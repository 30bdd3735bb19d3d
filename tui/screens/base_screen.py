"""The bases of all screens: actions that run one at a time, the frame of the main screens, and the page."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial, wraps
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.getters import app as app_of
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button
from textual.worker import Worker, WorkerError

from data.operations.audit.changes import Change
from data.operations.users import lifecycle, user_summaries
from sshserver.compat.textual_screen import ContainedScreen
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.dialog import paragraph
from tui.dialogs.help import HelpDialog
from tui.dialogs.manual import ManualDialog
from tui.keys import Act
from tui.screens.base_app import ActingApp
from tui.widgets.key_line import KeyLine, acts_now
from tui.widgets.status_line import StatusLine, Tone
from tui.widgets.top_line import TopLine

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="ActingScreen[Any]")

ARROWS: Final = (
    Act.UP.binding("app.focus_previous", "Previous choice", also="left", show=False, priority=True),
    Act.DOWN.binding("app.focus_next", "Next choice", also="right", show=False, priority=True),
)
"""Keys of a page of buttons, which move among them even where the page could scroll."""


def in_background(
    node: DOMNode, work: Callable[[], Coroutine[None, None, None]], group: str, *, latest_only: bool = False
) -> Worker[None]:
    """Run `work` in a worker; with `latest_only` it replaces the group's running work.

    A screen that was left meanwhile, or whose app has ended, has no widgets: its work ends silently.
    """

    async def until_left() -> None:
        try:
            await work()
        except NoMatches:
            is_left = isinstance(node, Screen) and node not in node.app.screen_stack
            if node.app.is_running and not is_left:
                raise

    worker: Worker[None] = node.run_worker(until_left, group=group, exclusive=latest_only)
    return worker


def working(
    action: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], None]:
    """Make a screen's coroutine an action that runs in a worker, one at a time.

    While one runs, further key presses do nothing: a second Enter is not a second attempt.
    """

    @wraps(action)
    def start(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        if not self.is_acting:
            self.act_in_background(partial(action, self, *args, **kwargs))

    return cast("Callable[Concatenate[S, P], None]", start)


class ActingScreen(ContainedScreen[T]):
    """A screen whose app performs operations."""

    app = app_of(ActingApp)
    TOPIC: ClassVar[str] = "enrolling"
    """The page of the manual about it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.HELP.binding("show_keys"),
    ]
    _acting: Worker[None] | None = None

    @property
    def is_acting(self) -> bool:
        """Whether an action of this screen is still running."""
        return self._acting is not None and not self._acting.is_finished

    async def until_idle(self) -> None:
        """Wait until the running action ends, in whatever way."""
        if self._acting is not None and not self._acting.is_finished:
            # Shielded, because Worker.wait() ends the worker when whoever waits for it is cancelled.
            with suppress(WorkerError):
                await asyncio.shield(self._acting.wait())

    def act_in_background(self, action: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start an action; `working` ensures that only one runs at a time."""
        self._acting = in_background(self, action, "acting")

    def action_show_keys(self) -> None:
        """List what the keys do here, the footer's first, and run the one that is clicked."""
        if not self.is_acting:
            acts = sorted(acts_now(self), key=lambda active: not active.binding.show)
            commands = [self._described(active) for active in acts]
            has_statuses = isinstance(self, MainScreen)
            self.app.push_screen(HelpDialog(commands, with_statuses=has_statuses), self._do)

    def action_open_manual(self) -> None:
        """Show the page of the manual about this screen."""
        self.app.push_screen(ManualDialog(self.TOPIC))

    def on_digits_input_refused(self) -> None:
        """Say what a field for a code accepts."""
        self.app.say("Enter only the digits of the code.", Tone.REFUSED)

    async def _do(self, action: str | None) -> None:
        if action is not None:
            await self.run_action(action)

    def commands(self) -> Iterator[tuple[str, str, str]]:
        """Yield the key, words and action of each of the screen's own acts."""
        return (self._described(active) for active in acts_now(self) if active.node is self)

    def _described(self, active: ActiveBinding) -> tuple[str, str, str]:
        binding = active.binding
        action = binding.action
        if active.node is not self and "." not in action:
            action = f"{'app' if active.node is self.app else 'focused'}.{action}"
        return self.app.get_key_display(binding), binding.tooltip or binding.description, action


class MainScreen(ActingScreen[None]):
    """One of the main screens: the top line, its own body, the status line, the keys."""

    PATIENCE = 0.5
    AGAIN_SECONDS: ClassVar[float] = 2.0
    """How soon a failed read is repeated."""
    FOLLOW_SECONDS: ClassVar[float] = 1.5
    """How often a screen in front looks for changes, which the feed tells within its own period."""
    TAB: ClassVar[str]
    _reading: Worker[None] | None = None
    _mark = 0
    """Which changes what is shown holds."""
    _is_listing = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.OVERVIEW.binding("go('overview')", show=False),
        Act.PROFILE.binding("go('profile')", show=False),
        Act.USERS.binding("go('users')", show=False),
        Act.SECURITY.binding("go('security')", show=False),
        Act.ACTIVITY.binding("go('activity')", show=False),
        Act.PRACTICES.binding("go('practices')", show=False),
        Act.SESSIONS.binding("go('sessions')", show=False),
        Act.APPLICATIONS.binding("go('applications')", show=False),
        Act.TARGETS.binding("go('targets')", show=False),
        Act.SIGN_OUT.binding(),
        Act.PLAIN_MODE.binding(tooltip="Plain mode: static text", show=False),
    ]

    def body(self) -> Iterator[Widget]:
        """Yield the widgets between the top line and the status line."""
        yield from ()

    def compose(self) -> ComposeResult:
        """Build the frame and the body."""
        yield TopLine(self.app.heading, self.app.tabs(), self.TAB)
        yield from self.body()
        yield StatusLine()
        yield KeyLine()

    def on_mount(self) -> None:
        """Follow what happens elsewhere."""
        in_background(self, self._follow, "following")

    def on_screen_resume(self) -> None:
        """Read again each time the screen comes to the front."""
        self.load()

    def load(self) -> None:
        """Read what the screen shows; a running action does so itself when it ends."""
        if not self.is_acting:
            self._mark = self.app.changes.mark
            self._reading = in_background(self, self._read_until_answered, "reading", latest_only=True)

    async def _follow(self) -> None:
        """Read again when something that the screen shows has changed elsewhere.

        A screen that is hidden, acting or being read looks for nothing: it is read when that ends.
        """
        while True:
            await asyncio.sleep(self.FOLLOW_SECONDS)
            is_read = self._reading is None or self._reading.is_finished
            if self.app.screen is not self or self.is_acting or not is_read:
                continue
            mark, changes = await self.app.changes.since(self._mark)
            if changes is None or any(map(self.concerns, changes)):
                self.load()
            self._mark = mark

    def concerns(self, change: Change) -> bool:
        """Return whether what the screen shows can differ after a change."""
        return change.account == self.app.account_id

    async def _read_until_answered(self) -> None:
        """Read; if the database does not answer, repeat every few seconds until it does."""
        missed: str | None = None
        while True:
            self.app.missed = None
            await self.read()
            self.refresh_bindings()
            self.complete()
            if self.app.missed is None:
                break
            missed = self.app.missed
            await asyncio.sleep(self.AGAIN_SECONDS)
        if missed is not None and self.app.said.words == missed:
            self.app.say("The database is available again.")

    async def read(self) -> None:
        """Read what the screen shows."""

    def act_in_background(self, action: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start an action, and read again when it is done.

        The result of the last action is cleared, so that it is not mistaken for the result of this one. Once
        the result is shown the next key can act: no key waits for, or is lost to, the reading.
        """

        async def act_and_read() -> None:
            await action()
            self._acting = None
            self.load()

        self.app.say("")
        super().act_in_background(act_and_read)

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether the user may do what an action does, as last read; None before the first read."""
        return action != "go" or parameters[0] in [tab.name for tab in self.app.tabs()]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what the user may do; what is typed ahead of the first read is left to the operation."""
        offered = self.offers(action, parameters)
        return not self._is_listing if offered is None else offered

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """What can be pressed, as the footer, the help and the palette list it."""
        self._is_listing = True
        try:
            return super().active_bindings
        finally:
            self._is_listing = False

    def action_go(self, tab: str) -> None:
        """Go to another main screen and clear the status line.

        If the key of another main screen already waits, this one is skipped: only the last is drawn.
        """
        if self.app.key_waiting in [tab.key for tab in self.app.tabs()]:
            return
        self.app.say("")
        self.app.open_tab(tab)

    @working
    async def action_plain_mode(self) -> None:
        """Choose whether the next sessions are in the plain mode."""
        profile = await self.app.read(user_summaries.my_profile)
        if profile is None:
            return
        choices = [("Off: this app", False), ("On: a prompt and static text, from your next session", True)]
        chosen = await self.app.push_screen_wait(ChooseDialog("Plain mode", choices, profile.plain))
        if chosen is not None:
            await self.app.act(lifecycle.choose_plain_mode, on=chosen[0])

    def action_sign_out(self) -> None:
        """End the session."""
        self.app.exit("Signed out.")


class Page(ActingScreen[T]):
    """A page without the main frame: a title, a body, the status line, the keys."""

    HEADLINE = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.OPEN.binding("go_on", "Continue"),
    ]

    def body(self) -> Iterator[Widget]:
        """Yield the widgets below the title."""
        yield from ()

    def compose(self) -> ComposeResult:
        """Build the page."""
        with VerticalScroll(id="page", can_focus=False):
            yield paragraph(self.HEADLINE, "title")
            yield from self.body()
            yield StatusLine()
        yield KeyLine()

    def action_go_on(self) -> None:
        """Press the main button, wherever the focus is."""
        for button in self.query("Button.-primary").results(Button):
            button.press()
