"""Noticing that nobody is there any more."""

import asyncio
from collections.abc import Callable
from typing import Final

from textual.events import Key, MouseDown, MouseScrollDown, MouseScrollUp, Paste
from textual.message import Message

from sshserver.limits.limit_values import Limits

WARNING_TITLE: Final = "Still there?"
_NUL: Final = "ctrl+@"
"""What terminals and jump hosts send by themselves to keep a connection from being idle."""


def is_act(message: Message) -> bool:
    """Whether a message shows that a person is there: a key, a paste, a click or a turn of the wheel.

    A terminal by itself sends replies, reports of its focus and motions of a mouse that someone pushed.
    """
    if isinstance(message, Key):
        return message.key != _NUL
    return isinstance(message, Paste | MouseDown | MouseScrollDown | MouseScrollUp)


def warning(limits: Limits) -> str:
    """Return what is said some time before an idle session ends."""
    return f"This session ends in {limits.idle_warning_seconds:g} seconds. Press any key to stay."


def farewell(limits: Limits) -> str:
    """Return what is said when an idle session has ended."""
    return f"Signed out: nothing was typed for {limits.idle_minutes:g} minutes."


class IdleWatch:
    """Calls `warn` some time before, and `expire` when, nothing has touched it for `seconds`.

    One timer runs however often it is touched. `warning` is how many seconds before the end the
    warning comes; it is repeated for every idle spell.
    """

    def __init__(
        self, seconds: float, warning: float, warn: Callable[[], None], expire: Callable[[], None]
    ) -> None:
        """Start watching on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._first_stop = max(seconds - warning, 0.0)
        self._warn = warn
        self._expire = expire
        self._warned = False
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(
            self._last + self._first_stop, self._look
        )

    def touch(self) -> None:
        """Note that someone is there."""
        self._last = self._loop.time()
        self._warned = False

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        idle = self._loop.time() - self._last
        if idle >= self._seconds and self._warned:
            self._timer = None
            self._expire()
            return
        if idle >= self._first_stop and not self._warned:
            self._warned = True
            self._warn()
        due = self._last + (self._seconds if self._warned else self._first_stop)
        self._timer = self._loop.call_at(max(due, self._loop.time()), self._look)
