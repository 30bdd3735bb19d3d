"""The keys of a screen, on its last line."""

from typing import Any, NamedTuple

from textual.content import Content
from textual.events import MouseMove
from textual.screen import Screen

from tui.widgets.action_bar import ClickableLines, clicking


class PressableKey(NamedTuple):
    """A key that can be pressed now."""

    name: str
    display: str
    words: str
    enabled: bool
    tooltip: str

    @property
    def click(self) -> str:
        """The action that a click runs: the same as the key's."""
        return f"app.simulate_key('{self.name}')" if self.enabled else "app.bell"

    @property
    def label(self) -> Content:
        """The key and the words, with their click."""
        label = Content.assemble(
            (f" {self.display} ", "bold $footer-key-foreground"),
            (f"{self.words} ", "$footer-description-foreground"),
        )
        if not self.enabled:
            label = label.stylize("dim")
        return clicking(label, self.click)


class KeyLine(ClickableLines):
    """Shows as many keys as fit; the help, whose key comes first, lists all of them."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[PressableKey] | None = None
        """The keys that are shown, or None before the first time."""

    def on_mount(self) -> None:
        """Follow what can be pressed."""
        self.screen.bindings_updated_signal.subscribe(self, self._follow)

    def on_unmount(self) -> None:
        """Stop following."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _follow(self, _screen: Screen[Any]) -> None:
        """Show the keys that can be pressed now, unless they are already shown."""
        if self.keys is None or self.keys != self._pressable():
            self.refresh()

    def render(self) -> Content:
        """Draw the keys, each complete or not at all."""
        self.keys = self._pressable()
        line, room = [], self.size.width
        for key in self.keys:
            label = key.label
            room -= label.cell_length
            if room < 0:
                break
            line.append(label)
        return Content("").join(line)

    def _pressable(self) -> list[PressableKey]:
        """Return the keys to show; only the first key of each action."""
        first: dict[str, PressableKey] = {}
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show and binding.action not in first:
                display = self.app.get_key_display(binding)
                key = PressableKey(binding.key, display, binding.description, enabled, tooltip)
                first[binding.action] = key
        return list(first.values())

    def on_mouse_move(self, event: MouseMove) -> None:
        """Explain the key under the mouse."""
        click = event.style.meta.get("@click")
        self.tooltip = next((key.tooltip for key in self.keys or () if key.click == click), None) or None
