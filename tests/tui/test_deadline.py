"""A deadline in the app: set under Security after a preview, and told whoever signs in before it."""

from datetime import date

import pytest
from support.app_driver import opened, sign_in
from support.database import OPERATOR, World, totp

from data.operations.policy import policy_settings
from data.rules.domain_types import Mode
from data.storage import models
from tui.screens.enrolment_authenticator import SetUpScreen


@pytest.fixture
def due(world: World) -> World:
    """A deadline eleven days ahead."""
    world.run(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, seen=Mode.OPTIONAL, day=date(2026, 3, 13))
    return world


@pytest.mark.feature("deadline", "grace-days")
async def test_deadline_and_grace_under_security(world):
    """Who is affected stands before the question; to put it off takes a reason, and is counted."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional", "Deadline and grace")
        await person.presses("r")
        await person.sees("Require two-factor authentication from", "First day, in UTC")
        await person.types("20260313")
        await person.clicks("Next")
        await person.sees("✗ Type the first day as year, month and day, such as 2027-02-01.")
        await person.types("2026-03-13")
        await person.clicks("Next")
        await person.sees(
            "Change the mode from optional to required?",
            "Required from 2026-03-13: everyone must set it up by then.",
            "3 people have 11 days to set it up: anna, boris, carla.",
        )
        await person.presses("y")
        await person.sees(
            "✓ The mode is now required from 2026-03-13.", "is required from 2026-03-13 ──", "11 days left."
        )
        await person.presses("r")
        await person.sees("First day")
        await person.types("2026-04-01")
        await person.clicks("Next")
        await person.sees("✗ This puts the deadline of 2026-03-13 off. Give a reason.")
        await person.presses("tab", *"late", "tab", "backspace", "7", "enter")
        await person.sees("Require 2FA from 2026-04-01?", "30 days to set it up")
        await person.presses("y")
        await person.sees(
            "30 days left, put off 1 time.", "New users have 7 days to set it up", "3 people have 30 days"
        )
    account = models.Account.get()
    assert (account.mode, account.put_off, account.grace_days) == ("required", 1, 7)


@pytest.mark.feature("deadline")
async def test_set_up_now_or_later(due):
    async with opened(due, session=sign_in(due, "anna")) as person:
        await person.sees(
            "Set up two-factor authentication?", "11 days left to set up two-factor authentication."
        )
        await person.clicks("Later (n)")
        await person.sees(
            "1 My profile", "Required from 2026-03-13: everyone must set it up by then. 11 days left"
        )
    due.clock.forward(days=10)
    async with opened(due, session=sign_in(due, "anna")) as person:
        await person.sees("1 day left to set up two-factor authentication.")
        await person.presses("y")
        await person.sees("Step 1 of 4")
        await person.presses("enter")
        await person.sees("Step 2 of 4")
        assert isinstance(person.app.screen, SetUpScreen)
        await person.types(totp(person.app.screen._pending.secret, due.clock.now))
        await person.presses("enter")
        await person.sees("Save your recovery codes")
