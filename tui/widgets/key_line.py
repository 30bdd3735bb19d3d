"""The keys of a screen, on its last line."""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.events import MouseMove
from textual.screen import Screen

from tui.keys import Act
from tui.widgets.action_bar import ClickableLines, clicking

_ALWAYS = [Act.HELP.name, Act.SIGN_OUT.name, Act.COMMANDS.name]
"""The acts that stand at the right of every line, the most important first."""
_SUBMITTING = ("submit", "press")
"""The actions of fields and buttons on Enter, which do what the screen says of that key."""


def acts_now(screen: Screen[Any]) -> list[ActiveBinding]:
    """Return what the map's keys do now, in the order of use.

    Enter comes first, then the screen's acts in the order of its `BINDINGS`, its own before those of its
    bases, then the app's and those of what has the focus.
    """
    declared = _declared(type(screen))
    places = {name: place for place, name in enumerate(declared)}
    found: dict[str, ActiveBinding] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.key == Act.OPEN.key and binding.action in _SUBMITTING:
            if (own := declared.get(Act.OPEN.name)) and screen.check_action(own.action, ()):
                found[Act.OPEN.name] = ActiveBinding(screen, own, True, own.tooltip)
        elif binding.id is not None and not _is_typed(screen, binding):
            found.setdefault(binding.id, active)

    def place(name: str) -> int:
        if name == Act.OPEN.name:
            return -1
        return places[name] if found[name].node is screen else len(places)

    return [found[name] for name in sorted(found, key=place)]


@cache
def _declared(kind: type) -> dict[str, Binding]:
    """Return the bindings of a class and its bases by the acts' names, in the order of use."""
    found: dict[str, Binding] = {}
    for base in kind.__mro__:
        for binding in vars(base).get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                found.setdefault(binding.id, binding)
    return found


def _is_typed(screen: Screen[Any], binding: Binding) -> bool:
    """Return whether the field that has the focus takes the key as a character."""
    shown = binding.key_display or ""
    is_character = len(shown) == 1 and shown.isascii()
    return (
        is_character and screen.focused is not None and screen.focused.check_consume_key(binding.key, shown)
    )


class PressableKey(NamedTuple):
    """A key that can be pressed now; `act` is its name in the map."""

    act: str
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
    """Shows as many keys as fit, in the order of use; the help, which is always shown, lists all of them."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[PressableKey] | None = None
        """The keys that can be pressed, or None before the first time."""

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
        """Draw the screen's keys from the left, and those of every screen at the right."""
        self.keys = self._pressable()
        width = self.size.width
        always = {key.act: key for key in self.keys if key.act in _ALWAYS}
        right = _fitting((always[act] for act in _ALWAYS if act in always), width // 2)
        left = _fitting((key for key in self.keys if key.act not in _ALWAYS), width - right.cell_length)
        return Content("").join([left, Content(" " * (width - left.cell_length - right.cell_length)), right])

    def _pressable(self) -> list[PressableKey]:
        """Return the keys to show."""
        return [
            PressableKey(
                binding.id or "",
                binding.key,
                self.app.get_key_display(binding),
                binding.description,
                enabled,
                tooltip,
            )
            for _, binding, enabled, tooltip in acts_now(self.screen)
            if binding.show
        ]

    def on_mouse_move(self, event: MouseMove) -> None:
        """Explain the key under the mouse."""
        click = event.style.meta.get("@click")
        self.tooltip = next((key.tooltip for key in self.keys or () if key.click == click), None) or None


def _fitting(keys: Iterable[PressableKey], width: int) -> Content:
    """Return the keys that fit, each complete or not at all; one too long leaves its room to the next."""
    line: list[Content] = []
    for key in keys:
        if key.label.cell_length <= width:
            width -= key.label.cell_length
            line.append(key.label)
    return Content("").join(line)
