"""Screens that can delay their first frame, and take turns with those of other sessions."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import Any, ClassVar, TypeVar

from textual.app import App
from textual.events import Idle, Mount, ScreenResume
from textual.screen import Screen
from textual.widget import Widget

from sshserver.compat.textual_turns import DrawnInTurn

T = TypeVar("T")
_ROUNDS = 16
"""How often a screen checks whether its widgets are ready before it is drawn as it is."""


class BlankScreen(Screen[None]):
    """The screen below all others; it is never drawn by itself."""

    def _extend_compose(self, widgets: list[Widget]) -> None:
        """Leave out what would be shown in front."""

    def _compositor_refresh(self) -> None:
        if self is not self.app.screen:
            super()._compositor_refresh()


class ContainedScreen(DrawnInTurn, Screen[T]):
    """A screen that can delay its first frame until there is something to show."""

    PATIENCE: ClassVar[float] = 0.0
    """Seconds after which it is drawn as it is; 0 draws it at once."""

    def __init__(self) -> None:
        super().__init__()
        self._is_held = self.PATIENCE > 0
        self._impatience: asyncio.TimerHandle | None = None
        self._is_new = True

    def _post_register(self, app: App[Any]) -> None:
        """Set the classes for the terminal's size before any style is applied."""
        super()._post_register(app)
        size = app.size
        for dimension, breakpoints in (
            (size.width, app.HORIZONTAL_BREAKPOINTS),
            (size.height, app.VERTICAL_BREAKPOINTS),
        ):
            self.add_class(*self._get_breakpoint_classes(dimension, breakpoints or []), update=False)

    def complete(self) -> None:
        """Draw the first frame as soon as all widgets have processed their messages."""
        self._settle(_ROUNDS)

    def _settle(self, rounds: int) -> None:
        if not self._is_held:
            return
        parts = chain.from_iterable(map(_with_scrollbars, self.walk_children(Widget)))
        busy = next(filter(_has_messages, parts), None)
        if busy is not None and rounds:
            busy.call_later(self.call_later, self._settle, rounds - 1)
        elif self._layout_required and rounds:
            self._layout_required = False
            self._refresh_layout()
            self.call_later(self._settle, rounds - 1)
        else:
            self._draw()

    def _draw(self) -> None:
        """Draw the whole screen, and from now on every change."""
        self._release()
        self._compositor.update_widgets({self})
        self._dirty_widgets.clear()
        self._repaint_required = self._scroll_required = False
        self._compositor_refresh()
        self.check_idle()

    def _release(self) -> None:
        self._is_held = False
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _compositor_refresh(self) -> None:
        if not self._is_held:
            super()._compositor_refresh()

    async def _on_idle(self, event: Idle) -> None:
        if self._is_held:
            event.prevent_default()
            await self._invoke_and_clear_callbacks()

    def _on_mount(self, _event: Mount) -> None:
        if self._is_held:
            self._impatience = asyncio.get_running_loop().call_later(self.PATIENCE, self._draw)

    def _on_screen_resume(self, event: ScreenResume) -> None:
        if self._is_new:  # Its styles have just been applied.
            event.refresh_styles = self._is_new = False

    def _on_screen_suspend(self) -> None:
        self._release()

    def _on_unmount(self) -> None:
        self._release()


def _has_messages(widget: Widget) -> bool:
    return not widget._message_queue.empty()  # noqa: SLF001


def _with_scrollbars(widget: Widget) -> Iterator[Widget]:
    yield widget
    bars = (widget._vertical_scrollbar, widget._horizontal_scrollbar)  # noqa: SLF001
    yield from (bar for bar in bars if bar is not None)
