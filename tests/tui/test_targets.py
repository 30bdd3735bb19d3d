"""The Targets screen, and one's own targets on My profile."""

import pytest
from support.app_driver import opened
from support.database import OPERATOR, World

from data.operations.targets import jumps, registry
from data.operations.users import practices
from data.rules.domain_types import Role
from data.rules.targets import NewTarget
from data.storage import models


def add(world: World, name: str, host: str = "10.0.0.5", **more) -> None:
    world.run(registry.add_target, OPERATOR, NewTarget(name, host, **more))


@pytest.mark.feature("targets")
async def test_added_and_removed(world):
    """What was wrong keeps what was typed; a fresh code is asked for."""
    world.run(practices.add_practice, OPERATOR, "North")
    async with opened(world, "admin", first="8", size=(100, 36)) as person:
        world.clock.forward(minutes=6)
        await person.sees("0 targets", "n New")
        await person.presses("n")
        await person.sees("New target", "[ ] Support", "[ ] North", "everyone in the account")
        await person.types("db1")
        await person.presses("tab")
        await person.types("2130706433")
        await person.presses("enter", "enter", "enter")
        await person.sees("Confirm it's you")
        await person.types(await person.code_of("admin"))
        await person.presses("enter")
        await person.sees("That is not a host.", "2130706433")
        await person.presses("tab", "home", *["delete"] * 10, *"db1.example", "tab", "tab")
        await person.types("anna")
        await person.presses("tab", "space", *["tab"] * 3, "space", "tab", "tab", "enter")
        await person.sees("✓ Target db1 added for practice", "1 target", "db1.example:22")
        (row,) = world.run(registry.list_targets, OPERATOR).rows
        assert (row.practices, row.roles, row.users) == (("Main",), (Role.SUPPORT,), ("anna",))
        assert "! unreachable" in person.screen
        await person.presses("enter")
        await person.sees("Leads to: db1.example:22", "Unreachable: [forwarding] networks in twofold.toml")
        await person.presses("escape", "x")
        await person.sees("Remove db1?", "open connections to it are closed within five seconds")
        await person.presses("y")
        await person.sees("✓ Target db1 removed.", "0 targets")


@pytest.mark.feature("targets")
async def test_system_administrators_see_them(world, system_admin):
    add(world, "db1")
    async with opened(world, system_admin, first="8") as person:
        await person.sees("1 target", "db1", "Only a security administrator can manage targets.")
        await person.presses("n", "x")
        assert "New target" not in person.screen
        await person.presses("enter")
        await person.sees("For: everyone in the account")


@pytest.mark.feature("targets")
async def test_others_have_no_such_screen(world, supporter):
    async with opened(world, supporter) as person:
        await person.sees("7 Apps")
        assert "Targets" not in person.screen
        await person.presses("8")
        await person.sees("7 Apps")


@pytest.mark.feature("targets")
async def test_one_s_own(world):
    """My profile shows the line that reaches each, which follows what is added and removed."""
    add(world, "db1")
    add(world, "other", users=("admin",))
    world.enrol("anna")
    async with opened(world, "anna", size=(80, 60)) as person:
        await person.sees("db1", "ssh -J anna@ssh.clinic.example:2222 db1")
        assert "other" not in person.screen
        assert "two-factor authentication first" not in person.screen
        world.run(registry.remove_target, OPERATOR, "db1")
        add(world, "web1", port=2200)
        await person.sees("ssh -p 2200 -J anna@ssh.clinic.example:2222 web1")
        models.Target.update(by_operator=False).execute()
        add(world, "db1")
        await person.sees("! cannot be reached yet. Ask a security administrator why.")
        assert "2222 web1" not in person.screen


@pytest.mark.feature("targets", "jumps-both-factors")
async def test_one_s_own_before_2fa(world):
    add(world, "db1")
    async with opened(world, "anna", size=(80, 60)) as person:
        await person.sees(
            "Set up two-factor authentication first.", "ssh -J anna@ssh.clinic.example:2222 db1"
        )
    assert not isinstance(world.run(jumps.find_target, world.session("anna"), "db1", 22), jumps.JumpTarget)
