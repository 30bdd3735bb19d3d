"""My profile: what users see and do of their own."""

from unittest.mock import ANY

import pytest
from support.app_driver import opened
from support.database import OPERATOR, PASSWORD, totp

from data.operations.policy import policy_settings
from data.operations.signin import recovery_codes, sessions
from data.rules.domain_types import Mode
from data.storage import models
from data.wording.words import HOW_IT_WORKS
from tui.screens.enrolment_authenticator import SetUpScreen

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2Gt0Y9mkCtLMUxOJjTkzyqRuvqgSGfjATVoLEbMXX1 anna@laptop"


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (Mode.OFF, "Off: no one is asked for a code"),
        (Mode.OPTIONAL, "Optional: people choose"),
        (Mode.REQUIRED, "Required: everyone sets it up"),
    ],
)
async def test_profile_explains_the_policy(world, mode, words):
    world.enrol("anna")
    world.mode(mode)
    async with opened(world, "anna", size=(100, 40)) as person:
        await person.sees(
            words, "anna@clinic.example", "How it works", "Each code works once, for about a minute."
        )
        await person.sees(
            "Seven wrong codes in a row lock you out;", "Lost your phone? Enter a recovery code"
        )
        await person.sees("Activity", "Signed in with password")


async def test_set_up_and_turn_off(world):
    async with opened(world, "anna") as person:
        await person.sees("t Set up 2FA", "2FA ○ No")
        await person.presses("t")
        await person.sees("Two-factor authentication is your choice.")
        await person.presses("enter")
        await person.sees("Step 2 of 4")
        assert isinstance(person.app.screen, SetUpScreen)
        await person.types(totp(person.app.screen._pending.secret, world.clock.now))
        await person.presses("enter")
        await person.sees("Step 4 of 4")
        await person.presses("y", "enter")
        await person.sees("2FA ● Enabled, since", "5 left", "t Replace the phone", "d Turn off 2FA")
        await person.presses("d")
        await person.sees("Removes everything you have set up and your recovery codes.")
        await person.presses("y")
        await person.sees("✓ Two-factor authentication is turned off.", "2FA ○ No")


async def test_replacing_the_phone(world):
    """It asks for a fresh code and shows no new recovery codes."""
    world.enrol("anna")
    async with opened(world, "anna") as person:
        await person.sees("t Replace the phone")
        world.clock.forward(minutes=6)
        await person.presses("t")
        await person.sees("Confirm it's you", "To make this change")
        await person.types(world.live_code("anna"))
        await person.presses("enter")
        await person.sees("Your current phone works until you confirm the new one.")
        await person.presses("enter")
        await person.sees("Step 2 of 4")
        assert isinstance(person.app.screen, SetUpScreen)
        secret = person.app.screen._pending.secret
        await person.types(totp(secret, world.clock.now))
        await person.presses("enter")
        shown = await person.sees("The new phone is set up", "for a new code before signing in again")
        assert "saved" not in shown
        await person.presses("enter")
        await person.sees("✓ The new phone is set up; the old one no longer works.", "5 left")


async def test_turning_off_while_required(world):
    world.enrol("anna")
    world.mode(Mode.REQUIRED)
    async with opened(world, "anna") as person:
        await person.sees("It is required for you.", "t Replace the phone")
        assert "Turn off" not in person.screen
        screen = person.app.screen
        await person.presses("d")
        assert person.app.screen is screen


async def test_setting_up_while_off(world):
    world.mode(Mode.OFF)
    async with opened(world, "anna") as person:
        await person.sees("2FA - Not available", "A security administrator can turn it on")
        assert "Set up 2FA" not in person.screen
        screen = person.app.screen
        await person.presses("t")
        assert person.app.screen is screen


@pytest.mark.feature("codes-left", "renew-codes")
async def test_new_recovery_codes_replace_the_old_ones(world):
    world.enrol("anna")
    async with opened(world, "anna") as person:
        await person.sees("b New recovery codes")
        await person.presses("b")
        await person.sees("The old ones (5 left) stop working.")
        await person.presses("y")
        shown = await person.sees("New recovery codes", "they are not shown again")
        assert not any(code in shown for code in world.recovery["anna"])
        await person.presses("y", "enter")
        await person.sees("✓ Recovery codes saved.")
    assert "recovery.renewed" in world.events(user="anna")


async def test_changing_the_password(world):
    async with opened(world, "anna") as person:
        await person.sees("p Change password")
        for first, second, fault in (
            ("one thing", "another", "The passwords do not match."),
            ("short", "short", "The password must have at least 12 characters."),
            (PASSWORD, PASSWORD, "That is your current password."),
        ):
            if "Change your password" not in person.screen:
                await person.presses("p")
            await person.sees("Change your password")
            await person.types(first)
            await person.presses("enter")
            await person.types(second)
            await person.presses("enter")
            await person.sees(f"✗ {fault}")
            assert first not in person.screen
        await person.types("nine purple otters juggle")
        await person.presses("enter")
        await person.types("nine purple otters juggle")
        await person.presses("enter")
        await person.sees("✓ Password changed.")
    assert world.has_hash_of("anna", "nine purple otters juggle")


