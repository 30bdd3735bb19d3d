"""The Practices screen, and practices on the way of a user."""

import pytest
from support.app_driver import opened
from support.database import OPERATOR, SECURITY, SYSTEM
from textual.widgets import Select

from data.operations.users import practices, principals
from data.rules.domain_types import Mode
from tui.widgets.paged_table import PagedTable


@pytest.mark.feature("practices")
async def test_practices(world):
    """They are added and renamed, and their users shown."""
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "5 Practices")
        await person.presses("5")
        await person.sees("1 practice · one policy for all", "Main")
        await person.presses("n")
        await person.sees("New practice")
        await person.types("main")
        await person.presses("enter")
        await person.sees("✗ The practice Main already exists.")
        await person.presses("home", *"Re", "enter")
        await person.sees("✓ Practice Remain added.", "2 practices")
        await person.presses("down", "e")
        await person.sees("Rename practice", "Remain")
        await person.presses("home", *["delete"] * 2, *"Do", "enter")
        await person.sees("✓ Practice Remain renamed to Domain.")
        world.run(practices.move_user, OPERATOR, "boris", "Domain")
        await person.presses("home", "enter")
        await person.sees("1 user", "Domain", "boris")
        assert "carla" not in person.screen


@pytest.mark.feature("principals")
async def test_principals_of_ones_own_practice(world):
    """They are taken away and never given: with none there is nothing to press, and no giving beside one."""
    world.run(practices.add_practice, OPERATOR, "North")
    async with opened(world, "admin", first="5", size=(120, 24)) as person:
        await person.sees("2 practices")
        assert "= Principals" not in person.screen
        await person.presses("equals_sign", "down")
        await person.sees("= Principals")
        world.run(principals.add_practice_principal, OPERATOR, "Main", "web")
        await person.presses("up")
        await person.sees("= Principals")
        await person.presses("equals_sign")
        await person.sees("Principals of Main", "Remove web")
        assert "Give another one" not in person.screen
        await person.presses("enter", "y")
        await person.sees("✓ Principal web removed from Main.")
        await person.sees_no_more("= Principals")
        await person.presses("down", "equals_sign")
        await person.sees("Give North a principal")


@pytest.mark.feature("move-users")
async def test_a_user_is_moved_and_the_second_mover_is_told(world):
    for name in ("North", "South"):
        world.run(practices.add_practice, OPERATOR, name)
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "m")
        await person.sees("Move anna to which practice?", "North")
        assert "Main" not in person.front
        world.run(practices.move_user, OPERATOR, "anna", "South")
        await person.presses("home", "enter")
        await person.sees("✗ Someone else moved anna to South in the meantime.")
        await person.presses("m")
        await person.sees("Move anna")
        await person.presses("end", "enter")
        await person.sees("✓ User anna moved to practice North.")


async def test_moving_with_one_practice(world):
    """It is not offered before there is another."""
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "enter")
        await person.sees("o Roles")
        assert "m Move" not in person.screen
        world.run(practices.add_practice, OPERATOR, "North")
        person.app.screen.load()
        await person.sees("m Move")


@pytest.mark.feature("contact-form")
async def test_new_user_in_the_chosen_practice(world):
    world.run(practices.add_practice, OPERATOR, "North")
    async with opened(world, "admin", size=(80, 30)) as person:
        await person.sees("2 Users", "anna")
        await person.presses("n")
        await person.sees("New user", "Practice", "Main")
        await person.fills(name="dora", email="dora@x.example", phone="4711")
        person.app.screen.query_one(Select).value = "North"
        await person.clicks("Create")
        await person.sees("✗ That is not a phone number.", "North")
        await person.fills(phone="+49 30 12345678")
        await person.clicks("Create")
        await person.sees("User dora created.")
    assert (world.row("dora").practice.name, world.row("dora").phone) == ("North", "+493012345678")


