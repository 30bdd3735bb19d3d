"""What can be read in every theme, measured on the cells that the app draws."""

from collections.abc import Iterator

import pytest
from rich.color import Color, ColorSystem
from support.app_driver import Person, opened, screen_cells
from support.database import World
from textual.screen import ModalScreen
from textual.strip import Strip

from data.rules.domain_types import Status
from data.rules.policy import MustEnrol
from tui.themes import DARK, HIGH_CONTRAST, LIGHT, SIXTEEN
from tui.widgets.status_line import Tone
from tui.widgets.status_marks import with_mark

AA, AAA = 4.5, 7.0
"""WCAG 2.2's least contrast of text, success criteria 1.4.3 and 1.4.6."""
_LINES_AND_BLOCKS = range(0x2500, 0x25A0)
_DEEP = (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT)
_LEAST = {
    DARK: (AA, _DEEP),
    LIGHT: (AA, _DEEP),
    HIGH_CONTRAST: (AAA, _DEEP),
    SIXTEEN: (AA, (ColorSystem.STANDARD,)),
}
"""The least contrast in each theme, and the colours of the terminals that show it."""
Pair = tuple[Color, Color]
Seen = dict[tuple[str, Pair], str]
"""A text for each theme and pair of colours."""


@pytest.fixture
def clinic(world: World) -> World:
    """A clinic with a user of every status but one."""
    world.enrol("anna")
    world.user("dmitri", required=True)
    world.user("emma")
    world.enrol("emma")
    world.lock("emma")
    world.set("carla", active=False)
    return world


def luminance(colour: Color) -> float:
    """Return WCAG's relative luminance."""
    parts = [part / 255 for part in colour.get_truecolor()]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(pair: Pair) -> float:
    """Return WCAG's contrast ratio, from 1 to 21."""
    dark, light = sorted(luminance(colour) for colour in pair)
    return (light + 0.05) / (dark + 0.05)


def shown_pairs(person: Person) -> Iterator[tuple[str, Pair]]:
    """Yield each text with its colours in front and behind; not lines and blocks, nor what a dialog hides."""
    screen = person.app.screen
    front = screen.children[0].region if isinstance(screen, ModalScreen) else screen.region
    lines = [Strip(line).crop(front.x, front.right) for line in screen_cells(person.app)]
    for line in lines[front.y : front.bottom]:
        for text, style, _ in line:
            words = "".join(sign for sign in text if ord(sign) not in _LINES_AND_BLOCKS or sign in "●◐○")
            if style and words.strip():
                assert style.color is not None
                assert style.bgcolor is not None
                assert not style.dim
                assert not style.reverse
                yield words.strip(), (style.color, style.bgcolor)


async def look(person: Person, seen: Seen) -> None:
    """Add what the screen shows in each theme, the present one first."""
    for theme in sorted(_LEAST, key=lambda theme: theme != person.app.theme):
        person.app.theme = theme
        await person.pilot.pause()
        for text, pair in shown_pairs(person):
            seen.setdefault((theme, pair), text)


def faint(seen: Seen) -> list[str]:
    """Return the texts whose contrast is below the least one of their theme."""
    return [
        f"{theme}: {text!r}, {pair[0].name} on {pair[1].name}, {system.name}: {ratio:.2f}"
        for (theme, pair), text in seen.items()
        for system in _LEAST[theme][1]
        if (ratio := contrast(rounded(pair, system))) < _LEAST[theme][0]
    ]


def rounded(pair: Pair, system: ColorSystem) -> Pair:
    """Return a pair as a terminal with fewer colours shows it."""
    return (pair[0].downgrade(system), pair[1].downgrade(system))


@pytest.mark.feature("contrast")
async def test_every_text_can_be_read(clinic):
    async with opened(clinic, "admin", size=(100, 30)) as person:
        seen: Seen = {}

        async def goes(*keys: str, sees: str) -> None:
            await person.presses(*keys)
            await person.sees(sees)
            await look(person, seen)

        await goes("2", sees="6 users")
        assert all(with_mark(status) in person.screen for status in set(Status) - {Status.NOT_AVAILABLE})
        await person.pilot.hover("PagedTable", offset=(3, 4))
        await look(person, seen)
        await goes("f", sees="Filter users")
        await goes("escape", "n", sees="New user")
        await goes("a", "exclamation_mark", "shift+home", sees="New user")
        await person.clicks("Create")
        await goes(sees="✗")
        await person.presses("escape", "ctrl+p")
        while "Go to" not in person.screen:
            await person.pilot.pause(0.01)
        await look(person, seen)
        await goes("escape", "question_mark", sees="Keys on this screen")
        await goes("question_mark", sees="Administering")
        await goes("escape", "home", "down", "enter", sees="Anna Berg")
        for tone, mark in ((Tone.REFUSED, "✗"), (Tone.DONE, "✓")):
            person.app.say("A message.", tone)
            await goes(sees=f"{mark} A message.")
        await goes("l", sees="Clear the 2FA data")
        await goes("tab", sees="Clear the 2FA data")
        await goes("escape", "1", sees="How it works")
        for key, words in (
            ("4", "newest first"),
            ("5", "1 practice"),
            ("6", "sessions open"),
            ("3", "Methods"),
        ):
            await goes(key, sees=words)
        await goes("down", sees="must set it up")
        await person.pilot.hover("Button")
        await goes("tab", sees="Methods")
        for severity in ("information", "warning", "error"):
            person.app.notify("A notice.", title="Title", severity=severity)
        await goes(sees="A notice.")
        assert faint(seen) == []
        assert len(seen) > 15 * len(_LEAST)


async def test_the_wizard_can_be_read(clinic):
    async with opened(clinic, session=clinic.restricted("dmitri", MustEnrol)) as person:
        seen: Seen = {}
        await person.sees("Step 1 of 4")
        await look(person, seen)
        await person.presses("enter")
        await person.sees("Step 2 of 4")
        await person.types("123456")
        await person.presses("enter")
        await person.sees("✗")
        await look(person, seen)
        assert faint(seen) == []
