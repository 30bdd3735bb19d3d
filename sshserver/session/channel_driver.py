"""A Textual driver whose terminal is at the other end of an SSH channel."""

import asyncio
import logging
from codecs import getincrementaldecoder
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from textual.message import Message

from sshserver.compat.textual_driver import HostedDriver
from sshserver.compat.textual_parser import InputParser
from sshserver.limits.limit_values import Limits
from sshserver.session.idle import is_act
from sshserver.telemetry.crash_reports import place_of
from sshserver.terminal.sequences import KEY_SECONDS

if TYPE_CHECKING:
    from textual.app import App

_log = logging.getLogger("twofold.ssh")
_ENTER: Final = (
    "\x1b[?1049h"  # the alternate screen
    "\x1b[?25l"  # hide the cursor
    "\x1b[?1000h\x1b[?1002h\x1b[?1006h"  # clicks and drags in SGR form; motion alone (1003) floods slow links
    "\x1b[?2004h"  # bracketed paste
    "\x1b[?7l"  # no line wrap
    "\x1b[?2026$p"  # asks whether synchronized output is supported
)
_LEAVE: Final = "\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1002l\x1b[?1000l\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
_PASTE_END: Final = "\x1b[201~"
_BACKLOG_PAUSE: Final = 0.05
_RESIZE_PAUSE: Final = 0.1
"""Shortest time between two sizes that are laid out, in seconds."""
_TURN: Final = 512
"""Characters that are processed before other sessions get a turn."""


class Wire(Protocol):
    """The channel as the driver sees it."""

    def send(self, data: bytes) -> None:
        """Write to the client, or drop the data if the client is gone."""

    def attach(self, driver: "ChannelDriver") -> None:
        """Pass input to `driver` from now on, starting with what arrived before."""

    def act(self) -> None:
        """Record that a person typed, pasted or clicked."""

    def pause_reading(self) -> None:
        """Stop reading input for now."""

    def resume_reading(self) -> None:
        """Start reading input again."""


