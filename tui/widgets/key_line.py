"""The keys of a screen, in its last line."""

from textual.widgets import Footer


class KeyLine(Footer):
    """Shows as many keys as fit whole; the help, whose key comes first, lists all of them."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)

    async def recompose(self) -> None:
        """Show the keys that can be pressed now."""
        await super().recompose()
        self._fit()

    def on_resize(self) -> None:
        """Show more keys or fewer."""
        self._fit()

    def _fit(self) -> None:
        room = self.size.width
        for key in self.children:
            room -= key.get_content_width(self.size, self.app.size)
            key.display = room >= 0
