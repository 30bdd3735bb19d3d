"""The users table and one user's detail."""

import asyncio
from datetime import timedelta

import pytest
from support.app_driver import Person, opened
from support.database import OPERATOR, PASSWORD, SECURITY, SUPPORT
from textual.widgets import RadioSet

from data.operations.actors import roles_of
from data.operations.users import practices, user_search
from data.operations.users.user_search import PAGE, UserQuery
from data.rules.domain_types import Method, Mode, Role
from data.storage import models
from tui.widgets.paged_table import PagedTable

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2Gt0Y9mkCtLMUxOJjTkzyqRuvqgSGfjATVoLEbMXX1 anna@laptop"


def crowd(world, count: int) -> None:
    """Put many people straight into the table."""
    admin = world.row("admin")
    models.User.insert_many(
        {
            "account": admin.account_id,
            "practice": admin.practice_id,
            "name": f"user{number:03}",
            "email": f"user{number:03}@clinic.example",
            "attempts_left": 7,
            "created_at": world.clock.now,
        }
        for number in range(count)
    ).execute()
    world.catch_up()


async def opens(person: Person, name: str) -> None:
    """Come from the table to a user's detail."""
    await person.sees("2 Users", name)
    table = person.app.screen.query_one(PagedTable)
    rows = [row.name for row in table._page]
    await person.presses(*["down"] * rows.index(name), "enter")
    await person.sees(f"{name}@clinic.example", "Attempts left")


