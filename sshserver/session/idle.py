"""Detecting that no one is there any more."""

import asyncio
from collections.abc import Callable
from typing import Final

from textual.events import Key, MouseDown, MouseScrollDown, MouseScrollUp, Paste
from textual.message import Message

from sshserver.limits.limit_values import Limits

WARNING_TITLE: Final = "Still there?"
_NUL: Final = "ctrl+@"
"""What terminals and jump hosts send on their own to keep a connection alive."""


def is_act(message: Message) -> bool:
    """Return whether a message shows that a person is there: a key, a paste, a click or a turn of the wheel.

    A terminal sends replies, focus reports and the motions of a bumped mouse without a person.
    """
    if isinstance(message, Key):
        return message.key != _NUL
    return isinstance(message, Paste | MouseDown | MouseScrollDown | MouseScrollUp)


def warning(limits: Limits) -> str:
    """Return the warning before an idle session ends."""
    return f"This session ends in {_counted(limits.idle_warning_seconds, 'second')}. Press any key to stay."


def farewell(limits: Limits) -> str:
    """Return the message after an idle session has ended."""
    return f"Signed out after {_counted(limits.idle_minutes, 'minute')} without activity."


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun if number == 1 else noun + 's'}"


class IdleWatch:
    """Calls `expire` when nothing has touched it for `seconds`, and `warn` some time before.

    It uses one timer, however often it is touched. `warning` is how many seconds before the end the warning
    comes; it is repeated in every idle period.
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
        """Record activity."""
        self._last = self._loop.time()
        self._warned = False

    def stop(self) -> None:
        """Stop watching."""
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