async def test_ssh_keys(world):
    """They are added and removed, and a private key is refused."""
    async with opened(world, "anna") as person:
        await person.sees("k Add SSH key")
        await person.presses("k")
        await person.sees("Add an SSH key")
        await person.types("-----BEGIN OPENSSH PRIVATE KEY-----")
        await person.presses("enter")
        await person.sees("✗ That is a private key")
        assert "BEGIN OPENSSH" not in person.screen
        await person.types(
            "---- BEGIN SSH2 PUBLIC KEY ----\nComment: x\nAAAA\n---- END SSH2 PUBLIC KEY ----\n"
        )
        await person.presses("enter")
        await person.sees("✗ That key is in SSH2 form", "ssh-keygen -i -f FILE")
        await person.types(f"{KEY}\n{KEY}")
        await person.presses("enter")
        await person.sees("✗ That is more than one key.")
        await person.types(f"# from the laptop\n{KEY}\n")
        await person.presses("enter")
        await person.sees("✓ Key SHA256:", "anna@laptop")
        await person.presses("x")
        await person.sees("Remove which SSH key?")
        await person.presses("enter")
        await person.sees("It will no longer sign you in.")
        await person.presses("y")
        await person.sees("removed.", "SSH keys none")
        await person.sees_no_more("Remove SSH key")
    assert not models.PublicKey.select().exists()


async def test_offers_can_be_clicked(world):
    async with opened(world, "anna") as person:
        await person.sees("p Change password")
        await person.clicks("Change password")
        await person.sees("Change your password")
        await person.clicks("Cancel")
        await person.sees_no_more("Change your password")


async def test_confirmation_not_given(world):
    world.enrol("anna")
    async with opened(world, "anna") as person:
        await person.sees("d Turn off 2FA")
        for no in ("n", "escape", "enter"):
            await person.presses("d")
            await person.sees("Turn off two-factor authentication?")
            await person.presses(no)
            await person.sees_no_more("Turn off two-factor authentication?")
    assert "two_factor.turned_off" not in world.events()


@pytest.mark.feature("remember-list")
async def test_remembered_addresses(world):
    """They are listed and forgotten, one or all."""
    world.run(policy_settings.set_remember_days, OPERATOR, 3, seen=0)
    world.enrol("anna")
    for address in ("192.0.2.7", "2001:db8::7"):
        world.submit(world.attempt("anna", address=address), world.live_code("anna"))
    async with opened(world, "anna", size=(100, 40)) as person:
        await person.sees("192.0.2.7 with password, until 2026-03-05", "2001:db8::7 with password")
        await person.presses("g")
        await person.sees("Forget which address?", "All")
        await person.presses("down", "enter")
        await person.sees("✓ Forgotten. You will be asked for a code there again.")
        await person.sees_no_more("192.0.2.7 with")
        await person.presses("g", "enter")
        await person.sees_no_more("2001:db8::7 with", "g Forget addresses")


@pytest.mark.feature("ten-sets")
async def test_renewing_recovery_codes_too_often(world):
    anna = world.enrol("anna")
    for _ in range(9):
        world.run(recovery_codes.renew_recovery_codes, anna)
    world.run(recovery_codes.confirm_saved, anna)
    async with opened(world, "anna") as person:
        await person.sees("b New recovery codes")
        await person.presses("b")
        await person.sees("The old ones (5 left) stop working.")
        await person.presses("y")
        await person.sees("✗ You were given 10 sets of recovery codes within an hour.")


async def test_recovery_codes_that_were_replaced_meanwhile(world):
    """They are void, so they do not count as saved."""
    anna = world.enrol("anna")
    async with opened(world, "anna") as person:
        await person.sees("b New recovery codes")
        await person.presses("b", "y")
        await person.sees("I have saved these codes")
        world.run(recovery_codes.renew_recovery_codes, anna)
        await person.presses("y", "enter")
        await person.sees(
            "✗ Newer recovery codes have replaced these in the meantime.", "b New recovery codes"
        )
        assert not world.row("anna").recovery_saved


@pytest.mark.feature("own-sessions")
async def test_own_sessions(world):
    """They are listed, and another one is ended."""
    away = [world.session("anna", address=f"2001:db8::{number}") for number in (7, 8, 9)]
    async with opened(world, "anna", size=(100, 40)) as person:
        await person.sees("Sessions", "2001:db8::7, since 2026-03-02", "with password (this session)")
        await person.presses("h")
        await person.sees("End which session?", "All other sessions", "2001:db8::9")
        await person.presses("down", "enter")
        await person.sees("✓ Ended 1 other session.")
        await person.sees_no_more("2001:db8::9, since")
        await person.presses("h", "enter")
        await person.sees("✓ Ended 2 other sessions.")
        await person.sees_no_more("2001:db8::7, since", "2001:db8::8, since", "h End sessions")
    over = world.run(sessions.ended_among, [member.session_id for member in away])
    assert set(over.values()) == {"You ended this session from another of your sessions."}


async def test_points_hang_below_their_title(world):
    """Each begins below the one before it and goes on two columns further in, at any width."""
    async with opened(world, "anna", size=(60, 60)) as person:
        await person.sees("How it works")
        for width in (60, 80, 120, 200, 60):
            await person.resizes(width, 60)
            await person.sees("How it works")
            for label, points in (
                ("How it works", list(HOW_IT_WORKS)),
                ("Activity", ["2026-03-02 09:00 UTC  Signed in with password (anna)", ANY]),
            ):
                assert said_below(label, person.screen) == points


def said_below(title: str, screen: str) -> list[str]:
    """Return the points below a title, each on one line, however its lines are broken."""
    lines = screen.split("\n")
    first = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{title} ─"))
    column = lines[first].index(title)
    points: list[str] = []
    for line in lines[first + 1 :]:
        value = line[column:].rstrip(" \u2585\u2584\u2583")
        if not value:
            break
        if value.startswith("  "):
            points[-1] += f" {value[2:]}"
        else:
            points.append(value)
    return points
