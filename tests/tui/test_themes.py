"""The theme of a user: following the terminal, dark, light or high contrast."""

import pytest
from support.app_driver import opened, sign_in
from support.app_over_ssh import QUESTION, seen_by
from support.database import PASSWORD

from data.rules.domain_types import ThemeChoice
from sshserver.compat.textual_parser import BackgroundTold, InputParser
from sshserver.terminal.capabilities import Colours, Terminal, is_light
from tui.app import TwofoldApp

DARK, LIGHT = "24262b", "ebecef"
"""What is behind the last line."""
WHITE = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
BLACK = "\x1b]11;rgb:0000/0000/0000\x1b\\"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine answers late."""
    monkeypatch.setattr(TwofoldApp, "ANSWER_SECONDS", 60.0)


@pytest.mark.feature("themes")
@pytest.mark.parametrize(
    ("answer", "shown"),
    [((WHITE,), LIGHT), (tuple(WHITE), LIGHT), ((WHITE[:-2], "\x07"), LIGHT), ((BLACK,), DARK)],
    ids=["light", "light in pieces", "light with BEL", "dark"],
)
async def test_the_theme_follows_what_the_terminal_says(world, monkeypatch, answer, shown):
    """The answer is typed nowhere: the field that has the focus takes the keys around it alone."""
    monkeypatch.setattr(TwofoldApp, "ANSWER_SECONDS", 60)
    async with seen_by(world, "admin") as person:
        await person.goes_to_the_users()
        await person.draws(lambda: person.background == DARK)
        person.types("/", "an", *answer, "na")
        await person.sees("▌ anna ", "1 user ")
        await person.draws(lambda: person.background == shown)
        assert person.output.count(QUESTION) == 1


async def test_a_silent_terminal_gets_the_dark_theme_and_waits_for_nothing(world):
    async with seen_by(world, "admin") as person:
        await person.goes_to_the_users()
        assert QUESTION in person.output
        await person.draws(lambda: person.background == DARK)


@pytest.mark.parametrize("seconds", [-1.0, 60.0], ids=["too late", "a second time"])
async def test_an_answer_that_is_not_expected_changes_nothing(world, monkeypatch, seconds):
    monkeypatch.setattr(TwofoldApp, "ANSWER_SECONDS", seconds)
    async with seen_by(world, "admin") as person:
        await person.goes_to_the_users()
        person.types(*([BLACK] if seconds > 0 else []), WHITE, "/anna")
        await person.sees("▌ anna ", "1 user ")
        await person.draws(lambda: person.background == DARK)


@pytest.mark.parametrize("terminal", ["vt100", "NO_COLOR", "16"])
async def test_a_terminal_that_could_not_show_the_theme_is_not_asked(world, terminal):
    async with seen_by(world, "admin", terminal) as person:
        await person.goes_to_the_users()
        assert QUESTION not in person.output


@pytest.mark.feature("themes")
async def test_the_theme_is_remembered_and_shown_at_once(world):
    """It is chosen in the palette, and the next session asks the terminal nothing."""
    async with seen_by(world, "admin") as person:
        await person.goes_to_the_users()
        person.types("\x10")
        await person.sees("Go to Security")
        person.types("theme light")
        await person.sees("Theme: light")
        person.types("\r")
        await person.sees("✓ Theme: light.")
        await person.draws(lambda: person.background == LIGHT)
    async with seen_by(world, "admin") as person:
        await person.draws(lambda: person.background != "default")
        assert person.background == LIGHT
        await person.goes_to_the_users()
        assert QUESTION not in person.output


async def test_the_profile_shows_the_theme_and_changes_it(world):
    async with opened(world, "anna") as person:
        await person.sees("Theme follow the terminal")
        await person.presses("comma", "end", "enter")
        await person.sees("✓ Theme: high contrast.", "Theme high contrast")
        assert person.app.theme == "twofold-high-contrast"
    assert world.row("anna").theme == "high-contrast"
    assert world.row("boris").theme is None
    async with opened(world, "anna") as person:
        await person.sees("Theme high contrast")
        await person.presses("comma", "home", "enter")
        await person.sees("✓ Theme: follow the terminal.")
    assert sign_in(world, "anna").theme is ThemeChoice.TERMINAL


async def test_the_app_on_the_host_takes_the_theme_after_the_sign_in(world):
    world.set("anna", theme="light")
    async with opened(world) as person:
        await person.sees("Sign in to Twofold")
        assert person.app.theme == "twofold-dark"
        await person.fills(name="anna", password=PASSWORD)
        await person.pilot.click("Button")
        await person.sees("How it works")
        assert person.app.theme == "twofold-light"


async def test_sixteen_colours_stay_what_they_are(world):
    async with opened(world, "anna", terminal=Terminal(colours=Colours.SIXTEEN)) as person:
        await person.sees("Theme follow the terminal")
        await person.presses("comma", "down", "down", "enter")
        await person.sees("✓ Theme: light. This terminal has too few colours to show it.")
        assert person.app.theme == "twofold-sixteen"


@pytest.mark.parametrize(
    ("colour", "light"),
    [
        ("rgb:fa/fa/f0", True),
        ("rgb:f/f/f", True),
        ("rgba:ffff/ffff/ffff/0000", True),
        ("rgb:7f7f/7f7f/7f7f", False),
        ("rgb:0000/0000/ffff", False),
        ("rgb:FFFF/FFFF/0000", True),
        ("#ffffff", None),
        ("rgb:fffff/0/0", None),
        ("?", None),
    ],
)
def test_brightness_of_a_background(colour, light):
    answer = f"\x1b]11;{colour}\x1b\\"
    assert is_light(answer) is light
    told = [event.is_light for event in InputParser().feed(answer) if isinstance(event, BackgroundTold)]
    assert told == ([] if light is None else [light])
