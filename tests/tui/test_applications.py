"""The Applications screen."""

import re

import pytest
from support.app_driver import opened
from support.database import OPERATOR, World

from data.operations.applications import asking, registry
from data.operations.applications.radius_clients import radius_clients
from data.operations.users import practices
from data.rules.applications import Asks, NewApplication, Protocol
from data.storage import models


def add(world: World, name: str, asks: Asks = Asks.CODE) -> str:
    return world.run(registry.add_application, OPERATOR, NewApplication(name, Protocol.HTTP, asks)).secret


def name_of(world: World, token: str, address: str) -> str | None:
    found = world.run(asking.authenticate_application, token, address)
    return found and found.name


@pytest.mark.feature("applications-managed")
async def test_added(world):
    """What was wrong keeps what was typed; the secret is shown once, after a fresh code."""
    world.run(practices.add_practice, OPERATOR, "North")
    async with opened(world, "admin", first="7") as person:
        world.clock.forward(minutes=6)
        await person.sees("0 applications", "n New")
        await person.presses("n")
        await person.sees("New application", "Password, then code", "[ ] North")
        await person.types("ssh")
        await person.presses("tab")
        await person.types("10.0.0.5 10.1.0.0/24")
        await person.presses("enter")
        await person.sees("Confirm it's you")
        await person.types(await person.code_of("admin"))
        await person.presses("enter")
        await person.sees("is not ssh, local or host", "10.0.0.5 10.1.0.0/24")
        await person.presses(
            "home", *["delete"] * 3, *"portal", "tab", "tab", "tab", "enter", "down", "enter"
        )
        await person.sees("RADIUS")
        await person.presses("tab", "tab", "space", "tab", "tab", "tab", "space", "tab", "enter")
        shown = await person.sees("Secret of portal", "It is not shown again.")
        (secret,) = re.findall(r"[A-Za-z0-9_-]{32}", shown)
        await person.presses("tab", "enter")
        await person.sees("✓ Application portal added.", "1 application", "portal", "10.0.0.5/32", "North")
        assert secret not in person.screen
        await person.presses("enter")
        await person.sees("Protocol: RADIUS", "Lenient: yes: its packets need no Message-Authenticator")
    (client,) = world.run(radius_clients)
    assert (client.name, client.secret.decode(), client.lenient) == ("portal", secret, True)


@pytest.mark.feature("applications-managed")
async def test_added_where_practices_are_many(world):
    """They scroll by themselves, so that what was wrong and the buttons are seen."""
    for number in range(40):
        world.run(practices.add_practice, OPERATOR, f"Clinic {number:02}")
    async with opened(world, "admin", first="7") as person:
        await person.sees("0 applications", "n New")
        await person.presses("n")
        await person.sees("New application", "[ ] Clinic 02", "Add", "Cancel")
        await person.types("ssh")
        await person.presses("tab", "enter")
        await person.sees("is not ssh, local or host", "[ ] Clinic 02", "Add", "Cancel")


@pytest.mark.feature("applications-managed")
async def test_changed(world):
    token = add(world, "vpn")
    async with opened(world, "admin", first="7", size=(100, 30)) as person:
        await person.sees("1 application", "d Disable", "p New token")
        await person.presses("d")
        await person.sees("Disable vpn?", "No one can sign in to vpn")
        await person.presses("y")
        await person.sees("✓ Application vpn disabled.", "a Enable")
        assert name_of(world, token, "127.0.0.1") is None
        await person.presses("a", "y")
        await person.sees("✓ Application vpn enabled.")
        await person.presses("p", "y")
        shown = await person.sees("Token of vpn")
        (again,) = re.findall(r"[A-Za-z0-9_-]{32}", shown)
        await person.presses("tab", "enter")
        await person.sees("✓ New token made for application vpn.")
        await person.presses("enter")
        await person.sees("Application vpn", "Asks: code; it checks the password itself", "Practices: all")
        await person.presses("escape")
        assert (name_of(world, token, "127.0.0.1"), name_of(world, again, "127.0.0.1")) == (None, "vpn")
        await person.presses("x")
        await person.sees("Remove vpn?")
        await person.presses("y")
        await person.sees("✓ Application vpn removed.", "0 applications")


@pytest.mark.feature("applications-suspended")
async def test_suspended(world):
    """It stands on the overview, under Security and in the table, until it is enabled again."""
    add(world, "vpn")
    models.Application.update(suspended_at=world.clock.now).execute()
    async with opened(world, "admin", first="0", size=(100, 40)) as person:
        await person.sees("Application vpn was suspended 2026-03-02")
        await person.presses("3")
        await person.sees("(•) Optional", "! Application vpn was suspended 2026-03-02")
        await person.presses("exclamation_mark")
        await person.sees("✗ Application vpn was suspended", "! There is only one")
        await person.presses("enter")
        await person.sees("! suspended")
        await person.presses("a")
        await person.sees("It was suspended 2026-03-02", "First find out who typed them")
        await person.presses("y")
        await person.sees("✓ Application vpn enabled.")


@pytest.mark.feature("applications-managed")
@pytest.mark.parametrize("who", ["supporter", "system_admin"])
async def test_others_see_them(world, request, who):
    """Only a security administrator changes them."""
    add(world, "vpn")
    async with opened(world, request.getfixturevalue(who), first="7") as person:
        await person.sees("1 application", "Only a security administrator can manage applications.")
        for key in ("n", "d", "a", "p", "x"):
            await person.presses(key)
        assert "New application" not in person.screen
        await person.presses("enter")
        await person.sees("Asks: code; it checks the password itself")


async def test_users_have_no_such_screen(world):
    async with opened(world, "anna") as person:
        await person.sees("1 M")
        await person.presses("7")
        await person.sees("How it works")
        assert "Applications" not in person.screen
