"""The app over SSH, and what a terminal makes of what it is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncssh
import pyte
from support.app_driver import sign_in
from support.database import World
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import connect, running_server

from sshserver.terminal.capabilities import Terminal
from tui.app import TwofoldApp

KEY = asyncssh.generate_private_key("ssh-ed25519")
QUESTION = b"\x1b]11;?\x1b\\"
TERMINALS: dict[str, tuple[str, dict[str, str]]] = {
    "vt100": ("vt100", {}),
    "NO_COLOR": ("xterm-256color", {"NO_COLOR": "1", "COLORTERM": "truecolor"}),
    "NO_COLOR of 16": ("xterm", {"NO_COLOR": "1"}),
    "16": ("xterm", {}),
    "256": ("xterm-256color", {}),
    "truecolor": ("xterm-256color", {"COLORTERM": "truecolor"}),
}


class Picture:
    """The screen of a person; their terminal answers nothing by itself."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], size: tuple[int, int]) -> None:
        self._process = process
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.output = b""

    async def sees(self, *words: str) -> None:
        """Draw what arrives until these words stand on the screen."""
        await self.draws(lambda: all(word in "\n".join(self.screen.display) for word in words))

    async def goes_to_the_users(self, *words: str) -> None:
        """Go from the overview to the users, until these words stand on the screen too."""
        await self.sees("0 Overview")
        self.types("2")
        await self.sees("1 M", "by name", *words)

    async def draws(self, holds: Callable[[], bool]) -> None:
        """Draw what arrives until the screen is as wanted."""
        while not holds():
            async with asyncio.timeout(30):
                data = await self._process.stdout.read(65536)
            assert data, self.screen.display
            self.output += data
            self._stream.feed(data)

    def types(self, *pieces: str) -> None:
        """Send each piece in a packet of its own."""
        for piece in pieces:
            self._process.stdin.write(piece.encode())

    @property
    def background(self) -> str:
        """The colour behind the last line, which every screen has."""
        return self.screen.buffer[self.screen.lines - 1][self.screen.columns // 2].bg

    def looks_of(self, words: str) -> set[tuple[str, str, bool]]:
        """Return the colours in front and behind of these words where they stand first, and if swapped."""
        row = next(row for row, line in enumerate(self.screen.display) if words in line)
        start = self.screen.display[row].index(words)
        cells = [self.screen.buffer[row][start + at] for at, sign in enumerate(words) if sign != " "]
        return {(cell.fg, cell.bg, cell.reverse) for cell in cells}


@asynccontextmanager
async def seen_by(world: World, name: str, terminal: str = "truecolor") -> AsyncIterator[Picture]:
    """Open the app for someone at a terminal."""

    def make_app(_session: object, described: Terminal) -> TwofoldApp:
        session = sign_in(world, name)
        return TwofoldApp(world.store, session=session, clock=world.clock, terminal=described)

    term, environment = TERMINALS[terminal]
    async with running_server(FakeBackend([KEY]), app_class=make_app) as running:  # type: ignore[arg-type]
        connection, _ = await connect(running.port, name, [CODE], keys=[KEY])
        process = await connection.create_process(
            term_type=term, term_size=(80, 24), env=environment, encoding=None
        )
        yield Picture(process, (80, 24))
        connection.close()