class TestTable:
    @pytest.mark.parametrize(
        ("size", "columns"),
        [
            ((60, 20), ["Name", "2FA", "Sign-in"]),
            ((80, 24), ["Name", "Full name", "2FA", "Sign-in"]),
            ((120, 40), ["Name", "Full name", "E-mail", "2FA", "Roles", "Sign-in"]),
        ],
    )
    async def test_columns_are_those_there_is_room_for(self, world, size, columns):
        world.set("anna", required=True)
        async with opened(world, "admin", size=size) as person:
            shown = await person.sees("4 users", "Pending setup on next login")
            header = next(line for line in shown.split("\n") if "2FA" in line and "Name" in line)
            assert [
                name for name in ("Name", "Full name", "E-mail", "2FA", "Roles", "Sign-in") if name in header
            ] == columns
            assert all(len(line) == size[0] for line in shown.split("\n"))

    @pytest.mark.feature("columns-by-use")
    async def test_no_column_is_empty_while_addresses_are_cut(self, world):
        models.UserRole.delete().where(models.UserRole.user != world.row("admin")).execute()
        for number in range(PAGE):
            world.user(f"aaa{number:02}-north-eastern-clinic")
        async with opened(world, "admin", size=(120, 40)) as person:
            shown = await person.sees("aaa00-north-eastern-clinic@clinic.example")
            assert "Roles" not in shown
            assert "Phone" not in shown
            await person.presses("right_square_bracket")
            await person.sees("admin@clinic.example", "system security")

    @pytest.mark.feature("columns-by-use")
    async def test_practice_is_shown_where_there_are_several(self, world):
        async with opened(world, "admin", size=(120, 40)) as person:
            shown = await person.sees("4 users", "anna")
            assert "Practice" not in shown.split("\n", 2)[2]
            world.run(practices.add_practice, OPERATOR, "Annex")
            await person.presses("2")
            await person.sees("anna", "Full name E-mail Practice 2FA", "Main")
            await person.presses("5")
            await person.sees("2 practices")
            await person.presses("end", "enter")
            await person.sees("4 users", "practice Main", "Full name E-mail 2FA")

    async def test_columns_follow_the_terminal(self, world):
        async with opened(world, "admin") as person:
            await person.sees("Anna Berg", "anna@clinic.example")
            await person.resizes(60, 20)
            await person.sees_no_more("anna@")
            await person.resizes(120, 40)
            await person.sees("anna@clinic.example", "system security")

    async def test_pages(self, world):
        crowd(world, 120)
        async with opened(world, "admin") as person:
            await person.sees("1-50 of 124 users")
            table = person.app.screen.query_one(PagedTable)
            assert len(table._page) == PAGE
            await person.presses("right_square_bracket")
            await person.sees("51-100 of 124 users", "user046")
            await person.presses("right_square_bracket")
            await person.sees("101-124 of 124 users")
            await person.presses("right_square_bracket")
            await person.presses("left_square_bracket")
            await person.sees("51-100 of 124 users")

    @pytest.mark.feature("key-line")
    async def test_a_page_that_is_not_there_is_not_offered(self, world):
        crowd(world, 120)
        async with opened(world, "admin", size=(280, 40)) as person:
            shown = await person.sees("1-50 of 124 users", "] Next page")
            assert "[ Previous page" not in shown
            await person.presses("right_square_bracket")
            await person.sees("51-100 of 124 users", "] Next page", "[ Previous page")
            await person.presses("right_square_bracket")
            await person.sees("101-124 of 124 users", "[ Previous page")
            await person.sees_no_more("] Next page")

    async def test_moving_beyond_the_ends_turns_the_page(self, world):
        crowd(world, 60)
        async with opened(world, "admin") as person:
            await person.sees("1-50 of 64 users")
            await person.presses("end", "down")
            await person.sees("51-64 of 64 users")
            assert person.app.screen.query_one(PagedTable).cursor_row == 0
            await person.presses("up")
            await person.sees("1-50 of 64 users")
            assert person.app.screen.query_one(PagedTable).cursor_row == PAGE - 1

    async def test_searching(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("slash")
            await person.types("díaz")
            await person.sees("1 user", "carla", "found by search")
            assert "boris" not in person.screen
            await person.presses("enter", "enter")
            await person.sees("carla@clinic.example")
            await person.presses("escape")
            await person.sees("1 user")
            await person.presses("escape")
            await person.sees("4 users", "boris")

    @pytest.mark.feature("filters")
    async def test_filters_are_chosen_at_once_and_said_in_words(self, world):
        """Whoever meets all of them is shown; the dialog shows them again, and Escape clears them."""
        world.session("anna")
        world.clock.forward(hours=1)
        for name in ("anna", "boris"):
            world.set(name, required=True)
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("f")
            await person.sees("Filter users", "2FA", "Role", "Method", "Last sign-in", "any", "30 days")
            await person.presses("enter", *["down"] * 2, "enter", "ctrl+s")
            await person.sees("Filter: 2FA: Pending setup on next login (Esc clears)", "2 users", "boris")
            await person.presses("f")
            await person.sees("Filter users")
            await person.presses("tab", "tab", "tab", "space", "ctrl+s")
            await person.sees("Filter: 2FA: Pending setup on next login · never signed in", "1 user", "boris")
            assert "anna" not in person.screen
            await person.presses("f")
            await person.sees("[x] never", "Pending setup on next login")
            await person.presses("tab", "tab", "tab", "space", "tab")
            await person.types("soon")
            await person.presses("ctrl+s")
            await person.sees("✗ Enter a date such as 2026-01-31, or how long ago, such as 30 days.", "soon")
            await person.presses(*["tab"] * 4, *["backspace"] * 4)
            await person.types("30 minutes")
            await person.presses("ctrl+s")
            await person.sees("2FA: Pending setup on next login · last sign-in before 2026-03-02 ", "anna")
            assert "boris" not in person.screen
            world.set("anna", standing_since=world.clock.now - timedelta(days=15))
            await person.presses("f")
            await person.sees("Filter users")
            await person.presses(*["tab"] * 5)
            await person.types("14 days")
            await person.presses("ctrl+s")
            await person.sees("last sign-in before 2026-03-02 ", "· pending since before 2026-02-16 ", "anna")
            await person.presses("f")
            await person.sees("Filter users")
            await person.presses(*["tab"] * 6, "space", "ctrl+s")
            await person.sees("· 2 recovery codes or fewer (Esc clears)", "0 users")
            await person.presses("slash")
            await person.types("boris")
            await person.sees("0 users")
            await person.presses("enter", "escape")
            await person.sees("4 users")
            assert "Filter:" not in person.screen

    @pytest.mark.feature("filters")
    async def test_pages_of_filters_that_many_meet(self, world, monkeypatch):
        """A page may look up only so many; the next one goes on, and the table says that it is not all."""
        monkeypatch.setattr(user_search, "_WEIGHED", 50)
        monkeypatch.setattr(user_search, "_LOOKED_UP", 60)
        crowd(world, 200)
        seen = (models.User.name >= "user010") & (models.User.name < "user140")
        models.User.update(last_signin_at=world.clock.now).where(seen).execute()
        async with opened(world, "admin") as person:
            await person.sees("2 Users")
            person.app.open_users(UserQuery(never_signed_in=True, practice="Main"))
            await person.sees(
                "Filter: practice Main · never signed in", "1-13 of more than 50 users", "user009"
            )
            await person.presses("right_square_bracket")
            await person.sees("No one yet, but not all were looked at")
            await person.presses("right_square_bracket")
            await person.sees("14-49 of more than 50 users", "user140")
            await person.presses("right_square_bracket")
            await person.sees("50-73 of 73 users", "user176")
            await person.presses("asterisk")
            await person.sees("73 users marked.", "73 marked")
            assert "More match" not in person.screen

    async def test_sorting_by_last_sign_in_puts_the_latest_first(self, world):
        world.clock.forward(minutes=5)
        world.session("carla")
        world.clock.forward(minutes=5)
        async with opened(world, "admin") as person:
            await person.sees("by name")
            await person.presses("s")
            await person.sees("Sort users")
            await person.presses("down", "down", "enter")
            await person.sees("by last sign-in")
            rows = [row.name for row in person.app.screen.query_one(PagedTable)._page]
            assert rows[:2] == ["admin", "carla"]

    @pytest.mark.feature("click-sorts")
    async def test_a_click_on_a_label_sorts(self, world):
        world.set("boris", email="aaa@clinic.example")
        world.clock.forward(minutes=5)
        world.session("carla")
        async with opened(world, "admin", size=(120, 40)) as person:
            await person.sees("by name", "Name ▲")
            await person.clicks("E-mail")
            await person.sees("by e-mail", "E-mail ▲")
            rows = [row.name for row in person.app.screen.query_one(PagedTable)._page]
            assert rows == ["boris", "admin", "anna", "carla"]
            await person.clicks("Sign-in")
            await person.sees("by last sign-in", "Sign-in ▼")
            assert "▲" not in person.screen
            await person.clicks("Full name")
            await person.presses("s", "home", "enter")
            await person.sees("by name", "Name ▲")

    async def test_a_click_on_a_row_opens_it(self, world):
        async with opened(world, "admin") as person:
            await person.sees("Boris Iwanow")
            await person.clicks("Boris Iwanow")
            await person.clicks("Boris Iwanow")
            await person.sees("boris@clinic.example")

    @pytest.mark.feature("off-in-table")
    async def test_table_while_off(self, world):
        world.mode(Mode.OFF)
        async with opened(world, "admin") as person:
            await person.sees("Not available", "2FA is off (see 3 Security)")


class TestActions:
    """Each action, its words before, its words after, and what it did."""

    @pytest.mark.feature("require-disable-clear")
    @pytest.mark.parametrize(
        ("key", "before", "after", "event"),
        [
            ("r", "anna must set it up at the next sign-in.", "required for anna.", "two_factor.required"),
            (
                "d",
                "anna then signs in with a password or SSH key alone",
                "disabled for anna.",
                "two_factor.disabled",
            ),
            ("l", "For a new or lost phone", "data cleared for anna.", "two_factor.cleared"),
            ("a", "their open sessions end", "User anna deactivated.", "user.deactivated"),
        ],
    )
    @pytest.mark.parametrize("place", ["table", "detail"])
    async def test_actions(self, world, key, before, after, event, place):
        """What will happen is said before and confirmed after."""
        if key in "dl":
            world.enrol("anna")
        async with opened(world, "admin") as person:
            if place == "detail":
                await opens(person, "anna")
            else:
                await person.sees("anna")
                await person.presses("down")
            await person.presses(key)
            await person.sees(before)
            await person.presses("y")
            if key == "l":
                await person.sees("Also create a one-time password for anna?")
                await person.presses("n")
            await person.sees("✓", after)
        assert event in world.events(user="anna")

    async def test_requiring_can_be_stopped_again(self, world):
        world.set("anna", required=True)
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.sees("r Stop requiring 2FA")
            await person.clicks("Stop requiring 2FA")
            await person.sees("Stop requiring 2FA for anna?")
            await person.clicks("Stop requiring (y)")
            await person.sees("✓ 2FA no longer required for anna.", "r Require 2FA")

    @pytest.mark.parametrize("key", ["d", "l"])
    async def test_losing_the_factor_while_required(self, world, key):
        world.enrol("anna")
        world.mode(Mode.REQUIRED)
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses(key)
            await person.sees("anna must set it up at the next sign-in.")
            await person.presses("y")
            if key == "l":
                await person.sees("Also create a one-time password for anna?")
                await person.presses("n")
            await person.sees("✓", "Pending setup on next login")

    @pytest.mark.feature("off-in-detail")
    async def test_requiring_while_off(self, world):
        """It says that the flag rests and where to turn the mode on."""
        world.mode(Mode.OFF)
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.sees("turn on 2FA under 3 Security")
            await person.presses("r")
            await person.sees("Takes effect when 2FA is turned on under 3 Security.")
            await person.presses("y")
            await person.sees("Takes effect when 2FA is turned on.")

    async def test_the_next_act_waits_for_no_reading(self, world, monkeypatch):
        """A key that is pressed once a result is shown acts, though the screen is still being read again."""
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            monkeypatch.setattr(person.app.screen, "read", asyncio.Event().wait)
            await person.presses("r")
            await person.sees("Require 2FA for anna?")
            await person.presses("y")
            await person.sees("✓")
            await person.presses("r")
            await person.sees("✗ Two-factor authentication is already required for anna.")

    @pytest.mark.feature("unlock-reason")
    async def test_unlocking_takes_a_reason_into_the_activity(self, world):
        world.enrol("anna")
        world.lock("anna")
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.sees("Locked 2026-03-02")
            await person.presses("u")
            await person.sees("Unlock anna?", "all 7 attempts", "The reason is logged")
            await person.presses("enter")
            await person.sees("✗ Enter a reason; it is logged.")
            await person.types("forgot")
            await person.presses("enter")
            await person.sees("✓ User anna unlocked, with 7 attempts again.", "2FA ● Enabled")
        assert "forgot" in models.AuditEntry.get(models.AuditEntry.event == "user.unlocked").detail

    async def test_a_one_time_password_is_shown_once_and_works(self, world):
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses("p")
            await person.sees("The current password of anna stops working.")
            await person.presses("y")
            shown = await person.sees(
                "One-time password for anna", "It is not shown again.", "Shift-drag to select"
            )
            password = next(word for word in shown.split() if word.count("-") == 3)
            await person.presses("escape", "c")
            await person.sees("✓ Sent to the clipboard.")
            assert person.app.clipboard == password
            await person.clicks("I have saved it")
            await person.sees("anna has a one-time password", "one-time, expires 2026-03-05")
            assert password not in person.screen
        assert world.has_hash_of("anna", password)

    async def test_editing_until_it_is_right(self, world):
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses("e")
            await person.sees("Edit anna", "anna@clinic.example", "Anna Berg")
            await person.presses("home", *["delete"] * 5)
            await person.presses("enter", "enter", "enter")
            await person.sees("✗ That is not an e-mail address.", "clinic.example")
            await person.presses("home", *"ann@", "enter", "end", *" X", "enter", "enter")
            await person.sees("✓ User anna saved.", "ann@clinic.example", "Anna Berg X")

    @pytest.mark.feature("contact-clears")
    async def test_new_address_offers_to_clear(self, world):
        """A new password comes after it."""
        world.methods(Method.APP, Method.EMAIL)
        world.enrol_email("anna", world.enrol("anna"))
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses("e")
            await person.sees("Edit anna")
            await person.presses("end", *".au", "enter", "enter", "enter")
            await person.sees(
                "Also clear the 2FA data of anna?",
                "Codes by e-mail were withdrawn.",
                "anna must set everything up again.",
            )
            await person.presses("y")
            await person.sees("Also create a one-time password for anna?")
            await person.presses("n")
            await person.sees("✓ Two-factor data cleared for anna.", "anna@clinic.example.au")
        assert not models.Factor.select().where(models.Factor.user == world.row("anna").id).exists()

    async def test_the_offer_to_clear_is_about_who_was_edited(self, world):
        """Also where the new address takes them off the page, so that another user is selected."""
        world.enrol("anna")
        world.enrol("boris")
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("slash", *"clinic", "enter")
            await person.sees("4 users", "found by search")
            await person.presses("home", "down")
            await person.presses("e")
            await person.sees("Edit anna")
            await person.presses("ctrl+u", *"anna@other.org", "enter", "enter", "enter")
            await person.sees("Also clear the 2FA data of anna?")

    async def test_the_offer_to_clear_can_be_declined(self, world):
        world.enrol("anna")
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses("e")
            await person.sees("Edit anna")
            await person.presses("end", *".au", "enter", "enter", "enter")
            await person.sees("Also clear the 2FA data of anna?", "User anna saved.")
            await person.presses("n")
            await person.sees("✓ User anna saved.", "anna@clinic.example.au")
        assert models.Factor.select().where(models.Factor.user == world.row("anna").id).exists()

    @pytest.mark.feature("grant-roles")
    async def test_roles_are_given_and_taken(self, world):
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses("o")
            await person.sees("Roles of anna", "[ ] Support")
            await person.presses("space", "tab", "space")
            await person.sees("[x] Support", "[x] System administrator")
            await person.clicks("Save")
            await person.sees("✓ Roles of anna saved.", "Roles support, system administrator")
        assert {
            row.role for row in models.UserRole.select().where(models.UserRole.user == world.row("anna").id)
        } == {
            "support",
            "system_admin",
        }

    async def test_keys_of_a_user_are_added_and_removed(self, world):
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.presses("k")
            await person.sees("Add an SSH key")
            await person.types(KEY)
            await person.presses("enter")
            await person.sees("✓ Key SHA256:", "anna@laptop")
            await person.presses("x")
            await person.sees("Remove which SSH key?", "anna@laptop")
            await person.presses("enter")
            await person.sees("It will no longer sign anna in.")
            await person.presses("y")
            await person.sees("removed.", "SSH keys none")

    async def test_a_deactivated_user_can_be_activated_again(self, world):
        world.set("anna", active=False)
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.clicks("Activate")
            await person.sees("anna can sign in again")
            await person.presses("y")
            await person.sees("✓ User anna activated.", "a Deactivate")


class TestNewUser:
    @pytest.mark.feature("new-user")
    async def test_new_user_with_2fa(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("n")
            await person.sees(
                "New user",
                "User name",
                "2FA",
                "(•) Not required ( ) Required",
                "SSH key",
            )
            await person.types("Dora")
            await person.presses("enter", *"dora@x.example", "enter", *"Dora D", "tab", "tab")
            assert isinstance(person.app.focused, RadioSet)
            await person.presses("right", "space")
            await person.sees("( ) Not required (•) Required")
            await person.clicks("Create")
            shown = await person.sees("User dora created.", "good for one sign-in, until")
            password = next(word for word in shown.split() if word.count("-") == 3)
            await person.clicks("I have saved it")
            await person.sees("5 users", "dora", "Pending setup on next login")
        assert world.row("dora").required
        assert world.row("dora").one_time_until
        assert world.has_hash_of("dora", password)

    async def test_what_was_typed_stays_while_a_fault_is_said(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("n")
            await person.sees("New user")
            await person.fills(name="anna", email="other@clinic.example", full_name="Anna B", key=KEY)
            await person.clicks("Create")
            await person.sees(
                "✗ The name anna cannot be used. anna2 is free.", "other@clinic.example", "Anna B"
            )
            await person.fills(name="annab", key="-----BEGIN OPENSSH PRIVATE KEY-----")
            await person.clicks("Create")
            await person.sees("✗ That is a private key")
            await person.fills(key=KEY)
            await person.clicks("Create")
            await person.sees("User annab created.")
        assert models.PublicKey.get().comment == "anna@laptop"
        assert not world.row("annab").required

    async def test_roles_given_at_creation_are_held(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("n")
            await person.sees("New user")
            await person.fills(name="eve", email="eve@clinic.example")
            await person.clicks("[ ] Support")
            await person.clicks("Create")
            await person.sees("User eve created.")
        assert models.UserRole.get(models.UserRole.user == world.row("eve").id).role == Role.SUPPORT.value

    async def test_leaving_the_form_creates_nobody(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("n")
            await person.sees("New user")
            await person.presses("escape")
            await person.sees("4 users")
        assert "user.created" not in world.events(last=1)


class TestDenials:
    """What somebody may not do is not offered: its key does nothing, and a line says who can."""

    @pytest.mark.feature("support-role", "who-can")
    @pytest.mark.parametrize("place", ["table", "detail"])
    async def test_support_looks_but_changes_nothing(self, world, supporter, place):
        world.set("anna", locked_at=world.clock.now, attempts_left=0)
        async with opened(world, supporter) as person:
            await person.sees("2 Users", "anna", "Only a system administrator can manage people.")
            if place == "detail":
                await opens(person, "anna")
                await person.sees("Only a system administrator can unlock people.")
            screen, before = person.app.screen, world.dump()
            await person.presses(*"rdlupvzaemokxjgni", "space", "asterisk")
            assert person.app.screen is screen
            assert world.dump() == before

    async def test_what_became_impossible_meanwhile_is_refused_before_any_question(self, world):
        world.set("anna", required=True)
        async with opened(world, "admin") as person:
            await opens(person, "anna")
            await person.sees("r Stop requiring 2FA")
            world.set("anna", required=False)
            await person.presses("r")
            await person.sees("✗ Two-factor authentication is not required individually for anna.")
            await person.sees("r Require 2FA")

    async def test_resets_need_the_roles_of_the_target(self, world, system_admin):
        async with opened(world, system_admin) as person:
            await opens(person, "admin")
            await person.sees("admin holds a role that you do not (security administrator).", "e Edit")
            assert "Disable 2FA" not in person.screen

    @pytest.mark.feature("last-administrators")
    async def test_roles_that_cannot_be_granted_stay(self, world):
        """They are named, with who can grant them."""
        world.user("sec", SECURITY)
        world.enrol("sec")
        async with opened(world, "sec") as person:
            await opens(person, "admin")
            await person.presses("o")
            await person.sees(
                "Roles of admin",
                "Stays: system administrator.",
                "[x] Security administrator",
                "Only a system administrator can grant or take the roles",
            )
            await person.presses("space")
            await person.clicks("Save")
            await person.sees("✓ Roles of admin saved.", "Roles system administrator")

    @pytest.mark.feature("support-role")
    async def test_support_is_a_role_that_sees_the_tables(self, world):
        world.user("sue", SUPPORT)
        world.enrol("sue")
        async with opened(world, "sue") as person:
            await person.sees("0 Overview", "1 M", "2 Users", "3 Security", "4 Activity")


@pytest.mark.feature("explain")
@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_explain(world, size):
    world.enrol("anna")
    world.lock("anna")
    async with opened(world, "admin", size=size) as person:
        await person.sees("2 Users", "anna")
        await person.presses("down", "enter")
        await person.sees("anna@clinic.example", "w Can anna sign in?")
        await person.presses("w")
        await person.sees(
            "Can anna sign in?",
            "✗ No, anna cannot sign in now: they are locked after seven wrong codes.",
            "✓ anna is active.",
            "✗ Locked after seven wrong codes, 2026-03-02 09:00 UTC.",
            "! No SSH key is set",
        )
        await person.presses("end")
        await person.sees("! 0 of 7 attempts left. Wrong codes: 7 over SSH")
        await person.presses("escape")
        await person.sees("anna@clinic.example")


async def test_a_resync_is_not_offered_to_who_has_no_app(world):
    world.methods(Method.EMAIL)
    world.enrol_email("anna")
    world.methods(Method.APP, Method.EMAIL)
    async with opened(world, "admin") as person:
        await opens(person, "anna")
        await person.sees("Methods e-mail to a•••@clinic.example")
        assert "Offer a resync" not in person.screen


@pytest.mark.feature("resync-offer")
async def test_resync(world):
    world.enrol("anna")
    world.clock.forward(minutes=30)
    async with opened(world, "admin", size=(80, 40)) as person:
        await opens(person, "anna")
        await person.sees("j Offer a resync")
        await person.presses("j")
        await person.sees("Offer anna a resync?", "two consecutive codes", "Make sure the request")
        await person.presses("y")
        await person.sees(
            "✓ For an hour, anna can sign in with two consecutive codes", "offered until 2026-03-02 10:"
        )
        await person.presses("w")
        await person.sees("! A resync is offered until 2026-03-02 10:")
    async with opened(world) as person:
        await person.sees("User name")
        await person.fills(name="anna", password=PASSWORD)
        await person.presses("enter", "enter")
        await person.sees("Enter the code from your authenticator app")
        await person.types(world.code("anna", -12))
        await person.presses("enter")
        await person.sees("That is the first of two codes. Wait until your app shows the next one")
        await person.types(world.code("anna", -11))
        await person.presses("enter")
        await person.sees("2FA ● Enabled")


@pytest.mark.feature("fresh-code")
async def test_one_fresh_code_serves_a_run_of_acts_on_others(world):
    world.set("boris", locked_at=world.clock.now, attempts_left=0)
    async with opened(world, "admin") as person:
        await opens(person, "boris")
        world.clock.forward(minutes=6)
        await person.presses("u", *"slip", "enter")
        await person.sees("Confirm it's you")
        assert world.row("boris").locked_at is not None
        await person.types(world.live_code("admin"))
        await person.presses("enter")
        await person.sees("✓ User boris unlocked")
        await person.presses("p", "y")
        await person.sees("One-time password for boris")
        await person.presses("enter", "o")
        await person.sees("Roles of boris")
        await person.presses("space")
        await person.clicks("Save")
        await person.sees("✓ Roles of boris saved.")
        world.clock.forward(minutes=6)
        await person.presses("o")
        await person.sees("Roles of boris", "[x] Support")
        await person.presses("space")
        await person.clicks("Save")
        await person.sees("Confirm it's you")
        await person.presses("escape")
        await person.sees("✗ Not confirmed. Nothing was changed.")
    assert roles_of(world.row("boris")) == {Role.SUPPORT}
