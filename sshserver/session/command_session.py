"""A command on a channel: its streams, and how it is told to stop."""

import asyncio
import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from data.operations.signin.admission import Session
from sshserver.command_streams import CommandStoppedError, Interruption, Streams
from sshserver.server_context import CommandRunner
from sshserver.session.channel_streams import (
    ChannelInput,
    ChannelOutput,
    CommandChannel,
    OutputQueue,
    TypedInput,
    encoding_of,
    text_output,
)
from sshserver.session.line_reader import LineReader
from sshserver.terminal.capabilities import is_usable

PLAIN_MODE: Final = ("plain",)
"""The command that asks for other commands, and is a session of its own."""


class CommandLineError(ValueError):
    """A command line that has no words; the message says why."""


def split(line: str, longest: int) -> list[str]:
    """Split a command line as a POSIX shell does, without running or expanding anything.

    Raises:
        CommandLineError: when it is longer than `longest` characters, is not UTF-8 or leaves a quote open.
    """
    if len(line) > longest:
        raise CommandLineError(f"The command is longer than {longest} characters.")
    if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
        raise CommandLineError("The command is not UTF-8.")
    try:
        return shlex.split(line)
    except ValueError:
        raise CommandLineError("A quote or backslash in the command has no end.") from None


class CommandSession:
    """Runs one command, from its words to its exit status."""

    def __init__(
        self,
        admission: Session,
        arguments: Sequence[str],
        run_command: CommandRunner,
        wire: CommandChannel,
        environment: Mapping[str, str],
        term: str | None,
        size: Callable[[], tuple[int, int]],
        charge: Callable[[float], float],
    ) -> None:
        """Prepare the streams; `term` is the type of the client's terminal, None without one.

        The plain mode reads lines in any case. `charge` is called with the seconds that editing what is
        typed took, and returns for how many to rest.
        """
        self._admission = admission
        self._arguments = arguments
        self._run_command = run_command
        self._wire = wire
        self._interruption = Interruption()
        self._size = size
        self._charge = charge
        self._encoding = encoding_of(environment)
        loop = asyncio.get_running_loop()
        self._input = ChannelInput(loop, wire, self._interruption)
        self._output = OutputQueue(loop, wire, self._interruption)
        is_conversation = tuple(arguments) == PLAIN_MODE
        self._lines = self._line_reader(term) if is_conversation or term is not None else None
        self._streams = self._open_streams(term)

    def _line_reader(self, term: str | None) -> LineReader:
        return LineReader(
            lambda data: self._output.append(data, error=False),
            term=term,
            columns=self._size()[0],
            interrupt=self.interrupt,
            pause=lambda full: self._wire.pause_reading() if full else self._wire.resume_reading(),
            charge=self._charge,
            is_full=lambda: self._output.is_full,
        )

    def _open_streams(self, term: str | None) -> Streams:
        """Return the streams; a terminal shows standard output and standard error as one."""
        terminal = term is not None
        stdout, stderr = (
            text_output(
                ChannelOutput(self._output, error=error and not terminal, terminal=terminal), self._encoding
            )
            for error in (False, True)
        )
        if self._lines is None:
            return Streams(io.BufferedReader(self._input), stdout, stderr, interruption=self._interruption)
        return Streams(
            io.BufferedReader(TypedInput(partial(self._ask, ""))),
            stdout,
            stderr,
            self._ask,
            self._size if terminal else None,
            self._interruption,
            is_plain=term is None or not is_usable(term),
            tell=self._lines.tell,
        )

    def _ask(self, prompt: str, hidden: bool = False, kept: bool = False) -> str:
        """Ask in the command's thread."""
        assert self._lines is not None  # noqa: S101 - there is a terminal.
        self._interruption.check()
        self._streams.stdout.flush()
        try:
            return self._lines.ask(prompt, hidden, kept)
        except EOFError:
            self._interruption.check()
            raise

    async def run(self) -> int:
        """Run the command; return its exit status when the channel has taken all that it wrote."""
        with self._interruption.calling(self._wake):
            try:
                status = await self._run_command(self._admission, self._arguments, self._streams)
                await self._output.sent()
            except asyncio.CancelledError:
                self.hang_up()
                raise
        return status

    def _wake(self) -> None:
        self._input.wake()
        self._output.wake()

    @property
    def is_waiting(self) -> bool:
        """Whether the command waits for the client: to send something, or to read."""
        asks = self._lines is not None and self._lines.is_asking
        return asks or self._input.is_waited_for or self._output.is_stuck

    def feed(self, data: bytes) -> None:
        """Pass input on."""
        if self._lines is not None:
            self._lines.feed(data)
        else:
            self._input.feed(data)

    def feed_end(self) -> None:
        """Pass on that the client sends no more: the command goes on."""
        if self._lines is not None:
            self._lines.end()
        self._input.feed_end()

    def tell(self, line: str) -> None:
        """Show a line to whoever types, even in the middle of a question; no one else is there to read it."""
        if self._lines is not None:
            self._lines.tell(line)

    def resize(self) -> None:
        """Follow the client's terminal to another size."""
        if self._lines is not None:
            self._lines.resize(self._size()[0])

    def interrupt(self) -> None:
        """Cancel what the command does, as Ctrl+C does."""
        self._interruption.set(KeyboardInterrupt())

    def end(self, reason: str) -> None:
        """Stop the command; it may still say what was done, and why it stopped."""
        self._stop(CommandStoppedError(reason))

    def hang_up(self) -> None:
        """Stop the command; no one reads any more."""
        self._stop(BrokenPipeError())
        self._output.drop()

    def _stop(self, reason: BaseException) -> None:
        self._interruption.set(reason)
        if self._lines is not None:
            self._lines.stop()

    def pause_writing(self) -> None:
        """Have the command wait before it writes more."""
        self._output.pause()

    def resume_writing(self) -> None:
        """Let the command write on."""
        self._output.resume()
