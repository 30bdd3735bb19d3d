"""A program under a pseudo-terminal: what a person at a keyboard would see and type."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import time
from collections.abc import Mapping, Sequence

import pyte

PATIENCE = 60.0
"""Seconds that something may take to be shown, on a machine that is busy with other things."""


class Terminal:
    """A terminal: what was written to it, and what is to be read there."""

    def __init__(self) -> None:
        self.output = b""
        self._seen = 0
        self._news = asyncio.Event()

    def type(self, text: str | bytes) -> None:
        """Type `text`, or what a terminal sends of another encoding."""
        raise NotImplementedError

    async def end(self, seconds: float = PATIENCE) -> int:
        """Wait for the end of what runs here and return its exit status."""
        raise NotImplementedError

    async def expect(self, pattern: str, seconds: float = PATIENCE) -> str:
        """Wait until the output since the last match matches; return the text of the match."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern.encode(), self.output[self._seen :])
            if match:
                self._seen += match.end()
                return match.group().decode("utf-8", "replace")
            await self._wait(deadline, f"{pattern!r} was not written. Output: {self.output[self._seen :]!r}")

    async def expect_on_screen(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until `text` stands on the screen."""
        await self.expect_either(text, seconds=seconds)

    async def expect_either(self, *texts: str, seconds: float = PATIENCE) -> str:
        """Wait until one of `texts` stands on the screen; return the first of them that does."""
        deadline = time.monotonic() + seconds
        while not (found := [text for text in texts if text in self.text]):
            await self._wait(deadline, f"{' or '.join(map(repr, texts))} is not on the screen:\n{self.text}")
        return found[0]

    async def expect_matches(self, pattern: re.Pattern[str], count: int = 1) -> list[str]:
        """Wait until `count` matches stand on the screen, which is drawn in parts; return them."""
        deadline = time.monotonic() + PATIENCE
        while len(found := pattern.findall(self.text)) < count:
            await self._wait(deadline, f"{count} of {pattern.pattern!r} are not on the screen:\n{self.text}")
        return found

    @property
    def text(self) -> str:
        """What is to be read."""
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        """Take what is written to the terminal."""
        self.output += data
        self._news.set()

    async def _wait(self, deadline: float, complaint: str) -> None:
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), max(deadline - time.monotonic(), 0.01))
        except TimeoutError:
            raise AssertionError(complaint) from None


class TerminalProgram(Terminal):
    """A running program whose terminal we are."""

    def __init__(self, process: asyncio.subprocess.Process, master: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.process = process
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._master = master
        self._is_read = asyncio.Event()
        """Set once all that was written has been read, and nobody can write any more."""
        asyncio.get_running_loop().add_reader(master, self._read)

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        term: str = "xterm-256color",
        environment: Mapping[str, str] | None = None,
    ) -> "TerminalProgram":
        """Start a command on a terminal of the given columns, rows and type."""
        master, slave = pty.openpty()
        _set_size(slave, size)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: os.login_tty(os.dup(0)),
            env={"PATH": os.environ["PATH"], "TERM": term, "HOME": "/nonexistent"} | dict(environment or {}),
        )
        os.close(slave)
        return cls(process, master, size)

    def type(self, text: str | bytes) -> None:
        """Type `text`."""
        os.write(self._master, text.encode() if isinstance(text, str) else text)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(self.screen.display)

    def take(self, data: bytes) -> None:
        """Take what is written to the terminal, and draw it."""
        self._stream.feed(data)
        super().take(data)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the window."""
        _set_size(self._master, (columns, rows))
        self.screen.resize(rows, columns)

    async def end(self, seconds: float = PATIENCE) -> int:
        """Wait for the program's end and return its exit status."""
        status = await asyncio.wait_for(self.process.wait(), seconds)
        await asyncio.wait_for(self._is_read.wait(), seconds)
        self._close()
        return status

    async def kill(self) -> None:
        """End the program, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self._close()

    def _read(self) -> None:
        if self._master < 0:
            return
        try:
            os.set_blocking(self._master, False)
            data = os.read(self._master, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
            self._is_read.set()
        self.take(data)

    def _close(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1


def _set_size(descriptor: int, size: tuple[int, int]) -> None:
    columns, rows = size
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
