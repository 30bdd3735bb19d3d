"""Driving the app in a terminal of a given size, and reading what it shows."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageDraw
from rich.segment import Segment
from rich.style import Style
from support.database import World
from support.pseudo_terminal import PATIENCE
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input

from data.delivery.carriers import Carriers
from data.operations.actors import roles_of
from data.operations.signin import admission, first_factor
from data.operations.signin.admission import Session
from data.rules.domain_types import Application
from data.rules.policy import SignedIn
from data.rules.source_addresses import Origin
from data.storage import models
from sshserver.terminal.capabilities import Terminal
from tui.app import TwofoldApp
from tui.screens.base_screen import ActingScreen

LOCAL = Origin(Application.LOCAL, "local")
_CELL = (8, 16)
_TYPED_BY_HAND = 8


def steady_random() -> Callable[[int], bytes]:
    """Return what gives the same bytes in the same order in every run."""
    calls = iter(range(1_000_000))

    def random_bytes(length: int) -> bytes:
        return hashlib.shake_256(str(next(calls)).encode()).digest(length)

    return random_bytes


def make_app(
    world: World,
    session: Session | None,
    terminal: Terminal | None = None,
    carriers: Carriers | None = None,
) -> TwofoldApp:
    world.store.services = replace(world.services, random_bytes=steady_random())
    return TwofoldApp(
        world.store, session=session, clock=world.clock, origin=LOCAL, terminal=terminal, carriers=carriers
    )


def sign_in(world: World, name: str) -> Session:
    """Open a session at whatever step the rules ask for, giving a code where there is one to give."""
    result = world.first(name)
    if isinstance(result, first_factor.CodeNeeded):
        result = world.submit(result.attempt, world.live_code(name))
    assert isinstance(result, admission.Admitted), result
    return result.session


@dataclass
class Person:
    """Somebody in front of the app."""

    app: TwofoldApp
    pilot: Pilot[Any]
    world: World

    @property
    def screen(self) -> str:
        """The lines of the terminal."""
        return "\n".join("".join(segment.text for segment in line) for line in screen_cells(self.app))

    @property
    def front(self) -> str:
        """The lines of the dialog that stands in front, or of the whole terminal."""
        if not isinstance(self.app.screen, ModalScreen):
            return self.screen
        region = self.app.screen.query_one("#box").content_region
        lines = self.screen.split("\n")[region.y : region.bottom]
        return "\n".join(line[region.x : region.right] for line in lines)

    async def sees(self, *words: str) -> str:
        """Wait until all of these stand on the screen, however the lines are broken."""
        return await self._wait(lambda flat: all(word in flat for word in words), f"looked for {words}")

    async def sees_no_more(self, *words: str) -> str:
        return await self._wait(lambda flat: not any(word in flat for word in words), f"still there: {words}")

    async def presses(self, *keys: str) -> None:
        """Press keys, each once what is in front has been drawn and has done what the one before asks for."""
        for key in keys:
            await self.pilot.press(key)
            async with asyncio.timeout(PATIENCE):
                while self._is_busy() and not self.app._exit:
                    await asyncio.sleep(0.001)
        await self.pilot.pause()

    def _is_busy(self) -> bool:
        front = self.app.screen
        if self.app.keys_waiting or self.app._under_way or getattr(front, "_is_held", False):
            return True
        return isinstance(front, ActingScreen) and front.is_acting

    async def types(self, text: str) -> None:
        """Type into the field that has the focus; what is long is pasted."""
        focused = self.app.focused
        assert isinstance(focused, Input), focused
        if len(text) > _TYPED_BY_HAND:
            focused.post_message(Paste(text))
            await self.pilot.pause()
            return
        await self.presses(*("space" if symbol == " " else symbol for symbol in text))

    async def fills(self, **fields: str) -> None:
        """Fill fields of the screen by their ids; an underscore stands for a dash."""
        for name, value in fields.items():
            self.app.screen.query_one(f"#{name.replace('_', '-')}", Input).value = value
        await self.pilot.pause()

    async def clicks(self, words: str) -> None:
        """Click on words of the screen, once a line holds them."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            await self.pilot.pause()
            for y, line in enumerate(self.screen.split("\n")):
                if words in line:
                    await self.pilot.click(offset=(line.index(words) + 1, y))
                    await self.pilot.pause()
                    return
        raise AssertionError(f"no {words!r} on\n{self.screen}")

    async def resizes(self, columns: int, rows: int) -> None:
        await self.pilot.resize_terminal(columns, rows)
        await self.pilot.pause()

    async def has_left(self) -> str | None:
        """Wait for the app's end and return its last line."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.app._exit:
                return self.app.return_value
            await asyncio.sleep(0.01)
        raise AssertionError(f"the app goes on with\n{self.screen}")

    async def code_of(self, name: str) -> str:
        return self.world.live_code(name)

    async def _wait(self, holds: Callable[[str], bool], complaint: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            await self.pilot.pause()
            if self.app._exit:
                raise AssertionError(f"the app ended with {self.app.return_value!r}; {complaint}")
            shown = self.front
            if holds(" ".join(shown.replace("▌", " ").split())):
                return shown
            await asyncio.sleep(0.005)
        raise AssertionError(f"{complaint} on\n{self.screen}")


@asynccontextmanager
async def opened(
    world: World,
    name: str | None = None,
    *,
    session: Session | None = None,
    size: tuple[int, int] = (80, 24),
    terminal: Terminal | None = None,
    carriers: Carriers | None = None,
    first: str = "2",
) -> AsyncIterator[Person]:
    """Run the app for a user who signs in by password and code, or for a session, or from the sign-in.

    Who holds a role goes from the overview to the main screen with the key `first`; an empty one stays.
    """
    given = session or (sign_in(world, name) if name else None)
    app = make_app(world, given, terminal, carriers)
    async with app.run_test(size=size, notifications=True) as pilot:
        person = Person(app, pilot, world)
        if first and given and isinstance(given.step, SignedIn) and roles_of(_whose(given)):
            await person.sees("0 Overview")
            await person.presses(first)
        yield person
    assert app.crash_message is None


def _whose(session: Session) -> models.User:
    return models.Session.get_by_id(session.id).user


def screen_cells(app: TwofoldApp) -> list[list[Segment]]:
    """Return the segments of each line that the terminal shows."""
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def photograph(app: TwofoldApp) -> Image.Image:
    """Paint the terminal's cells as a camera would see them: blocks as blocks, letters as specks."""
    lines = screen_cells(app)
    columns = max(sum(segment.cell_length for segment in line) for line in lines)
    image = Image.new("RGB", (columns * _CELL[0], len(lines) * _CELL[1]), "#15191e")
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        column = 0
        for text, style, _ in line:
            for symbol in text:
                _paint(draw, column, row, symbol, style or Style())
                column += 1
    return image


def _paint(draw: ImageDraw.ImageDraw, column: int, row: int, symbol: str, style: Style) -> None:
    left, top = column * _CELL[0], row * _CELL[1]
    right, bottom, middle = left + _CELL[0] - 1, top + _CELL[1] - 1, top + _CELL[1] // 2
    ink, paper = _colour(style.color, "#d0d0d0"), _colour(style.bgcolor, "#15191e")
    draw.rectangle((left, top, right, bottom), fill=paper)
    match symbol:
        case "█":
            draw.rectangle((left, top, right, bottom), fill=ink)
        case "▀":
            draw.rectangle((left, top, right, middle - 1), fill=ink)
        case "▄":
            draw.rectangle((left, middle, right, bottom), fill=ink)
        case " ":
            pass
        case _:
            draw.rectangle((left + 2, top + 5, right - 2, bottom - 4), fill=ink)


def _colour(colour: Any, otherwise: str) -> str:
    return colour.triplet.hex if colour is not None and colour.triplet is not None else otherwise
