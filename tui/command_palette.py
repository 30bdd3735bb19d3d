"""The command palette: the tabs, the keys of the screen, and the themes."""

from collections.abc import Iterator

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from tui.screens.base_app import ActingApp
from tui.screens.base_screen import ActingScreen
from tui.themes import DARK, LIGHT, SIXTEEN


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
        for words, theme in (("Dark theme", DARK), ("Light theme", LIGHT), ("Sixteen colours", SIXTEEN)):
            yield words, "Until you sign out", lambda theme=theme: setattr(app, "theme", theme)

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
