"""Acting on marked users in the table."""

import pytest
from support.app_driver import opened
from support.database import SYSTEM

from data.operations import leases
from data.storage import models
from tui.widgets.paged_table import PagedTable


async def marks(person, *names: str) -> None:
    """Move to each of these in the table and press space."""
    table = person.app.screen.query_one(PagedTable)
    for name in names:
        rows = [row.name for row in table._page]
        table.move_cursor(row=rows.index(name))
        await person.presses("space")


async def test_marks(world):
    """They are seen without colour and counted, and escape takes them away."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "carla")
        await person.sees("✓ anna", "✓ carla", "2 marked")
        assert "✓ boris" not in person.screen
        await marks(person, "anna")
        await person.sees("1 marked")
        await person.presses("escape")
        await person.sees_no_more("✓", "marked")


async def test_space_marks_and_moves_on(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("down", "space", "space", "space", "space")
        await person.sees("2 marked", "✓ anna", "✓ boris")


@pytest.mark.feature("bulk")
async def test_one_confirmation_for_all(world):
    """It names how many."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris")
        await person.presses("r")
        await person.sees("Require 2FA for 2 users?", "anna, boris.", "Require 2 (y)")
        assert not world.row("anna").required
        await person.presses("y")
        await person.sees("✓ 2 users required.")
        assert "✓ anna" not in person.screen
    assert world.row("anna").required
    assert world.row("boris").required
    assert not world.row("carla").required


@pytest.mark.feature("bulk-refused")
async def test_refused_users_stay_marked(world):
    """They are named with the reason."""
    world.set("boris", active=False)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "admin", "anna", "boris")
        await person.presses("a")
        await person.sees("Deactivate 3 users?")
        await person.presses("y")
        await person.sees(
            "1 user deactivated, 2 refused",
            "admin: You cannot deactivate yourself.",
            "boris: User boris is already deactivated.",
        )
        await person.presses("escape")
        await person.sees("✓ admin", "✓ boris", "2 marked")
    assert not world.row("anna").active


@pytest.mark.feature("bulk")
async def test_clearing_many_asks_for_a_fresh_code_once(world, system_admin):
    for name in ("anna", "boris"):
        world.enrol(name)
    async with opened(world, system_admin) as person:
        await person.sees("5 users")
        world.clock.forward(hours=1)
        await marks(person, "anna", "boris")
        await person.presses("l")
        await person.sees("Clear the 2FA data of 2 users?")
        await person.presses("y")
        await person.sees("code")
        await person.types(world.live_code(system_admin))
        await person.presses("enter")
        await person.sees("✓ 2 users cleared.")
    people = [world.row(name).id for name in ("anna", "boris")]
    assert models.Factor.select().where(models.Factor.user.in_(people)).count() == 0


async def test_no_means_nothing_happens_and_the_marks_stay(world):
    world.user("helper", SYSTEM)
    async with opened(world, "admin") as person:
        await person.sees("5 users")
        await marks(person, "anna")
        await person.presses("a")
        await person.sees("Deactivate 1 user?")
        await person.presses("n")
        await person.sees("✓ anna")
    assert world.row("anna").active


@pytest.mark.feature("bulk-one-at-a-time")
async def test_another_act_is_running(world):
    """The user is told so, and the marks stay."""
    lease = world.run(leases.take, world.session("admin"), leases.Work.BULK)
    world.clock.forward(minutes=1)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris")
        await person.presses("r")
        await person.sees("Require 2FA for 2 users?")
        await person.presses("y")
        await person.sees("✗ Another bulk action of yours is in progress", "✓ anna", "✓ boris")
        world.run(leases.give_back, lease)
        await person.presses("r", "y")
        await person.sees("✓ 2 users required.")
