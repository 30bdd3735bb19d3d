"""The account's policy."""

import asyncio
from dataclasses import replace

import pytest
from support.app_driver import opened
from support.database import SECURITY
from support.mail_server import HOST, mail_server
from textual.events import Key
from textual.widgets import RadioButton

from data.delivery.carriers import Carriers, Smtp
from data.operations.policy import delivery_tests, policy_settings
from data.rules.domain_types import Method, Mode
from data.storage import models
from tui.screens.base_screen import MainScreen
from tui.widgets.fields import TickBox


async def test_mode_and_counts(world):
    world.set("anna", required=True)
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional", "( ) Off", "( ) Required")
        await person.sees("● Enabled 1 ◐ Pending setup on next login 1 ○ No 2")
        assert "Permanent" not in person.screen
        await person.presses("down", "down", "down")
        await person.sees("(•) Required")
        assert "Permanent" not in person.screen


@pytest.mark.feature("permanent-padlock")
async def test_padlock_of_a_permanent_mode(world):
    world.mode(Mode.PERMANENT)
    models.Account.update(permanent_at=world.clock.now, permanent_by="vera").execute()
    async with opened(world, "admin", size=(60, 20)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("┌┴─┴┐", "Permanent since 2026-03-02 09:00 UTC.", "Set by vera.")
        await person.presses("up", "down", "enter")
        await person.sees_no_more("( )", "Apply")
    assert models.Account.get().mode == "permanent"


@pytest.mark.feature("permanent-checklist", "permanent-confirmed")
async def test_entering_permanent(world, system_admin):
    """It takes the checklist and the typed name of the account."""
    world.mode(Mode.REQUIRED)
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Required", "( ) Permanent")
        await person.presses("down")
        await person.sees(
            "✓ Every active administrator has set up 2FA.",
            "✗ Every active user has 2FA or can be sent codes: missing anna, boris, carla.",
            "✓ At least 2 system administrators can unlock each other.",
            "✗ Not yet.",
        )
        assert "Enter Apply" not in person.screen
        for name in ("anna", "boris", "carla"):
            world.set(name, active=False)
        await person.resizes(80, 24)
        await person.presses("escape", "t", "shift+tab", "down")
        await person.sees("✓ Every active user has 2FA or can be sent codes.")
        await person.presses("enter")
        await person.sees("Make it permanent?", "This cannot be undone", "account name: Clinic")
        await person.types("clinic")
        await person.presses("enter")
        await person.sees("✗ Not confirmed: type the name of the account, Clinic.")
        assert models.Account.get().mode == "required"
        await person.types("Clinic")
        await person.presses("enter")
        await person.sees(
            "✓ The mode is now permanent.",
            "Two-factor authentication is permanent",
            "Permanent since",
            "Set by admin.",
            "No one can change the mode again.",
        )
    assert models.Account.get().mode == "permanent"


@pytest.mark.feature("permanent-confirmed")
async def test_name_typed_for_permanent_outlives_a_cancelled_proof(world, system_admin):
    world.mode(Mode.REQUIRED)
    for name in ("anna", "boris", "carla"):
        world.set(name, active=False)
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        world.clock.forward(minutes=6)
        await person.presses("3")
        await person.sees("(•) Required")
        await person.presses("down")
        await person.sees("✓ Every active user has 2FA or can be sent codes.")
        await person.presses("enter")
        await person.sees("Make it permanent?")
        await person.types("Clinic")
        await person.presses("enter")
        await person.sees("Confirm it's you")
        await person.presses("escape")
        await person.sees("Make it permanent?", "Account name Clinic ✗ Not confirmed. Nothing was changed.")
        await person.presses("enter")
        await person.sees("Confirm it's you")
        await person.types(world.live_code("admin"))
        await person.presses("enter")
        await person.sees("✓ The mode is now permanent.")
    assert models.Account.get().mode == "permanent"


async def test_the_confirmation_of_permanent_can_be_left(world, system_admin):
    world.mode(Mode.REQUIRED)
    for name in ("anna", "boris", "carla"):
        world.set(name, active=False)
    async with opened(world, "admin", size=(60, 20)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Required")
        await person.presses("down")
        await person.sees("✓ Every active user has 2FA or can be sent codes.")
        await person.presses("enter")
        await person.sees("Make it permanent?")
        await person.presses("escape")
        await person.sees("(•) Required")
    assert models.Account.get().mode == "required"


async def test_required_is_previewed_confirmed_and_said(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        await person.presses("down")
        await person.sees(
            "1 person has set it up and will be asked for a code.",
            "3 people must set it up at the next sign-in: anna, boris, carla.",
            "You have nothing to do.",
        )
        assert world.events(last=1) == ["signin.admitted"]
        await person.presses("enter")
        await person.sees("Change the mode from optional to required?", "anna, boris, carla")
        await person.presses("n")
        await person.sees("( ) Required")
        await person.presses("down")
        await person.sees("3 people must")
        await person.presses("enter")
        await person.sees("Change the mode")
        await person.presses("y")
        await person.sees("✓ The mode is now required.", "(•) Required")
    assert world.events(last=1) == ["policy.mode_changed"]


async def test_more_than_five_pending(world):
    for name in ("dora", "eve", "finn", "gus"):
        world.user(name)
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        await person.presses("down")
        await person.sees(
            "7 people must set it up at the next sign-in: anna, boris, carla, dora, eve and 2 more."
        )


@pytest.mark.feature("off-announced")
async def test_turning_off_asks_for_a_fresh_code(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        await person.clicks("( ) Off")
        affected = "1 person will sign in without a code: admin. Their methods are kept."
        await person.sees("Off: no one is asked for a code", affected)
        world.clock.forward(minutes=6)
        await person.clicks("Apply")
        await person.sees("Change the mode from optional to off?", affected)
        await person.presses("y")
        await person.sees("Confirm it's you")
        await person.types(world.live_code("admin"))
        await person.presses("enter")
        await person.sees("✓ The mode is now off.")


async def test_unenrolled_admin_cannot_require(world):
    world.mode(Mode.OFF)
    world.user("sec", SECURITY)
    async with opened(world, "sec") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees(
            "is off", "you have not set up a second factor", "Remembered addresses: a code at every"
        )
        assert "Required" not in person.screen


@pytest.mark.feature("two-editors")
async def test_change_by_someone_else_first(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        await person.presses("down")
        await person.sees("3 people must")
        world.mode(Mode.OFF)
        await person.presses("enter")
        await person.sees("Change the mode")
        await person.presses("y")
        await person.sees("✗ Someone else changed the mode to off in the meantime.", "(•) Off")


@pytest.mark.feature("who-can")
async def test_support_reads_the_policy(world, supporter):
    """They read why they cannot change it."""
    async with opened(world, supporter) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees(
            "Two-factor authentication is optional",
            "Only a security administrator can turn two-factor authentication on or change its mode.",
        )
        screen = person.app.screen
        await person.presses("down", "enter", "e", "at", "t")
        assert person.app.screen is screen
        assert "Required" not in person.screen


async def test_applying_is_offered_after_a_choice(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        assert "Enter Apply" not in person.screen
        await person.presses("down")
        await person.sees("Enter Apply")


async def test_mode_typed_ahead(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        for key in ("3", "up", "enter"):
            person.app.post_message(Key(key, key if key == "3" else None))
        await person.sees("Change the mode from optional to off?")
        await person.presses("y")
        await person.sees("✓ The mode is now off.", "(•) Off ( ) Optional")


async def test_of_modes_chosen_at_once_the_last_stays_and_is_previewed(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        for key in ("down", "up", "up", "down", "down"):
            person.app.post_message(Key(key, None))
        await person.sees("( ) Off ( ) Optional (•) Required", "3 people must set it up at the next sign-in")
        await person.presses("enter")
        await person.sees("Change the mode from optional to required?")


async def test_a_choice_is_beside_its_own_preview(world, monkeypatch):
    """What is read for the choice before is shown no more."""
    monkeypatch.setattr(MainScreen, "FOLLOW_SECONDS", 3600)
    may_be_read, was_read, read = asyncio.Event(), asyncio.Event(), world.store.read

    async def read_later(operation, *args, **kwargs):
        if operation is not policy_settings.preview_mode:
            return await read(operation, *args, **kwargs)
        await may_be_read.wait()
        found = await read(operation, *args, **kwargs)
        was_read.set()
        return found

    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3", "down")
        await person.sees("(•) Required", "3 people must set it up at the next sign-in")
        monkeypatch.setattr(world.store, "read", read_later)
        await person.presses("escape", "down")
        may_be_read.set()
        await was_read.wait()
        await person.pilot.pause()
        await person.sees("(•) Required", "3 people must set it up at the next sign-in")


async def test_a_choice_stays_while_the_keys_are_read(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        await person.presses("down")
        await person.sees("3 people must")
        await person.presses("question_mark")
        await person.sees("Keys on this screen")
        await person.presses("escape", "enter")
        await person.sees("Change the mode from optional to required?")


@pytest.mark.parametrize(("key", "mode"), [("up", "off"), ("down", "required")])
async def test_keys_of_the_modes(world, key, mode):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        await person.presses(key)
        await person.sees(f"(•) {mode.capitalize()}")
        await person.presses("escape")
        await person.sees("(•) Optional")
        assert sum(button.value for button in person.app.screen.query(RadioButton)) == 1


@pytest.mark.feature("remember-days")
async def test_the_days_of_remembering_are_chosen_and_said(world):
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("Remembered addresses", "e Change (now: a code at every sign-in)")
        await person.presses("e")
        await person.sees("0: a code at every sign-in", "7: no code for 7 days")
        await person.presses("down", "down", "enter")
        await person.sees("✓ From now on: no code for 2 days", "e Change (now: no code for 2 days)")
        await person.clicks("e Change (now: no code")
        await person.sees("0: a code at every sign-in")
        await person.presses("home", "enter")
        await person.sees("✓ From now on: a code at every sign-in.")
    assert world.events(last=2) == ["policy.remember_days_changed"] * 2


@pytest.mark.feature("notice-places", "notice-locks")
async def test_notices_are_switched(world):
    """By Space, reached from the methods by the arrow keys, and by the mouse; not without proof."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("Notices by e-mail", "[x] Sign-ins from new places")
        await person.presses("t", "up", "up", "space")
        await person.sees(
            "✓ E-mail about sign-ins from new places is now off.", "[ ] Sign-ins from new places"
        )
        assert not models.Account.get().notify_new_places
        await person.clicks("Sign-ins from new places")
        await person.sees(
            "✓ E-mail about sign-ins from new places is now on.", "[x] Sign-ins from new places"
        )
        world.clock.forward(minutes=6)
        await person.presses("space")
        await person.sees("Confirm it's you")
        await person.presses("escape")
        await person.sees("Not confirmed. Nothing was changed.", "[x] Sign-ins from new places")
        await person.presses("down", "space")
        await person.sees("Confirm it's you")
        await person.types(world.live_code("admin"))
        await person.presses("enter")
        await person.sees("✓ E-mail about locked people is now on.", "[x] Locked people")
    account = models.Account.get()
    assert account.notify_new_places
    assert account.notify_locks


async def test_a_switch_turned_again_ends_no_switching(world, monkeypatch):
    """Of switches that wait for an action only the last stays; the action goes on."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("[x] Sign-ins from new places")
        may_act, act, acted = asyncio.Event(), person.app.act, []

        async def act_later(*args, **kwargs):
            await may_act.wait()
            acted.append(await act(*args, **kwargs))

        monkeypatch.setattr(person.app, "act", act_later)
        screen = person.app.screen
        box = screen.query_one("#notices TickBox", TickBox)
        box.toggle()
        async with asyncio.timeout(20):
            while not screen.is_acting:
                await asyncio.sleep(0.01)
        acting = screen._acting
        for _ in range(3):
            box.toggle()
            await asyncio.sleep(0.05)
        assert not acting.is_finished
        may_act.set()
        await person.sees("✓ E-mail about sign-ins from new places is now on.")
    assert len(acted) == 2


async def test_notices_are_reached_where_no_method_can_be_switched(world):
    world.services = replace(world.services, sends=frozenset())
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("Methods ─", "Notices by e-mail (t)")
        await person.presses("t", "space")
        await person.sees("✓ E-mail about sign-ins from new places is now off.")


@pytest.mark.feature("delivery-errors")
async def test_test_message_and_last_error(world):
    async with mail_server() as mail, opened(world, "admin", size=(80, 40)) as person:
        person.app.carriers = Carriers(Smtp(HOST, mail.port, "door@clinic.example", security="none"))
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("@ Send a test message")
        await person.presses("at")
        await person.sees("Text message", "E-mail")
        await person.presses("down", "enter")
        await person.sees("Send a test by e-mail")
        await person.types("nobody")
        await person.presses("enter")
        await person.sees("✗ That is not an e-mail address.")
        person.app.focused.value = "eva@bücher.example"
        await person.presses("enter")
        await person.sees(f"✓ Test message sent. {HOST}:{mail.port} accepted it: taken")
        assert mail.messages[0]["To"] == "eva@xn--bcher-kva.example"
        mail.to_recipient = "550 5.7.1 Relaying denied"
        await person.presses("at", "down", "enter")
        await person.sees("Send a test by e-mail")
        person.app.focused.value = "eva@bücher.example"
        await person.presses("enter")
        refused = f"{HOST}:{mail.port} answered 550 to RCPT TO"
        await person.sees(
            f"✗ The test message was not sent. {refused}: 5.7.1 Relaying denied",
            f"Last error by e-mail, 2026-03-02 09:00 UTC: {refused}",
        )


async def test_support_sees_the_last_errors(world, supporter):
    world.run(delivery_tests.record_refusal, Method.SMS, "gammu-smsd-inject: no answer in time")
    async with opened(world, supporter, size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees(
            "Last error by text message, 2026-03-02 09:00 UTC: gammu-smsd-inject: no answer in time"
        )
        assert "Send a test message" not in person.screen
