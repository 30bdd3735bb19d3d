"""The command palette: the tabs, the keys of the screen, the themes, and users by name."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.markup import escape
from textual.types import IgnoreReturnCallbackType

from data.operations.users import user_summaries
from data.operations.users.user_search import UserQuery
from data.operations.users.user_summaries import UserPage
from data.rules.domain_types import ThemeChoice
from data.rules.safe_text import safe
from data.store import StoreUnavailableError
from tui.screens.base_app import ActingApp
from tui.screens.base_screen import ActingScreen, MainScreen, in_background
from tui.screens.user_detail import UserDetailScreen
from tui.widgets.status_marks import with_mark

_LETTERS = 2
"""How many letters users are searched for from."""
_SHOWN = 8
_SCORE = 0.5
"""The score of a user whose name and full name do not hold what was typed, but whose address does."""


class TwofoldCommands(Provider):
    """Offers the actions of the screen below the palette, and the themes."""

    def _commands(self) -> Iterator[tuple[str, str, IgnoreReturnCallbackType]]:
        app, screen = self.app, self.screen
        if not isinstance(app, ActingApp) or not isinstance(screen, ActingScreen):
            return
        for tab in app.tabs():
            yield f"Go to {tab.title}", f"Key {tab.key}", lambda name=tab.name: app.open_tab(name)
        for key, words, action in screen.commands():
            yield words, f"Key {key}", lambda action=action: screen.run_action(action)
        for theme in ThemeChoice:
            choose = partial(app.choose_theme, theme)
            yield f"Theme: {theme.label}", "Remembered for you", partial(in_background, app, choose, "theme")

    async def discover(self) -> Hits:
        """Yield all commands before anything is typed."""
        for words, hint, run in self._commands():
            yield DiscoveryHit(words, run, help=hint)

    async def search(self, query: str) -> Hits:
        """Yield the commands that match what is typed."""
        matcher = self.matcher(query)
        for words, hint, run in self._commands():
            score = matcher.match(words)
            if score > 0:
                yield Hit(score, matcher.highlight(words), run, help=hint)


class UsersByName(Provider):
    """Offers the users whom a search finds, to go to their details.

    A search that another letter follows is cancelled by the palette while it still pauses.
    """

    PAUSE_SECONDS: ClassVar[float] = 0.15
    PATIENCE_SECONDS: ClassVar[float] = 1.0
    """How long the palette, which shows all that was found at once, waits for the database."""

    async def search(self, query: str) -> Hits:
        """Yield the users whom a search finds."""
        app, screen = self.app, self.screen
        if not isinstance(app, ActingApp) or not isinstance(screen, MainScreen) or len(query) < _LETTERS:
            return
        if not any(tab.name == UserDetailScreen.TAB for tab in app.tabs()):
            return
        await asyncio.sleep(self.PAUSE_SECONDS)
        matcher = self.matcher(query)
        for row in await self._find(app, query):
            words = f"{row.name}  {safe(row.full_name)}".rstrip()
            go = partial(app.push_screen, UserDetailScreen(row.name))
            hint = escape(f"{with_mark(row.status)}  {safe(row.email)}")
            yield Hit(max(matcher.match(words), _SCORE), Text(words), go, words, hint)

    async def _find(self, app: ActingApp, query: str) -> tuple[user_summaries.UserRow, ...]:
        """Search; what keeps the database from answering is said elsewhere."""
        found = None
        try:
            async with asyncio.timeout(self.PATIENCE_SECONDS):
                asked = UserQuery(query, limit=_SHOWN)
                found = await app.store.read(user_summaries.list_users, app.actor, asked)
        except (StoreUnavailableError, TimeoutError):
            pass
        return found.rows if isinstance(found, UserPage) else ()
