"""From the first factor to the main screens."""

import asyncio

import pytest
from support.app_driver import Person, opened, sign_in
from support.database import BOTH, PASSWORD, totp

from data.fair_queue import SOURCES
from data.operations.actors import Member
from data.operations.derived_user_columns import refresh_few_codes
from data.operations.signin.admission import ONE_TIME_USED_AGAIN
from data.rules.domain_types import Mode
from data.rules.policy import MustChangePassword, MustEnrol
from data.storage import models
from tui.screens.enrolment_authenticator import SetUpScreen

NEW_PASSWORD = "nine purple otters juggle"


async def enrols(person: Person, name: str) -> None:
    """Go through the wizard from its first page to the main screens."""
    await person.sees("Set up Two-Factor Authentication", "Step 1 of 4")
    await person.presses("enter")
    await person.sees("Step 2 of 4", "Enable 2FA")
    setting_up = person.app.screen
    assert isinstance(setting_up, SetUpScreen)
    secret = setting_up._pending.secret
    person.world.secrets[name] = secret
    await person.types(totp(secret, person.world.clock.now))
    await person.presses("enter")
    await person.sees("Step 4 of 4", "for a new code before signing in again")
    await person.presses("y")
    await person.presses("enter")


@pytest.mark.feature("enrol-app")
async def test_administrator_with_one_time_password(world):
    """Password, wizard and codes lead to the console."""
    world.user("head", *BOTH, one_time=True)
    async with opened(world, session=world.restricted("head", MustChangePassword)) as person:
        await person.sees("Choose a new password", "12 characters")
        await person.types(NEW_PASSWORD)
        await person.presses("enter")
        await person.types(NEW_PASSWORD)
        await person.presses("enter")
        await person.sees("required for everyone who holds a role", "Microsoft Authenticator")
        await person.sees("Twilio Authy")
        await enrols(person, "head")
        await person.sees("2 Users", "head@clinic.example"[:4], "✓ Recovery codes saved.")
        assert person.app.session is not None
        assert models.Session.get_by_id(person.app.session.id).restricted is False
    assert world.has_hash_of("head", NEW_PASSWORD)
    assert world.events(user="head", last=3) == ["two_factor.enrolled", "recovery.saved", "signin.admitted"]


async def test_required_user(world):
    """They read who requires it and end on the profile."""
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        await person.sees("Two-factor authentication is required by Clinic.")
        await enrols(person, "anna")
        await person.sees("1 M", "Enabled, since 2026-03-02")
        assert "2 Users" not in person.screen


async def test_unfit_passwords(world):
    """They are refused in words and can be typed again."""
    world.user("new", one_time=True)
    async with opened(world, session=world.restricted("new", MustChangePassword)) as person:
        await person.sees("Choose a new password")
        await person.types("short")
        await person.presses("enter")
        await person.types("other")
        await person.presses("enter")
        await person.sees("The passwords do not match")
        await person.types("short")
        await person.presses("enter")
        await person.sees("The password must have at least 12 characters.")
        await person.presses("escape")
        assert await person.has_left() == "Signed out."
    assert world.has_hash_of("new", PASSWORD)


@pytest.mark.feature("one-time-once")
async def test_one_time_password_used_before(world):
    """The user is told when."""
    world.user("new", one_time=True)
    first, second = (world.restricted("new", MustChangePassword) for _ in range(2))
    async with opened(world, session=first) as person:
        await person.sees("Choose a new password")
        assert "used before" not in person.screen
        await person.types(NEW_PASSWORD)
        await person.presses("enter")
        await person.types(NEW_PASSWORD)
        await person.presses("enter")
        assert await person.has_left() == ONE_TIME_USED_AGAIN
    assert world.has_hash_of("new", PASSWORD)
    async with opened(world, session=second) as person:
        await person.sees(
            "This one-time password was used before: 2026-03-02 09:00 UTC over SSH from 192.0.2.1"
        )


async def test_leaving_the_wizard(world):
    """It signs out and leaves nothing behind."""
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        await person.sees("Step 1 of 4")
        await person.presses("escape")
        assert await person.has_left() == "Signed out."
    assert not models.Factor.select().where(models.Factor.user == world.row("anna").id).exists()


async def test_each_qr_code_has_its_own_secret(world):
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        seen = []
        for _ in range(2):
            await person.sees("Step 1 of 4")
            await person.presses("enter")
            await person.sees("Step 2 of 4")
            assert isinstance(person.app.screen, SetUpScreen)
            seen.append(person.app.screen._pending.secret)
            await person.presses("escape")
        assert seen[0] != seen[1]


async def test_overtaken_wizard(world):
    """It ends when another one was finished, and the rules are asked again."""
    world.mode(Mode.REQUIRED)
    mine, other = (world.restricted("anna", MustEnrol) for _ in range(2))
    async with opened(world, session=mine) as person:
        await person.sees("Step 1 of 4")
        await person.presses("enter")
        await person.sees("Step 2 of 4")
        setting_up = person.app.screen
        assert isinstance(setting_up, SetUpScreen)
        world.wizard("anna", Member(other.id))
        await person.types(totp(setting_up._pending.secret, world.clock.now))
        await person.presses("enter")
        await person.sees("Another setup was finished in the meantime")
        await person.presses("enter")
        await person.sees("Verification code")
        await person.types(world.live_code("anna"))
        await person.presses("enter")
        await person.sees("New recovery codes", "You did not confirm that you saved the previous codes")


