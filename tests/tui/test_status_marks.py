"""A status has one mark and one colour, on every screen."""

import pytest
from support.app_driver import Person, opened, screen_cells

from data.rules.domain_types import Status
from tui.widgets.status_marks import tint, with_mark


def colours_of(person: Person, words: str) -> set[str]:
    """Return the colours in which these words stand on the screen."""
    return {
        part.style.color.name.upper()
        for line in screen_cells(person.app)
        for part in line
        if words in part.text and part.style and part.style.color
    }


@pytest.mark.feature("statuses-look-alike")
async def test_a_status_looks_the_same_on_every_screen(world):
    world.user("dmitri", required=True)
    world.enrol("anna")
    world.lock("anna")
    world.set("boris", active=False)
    async with opened(world, "admin") as person:
        theme = person.app.theme_variables

        async def looks(status: Status, words: str = "") -> None:
            shown = with_mark(status, words)
            await person.sees(shown)
            assert colours_of(person, shown) == {theme[tint(status).removeprefix("$")].upper()}

        await person.sees("5 users")
        await person.presses("down", "down", "down", "down")
        for status in (Status.ENABLED, Status.LOCKED, Status.NO, Status.DEACTIVATED):
            await looks(status)
        for status in (Status.PENDING, Status.NO, Status.DEACTIVATED, Status.LOCKED):
            await person.presses("enter")
            await person.sees("Attempts left")
            await looks(status)
            await person.presses("escape", "up")
        await person.presses("question_mark", "end")
        for status in Status:
            await looks(status)
        await person.presses("escape", "1")
        await looks(Status.ENABLED, "Enabled, since 2026-03-02 09:00 UTC")
        await person.presses("3")
        for status, count in ((Status.ENABLED, 1), (Status.PENDING, 1), (Status.NO, 1), (Status.LOCKED, 1)):
            await looks(status, f"{status.value} {count}")


async def test_a_status_is_never_told_by_its_colour_alone():
    """Those with a mark of their own differ without their words; the others are told by their words."""
    marks = [with_mark(status)[0] for status in Status]
    assert {mark for mark in marks if marks.count(mark) > 1} == {"-"}
    assert all(with_mark(status).endswith(f" {status.value}") for status in Status)
