"""The keys of a screen, in its last line."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Footer

from sshserver._textual_shim import FooterKey


class KeyLine(Footer):
    """Shows as many keys as fit whole; the help, whose key comes first, lists all of them."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._keys: list[tuple[str, str, str, str, bool, str]] = []

    def compose(self) -> ComposeResult:
        """Build the keys; each is made in its final style, so that none is styled twice."""
        for shown in self._keys:
            key = FooterKey(*shown)
            key.set_reactive(FooterKey.compact, False)
            yield key

    async def recompose(self) -> None:
        """Show the keys that can be pressed now, unless they are there already."""
        if not self.is_attached:
            return
        keys = self._pressable()
        if keys == self._keys:
            return
        self._keys = keys
        await super().recompose()
        self._fit()

    def _pressable(self) -> list[tuple[str, str, str, str, bool, str]]:
        """Return the keys to show, each as what `FooterKey` takes; only the first of an action."""
        first: dict[str, tuple[Binding, bool, str]] = {}
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show:
                first.setdefault(binding.action, (binding, enabled, tooltip))
        return [
            (
                binding.key,
                self.app.get_key_display(binding),
                binding.description,
                binding.action,
                not enabled,
                tooltip,
            )
            for binding, enabled, tooltip in first.values()
        ]

    def on_resize(self) -> None:
        """Show more keys or fewer."""
        self._fit()

    def _fit(self) -> None:
        room = self.size.width
        for key in self.children:
            room -= key.get_content_width(self.size, self.app.size)
            key.display = room >= 0