class ChannelDriver(HostedDriver):
    """Draws on a client's terminal and reads from it."""

    def __init__(
        self,
        app: "App[Any]",
        *,
        wire: Wire,
        limits: Limits,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Create a driver for `app` that writes to `wire`; Textual passes the other arguments."""
        del debug  # Textual's debug mode writes typed keys to a file.
        super().__init__(app, mouse=mouse, size=size)
        self._wire = wire
        self._limits = limits
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._parser = InputParser()
        self._tick_timer: asyncio.TimerHandle | None = None
        self._running = False
        self._paused = False
        self._missed_frames = False
        self._reading_paused = False
        self._has_dropped_input = False
        self._waiting = ""
        self._turn: asyncio.Handle | None = None
        self._pasted = 0
        self._skipped: str | None = None
        self._next_size: tuple[int, int] | None = None
        self._resized_at = -inf
        self._resize_timer: asyncio.TimerHandle | None = None

    def write(self, data: str) -> None:
        """Write a frame; while the client does not read, drop it and draw the next one completely."""
        if self._paused:
            self._missed_frames = True
        else:
            self._wire.send(data.encode("utf-8", "replace"))

    def pause_writing(self) -> None:
        """Drop frames from now on."""
        self._paused = True

    def resume_writing(self) -> None:
        """Write frames again, starting with a complete one if any were dropped."""
        self._paused = False
        if self._next_size is not None:
            self.resize(self._next_size)
        if self._missed_frames and self._running:
            self._missed_frames = False
            self.repaint()

    def resize(self, size: tuple[int, int]) -> None:
        """Follow the client's terminal to a new size, already clamped, in columns and rows.

        If several sizes follow each other closely, or come while the client does not read, only the last is
        laid out.
        """
        self._next_size = size
        if self._resize_timer is not None or self._paused:
            return
        due = self._resized_at + _RESIZE_PAUSE
        if due <= self._loop.time():
            self._follow_size()
        else:
            self._resize_timer = self._loop.call_at(due, self._follow_size)

    def feed(self, data: bytes) -> None:
        """Process what the client typed; bytes that are not UTF-8 become replacement characters."""
        if not self._running:
            return
        self._waiting += self._decode(data)
        if self._turn is None:
            self._take_turn()

    def start_application_mode(self) -> None:
        """Take over the client's terminal."""
        self._running = True
        self._wire.send(_ENTER.encode())
        self._wire.attach(self)

    def disable_input(self) -> None:
        """Stop accepting input."""
        self._running = False
        self._waiting = ""
        self._cancel_tick()
        for waiting in (self._turn, self._resize_timer):
            if waiting is not None:
                waiting.cancel()
        self._turn = self._resize_timer = None

    def stop_application_mode(self) -> None:
        """Restore the client's terminal."""
        self.disable_input()
        self._wire.send(_LEAVE.encode())

    def close(self) -> None:
        """Release what is left."""
        self.disable_input()

    def _follow_size(self) -> None:
        self._resize_timer = None
        if self._next_size not in (None, self._size) and not self._paused:
            self._resized_at = self._loop.time()
            self.announce_size(self._next_size)

    def _take_turn(self) -> None:
        """Process some of what was typed, and leave the rest until others have had a turn.

        Nothing more is read from the channel while input waits here or in the app.
        """
        self._turn = None
        if not self._running:
            return
        if self._waiting and self.backlog <= self._limits.input_backlog:
            taken, self._waiting = self._waiting[:_TURN], self._waiting[_TURN:]
            if self._skipped is not None:
                taken = self._after_long_paste(taken)
            if taken:  # Textual's parser takes an empty text for the end of input.
                self._parse(taken)
        if not self._running:
            return
        if self.backlog > self._limits.input_backlog:
            self._turn = self._loop.call_later(_BACKLOG_PAUSE, self._take_turn)
        elif self._waiting:
            self._turn = self._loop.call_soon(self._take_turn)
        self._pause_reading(self._turn is not None)
        self._watch_pending_sequence()

    def _parse(self, text: str) -> None:
        self._announce_all(self._parser.feed(text))
        self._pasted = self._pasted + len(text) if self._parser.is_pasting else 0
        if self._pasted > self._limits.paste_characters:
            self._parser = InputParser()
            self._pasted = 0
            self._skipped = text[-len(_PASTE_END) :]

    def _announce_all(self, messages: Iterable[Message]) -> None:
        try:
            for message in messages:
                if is_act(message):
                    self._wire.act()
                if not self.announce(message):
                    self._parser.keep_cells()
        except Exception as error:  # noqa: BLE001 - a session must survive any input.
            if not self._has_dropped_input:  # A client must not be able to fill the log.
                self._has_dropped_input = True
                _log.warning("Input was dropped: %s", place_of(error))
            self._parser = InputParser()

    def _after_long_paste(self, text: str) -> str:
        """Return what follows the end of the paste that is being dropped."""
        seen = (self._skipped or "") + text
        _, end, rest = seen.partition(_PASTE_END)
        self._skipped = None if end else seen[-len(_PASTE_END) :]
        return rest

    def _watch_pending_sequence(self) -> None:
        """Give up an unfinished escape sequence after a while, so that a lone Esc arrives."""
        self._cancel_tick()
        if self._parser.is_pending and not self._waiting:
            self._tick_timer = self._loop.call_later(KEY_SECONDS + 0.01, self._tick)

    def _tick(self) -> None:
        self._tick_timer = None
        self._announce_all(self._parser.tick())
        self._watch_pending_sequence()

    def _cancel_tick(self) -> None:
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None

    def _pause_reading(self, pause: bool) -> None:
        if pause is self._reading_paused:
            return
        self._reading_paused = pause
        if pause:
            self._wire.pause_reading()
        else:
            self._wire.resume_reading()
