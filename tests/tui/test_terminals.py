"""What the app sends to terminals of different colours, over SSH."""

import pytest
from support.app_over_ssh import TERMINALS, seen_by

COLOURLESS = ("vt100", "NO_COLOR", "NO_COLOR of 16")


@pytest.mark.feature("without-colours")
@pytest.mark.parametrize("terminal", TERMINALS)
async def test_the_selected_row_and_tab_stand_out(world, terminal):
    async with seen_by(world, "admin", terminal) as person:
        await person.goes_to_the_users("carla")
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
        await person.goes_to_the_users("dmitri")
        await person.sees("◐ Pending setup on next login")
        person.types("\x1b[F")

        def colours() -> set[str]:
            looks = [person.looks_of(words) for words in ("● Enabled", "✗ Locked", "○ No", "dmitri  ")]
            return {front for look in looks for front, _, _ in look}

        await person.draws(lambda: len(colours()) == (1 if terminal in COLOURLESS else 4))