async def test_practice_of_a_new_user(world):
    """It is that of the administrator, or the one that is shown."""
    for name in ("Aardvark", "North"):
        world.run(practices.add_practice, OPERATOR, name)
    world.run(practices.move_user, OPERATOR, "admin", "North")
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("n")
        await person.sees("New user")
        assert person.app.screen.query_one(Select).value == "North"
        await person.presses("escape", "f")
        await person.sees("Filter users", "Practice")
        await person.presses("tab", "enter", "down", "enter", "ctrl+s")
        await person.sees("Filter: practice Aardvark", "0 users")
        await person.presses("n")
        await person.sees("New user")
        assert person.app.screen.query_one(Select).value == "Aardvark"


@pytest.mark.feature("two-editors")
async def test_second_editor(world):
    """They keep what they typed and see what changed."""
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "e")
        await person.sees("Edit anna", "Anna Berg")
        await person.presses("tab", "end", *" X", "tab")
        await person.types("+493012345678")
        world.set("anna", full_name="Anna Lee", email="lee@clinic.example")
        await person.presses("enter")
        await person.sees("✗ Someone else changed the full name to Anna Lee in the", "Anna Berg X")
        await person.sees("lee@clinic.example", "+493012345678")
        await person.presses("enter", "enter", "enter")
        await person.sees("✓ User anna saved.")
    anna = world.row("anna")
    assert (anna.email, anna.full_name, anna.phone) == ("lee@clinic.example", "Anna Berg X", "+493012345678")


async def test_people_edit_their_own_profile(world):
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        await person.presses("e")
        await person.sees("Edit anna", "Anna Berg")
        await person.presses("tab", "end", *" X", "enter", "enter")
        await person.sees("✓ User anna saved.", "Anna Berg X (anna)")


@pytest.mark.feature("one-policy")
async def test_security_names_all_practices(world):
    world.run(practices.add_practice, OPERATOR, "North")
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("3")
        await person.sees("One policy for all of Clinic (2 practices).")


@pytest.mark.feature("needs-attention")
async def test_security_names_what_needs_attention_most(world):
    """A key leads from there to the overview."""
    world.user("boss", SYSTEM)
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("3")
        await person.sees("! 1 system administrator has no second factor. (! shows all)")
        await person.presses("exclamation_mark")
        await person.sees("Sign-ins, 30 days", "! 1 system administrator has no second factor.")
        await person.presses("3", "down")
        await person.sees("people must set it up")
        await person.sees_no_more("has no second factor")


@pytest.mark.feature("off-in-detail")
async def test_mode_off_in_detail_and_actions(world):
    world.enrol("anna")
    world.mode(Mode.OFF)
    async with opened(world, "admin", size=(80, 30)) as person:
        await person.sees("2 Users", "anna", "Not available", "2FA is off (see 3 Security)")
        await person.presses("down", "enter")
        await person.sees("2FA - Not available: turn on 2FA under 3 Security")
        for key, title in (("d", "Disable 2FA for anna?"), ("l", "Clear the 2FA data of anna?")):
            await person.presses(key)
            await person.sees(title, "no code is asked for until it is turned on under 3 Security.")
            await person.presses("n")
            await person.sees_no_more(title)
        await person.presses("r")
        await person.sees("Takes effect when 2FA is turned on under 3 Security.")


@pytest.mark.feature("disable-when-required")
@pytest.mark.parametrize("mode", [Mode.REQUIRED, Mode.PERMANENT])
async def test_disabling_while_required(world, mode):
    world.enrol("anna")
    world.mode(mode)
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "d")
        await person.sees("Disable 2FA for anna?", "anna must set it up at the next sign-in.")
        await person.presses("y")
        await person.sees("✓ Two-factor authentication disabled for anna.", "Pending setup on next login")