async def test_unconfirmed_recovery_codes(world):
    """New ones are shown at the next sign-in."""
    world.session("anna")
    world.wizard("anna", world.session("anna"))
    async with opened(world, "anna") as person:
        shown = await person.sees("New recovery codes")
        assert not any(code in shown for code in world.recovery["anna"])
        await person.presses("enter")
        await person.sees("New recovery codes")
        await person.presses("y", "enter")
        await person.sees("1 M")
    assert world.row("anna").recovery_saved


@pytest.mark.feature("few-codes-left")
async def test_few_recovery_codes_are_said_at_sign_in(world):
    world.enrol("anna")
    code = next(
        row for row in models.RecoveryCode.select().where(models.RecoveryCode.user == world.row("anna").id)
    )
    models.RecoveryCode.update(used_at=world.clock.now).where(
        (models.RecoveryCode.user == world.row("anna").id) & (models.RecoveryCode.id != code.id)
    ).execute()
    refresh_few_codes(world.row("anna").id)
    async with opened(world, "anna") as person:
        await person.sees("1 recovery code left. Make new ones on My profile.")


class TestOnTheHost:
    """The app with its own sign-in screen."""

    async def signs_in(self, person: Person, name: str, password: str = PASSWORD) -> None:
        await person.sees("Sign in to Twofold")
        await person.fills(name=name, password=password)
        await person.pilot.click("Button")

    @pytest.mark.parametrize("name", ["nobody", "anna", "gone"])
    async def test_refusals_read_the_same(self, world, name):
        """An unknown user, a wrong password and a deactivated user read the same."""
        world.user("gone")
        world.set("gone", active=False)
        async with opened(world) as person:
            await person.sees("Sign in to Twofold")
            await person.types(name)
            await person.presses("enter")
            await person.types(PASSWORD if name == "gone" else "not the password")
            await person.presses("enter")
            await person.sees("✗ Wrong user name or password.")
            assert "not the password" not in person.screen

    async def test_password_not_judged(self, world):
        """The user is told so and can type it again."""
        full = asyncio.Event()
        async with opened(world) as person:
            queue = [
                asyncio.create_task(world.store.turns.run("hash", f"source {number}", None, full.wait))
                for number in range(SOURCES + 1)
            ]
            await self.signs_in(person, "anna")
            await person.sees("✗ Too many passwords are being checked. Yours was not. Try again.")
            full.set()
            await asyncio.gather(*queue)
            await person.types(PASSWORD)
            await person.presses("enter")
            await person.sees("1 M")
        assert not models.FirstFactorFailures.select().exists()

    async def test_password_and_code(self, world):
        """The session ends with the app."""
        code = world.live_code("admin")
        async with opened(world) as person:
            await person.sees("Sign in to Twofold")
            await person.types("admin")
            await person.presses("enter")
            await person.types(PASSWORD)
            await person.presses("enter")
            await person.sees("Verification code")
            await person.types(code[:3] + " " + code[3:])
            await person.presses("enter")
            await person.sees("2 Users", "1 of 4 people with 2FA")
            await person.presses("q")
            assert await person.has_left() == "Signed out."
        assert world.events(user="admin", last=2) == ["signin.admitted", "signin.ended"]
        assert models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get().application == "local"

    @pytest.mark.feature("attempts-left")
    async def test_refusals_of_a_code(self, world):
        """They are worded by reason until the user is locked."""
        spent = world.live_code("admin")
        world.submit(world.attempt("admin"), spent)
        async with opened(world) as person:
            await self.signs_in(person, "admin")
            await person.sees("Verification code")
            await person.types(spent)
            await person.presses("enter")
            await person.sees("Code already used. Wait 30 s for the next one.")
            for left in (6, 5, 4, 3, 2, 1):
                await person.types(world.wrong_code("admin"))
                await person.presses("enter")
                await person.sees(f"Wrong code, {left} attempt")
            await person.types(world.wrong_code("admin"))
            await person.presses("enter")
            assert "Ask a system administrator to unlock you." in (await person.has_left() or "")

    @pytest.mark.feature("same-field")
    async def test_a_recovery_code_goes_into_the_same_field(self, world):
        async with opened(world) as person:
            await self.signs_in(person, "admin")
            await person.sees("Verification code")
            await person.types(world.recovery["admin"][0].lower())
            await person.presses("enter")
            await person.sees("2 Users")

    async def test_empty_field(self, world):
        """It is no attempt, and escape goes back."""
        async with opened(world) as person:
            await self.signs_in(person, "admin")
            await person.sees("Verification code")
            await person.presses("enter")
            await person.presses("escape")
            await person.sees("Sign in to Twofold")
            await person.presses("escape")
            assert await person.has_left() is None
        assert world.row("admin").attempts_left == 7

    @pytest.mark.parametrize(("left", "words"), [(1, "1 attempt left."), (2, "2 attempts left.")])
    async def test_warning_of_the_last_attempts(self, world, left, words):
        world.set("admin", attempts_left=left)
        async with opened(world) as person:
            await self.signs_in(person, "admin")
            await person.sees("Verification code", words, "a system administrator must unlock you.")

    async def test_two_quick_presses_of_enter_are_one_attempt(self, world):
        wrong = world.wrong_code("admin")
        async with opened(world) as person:
            await self.signs_in(person, "admin")
            await person.sees("Verification code")
            await person.types(wrong)
            await person.presses("enter", "enter", "enter")
            await person.sees("Wrong code, 6 attempts left.")
        assert world.row("admin").attempts_left == 6


async def test_given_session_is_not_ended(world):
    session = sign_in(world, "anna")
    async with opened(world, session=session) as person:
        await person.sees("1 M")
        await person.presses("ctrl+q")
        assert await person.has_left() == "Signed out."
    assert models.Session.get_by_id(session.id).ended_at is None
