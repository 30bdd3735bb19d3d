"""Type-ahead: each key or paste takes effect before the next one is processed.

Textual passes every key to the widget that has the focus at that moment. Over a slow line, several keys
arrive at once, and what was typed after a Tab or Enter would go to the previous field: a password to the
field for the user name. Reports that the terminal lost or got the focus keep their place among the keys,
because they take the focus from its widget and give it back.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial

from textual.app import App
from textual.events import AppBlur, AppFocus, Callback, Event, Key, Paste
from textual.message_pump import MessagePump

Word = Callable[[], Awaitable[None]]
Typed = Key | Paste | AppFocus | AppBlur
_ROUNDS = 2
"""A key travels from its widget to the app; what the widget posts, such as a submission, travels next."""
_PATIENCE = 0.5
"""Seconds after which a key is followed once more: a widget may be gone with what followed it."""
_LONGEST = 10.0
"""Seconds after which a key counts as done, whatever holds it up. An app that is only kept from its keys by a
busy machine must never get so far: the next key would overtake this one."""


class TypeAheadApp(App[str | None]):
    """An app that processes one key at a time."""

    def __init__(self) -> None:
        """Start with no key in progress."""
        super().__init__()
        self._keys: deque[Typed] = deque()
        self._key_number = 0
        self._under_way = False
        self._impatience: asyncio.TimerHandle | None = None

    @property
    def keys_waiting(self) -> int:
        """The number of keys that wait for an earlier one."""
        return len(self._keys)

    @property
    def key_waiting(self) -> str | None:
        """The next key, if it was already typed."""
        first = self._keys[0] if self._keys else None
        return first.key if isinstance(first, Key) else None

    async def on_event(self, event: Event) -> None:
        """Hold back a key while another is in progress."""
        if not isinstance(event, Typed) or event.is_forwarded:
            await super().on_event(event)
        elif self._under_way:
            self._keys.append(event)
        else:
            await self._take(event)

    async def _take(self, key: Typed) -> None:
        self._under_way = True
        self._key_number += 1
        self._watch(self._key_number, asyncio.get_running_loop().time() + _LONGEST)
        path = self._path()
        done = partial(self._done, self._key_number)
        await super().on_event(key)
        self._follow(path, _ROUNDS, done)

    def _watch(self, number: int, until: float) -> None:
        """Look after a key again before long."""
        # Neither the timer nor its context must keep an app alive that ends with this key.
        self._impatience = asyncio.get_running_loop().call_later(
            _PATIENCE, _look_after, weakref.ref(self), number, until, context=Context()
        )

    async def _follow_again(self, number: int, until: float) -> None:
        """Follow a key that is not done along the path as it is now; from a time on, count it as done."""
        if number != self._key_number or not self._under_way:
            return
        if asyncio.get_running_loop().time() > until:
            await self._done(number)
        else:
            self._watch(number, until)
            self._follow(self._path(), _ROUNDS, partial(self._done, number))

    def _path(self) -> list[MessagePump]:
        """Return the path of a key: the focused widget and all its ancestors, up to the app."""
        start = self.focused or self.screen
        return list(start.ancestors_with_self)

    def _follow(self, path: list[MessagePump], rounds: int, done: Word) -> None:
        """Send a callback along the path behind a key, then call `done`; skip widgets that are gone."""
        while path:
            if path.pop(0).post_message(Callback(partial(self._follow, path, rounds, done))):
                return
        if rounds > 1:
            self._follow(self._path(), rounds - 1, done)
        else:
            self.post_message(Callback(done))

    async def _done(self, number: int) -> None:
        """Continue with the next key, unless that was already done."""
        if number != self._key_number or not self._under_way:
            return
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
        self._under_way = False
        if self._keys:
            await self._take(self._keys.popleft())


def _look_after(app: "weakref.ref[TypeAheadApp]", number: int, until: float) -> None:
    """Follow a key again if its callback has not come back."""
    if (alive := app()) is not None:
        alive.post_message(Callback(partial(alive._follow_again, number, until)))  # noqa: SLF001 - its own.
