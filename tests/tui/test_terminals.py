"""What the app sends to terminals of different colours, over SSH, drawn by a terminal."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncssh
import pyte
import pytest
from support.app_driver import sign_in
from support.database import World
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import connect, running_server

from sshserver.terminal.capabilities import Terminal
from tui.app import TwofoldApp

KEY = asyncssh.generate_private_key("ssh-ed25519")
TERMINALS = {
    "vt100": ("vt100", {}),
    "NO_COLOR": ("xterm-256color", {"NO_COLOR": "1", "COLORTERM": "truecolor"}),
    "NO_COLOR of 16": ("xterm", {"NO_COLOR": "1"}),
    "16": ("xterm", {}),
    "256": ("xterm-256color", {}),
    "truecolor": ("xterm-256color", {"COLORTERM": "truecolor"}),
}
COLOURLESS = ("vt100", "NO_COLOR", "NO_COLOR of 16")


class Picture:
    """The screen of a person over SSH."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], size: tuple[int, int]) -> None:
        self._process = process
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)

    async def sees(self, *words: str) -> None:
        """Draw what arrives until these words stand on the screen."""
        await self.draws(lambda: all(word in "\n".join(self.screen.display) for word in words))

    async def draws(self, holds: Callable[[], bool]) -> None:
        """Draw what arrives until the screen is as wanted."""
        while not holds():
            async with asyncio.timeout(60):
                data = await self._process.stdout.read(65536)
            assert data, self.screen.display
            self._stream.feed(data)

    def types(self, text: str) -> None:
        self._process.stdin.write(text.encode())

    def looks_of(self, words: str) -> set[tuple[str, str, bool]]:
        """Return the colours in front and behind of these words where they stand first, and if swapped."""
        row = next(row for row, line in enumerate(self.screen.display) if words in line)
        start = self.screen.display[row].index(words)
        cells = [self.screen.buffer[row][start + at] for at, sign in enumerate(words) if sign != " "]
        return {(cell.fg, cell.bg, cell.reverse) for cell in cells}


@asynccontextmanager
async def seen_by(world: World, name: str, terminal: str) -> AsyncIterator[Picture]:
    """Open the app for someone at a terminal, over SSH."""

    def make_app(_session: object, described: Terminal) -> TwofoldApp:
        session = sign_in(world, name)
        return TwofoldApp(world.store, session=session, clock=world.clock, terminal=described)

    term, environment = TERMINALS[terminal]
    async with running_server(FakeBackend([KEY]), app_class=make_app) as running:
        connection, _ = await connect(running.port, name, [CODE], keys=[KEY])
        process = await connection.create_process(
            term_type=term, term_size=(80, 24), env=environment, encoding=None
        )
        yield Picture(process, (80, 24))
        connection.close()


@pytest.mark.feature("without-colours")
@pytest.mark.parametrize("terminal", TERMINALS)
async def test_the_selected_row_and_tab_stand_out(world, terminal):
    async with seen_by(world, "admin", terminal) as person:
        await person.sees("4 users", "carla")
        row, tab = person.looks_of("admin           "), person.looks_of("2 Users")
        other_row, other_tab = person.looks_of("boris"), person.looks_of("3 Security")
        assert len(row) == len(tab) == 1
        if terminal in COLOURLESS:
            assert row == tab == {("default", "default", True)}
            assert other_row == other_tab == {("default", "default", False)}
        else:
            ((front, back, reverse),) = row
            assert not reverse
            assert row == tab
            assert back not in {look[1] for look in other_row | other_tab}
            assert front in {look[1] for look in other_row}


@pytest.mark.parametrize("terminal", TERMINALS)
async def test_statuses_have_marks_on_every_terminal_and_colours_where_there_are_any(world, terminal):
    world.user("dmitri", required=True)
    world.enrol("anna")
    world.enrol("boris")
    world.lock("boris")
    async with seen_by(world, "admin", terminal) as person:
        await person.sees("5 users", "dmitri")
        selected = person.looks_of("admin           ")
        person.types("\x1b[F")
        await person.draws(lambda: person.looks_of("dmitri          ") == selected)
        looks = [person.looks_of(words) for words in ("● Enabled", "✗ Locked", "○ No", "dmitri  ")]
        colours = {front for look in looks for front, _, _ in look}
        assert "◐ Pending setup on next login" in "\n".join(person.screen.display)
        assert len(colours) == (1 if terminal in COLOURLESS else 4)
