"""One channel is one app or one command: a terminal gets the app, a command its streams.

`AppSession.session_started` lists the steps of a channel to its app, and to its command.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import asyncssh

from data.operations.signin.admission import Session
from data.rules.protocol_misuse import Misuse
from data.rules.safe_text import safe
from sshserver.compat.asyncssh_shim import limit_environment, take_other_encodings
from sshserver.compat.textual_app import ContainedApp
from sshserver.compat.textual_turns import Turns
from sshserver.limits.limit_values import Limits
from sshserver.server_context import AppFactory, CommandRunner
from sshserver.session import idle
from sshserver.session.channel_driver import ChannelDriver
from sshserver.session.command_session import PLAIN_MODE, CommandLineError, CommandSession, split
from sshserver.session.flow_control import FlowControl
from sshserver.session.idle import IdleWatch
from sshserver.telemetry import crash_reports
from sshserver.terminal.capabilities import clamp, describe, is_usable, keeps_variable, wants_plain

NO_COMMANDS: Final = "This server does not run commands. Use ssh without a command."
NO_SUBSYSTEMS: Final = "This server does not support subsystems or file transfer."
NO_TERMINAL: Final = "The app needs a terminal. Connect from one, or request one with: ssh -t"
POOR_TERMINAL: Final = (
    "Your terminal type cannot show this app. Set another and reconnect: TERM=xterm-256color ssh"
)
TOO_MANY: Final = "You have too many open sessions. Close one and reconnect."
TOO_MANY_COMMANDS: Final = "twofold: You run too many commands at once. Wait until one has ended."
_SHUT_DOWN_GRACE: Final = 5.0
_FAILED, _WRONG_USAGE = 1, 2


class _Refusal(NamedTuple):
    """Why a channel is not served, and the exit status that its client is told."""

    words: str
    status: int = _FAILED


class AppSession(asyncssh.SSHServerSession[bytes]):
    """The session of one channel, from its requests to the end of its app or command."""

    def __init__(
        self,
        admission: Session,
        make_app: AppFactory,
        limits: Limits,
        *,
        run_command: CommandRunner | None = None,
        claim: Callable[[bool], bool],
        turn: Turns,
        charge: Callable[[float], float],
        on_misuse: Callable[[Misuse], None],
        on_end: Callable[["AppSession"], None],
    ) -> None:
        """Serve `make_app`'s app to the user of `admission`, or what `run_command` makes of a command.

        `claim` counts the session for its user, as a command or as an app, and returns whether there is
        room. Each layout and each frame is drawn in a `turn`. `charge` counts the seconds that editing the
        input of a command took, and returns for how many to rest. `on_misuse` is called when the client
        floods the session or leaves its screen unread; `on_end` is called once, with this session, when the
        channel is gone, even if the session never started.
        """
        self._admission = admission
        self._make_app = make_app
        self._run_command = run_command
        self._limits = limits
        self._claim = claim
        self._turn = turn
        self._charge = charge
        self._on_misuse = on_misuse
        self._on_end = on_end
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._environment: dict[str, str] = {}
        self._variables_offered = 0
        self._term: str | None = None
        self._size = (0, 0)
        self._is_subsystem = False
        self._command_line: str | None = None
        self._words: list[str] = []
        self._command: CommandSession | None = None
        self._early = bytearray()
        self._driver: ChannelDriver | None = None
        self._app: ContainedApp | None = None
        self._idle: IdleWatch | None = None
        self._cut_off_timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._over = False
        self._last_words: str | None = None
        self.flow = FlowControl(limits.unread_seconds, self._give_up)
        self.task: asyncio.Task[None] | None = None
        """The task that runs the app, once it has started."""
        self.ended_because = "the user left"
        """Why the session ended, for the log."""
        self.claimed = False
        """Whether the session is counted for its user."""

    @property
    def is_command(self) -> bool:
        """Whether a command was requested, not the app or the plain mode."""
        return self._command_line is not None and self._words != [*PLAIN_MODE]

    # What asyncssh calls.

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        """Use this channel."""
        self._channel = chan
        self._environment = limit_environment(chan, self._keeps_variable)
        take_other_encodings(chan)
        high = self._limits.write_buffer_bytes
        chan.set_write_buffer_limits(high, high // 8)

    def _keeps_variable(self, name: str, value: str, kept: int) -> bool:
        self._variables_offered += 1
        if self._variables_offered > self._limits.environment_requests:
            self._on_misuse(Misuse.FLOOD)
            return False
        return keeps_variable(name, value, kept, self._limits)

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], _term_modes: Mapping[int, int]
    ) -> bool:
        """Note the client's terminal."""
        self._term = term_type
        self._size = term_size[:2]
        return True

    def shell_requested(self) -> bool:
        """Accept, if only to report in `session_started` what is missing."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Accept, so that a refusal can be explained."""
        self._command_line = command
        return True

    def subsystem_requested(self, _subsystem: str) -> bool:
        """Accept, so that the refusal can be explained."""
        self._is_subsystem = True
        return True

    def session_started(self) -> None:
        """Run the steps that lead to the app, or to the command; the first refusal ends the channel.

        The steps judge what earlier requests left: the kept environment variables, the terminal, and what
        was requested. What is typed meanwhile waits for the app.
        """
        to_command = (
            self._split_command,  # Into words, as a shell would; no shell ever sees it.
            self._claim_session,  # The limit is per user, at all workers together.
            self._watch_for_idleness,  # A command that waits for its client too long is stopped.
            self._start_command,  # It gets the channel's streams, and decides what its user may do.
        )
        to_plain_mode = (self._claim_session, self._watch_for_idleness, self._start_plain_mode)
        to_app = (
            self._refuse_subsystems,  # With a message.
            self._need_terminal,  # Its type must be able to place characters on a screen.
            self._claim_session,
            self._watch_for_idleness,  # A user who types nothing is warned, then signed out.
            self._start_app,  # In a restricted session, the app shows only what the user must do.
        )
        to_shell = to_plain_mode if self._is_plain else to_app
        for step in to_shell if self._command_line is None else to_command:
            if refusal := step():
                self._refuse(refusal)
                return

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        """Pass input on, or keep it for the app that has not started yet."""
        if self._command is not None:
            if data.strip(b"\0"):  # Clients send it on their own, to keep the connection alive.
                self.act()
            self._command.feed(data)
        elif self._driver is not None:
            self._driver.feed(data)
        elif not self._over:
            self._early += data[: self._limits.early_input_bytes - len(self._early)]

    def eof_received(self) -> bool:
        """End the app: no one can type any more. Its last output may still be sent. A command goes on."""
        if self._command is not None:
            self._command.feed_end()
        else:
            self.end(None)
        return True

    def terminal_size_changed(self, width: int, height: int, _pixwidth: int, _pixheight: int) -> None:
        """Follow the client's terminal."""
        self._size = (width, height)
        if self._driver is not None:
            self._driver.resize(clamp(self._size, self._limits))
        if self._command is not None:
            self._command.resize()

    def signal_received(self, signal: str) -> None:
        """End the app or command on a signal that ends programs."""
        if self._command is not None and signal == "INT":
            self._command.interrupt()
        elif signal in ("HUP", "TERM", "KILL"):
            self._hang_up()
            self.end(None)

    def _hang_up(self) -> None:
        """End a command whose output no one reads any more."""
        if self._command is not None:
            self._command.hang_up()

    def pause_writing(self) -> None:
        """Drop frames, or hold a command back, while the channel is full."""
        self.flow.pause("channel")

    def resume_writing(self) -> None:
        """Draw again, or let a command write on: its client has read something."""
        if self._command is not None:
            self.act()
        self.flow.resume("channel")

    def connection_lost(self, _exc: Exception | None) -> None:
        """End the app: no one sees it any more."""
        self._channel = None
        self._cancel_timers()
        if self._cut_off_timer is not None:
            self._cut_off_timer.cancel()
        self._hang_up()
        self.end(None)
        if self._command is None or self.task is None:
            self._on_end(self)
        else:  # It finishes the operation that it has begun, and counts for its user meanwhile.
            self.task.add_done_callback(lambda _task: self._on_end(self))

    # What the driver and the command's streams call.

    def send(self, data: bytes) -> None:
        """Write to the client, or drop the data if the channel has ended."""
        self.write(data, error=False)

    def write(self, data: bytes, *, error: bool) -> None:
        """Write to the client's standard output or error, or drop the data if the channel has ended."""
        if self._channel is not None and not self._channel.is_closing():
            with contextlib.suppress(OSError):
                self._channel.write(data, asyncssh.EXTENDED_DATA_STDERR if error else None)

    def attach(self, driver: ChannelDriver) -> None:
        """Pass input to `driver`, starting with what arrived early."""
        self._driver = driver
        driver.resize(clamp(self._size, self._limits))
        self.flow.attach(driver)
        early, self._early = bytes(self._early), bytearray()
        driver.feed(early)

    def act(self) -> None:
        """Record activity of a person."""
        if self._idle is not None:
            self._idle.touch()

    def pause_reading(self) -> None:
        """Stop reading what the client sends."""
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Start reading again."""
        if self._channel is not None:
            self._channel.resume_reading()

    # What the connection and the server call.

    def end(self, last_words: str | None) -> None:
        """End the app or command and show its user why, in one line; cancel one that does not end."""
        if self._ending or self.task is None or self.task.done():
            return
        self._ending = True
        self._last_words = last_words
        self.ended_because = last_words or self.ended_because
        self.flow.release()
        if self._app is not None:
            self._app.exit(None)
        if self._command is not None and last_words is not None:
            self._command.end(last_words)
        grace = asyncio.get_running_loop().call_later(_SHUT_DOWN_GRACE, self.task.cancel)
        self.task.add_done_callback(lambda _task: grace.cancel())

    # The steps from a request to its app or command: each returns the reason if it refuses.

    def _split_command(self) -> _Refusal | None:
        if self._run_command is None:
            return _Refusal(NO_COMMANDS)
        try:
            self._words = split(self._command_line or "", self._limits.command_characters)
        except CommandLineError as error:
            return _Refusal(f"twofold: {error}", _WRONG_USAGE)
        return None

    def _refuse_subsystems(self) -> _Refusal | None:
        return _Refusal(NO_SUBSYSTEMS) if self._is_subsystem else None

    def _need_terminal(self) -> _Refusal | None:
        if self._term is None:
            return _Refusal(NO_TERMINAL)
        return None if is_usable(self._term) else _Refusal(POOR_TERMINAL)

    def _claim_session(self) -> _Refusal | None:
        self.claimed = self._claim(self.is_command)
        if self.claimed:
            return None
        return _Refusal(TOO_MANY_COMMANDS if self.is_command else TOO_MANY)

    def _watch_for_idleness(self) -> None:
        seconds = self._limits.idle_minutes * 60
        self._idle = IdleWatch(seconds, self._limits.idle_warning_seconds, self._warn_idle, self._expire)

    def _start_app(self) -> None:
        self._start(self._run_app())

    @property
    def _is_plain(self) -> bool:
        """Whether a shell is the plain mode: chosen by the user, or by what their client says."""
        if self._is_subsystem or self._run_command is None:
            return False
        return self._admission.plain or wants_plain(self._term, self._environment)

    def _start_plain_mode(self) -> None:
        self._words = [*PLAIN_MODE]
        self._start_command()

    def _start_command(self) -> None:
        assert self._run_command is not None and self._channel is not None  # noqa: S101, PT018 - judged before.
        # Nothing is left in the channel when the command ends, so that its reader may take its time.
        self._channel.set_write_buffer_limits(self._limits.command_buffer_bytes, 0)
        self._command = CommandSession(
            self._admission,
            self._words,
            self._run_command,
            self,
            self._environment,
            self._term,
            lambda: clamp(self._size, self._limits),
            self._charge,
        )
        self.flow.attach(self._command)
        self._command.feed(bytes(self._early))
        self._start(self._run_to_status(self._command))

    def _start(self, program: Coroutine[Any, Any, tuple[str, int]]) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run(program), name="ssh session")

    # The app, or the command.

    async def _run(self, program: Coroutine[Any, Any, tuple[str, int]]) -> None:
        words, status = "", _FAILED
        try:
            words, status = await program
        except asyncio.CancelledError:
            if self._command is not None and self._channel is not None:
                self._channel.abort()  # It does not read, and what waits for it would wait for ever.
            raise
        except Exception as error:  # noqa: BLE001 - the last place for an app's errors.
            reference = crash_reports.report(error, "A session")
            self.ended_because = f"an error [reference {reference}]"
            words = crash_reports.words_for(reference)
        finally:
            self._over = True
            self._app = self._driver = self._command = None
            self._cancel_timers()
            self._finish(words, status, error=self.is_command)

    async def _run_to_status(self, command: CommandSession) -> tuple[str, int]:
        """Run the command, which says everything itself."""
        status = await command.run()
        if self.is_command:
            self.ended_because = self._last_words or f"the command ended with status {status}"
        return f"twofold: {self._last_words}" if self._last_words else "", status

    async def _run_app(self) -> tuple[str, int]:
        """Run the app in the client's terminal; return its last words and the exit status."""
        if self._ending:
            return self._last_words or "", 0
        terminal = describe(self._term or "", self._environment, self._size, self._limits)
        app = self._make_app(self._admission, terminal)
        app.host(terminal, partial(ChannelDriver, wire=self, limits=self._limits), self._drawing)
        self._app = app
        result = await app.run_hosted(terminal)
        if app.crash_message is not None:
            self.ended_because = app.crash_message
            return app.crash_message, 1
        return self._last_words or result or "", 0

    @asynccontextmanager
    async def _drawing(self) -> AsyncIterator[None]:
        """Wait for a client that does not read, then for the turns of others."""
        await self.flow.wait_until_clear()
        async with self._turn():
            yield

    def _refuse(self, refusal: _Refusal) -> None:
        self._over = True
        self._finish(refusal.words, refusal.status, error=True)

    def _finish(self, words: str, status: int, *, error: bool) -> None:
        end = "\n" if self._term is None else "\r\n"
        lines = (safe(line, 1000) for line in words.splitlines())
        self.write("".join(f"{line}{end}" for line in lines).encode(), error=error)
        self._close(status)

    def _close(self, status: int) -> None:
        """Close the channel; a client that does not answer is disconnected after a while."""
        channel = self._channel
        if channel is None:
            return
        channel.exit(status)
        loop = asyncio.get_running_loop()
        self._cut_off_timer = loop.call_later(self._limits.unread_seconds, channel.get_connection().abort)

    # Ends that no one asked for.

    def _warn_idle(self) -> None:
        if self._app is not None:
            seconds = self._limits.idle_warning_seconds
            words = idle.warning(self._limits)
            self._app.notify(words, title=idle.WARNING_TITLE, severity="warning", timeout=seconds)
        elif self._command is not None and self._command.is_waiting:
            self._command.tell(idle.warning(self._limits))

    def _expire(self) -> None:
        if self._command is None or self._command.is_waiting:
            self.end(idle.farewell(self._limits))
        else:
            self._watch_for_idleness()

    def _give_up(self) -> None:
        if self._command is not None:
            return  # Whoever reads page by page is idle at some time.
        self.ended_because = "the client did not read its screen"
        self._on_misuse(Misuse.UNREAD)
        if self._channel is not None:
            self._channel.abort()
        self.end(None)

    def _cancel_timers(self) -> None:
        if self._idle is not None:
            self._idle.stop()
        self.flow.stop()
