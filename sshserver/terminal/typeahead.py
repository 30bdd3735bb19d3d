"""Keys typed and texts pasted ahead: each takes its effect before the next one is looked at.

Textual hands every key to the widget that has the focus at that moment. Over a slow line several keys
arrive at once, so that what was typed behind a Tab or an Enter would land in the field before it: a
password in the field of the user name.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial

from textual.app import App
from textual.events import Callback, Event, Key, Paste
from textual.message_pump import MessagePump

Word = Callable[[], Awaitable[None]]
_ROUNDS = 2
"""A key climbs from its widget to the app; what the widget makes of it, such as a submission, follows."""
_PATIENCE = 0.5
"""Seconds after which a key counts as done: its widget may have gone with what it was told."""


class TypeAheadApp(App[str | None]):
    """An app that takes one key at a time."""

    def __init__(self) -> None:
        """Begin with no key under way."""
        super().__init__()
        self._keys: deque[Key | Paste] = deque()
        self._key_number = 0
        self._under_way = False
        self._impatience: asyncio.TimerHandle | None = None

    @property
    def keys_waiting(self) -> int:
        """How many keys wait for one before them."""
        return len(self._keys)

    @property
    def key_waiting(self) -> str | None:
        """The key that comes next, if it was typed already."""
        first = self._keys[0] if self._keys else None
        return first.key if isinstance(first, Key) else None

    async def on_event(self, event: Event) -> None:
        """Hold a key back while another one is under way."""
        if not isinstance(event, Key | Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._under_way:
            self._keys.append(event)
        else:
            await self._take(event)

    async def _take(self, key: Key | Paste) -> None:
        self._under_way = True
        self._key_number += 1
        done = partial(self._done, self._key_number)
        # Neither the timer nor its context keeps an app alive that ends with this key.
        self._impatience = asyncio.get_running_loop().call_later(
            _PATIENCE, _give_up, weakref.ref(self), self._key_number, context=Context()
        )
        path = self._path()
        await super().on_event(key)
        self._follow(path, _ROUNDS, done)

    def _path(self) -> list[MessagePump]:
        """Return whom a key visits: the focused widget and all that it stands in, up to the app."""
        start = self.focused or self.screen
        return list(start.ancestors_with_self)

    def _follow(self, path: list[MessagePump], rounds: int, done: Word) -> None:
        """Send word behind a key along its way, and say so at the end; a widget that has gone is left out."""
        while path:
            if path.pop(0).post_message(Callback(partial(self._follow, path, rounds, done))):
                return
        if rounds > 1:
            self._follow(self._path(), rounds - 1, done)
        else:
            self.post_message(Callback(done))

    async def _done(self, number: int) -> None:
        """Go on to the next key, unless this one was given up before."""
        if number != self._key_number or not self._under_way:
            return
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
        self._under_way = False
        if self._keys:
            await self._take(self._keys.popleft())


def _give_up(app: "weakref.ref[TypeAheadApp]", number: int) -> None:
    """Count a key as done whose word never came back."""
    if (alive := app()) is not None:
        alive.post_message(Callback(partial(alive._done, number)))  # noqa: SLF001 - its own.
