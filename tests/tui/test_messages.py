"""The wizard that waits for a text message: it goes on by itself, and says what is wrong with one."""

import pytest
from support.app_driver import opened
from support.database import World

from data.operations.signin import inbound_sms
from data.rules.domain_types import Method, Mode
from data.rules.inbound_sms_codes import code_in
from data.rules.policy import MustEnrol
from data.storage import models
from tui.screens.enrolment_inbound_sms import MessageScreen

SMS = Method.SMS
NUMBER = "+491701234711"
SIZES = [(80, 24), (60, 20)]


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Text messages are on beside the app, and come in; the wizard looks for them often."""
    monkeypatch.setattr(MessageScreen, "LOOK_SECONDS", 0.1)
    world.methods(Method.APP, SMS)
    object.__setattr__(world.services, "sms_number", "+49301234567")
    return world


async def to_the_code(person) -> str:
    """Choose text messages, and to send one; return the code on the screen."""
    await person.sees("How do you want to get codes?")
    await person.presses("down", "enter")
    await person.sees("Step 1 of 3: Choose how to verify your phone number", "+49 30 1234567")
    await person.presses("down", "enter")
    screen = await person.sees("Step 2 of 3: Send this code", "+49 30 1234567", "Waiting for your message")
    return code_in(screen)


@pytest.mark.feature("enrol-sent-message")
@pytest.mark.parametrize("size", SIZES)
async def test_wizard_goes_on_after_the_message(world, size):
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol), size=size) as person:
        code = await to_the_code(person)
        await world.store.run(inbound_sms.receive_message, NUMBER, code)
        await person.sees("Step 3 of 3: Save your recovery codes", "Your message came from •••• 4711.")
        await person.presses("y", "enter")
        await person.sees("1 M", "text message to •••• 4711", NUMBER)


async def test_a_second_method_is_added_from_the_profile(world):
    world.enrol("boris")
    async with opened(world, "boris") as person:
        await person.sees("Add or replace a method")
        await person.presses("t")
        code = await to_the_code(person)
        await world.store.run(inbound_sms.receive_message, NUMBER, code)
        await person.sees("1 M", "text message to •••• 4711", "✓ Your message came from •••• 4711.")


async def test_sender_without_a_number(world):
    """The user is told, and the wait goes on."""
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        code = await to_the_code(person)
        await world.store.run(inbound_sms.receive_message, "Clinic", code)
        await person.sees("✗ A message with this code came without a phone number.")
        await world.store.run(inbound_sms.receive_message, NUMBER, code)
        await person.sees("Step 3 of 3")


async def test_code_too_old(world):
    """The user is told, and a new one is a key away."""
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        code = await to_the_code(person)
        await person.sees("15 minutes left")
        world.clock.forward(minutes=14, seconds=30)
        await person.sees("1 minute left")
        world.clock.forward(minutes=1)
        await person.sees("✗ This code has expired. Press n for a new one.", "No longer waiting.")
        await person.presses("n")
        another = code_in(await person.sees("15 minutes left"))
        await person.sees_no_more("has expired")
        assert another != code
        await world.store.run(inbound_sms.receive_message, NUMBER, another)
        await person.sees("Step 3 of 3")


async def test_leaving_ends_the_wait(world):
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        code = await to_the_code(person)
        await person.presses("escape")
        await person.sees("Step 1 of 3")
        assert not models.AwaitedMessage.select().exists()
        await world.store.run(inbound_sms.receive_message, NUMBER, code)
        await person.presses("enter")
        await person.sees("Your phone number")
        await person.presses("escape")
        await person.sees("Step 1 of 3")
        await person.presses("escape")
        await person.sees("How do you want to get codes?")
    assert world.row("anna").phone is None


async def test_message_while_help_is_open(world):
    """It waits until help is closed."""
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        code = await to_the_code(person)
        await person.presses("question_mark")
        await person.sees("New code")
        await world.store.run(inbound_sms.receive_message, NUMBER, code)
        await person.presses("escape")
        await person.sees("Step 3 of 3")


async def test_where_no_messages_come_in_the_number_is_typed(world):
    object.__setattr__(world.services, "sms_number", None)
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        await person.sees("How do you want to get codes?")
        await person.presses("down", "enter")
        await person.sees("Your phone number")


async def test_overtaken_wizard(world):
    world.mode(Mode.REQUIRED)
    session = world.restricted("anna", MustEnrol)
    async with opened(world, session=session) as person:
        await to_the_code(person)
        world.session("anna")
        await person.sees("✗ Two-factor authentication is already set up. Sign in again.")