@pytest.mark.feature("one-time-after-clear")
async def test_clearing_offers_a_password(world):
    world.enrol("anna")
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "l", "y")
        await person.sees(
            "Also create a one-time password for anna?",
            "Anyone who knows the current password could set up 2FA before anna does.",
        )
        await person.presses("y")
        shown = await person.sees("One-time password for anna", "It is not shown again.")
        password = next(word for word in shown.split() if word.count("-") == 3)
    assert world.row("anna").one_time_until
    assert world.has_hash_of("anna", password)


@pytest.mark.feature("one-time-after-clear")
async def test_password_is_not_offered_without_the_role(world):
    world.enrol("anna")
    world.user("chief", SECURITY)
    world.enrol("chief")
    world.clock.forward(minutes=1)
    async with opened(world, "chief") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "l", "y")
        await person.sees("✓ Two-factor data cleared for anna.", "2 Users")


@pytest.mark.parametrize(
    ("column", "shown"), [({"active": False}, "2FA - Deactivated"), ({}, "Not available")]
)
async def test_who_cannot_sign_in_while_off(world, column, shown):
    world.mode(Mode.OFF)
    if column:
        world.set("anna", **column)
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "enter")
        await person.sees("anna@clinic.example", shown)


@pytest.mark.feature("search")
@pytest.mark.parametrize("search", ["030 123", "north", "anna@", "berg"])
async def test_finding_and_disabling_a_user(world, search):
    """By phone, practice, address or name."""
    world.enrol("anna")
    world.run(practices.add_practice, OPERATOR, "North Wing")
    world.run(practices.move_user, OPERATOR, "anna", "North Wing")
    world.set("anna", phone="+493012345678")
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "boris")
        await person.presses("slash")
        await person.types(search)
        await person.sees("1 user", "anna", "Enabled")
        await person.presses("enter", "enter")
        await person.sees("+493012345678", "North Wing, Clinic", "Attempts left")
        await person.presses("d", "y")
        await person.sees("✓ Two-factor authentication disabled for anna.", "2FA ○ No")


async def test_support_reads_practices(world, supporter):
    async with opened(world, supporter) as person:
        await person.sees("2 Users", "anna")
        await person.presses("5")
        await person.sees("1 practice", "Main", "Only a system administrator can manage practices.")
        screen = person.app.screen
        await person.presses("n", "e", "x")
        assert person.app.screen is screen


@pytest.mark.feature("rename-and-remove")
async def test_removing_a_practice(world):
    world.run(practices.add_practice, OPERATOR, "Aardvark")
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "anna")
        await person.presses("5")
        await person.sees("Aardvark", "Main")
        await person.presses("home", "x")
        await person.sees("Remove practice Aardvark?")
        await person.presses("y")
        await person.sees("✓ Practice Aardvark removed.")
        screen = person.app.screen
        await person.presses("x")
        assert person.app.screen is screen


async def test_the_practice_that_was_confirmed_is_removed(world):
    """The table below the question may have moved on to another one."""
    for name in ("Aardvark", "Zoo"):
        world.run(practices.add_practice, OPERATOR, name)
    async with opened(world, "admin", first="5", size=(120, 24)) as person:
        await person.sees("Aardvark", "Zoo")
        table = person.app.screen.query_one(PagedTable)
        await person.presses("home", "x")
        await person.sees("Remove practice Aardvark?")
        table.move_cursor(2)
        await person.presses("y")
        await person.sees("✓ Practice Aardvark removed.", "Zoo")


@pytest.mark.feature("click-sorts")
async def test_practices_are_sorted_by_a_click(world):
    for name in ("Annex", "Zoo"):
        world.run(practices.add_practice, OPERATOR, name)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("5")
        await person.sees("Practice ▲", "Annex 0 0 Main 4 4 Zoo 0 0")
        await person.clicks("Users     ")
        await person.sees("Users ▼", "Main 4 4 Annex 0 0 Zoo 0 0")
        await person.clicks("Practice     ")
        await person.sees("Practice ▲", "Annex 0 0 Main 4 4 Zoo 0 0")
