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


class TerminalProgram:
    """A running program whose terminal we are."""

    def __init__(self, process: asyncio.subprocess.Process, master: int, size: tuple[int, int]) -> None:
        self.process = process
        self.output = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._master = master
        self._seen = 0
        self._news = asyncio.Event()
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

    def type(self, text: str) -> None:
        """Type `text`."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Resize the window."""
        _set_size(self._master, (columns, rows))
        self.screen.resize(rows, columns)

    async def expect(self, pattern: str, seconds: float = 20.0) -> str:
        """Wait until the output since the last match matches; return the text of the match."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern.encode(), self.output[self._seen :])
            if match:
                self._seen += match.end()
                return match.group().decode("utf-8", "replace")
            await self._wait(deadline, f"{pattern!r} was not written. Output: {self.output[self._seen :]!r}")

    async def expect_on_screen(self, text: str, seconds: float = 20.0) -> None:
        """Wait until `text` stands on the screen."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            await self._wait(deadline, f"{text!r} is not on the screen:\n{self.text}")

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(self.screen.display)

    async def end(self, seconds: float = 20.0) -> int:
        """Wait for the program's end and return its exit status."""
        status = await asyncio.wait_for(self.process.wait(), seconds)
        await asyncio.sleep(0.02)
        self._read()
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
        self.output += data
        self._stream.feed(data)
        self._news.set()

    async def _wait(self, deadline: float, complaint: str) -> None:
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), max(deadline - time.monotonic(), 0.01))
        except TimeoutError:
            raise AssertionError(complaint) from None

    def _close(self) -> None:
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1


def _set_size(descriptor: int, size: tuple[int, int]) -> None:
    columns, rows = size
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
