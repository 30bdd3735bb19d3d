"""The app: one session of one user, in one terminal."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from math import inf
from time import monotonic
from typing import ClassVar, Final

from textual import on
from textual.binding import BindingType
from textual.command import CommandInput, CommandPalette, Provider
from textual.events import Event, Key

from data.delivery.carriers import Carriers
from data.delivery.notices import keep_sending
from data.operations.audit.changes import ChangeFeed
from data.operations.audit.trail import Filter
from data.operations.signin import sessions, worker_sessions
from data.operations.signin.admission import Session
from data.operations.users import lifecycle
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import ThemeChoice
from data.rules.permissions import Action, permits
from data.rules.policy import SignedIn
from data.rules.safe_text import was_decoded
from data.rules.source_addresses import Origin
from data.rules.user_fields import TEXT_LIMIT
from data.store import Clock, Store, StoreUnavailableError
from data.wording.words import END_WARNING, SIGNED_OUT, ends_soon
from sshserver.compat.textual_parser import BackgroundTold
from sshserver.limits.limit_values import Limits
from sshserver.session import idle
from sshserver.session.idle import IdleWatch
from sshserver.terminal.capabilities import Colours, Terminal
from sshserver.workers.heartbeat import WorkerIdentity, keep_present
from tui.command_palette import TwofoldCommands, UsersByName
from tui.keys import Act
from tui.screens.activity import ActivityScreen
from tui.screens.applications import ApplicationsScreen
from tui.screens.base_app import ActingApp
from tui.screens.base_screen import MainScreen, in_background
from tui.screens.overview import OverviewScreen
from tui.screens.practices import PracticesScreen
from tui.screens.profile import ProfileScreen
from tui.screens.security_policy import SecurityScreen
from tui.screens.sessions import SessionsScreen
from tui.screens.signin_flow import lead_to_main_screens
from tui.screens.targets import TargetsScreen
from tui.screens.users import UsersScreen
from tui.themes import THEMES, is_choosable, theme_for
from tui.widgets.status_line import Tone
from tui.widgets.top_line import Tab

_TABS: list[tuple[str, str, type[MainScreen]]] = [
    ("overview", "Overview", OverviewScreen),
    ("profile", "My profile", ProfileScreen),
    ("users", "Users", UsersScreen),
    ("security", "Security", SecurityScreen),
    ("activity", "Activity", ActivityScreen),
    ("practices", "Practices", PracticesScreen),
    ("sessions", "Sessions", SessionsScreen),
    ("applications", "Applications", ApplicationsScreen),
    ("targets", "Targets", TargetsScreen),
]
_AT_ONCE: Final = timedelta(milliseconds=1)


class TwofoldApp(ActingApp):
    """The terminal app of Twofold.

    With a `session` it starts at that session's step. Without one (on the host) it asks for both
    factors itself, as a sign-in from `origin`, and ends the session it opened. The apps of one process
    share one feed of `changes`. Its result is the last line to show, or None.
    """

    LOOK_SECONDS: ClassVar[float] = 2.0
    """How often the app checks whether a session that it opened was ended elsewhere."""
    ANSWER_SECONDS: ClassVar[float] = 3.0
    """How long the terminal may take to tell its background; after that the theme stays dark."""
    TITLE = "Twofold"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - as below.
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-tall")]  # noqa: RUF012 - Textual declares it so.
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.COMMANDS.binding("command_palette", tooltip="Find a command", priority=True),
        Act.QUIT.binding(tooltip="Leave, from any screen", show=False, priority=True),
    ]
    COMMANDS: ClassVar[set[type[Provider]]] = {TwofoldCommands, UsersByName}  # type: ignore[assignment]

    def __init__(
        self,
        store: Store,
        *,
        session: Session | None,
        clock: Clock,
        origin: Origin | None = None,
        terminal: Terminal | None = None,
        carriers: Carriers | None = None,
        limits: Limits | None = None,
        changes: ChangeFeed | None = None,
    ) -> None:
        super().__init__(
            store,
            session=session,
            clock=clock,
            terminal=terminal or Terminal(colours=Colours.TRUE),
            carriers=carriers or Carriers(),
            changes=changes or ChangeFeed(store),
        )
        self._origin = origin
        self._opens_session = session is None
        self._sends_utf8 = True
        self._limits = limits or Limits()
        self._idle: IdleWatch | None = None
        self._answer_by: float | None = None
        """Until when the terminal may tell its background; None before it was asked."""
        self._is_light = False
        self.show_colours(self.terminal)
        for theme in THEMES:
            self.register_theme(theme)
        self._wear(self.theme_choice)

    @on(CommandPalette.Opened)
    def limit_palette(self) -> None:
        """Limit what the palette's field accepts, if the palette was not closed again meanwhile."""
        for screen in self.screen_stack:
            for field in screen.query(CommandInput):
                field.max_length = TEXT_LIMIT

    def on_mount(self) -> None:
        """Start. The app watches a session that it opened; a server watches its own.

        The same holds for notices: a server sends those that its sessions cause.
        """
        self._wear(self.theme_choice)
        in_background(self, partial(lead_to_main_screens, self, self._origin), "sign-in")
        if self._opens_session:
            in_background(self, self._watch_session, "watching")
            in_background(self, partial(keep_sending, self.store, self.carriers), "notices")
            if self._worker is not None:
                identity = WorkerIdentity(self._worker, worker_sessions.APP_NODE)
                in_background(
                    self, partial(keep_present, self.store, identity, report=_leave_unsaid), "presence"
                )

    async def on_event(self, event: Event) -> None:
        """Note activity; warn once about input that is not UTF-8, which a hidden field would not show."""
        if self._idle is not None and idle.is_act(event):
            self._idle.touch()
        if isinstance(event, Key) and self._sends_utf8 and not was_decoded(event.character or ""):
            self._sends_utf8 = False
            self.notify("Your terminal does not send UTF-8. Set it to UTF-8.", severity="warning")
        await super().on_event(event)

    @property
    def _worker(self) -> str | None:
        """The worker that this app is, if it opens its own session."""
        return self._origin.worker if self._opens_session and self._origin else None

    async def _watch_session(self) -> None:
        """Look again and again, however long the database takes to answer."""
        while True:
            await asyncio.sleep(self.LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        """Leave when the session was ended elsewhere."""
        if self.session is None:
            return
        with suppress(StoreUnavailableError):
            over = await self.store.read(sessions.ended_among, [self.session.id])
            if reason := over.get(self.session.id):
                self.exit(reason)

    def _wear(self, choice: ThemeChoice) -> None:
        """Show a theme; the terminal is asked the first time that it may say, and dark until it answers."""
        self.theme_choice = choice
        self.theme = theme_for(choice, self.terminal, is_light=self._is_light)
        is_asked = self._answer_by is not None or not self.is_running or not is_choosable(self.terminal)
        if choice is ThemeChoice.TERMINAL and not is_asked:
            self._answer_by = monotonic() + self.ANSWER_SECONDS
            self.ask_background()

    def on_background_told(self, answer: BackgroundTold) -> None:
        """Follow the terminal's background, once: a client may send answers that nobody asked for."""
        if self._answer_by is not None and monotonic() <= self._answer_by:
            self._answer_by, self._is_light = -inf, answer.is_light
            self._wear(self.theme_choice)

    async def choose_theme(self, choice: ThemeChoice) -> None:
        """Show a theme, and remember it for who has signed in."""
        self._wear(choice)
        if self.session is None or not isinstance(self.session.step, SignedIn):
            self.say(f"Theme: {choice.label}, until you sign out.")
        elif await self.act(lifecycle.choose_theme, choice) and not is_choosable(self.terminal):
            self.say(f"Theme: {choice.label}. This terminal has too few colours to show it.", Tone.DONE)

    def session_began(self, session: Session) -> None:
        """Warn before the session reaches its longest time; end an idle session that was opened here.

        What checks the sessions, this app or the server, ends one that has lasted too long.
        """
        self._wear(session.theme)
        left = session.started_at + self.store.services.longest_session - self.clock()
        self.set_timer(max(left - END_WARNING, _AT_ONCE).total_seconds(), partial(self._warn_of_end, left))
        if self._opens_session:
            limits = self._limits
            self._idle = IdleWatch(
                limits.idle_minutes * 60,
                limits.idle_warning_seconds,
                self._warn_idle,
                lambda: self.exit(idle.farewell(limits)),
            )

    def _warn_of_end(self, left: timedelta) -> None:
        self.notify(ends_soon(left), title="Sign in again soon", severity="warning", timeout=60)

    def _warn_idle(self) -> None:
        seconds = self._limits.idle_warning_seconds
        words = idle.warning(self._limits)
        self.notify(words, title=idle.WARNING_TITLE, severity="warning", timeout=seconds)

    async def on_unmount(self) -> None:
        """End a session that was opened here; a server ends its own."""
        if self._idle is not None:
            self._idle.stop()
        if self._opens_session and self.session is not None:
            await self.reach(lambda: self.store.run(sessions.end_session, self.actor.session_id))
        if (worker := self._worker) is not None:
            await self.reach(lambda: self.store.run(worker_sessions.leave, worker))

    def tabs(self) -> list[Tab]:
        """Return the main screens that this user has."""
        tabs = [Tab(str(key), name, title) for key, (name, title, _) in enumerate(_TABS)]
        if not self.roles:
            return [tab for tab in tabs if tab.name == ProfileScreen.TAB]
        sees_targets = permits(Action.SEE_TARGETS, self.roles)
        return [tab for tab in tabs if sees_targets or tab.name != TargetsScreen.TAB]

    def open_tab(self, name: str) -> None:
        """Go to one of the main screens from any other."""
        screens: dict[str, type[MainScreen]] = {name: screen for name, _, screen in _TABS}
        in_background(self, partial(self._switch_to, screens[name]), "tabs", latest_only=True)

    def open_users(self, query: UserQuery) -> None:
        """Go to the users whom a query finds."""
        in_background(self, partial(self._switch_to, partial(UsersScreen, query)), "tabs", latest_only=True)

    def open_activity(self, which: Filter) -> None:
        """Go to the rows of the audit log that a filter lets through."""
        opened = partial(ActivityScreen, which)
        in_background(self, partial(self._switch_to, opened), "tabs", latest_only=True)

    async def _switch_to(self, screen: Callable[[], MainScreen]) -> None:
        if self.screen.is_modal:
            return  # It was opened meanwhile, and what a dialog shows may not be shown again.
        while isinstance(self.screen, MainScreen):
            await self.pop_screen()
        await self.push_screen(screen())

    async def action_quit(self) -> None:
        """Sign out, or leave if no one has signed in."""
        self.exit(SIGNED_OUT if self.session else None)

    def action_help_quit(self) -> None:
        """Say how to leave when Ctrl+C is pressed."""
        takes_q = isinstance(self.screen, MainScreen)
        leave = f"Press {Act.SIGN_OUT.shown} to sign out, or {Act.QUIT.shown} on any screen."
        self.notify(leave if takes_q else f"Press {Act.QUIT.shown} to leave.")


def _leave_unsaid(_error: BaseException, _what: str) -> None:
    """Log nothing: a log line would spoil the screen, which itself says that the database does not answer."""
