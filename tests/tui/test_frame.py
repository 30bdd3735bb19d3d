"""What all screens share: places, help, palette, fresh proof, the session's end, a database that fails."""

import pytest
from support.app_driver import Person, make_app, opened, screen_cells, sign_in
from support.database import PASSWORD, World
from textual.command import CommandPalette
from textual.events import Key, MouseDown
from textual.filter import NoColor

from data.operations.users import credentials
from data.rules.domain_types import Mode
from data.storage import models
from data.store import StoreUnavailableError
from sshserver.terminal.capabilities import Colours, Terminal
from tui.dialogs.message_box import TellDialog
from tui.screens.base_screen import MainScreen, in_background
from tui.widgets.description_list import DescriptionList
from tui.widgets.key_line import KeyLine


async def test_a_user_has_the_profile_alone(world):
    async with opened(world, "anna") as person:
        shown = await person.sees("1 M", "Clinic", "anna")
        assert not any(title in shown for title in ("2 Users", "3 Security", "4 Activity"))
        await person.presses("2", "3", "4")
        await person.sees("How it works")
        assert isinstance(person.app.screen, MainScreen)
        assert person.app.screen.TAB == "profile"


async def test_places_are_reached_by_keys_and_by_clicks(world):
    async with opened(world, "admin", size=(100, 24)) as person:
        await person.sees("4 users")
        for key, words in (
            ("0", "Sign-ins, 30 days"),
            ("1", "How it works"),
            ("3", "(•) Optional"),
            ("4", "newest first"),
            ("2", "4 users"),
        ):
            await person.presses(key)
            await person.sees(words)
        for title, words in (
            ("My profile", "How it works"),
            ("Activity", "newest first"),
            ("Users", "4 users"),
        ):
            await person.clicks(title)
            await person.sees(words)
        assert len(person.app.screen_stack) == 2


