"""The plain mode is chosen in the app, for the sessions to come."""

import pytest
from support.app_driver import opened, sign_in


@pytest.mark.feature("plain-chosen")
async def test_it_is_chosen_on_the_profile_and_from_the_help_of_every_screen(world):
    async with opened(world, "anna") as person:
        await person.sees("Plain mode")
        await person.presses("full_stop")
        await person.sees("Off: this app", "On: a prompt and static text")
        await person.presses("down", "enter")
        await person.sees("✓ Plain mode on, from your next session.", "Plain mode on, from your next session")
    assert sign_in(world, "anna").plain
    assert not sign_in(world, "boris").plain
    async with opened(world, "admin") as person:
        await person.sees("Overview")
        await person.presses("question_mark")
        await person.sees("Plain mode: static text")
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        await person.presses("full_stop", "up", "enter")
        await person.sees("✓ Plain mode off, from your next session.")
    assert not sign_in(world, "anna").plain
