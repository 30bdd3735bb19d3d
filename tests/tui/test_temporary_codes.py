"""A temporary code in the app: an administrator makes it, and its user is first offered a new phone."""

import pytest
from support.app_driver import Person, opened
from support.database import OPERATOR, World, totp

from data.operations.signin.admission import Session
from data.operations.users import temporary_codes
from data.rules.domain_types import Method
from tui.screens.enrolment_authenticator import SetUpScreen


@pytest.fixture
def anna(world: World) -> str:
    """An enrolled user."""
    world.enrol("anna")
    return "anna"


def made(world: World, name: str) -> str:
    return world.run(temporary_codes.make_temporary_code, OPERATOR, name).code


def signed_in(world: World, name: str) -> Session:
    """Sign a user in with a temporary code."""
    return world.submit(world.attempt(name), made(world, name)).session


async def opens(person: Person, name: str) -> None:
    await person.sees("2 Users")
    await person.presses("2")
    await person.sees("4 users")
    await person.presses("slash", *name, "enter", "enter")
    await person.sees(f"Can {name} sign in?")


@pytest.mark.feature("temporary-code")
async def test_it_is_shown_once_and_works(world, anna):
    async with opened(world, "admin") as person:
        await opens(person, anna)
        await person.presses("b")
        await person.sees("Temporary code for anna?", "within 24 hours", "what anna has set up stays")
        await person.presses("y")
        shown = await person.sees("Temporary code for anna", "good for one sign-in", "It is not shown again.")
        code = next(word for word in shown.split() if word.count("-") == 3)
        await person.presses("escape", "c")
        await person.sees("✓ Sent to the clipboard.")
        assert person.app.clipboard == code
        await person.clicks("I have saved it")
        await person.sees("✓ anna has a temporary code.")
        assert code not in person.screen
    assert world.submit(world.attempt(anna), code).session.temporary_code


@pytest.mark.feature("temporary-code-refused")
async def test_it_is_offered_for_people_with_a_factor(world, anna):
    async with opened(world, "admin") as person:
        await opens(person, anna)
        await person.sees("Temporary code")
        await person.presses("escape", "escape")
        await opens(person, "boris")
        assert "Temporary code" not in person.screen


@pytest.mark.feature("temporary-code-fresh")
async def test_the_phone_is_replaced_first(world, anna):
    """No other code is asked for that, and the new phone is proof for whatever follows."""
    async with opened(world, session=signed_in(world, anna)) as person:
        await person.sees("Replace the phone?", "You signed in with a temporary code.")
        await person.presses("y")
        await person.sees("Your current phone works until you confirm the new one.")
        await person.presses("enter")
        await person.sees("Step 2 of 4")
        assert isinstance(person.app.screen, SetUpScreen)
        await person.types(totp(person.app.screen._pending.secret, world.clock.now))
        await person.presses("enter")
        await person.sees("The new phone is set up")
        await person.presses("enter")
        await person.sees("✓ The new phone is set up; the old one no longer works.", "1 M")


@pytest.mark.feature("temporary-code-fresh")
async def test_declined(world, anna):
    """Everything else asks for a code, and takes no temporary one."""
    async with opened(world, session=signed_in(world, anna)) as person:
        await person.sees("Replace the phone?")
        await person.presses("n")
        await person.sees("b New recovery codes")
        await person.presses("b", "y")
        await person.sees("Confirm it's you")
        await person.types(made(world, anna))
        await person.presses("enter")
        await person.sees("A temporary code only signs you in and replaces the phone.")
        await person.presses("escape")
        await person.sees("✗ Not confirmed. Nothing was changed.")
        await person.presses("t")
        await person.sees("Your current phone works until you confirm the new one.")


@pytest.mark.feature("temporary-code-fresh")
async def test_in_an_open_session(world, anna):
    """It replaces the phone where the code is asked afresh."""
    async with opened(world, anna) as person:
        await person.sees("t Replace the phone")
        world.clock.forward(minutes=6)
        await person.presses("t")
        await person.sees("Confirm it's you", "or a recovery or temporary code.")
        await person.types(made(world, anna))
        await person.presses("enter")
        await person.sees("Your current phone works until you confirm the new one.")


async def test_no_phone_to_replace(world):
    """A user who has set up e-mail alone has none."""
    world.methods(Method.APP, Method.EMAIL)
    world.enrol_email("boris")
    async with opened(world, session=signed_in(world, "boris")) as person:
        await person.sees("1 M", "Methods")
        assert "Replace the phone?" not in person.screen