async def test_a_place_is_reached_from_a_detail_too(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("enter")
        await person.sees("Attempts left")
        await person.presses("1")
        await person.sees("How it works")
        assert len(person.app.screen_stack) == 2


async def test_keys_of_the_users_table(world):
    async with opened(world, "admin", size=(100, 40)) as person:
        await person.sees("4 users")
        await person.presses("question_mark")
        await person.sees(
            "Disable 2FA",
            "Edit",
            "Add SSH key",
            "Filter users",
        )


async def test_keys_are_underlined_in_the_help(world):
    async with opened(world, "admin", size=(100, 40)) as person:
        await person.sees("4 users")
        await person.presses("question_mark")
        await person.sees("Keys on this screen")
        parts = [part for line in screen_cells(person.app) for part in line if part.style]
        underlined = {part.text.strip() for part in parts if part.style.underline}
        assert {"?", "Space", "Esc", "Enter", "Ctrl+P", "↓"} <= underlined
        assert not any("Move to a practice" in text for text in underlined)


async def test_what_is_clicked_in_the_help_is_done(world):
    async with opened(world, "admin", size=(100, 40)) as person:
        await person.sees("4 users")
        for words in ("Mark several users", "Import pasted CSV"):
            await person.clicks("? Help")
            await person.sees("Keys on this screen")
            await person.clicks(words)
        await person.sees("Import users")
        await person.clicks("Cancel")
        await person.sees("1 marked: r require, l clear, a deactivate")
        await person.clicks("? Help")
        await person.clicks("Roles")
        await person.sees("Roles of anna")


async def test_click_on_what_was_removed_since(world):
    """It is still drawn where the mouse goes down."""
    async with opened(world, "admin", first="1") as person:
        await person.sees("How it works")
        facts = person.app.screen.query_one(DescriptionList)
        x, y = facts.region.x + 2, facts.region.y + 1
        parent = facts.parent
        facts._parent = None
        try:
            person.app.screen._forward_event(MouseDown(None, x, y, 0, 0, 1, False, False, False, x, y))
        finally:
            facts._parent = parent


async def test_palette_is_left_once(world):
    """Two clicks beside it leave the screen below, and it can be opened again before it is gone."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        below = person.app.screen
        await person.presses("ctrl+p")
        palette = person.app.screen
        assert isinstance(palette, CommandPalette)
        palette.dismiss()
        palette.dismiss()
        assert person.app.screen is below
        person.app.action_command_palette()
        person.app.action_command_palette()
        assert len([one for one in person.app.screen_stack if isinstance(one, CommandPalette)]) == 1
        await person.presses("escape")
        await person.sees("4 users")
        # A search that was long enough to be shown may say so when the widgets are gone.
        await palette._watch__show_busy()


async def test_what_was_opened_before_the_switch_stays(world):
    """A palette or a dialog is not buried below another screen."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        person.app.open_tab("activity")
        await person.presses("ctrl+p")
        await person.presses("escape")
        await person.presses("2")
        await person.sees("4 users")
        shown = TellDialog("Once", "only here")
        person.app.open_tab("activity")
        person.app.push_screen(shown)
        await person.sees("only here")
        assert person.app.screen is shown
        await person.presses("enter")
        await person.sees("4 users")


async def test_palette(world):
    """It offers places and keys and no writing of files."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("ctrl+p")
        for _ in range(50):
            await person.pilot.pause(0.01)
            if "Go to Security" in person.screen:
                break
        assert "Go to Security" in person.screen
        assert "creenshot" not in person.screen
        await person.types("light")
        for _ in range(50):
            await person.pilot.pause(0.01)
            if "Theme: light" in person.screen and "Go to" not in person.screen:
                break
        await person.presses("enter")
        await person.sees("4 users")
        assert person.app.theme == "twofold-light"


class TestFreshProof:
    async def adds_a_key(self, person: Person) -> None:
        await person.sees("k Add SSH key")
        person.world.clock.forward(minutes=6)
        await person.presses("k")
        await person.sees("Add an SSH key")
        await person.types(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2Gt0Y9mkCtLMUxOJjTkzyqRuvqgSGfjATVoLEbMXX1 x"
        )
        await person.presses("enter")
        await person.sees("Confirm it's you")

    async def test_wrong_then_right_code(self, world):
        """A wrong code counts, and the right one lets the act go on."""
        world.enrol("anna")
        async with opened(world, "anna") as person:
            await self.adds_a_key(person)
            await person.types(world.wrong_code("anna"))
            await person.presses("enter")
            await person.sees("✗ Wrong code, 6 attempts left.")
            await person.types(world.live_code("anna"))
            await person.presses("enter")
            await person.sees("✓ Key SHA256:")
        assert models.PublicKey.select().count() == 1

    async def test_the_last_attempts_are_warned_of(self, world):
        world.enrol("anna")
        async with opened(world, "anna") as person:
            world.set("anna", attempts_left=2)
            await self.adds_a_key(person)
            await person.sees("2 attempts left. After that, a system administrator must unlock you.")
            await person.types(world.wrong_code("anna"))
            await person.presses("enter")
            await person.sees("1 attempt left. After that, a system administrator must unlock you.")
            assert "2 attempts" not in person.screen

    async def test_the_password_is_asked_of_someone_without_2fa(self, world):
        async with opened(world, "anna") as person:
            await self.adds_a_key(person)
            await person.sees("enter your password.")
            await person.types("not the password")
            await person.presses("enter")
            await person.sees("✗ Wrong password.")
            assert "not the password" not in person.screen
            await person.types(PASSWORD)
            await person.presses("enter")
            await person.sees("✓ Key SHA256:")

    async def test_without_it_nothing_is_changed(self, world):
        async with opened(world, "anna") as person:
            await self.adds_a_key(person)
            await person.presses("escape")
            await person.sees("✗ Not confirmed. Nothing was changed.")
        assert not models.PublicKey.select().exists()

    async def test_seventh_wrong_code(self, world):
        world.enrol("anna")
        wrong = world.wrong_code("anna")
        async with opened(world, "anna") as person:
            await self.adds_a_key(person)
            world.set("anna", attempts_left=1)
            await person.types(wrong)
            await person.presses("enter")
            assert "Locked after seven wrong codes." in (await person.has_left() or "")


class TestEnd:
    async def test_session_ended_elsewhere(self, world):
        session = sign_in(world, "admin")
        async with opened(world, session=session) as person:
            await person.sees("4 users")
            models.Session.update(ended_at=world.clock.now).where(models.Session.id == session.id).execute()
            await person.presses("3")
            assert await person.has_left() == "This session is over. Sign in again."

    async def test_a_deactivated_user_is_out_at_the_next_act(self, world):
        async with opened(world, "anna") as person:
            await person.sees("How it works")
            world.set("anna", active=False)
            await person.presses("1")
            assert await person.has_left() == "This user is deactivated."

    async def test_a_demotion_counts_at_the_next_act(self, world, supporter):
        async with opened(world, supporter) as person:
            await person.sees("2 Users", "anna")
            models.UserRole.delete().where(models.UserRole.user == world.row(supporter).id).execute()
            await person.presses("4")
            await person.sees("✗ Only support, a system administrator or a security administrator can see")


class TestDatabaseFailure:
    @pytest.fixture
    def failing(self, world, monkeypatch):
        async def fail(*_arguments: object, **_named: object) -> None:
            raise StoreUnavailableError

        def break_down(app) -> None:
            monkeypatch.setattr(app.store, "run", fail)
            monkeypatch.setattr(app.store, "read", fail)

        return break_down

    async def test_refused_act(self, world, failing):
        """An act that the database refused is reported, and the app stays."""
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            failing(person.app)
            await person.presses("3")
            await person.sees(
                "✗ The database is not available right now. Nothing was changed; try again shortly."
            )
            await person.presses("q")
            assert await person.has_left() == "Signed out."

    async def test_refused_table(self, world, failing, monkeypatch):
        """It comes by itself once the database is back."""
        monkeypatch.setattr(MainScreen, "AGAIN_SECONDS", 0.01)
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            run, read = person.app.store.run, person.app.store.read
            failing(person.app)
            await person.presses("4")
            await person.sees("✗ The database is not available right now.")
            monkeypatch.setattr(person.app.store, "run", run)
            monkeypatch.setattr(person.app.store, "read", read)
            await person.sees("newest first", "The database is available again.")

    async def test_refused_sign_in(self, world, failing):
        async with opened(world) as person:
            await person.sees("Sign in to Twofold")
            failing(person.app)
            await person.fills(name="admin", password=PASSWORD)
            await person.pilot.click("Button")
            await person.sees("✗ The database is not available right now.")

    async def test_the_way_to_the_console_waits_for_the_database(self, world, monkeypatch):
        session = sign_in(world, "anna")
        app = make_app(world, session)
        real, calls = app.store.read, []

        async def stumble(*arguments, **named):
            calls.append(1)
            if len(calls) == 1:
                raise StoreUnavailableError
            return await real(*arguments, **named)

        monkeypatch.setattr(app.store, "read", stumble)
        async with app.run_test(size=(80, 24)) as pilot:
            person = Person(app, pilot, world)
            await person.sees("Unavailable", "The database is not available right now.")
            await person.presses("enter")
            await person.sees("How it works")


async def test_without_colour(world):
    """No colour is sent, and marks say what colour would."""
    world.set("anna", required=True)
    app = make_app(world, sign_in(world, "admin"), Terminal(colours=Colours.NONE))
    app.no_color = True
    app._filters.append(NoColor())
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(app, pilot, world)
        await person.sees("0 Overview")
        for key in ("0", "1", "3", "4", "2"):
            await person.presses(key)
            await person.sees("1 M")
            for line in screen_cells(app):
                styles = [part.style for part in line if part.style]
                colours = [colour for style in styles for colour in (style.color, style.bgcolor)]
                assert all(colour is None or colour.is_default for colour in colours)
        lines = screen_cells(app)
        present = next(part for part in lines[1] if "Users" in part.text)
        assert present.style is not None
        assert present.style.reverse
        cursor = next(
            part
            for line in lines
            for part in line
            if part.text.split()[:1] == ["admin"] and part.style and part.style.reverse
        )
        assert cursor
        await person.presses("down", "d", "y")
        await person.sees("✓ Two-factor authentication disabled for anna.")


async def test_sixteen_colours(world):
    async with opened(world, "admin", terminal=Terminal(colours=Colours.SIXTEEN)) as person:
        await person.sees("4 users")
        assert person.app.theme == "twofold-sixteen"


async def test_idle_warnings_reach_the_person_on_any_screen(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        person.app.notify("This session ends in a minute.", title="Still there?")
        await person.sees("Still there?", "This session ends in a minute.")


async def test_control_c_says_how_to_leave(world):
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        await person.presses("ctrl+c")
        await person.sees("Press q to sign out, or Ctrl+Q on any screen.")


async def test_control_c_where_q_is_a_letter(world):
    """It names the key that leaves."""
    async with opened(world) as person:
        await person.sees("Sign in to Twofold")
        await person.presses("ctrl+c")
        await person.sees("Press Ctrl+Q to leave.")
        await person.presses("ctrl+q")
        assert await person.has_left() is None


async def test_no_secret_in_a_repr(world):
    world.mode(Mode.REQUIRED)
    result = await credentials.give_one_time_password(world.store, world.session("admin"), "anna")
    assert isinstance(result, credentials.OneTimePassword)
    assert result.password not in repr(result)


@pytest.mark.parametrize("size", [(60, 20), (40, 12), (200, 60)])
async def test_every_screen_stands_any_size(world: World, size):
    async with opened(world, "admin", size=size) as person:
        await person.sees("Users")
        for key in ("1", "2", "3", "4", "question_mark", "escape", "2", "n", "escape", "enter"):
            await person.presses(key)
        await person.resizes(20, 5)
        await person.resizes(*size)
        await person.sees("admin")


@pytest.mark.feature("key-line")
async def test_the_line_of_keys_is_filled_in_the_order_of_use(world):
    """Each key is whole, and the help is always there."""
    async with opened(world, "admin", size=(60, 20)) as person:
        await person.sees("4 users")
        more, commands = "  s Sort  Space Mark", "  Ctrl+P Commands"
        for width, left, right in (
            (60, "Enter Open  / Search  f Filter  n New", "? Help  q Sign out"),
            (40, "Enter Open", "? Help  q Sign out"),
            (20, "Enter Open", "? Help"),
            (80, "Enter Open  / Search  f Filter  n New", f"? Help  q Sign out{commands}"),
            (
                120,
                f"Enter Open  / Search  f Filter  n New{more}  Esc All  r Require",
                f"? Help  q Sign out{commands}",
            ),
        ):
            await person.pilot.resize_terminal(width, 24)
            await person.sees(" ".join(right.split()))
            keys = person.screen.rstrip("\n").split("\n")[-1]
            assert keys.startswith(f" {left} ")
            assert keys.endswith(f" {right} ")
            assert len(keys) == width
        await person.pilot.resize_terminal(200, 24)
        await person.sees("Esc All r Require l Clear e Edit w Can sign in?")


async def test_keys_change_only_when_needed(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        line = person.app.screen.query_one(KeyLine)
        written = line.keys
        person.app.screen.refresh_bindings()
        await person.pilot.pause()
        assert line.keys is written
        await person.presses("slash")
        await person.sees_no_more("n New", "/ Search")
        assert line.keys != written


async def test_a_key_of_the_last_line_is_pressed_by_a_click(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.clicks("f Filter")
        await person.sees("Filter users")


async def test_tooltip_of_a_key(world):
    async with opened(world, "admin") as person:
        shown = await person.sees("4 users")
        (row, line) = next((y, line) for y, line in enumerate(shown.split("\n")) if "f Filter" in line)
        await person.pilot.hover(offset=(line.index("f Filter"), row))
        assert person.app.screen.query_one(KeyLine).tooltip == "Filter users"
        await person.pilot.hover(offset=(line.index("n New"), row))
        assert person.app.screen.query_one(KeyLine).tooltip is None


async def test_last_of_several_places(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "4 users")
        opened_tabs = []
        person.app.open_tab = opened_tabs.append
        for key in "345634":
            person.app.post_message(Key(key, key))
        while not opened_tabs or person.app.keys_waiting:
            await person.pilot.pause()
        assert opened_tabs == ["activity"]


async def test_message_ends_with_the_next_act(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "4 users")
        world.set("admin", required=True)
        await person.presses("r")
        await person.sees("✗ Two-factor authentication is already required for admin.")
        await person.presses("s")
        await person.sees("Sort users")
        await person.presses("escape")
        await person.sees("4 users")
        assert "already required" not in person.screen


async def test_message_stays_behind(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users", "4 users")
        world.set("admin", required=True)
        await person.presses("r")
        await person.sees("✗ Two-factor authentication is already required for admin.")
        await person.presses("4")
        await person.sees("newest first")
        await person.sees_no_more("already required")


async def test_refusal_stays_behind(world):
    """It is gone from the next screen, however that is reached, and from the one that is returned to."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        world.clock.forward(minutes=6)

        async def is_refused() -> None:
            await person.presses("d")
            await person.sees("Disable 2FA for")
            await person.presses("y")
            await person.sees("Confirm it's you")
            await person.presses("escape")
            await person.sees("✗ Not confirmed. Nothing was changed.")

        for keys, words in (
            (["enter"], "Attempts left"),
            (["escape"], "4 users"),
            (["enter"], "Attempts left"),
            (["w"], "Can admin sign in?"),
        ):
            await is_refused()
            await person.presses(*keys)
            await person.sees(words)
            assert "Not confirmed" not in person.screen
        await person.presses("escape")
        await person.sees("Attempts left")
        await is_refused()
        await person.presses("question_mark")
        await person.sees("Keys on this screen")
        await person.presses("escape", "ctrl+p")
        await person.types("Security")
        while "Go to Security" not in person.screen or "Go to Users" in person.screen:
            await person.pilot.pause(0.01)
        await person.presses("enter")
        await person.sees("(•) Optional")
        assert "Not confirmed" not in person.screen


@pytest.mark.parametrize("key", "123456")
async def test_place_left_while_reading(world, key):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses(key)
        await person.pilot.pause()
        left = person.app.screen
        assert isinstance(left, MainScreen)
        await person.presses("4" if key != "4" else "5")
        await person.sees("newest first" if key != "4" else "1 practice")
        await in_background(left, left.read, "reading").wait()
        assert person.app.is_running
