"""Screens that wait for their turn to be drawn among those of other sessions."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.events import Resize
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget

Turns = Callable[[], AbstractAsyncContextManager[None]]
"""Returns a context that is entered when it is a screen's turn, and left when the screen is drawn."""
if TYPE_CHECKING:
    _Screen = Screen[Any]
else:
    _Screen = object


class DrawnInTurn(_Screen):
    """A screen whose layouts and frames wait for their turn among those of other sessions.

    It is not a `Screen` itself, because Textual looks for styles in the first base that is one.
    """

    def _on_timer_update(self) -> Any:
        """Draw at once, or return what Textual's timer awaits."""
        if self._turns is None:
            super()._on_timer_update()
            return None
        return self._draw_in_turn(self._turns)

    async def _draw_in_turn(self, turns: Turns) -> None:
        async with turns():
            super()._on_timer_update()

    async def _on_resize(self, event: Resize) -> None:
        if self._turns is not None:
            event.prevent_default()  # Textual calls the method of every base class.
            async with self._turns():
                await super()._on_resize(event)

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """Return what text is selected from; nothing where a widget is drawn that was removed since."""
        widget, offset = super().get_widget_and_offset_at(x, y)
        return (widget, offset) if widget is self or (widget and widget.is_attached) else (None, None)

    @property
    def _turns(self) -> Turns | None:
        """The turns that the app was given; without them, everything is drawn at once."""
        return getattr(self.app, "turns", None)


class ContainedPalette(DrawnInTurn, CommandPalette):
    """Textual's command palette, drawn in turn and left once."""

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Leave; of two clicks beside it that arrive together, the second would remove the screen below."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    async def _watch__show_busy(self) -> None:
        """Show that a search goes on, unless the palette has been left and has no widgets any more."""
        with suppress(NoMatches):
            await super()._watch__show_busy()

    def _action_command_list(self, action: str) -> None:
        """Pass an action on to the list, which has no pages until what was found has been laid out."""
        with suppress(KeyError):
            super()._action_command_list(action)
