"""Methods in the app: the switches, the wizard's choice, and codes that are sent."""

import asyncio

import pytest
from support.app_driver import Person, make_app, opened
from support.database import OPERATOR, PASSWORD
from support.mail_server import HOST, mail_server
from support.sms_gateway import running_gateway
from support.ssh_server import until

from data.delivery.carriers import Carriers, Command, Smtp
from data.operations.policy import policy_settings
from data.rules.domain_types import Method, Mode
from data.rules.policy import MustEnrol

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL


@pytest.fixture
def mailed(world):
    """E-mail is on beside the app, and boris has it."""
    world.methods(APP, EMAIL)
    world.enrol_email("boris")
    world.set("boris", recovery_saved=True)
    world.clock.forward(hours=2)
    return world


def carriers(mail) -> Carriers:
    return Carriers(Smtp(HOST, mail.port, "twofold@clinic.example", "none"))


@pytest.mark.feature("switch-methods", "switch-off-warns")
async def test_switching_on_and_off(world):
    """It asks first, and names those whom switching off leaves without a method."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("[x] Authenticator app", "[ ] Text message", "[ ] E-mail")
        await person.presses("t", "tab", "space")
        await person.sees("Change the methods?", "E-mail: on.")
        await person.presses("y")
        await person.sees("[x] E-mail", "✓ The methods are now: authenticator app, e-mail.")
        # The app can be switched off now, which the screen has yet to read.
        await until(lambda: not person.app.screen.query("#methods TickBox").first().disabled)
        await person.presses("t", "space")
        await person.sees(
            "1 person has no other method", "They must enter a recovery code first", "You are one of"
        )
        await person.presses("n")
        await person.sees("[x] Authenticator app")
    assert world.events(last=1) == ["policy.methods_changed"]


async def test_arrow_keys_move_among_the_switches(world):
    """They stay among those that can be switched, from the last to the first and back."""
    async with opened(world, "admin", size=(60, 20)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        for keys, switched in (
            (["t", "down"], "E-mail: on."),
            (["t", "right", "left"], "Text message: on."),
            (["t", "down", "up"], "Text message: on."),
            (["t", *["right"] * 4], "Text message: on."),
        ):
            await person.presses(*keys, "space")
            await person.sees("Change the methods?", switched)
            await person.presses("n")
            await person.sees_no_more("Change the methods?")


async def test_switch_pressed_while_a_change_ends(world, monkeypatch):
    """It leads to its question, although the screen has yet to be read again."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("(•) Optional")
        monkeypatch.setattr(person.app.screen, "read", asyncio.Event().wait)
        await person.presses("up", "enter")
        await person.sees("Change the mode from optional to off?")
        await person.presses("y")
        await person.sees("✓ The mode is now off.")
        await person.presses("t", "space")
        await person.sees("Change the methods?", "Text message: on.")


async def test_a_switch_pressed_as_the_policy_is_read(world):
    """Reading sets the boxes; what was pressed is not lost."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3", "t")
        await person.sees("[ ] Text message")
        screen = person.app.screen
        screen.query_one("#methods TickBox:focus").toggle()
        screen.watch_view(screen.view)
        await person.sees("Change the methods?", "Text message: on.")


async def test_a_switch_pressed_again_after_the_policy_is_read(world, monkeypatch):
    """It is turned back, because reading leaves a switch that waits for its turn as it was pressed."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3", "t")
        await person.sees("[ ] Text message")
        screen, is_idle = person.app.screen, asyncio.Event()
        monkeypatch.setattr(screen, "until_idle", is_idle.wait)
        await person.presses("space")
        await person.sees("[x] Text message")
        screen.watch_view(screen.view)
        await person.presses("space")
        await person.sees("[ ] Text message")
        await person.presses("right", "space")
        is_idle.set()
        await person.sees("Change the methods?", "E-mail: on.")
        assert "Text message: on." not in person.screen


@pytest.mark.feature("two-editors")
async def test_a_switch_changes_no_other_method(world, monkeypatch):
    """Not even one that was changed since the screen last read the methods."""
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees("[ ] Text message")
        monkeypatch.setattr(person.app.screen, "read", asyncio.Event().wait)
        world.methods(Method.APP, Method.SMS)
        await person.presses("t", "tab", "space")
        asked = await person.sees("Change the methods?", "E-mail: on.")
        assert "Text message" not in asked
        await person.presses("y")
        await person.sees("✓ The methods are now: authenticator app, text message, e-mail.")


@pytest.mark.feature("method-settings")
async def test_methods_for_which_nothing_is_set_up(world):
    """They cannot be switched on, and a line says what to do."""
    object.__setattr__(world.services, "sends", frozenset())
    async with opened(world, "admin", size=(80, 40)) as person:
        await person.sees("2 Users")
        await person.presses("3")
        await person.sees(
            "[ ] E-mail", "Text message, e-mail: the operator must set [sms] and [smtp] in twofold.toml."
        )
        assert not [box.name for box in person.app.screen.query("#methods TickBox") if not box.disabled]


@pytest.mark.feature("choose-method", "enrol-email")
@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_wizard_sets_email_up(mailed, size):
    mailed.mode(Mode.REQUIRED)
    async with mail_server() as mail:
        session = mailed.restricted("anna", MustEnrol)
        async with opened(mailed, session=session, size=size) as person:
            person.app.carriers = carriers(mail)
            await person.sees("How do you want to get codes?", "Authenticator app", "E-mail")
            assert "Text message" not in person.screen
            await person.presses("down", "enter")
            await person.sees("Step 2 of 3", "A code was sent by e-mail to a•••@clinic.example.")
            await person.types("000000" if mail.code != "000000" else "111111")
            await person.presses("enter")
            await person.sees("Wrong code, or older than 15 minutes.")
            await person.types(mail.code)
            await person.presses("enter")
            await person.sees("Step 3 of 3: Save your recovery codes")
            await person.presses("y", "enter")
            await person.sees("1 M", "e-mail to a•••@clinic.example")
    assert mailed.row("anna").attempts_left == 7


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_arrow_keys_move_among_the_methods(mailed, size):
    mailed.mode(Mode.REQUIRED)
    async with opened(mailed, session=mailed.restricted("anna", MustEnrol), size=size) as person:
        await person.sees("How do you want to get codes?")
        await person.presses("down", "up", "up", "enter")
        await person.sees("Step 2 of 3: Enter the code")


@pytest.mark.feature("choose-method")
async def test_choosing_the_app_and_going_back(mailed):
    mailed.mode(Mode.REQUIRED)
    async with opened(mailed, session=mailed.restricted("anna", MustEnrol)) as person:
        await person.sees("How do you want")
        await person.presses("enter")
        await person.sees("Step 1 of 4")
        await person.presses("escape")
        await person.sees("How do you want")


@pytest.mark.feature("carrier-down")
async def test_mail_server_down_in_the_wizard(mailed):
    """Another method can be chosen."""
    mailed.mode(Mode.REQUIRED)
    async with opened(mailed, session=mailed.restricted("anna", MustEnrol)) as person:
        person.app.carriers = Carriers(Smtp(HOST, 1, "twofold@clinic.example", "none"))
        await person.sees("How do you want")
        await person.presses("down", "enter")
        await person.sees("✗ The code could not be sent by e-mail right now.")
        await person.presses("escape")
        await person.sees("How do you want")


@pytest.mark.feature("enrol-text-message")
async def test_number_proven_through_the_gateway(world, tmp_path, require_program):
    smsd, inject = require_program("gammu-smsd"), require_program("gammu-smsd-inject")
    world.methods(SMS)
    world.mode(Mode.REQUIRED)
    session = world.restricted("anna", MustEnrol)
    async with (
        running_gateway(smsd, inject, tmp_path / "gammu") as gateway,
        opened(world, session=session) as person,
    ):
        person.app.carriers = Carriers(command=Command(gateway.send_command))
        await person.sees("How do you want")
        await person.presses("enter")
        await person.sees("Your phone number")
        await person.types("0170 12")
        await person.presses("enter")
        await person.sees("That is not a phone number.")
        person.app.focused.value = "+49 170 1234711"
        await person.presses("enter")
        await person.sees("A code was sent by text message to •••• 4711.")
        number, words = await gateway.sent()
        assert number == "+491701234711"
        await person.types(words[:6])
        await person.presses("enter")
        await person.sees("Step 3 of 3")
    assert world.row("anna").phone == "+491701234711"


@pytest.mark.feature("choose-at-sign-in", "sent-code-limits")
async def test_only_method_is_sent_at_once(mailed):
    async with mail_server() as mail:
        app = make_app(mailed, None)
        app.carriers = carriers(mail)
        async with app.run_test(size=(80, 24)) as pilot:
            person = Person(app, pilot, mailed)
            await person.sees("Sign in to Twofold")
            await person.fills(name="boris", password=PASSWORD)
            app.screen.query_one("#password").focus()
            await person.presses("enter")
            await person.sees(
                "Verification code (e: e-mail):", "A code was sent by e-mail to b•••@clinic.example."
            )
            await person.types("e")
            await person.presses("enter")
            await person.sees("A code was sent a moment ago.")
            await person.types(mail.code)
            await person.presses("enter")
            await person.sees("1 M")
    assert mailed.row("boris").attempts_left == 7


@pytest.mark.feature("left-with-codes", "guesses-only")
@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_recovery_code_before_the_wizard(mailed, size):
    """A user left without a method types one."""
    mailed.run(policy_settings.set_methods, OPERATOR, frozenset({APP}), seen=frozenset({APP, EMAIL}))
    app = make_app(mailed, None)
    async with app.run_test(size=size) as pilot:
        person = Person(app, pilot, mailed)
        await person.sees("Sign in to Twofold")
        await person.fills(name="boris", password=PASSWORD)
        app.screen.query_one("#password").focus()
        await person.presses("enter")
        await person.sees("Type a recovery or temporary code, then set up 2FA again.", "Continue")
        await person.types("1234")
        await person.presses("enter")
        await person.sees("That is not a code.")
        await person.types("123456")
        await person.presses("enter")
        await person.sees("Wrong code, 6 attempts left.")
        await person.types(mailed.recovery["boris"][0])
        await person.presses("enter")
        await person.sees("Step 1 of 4", "required because you lost your last factor")


async def test_fresh_proof_can_be_a_code_by_e_mail(mailed):
    async with mail_server() as mail:
        attempt = mailed.attempt("boris")
        session = mailed.submit(attempt, mailed.sent(attempt)).session
        mailed.clock.forward(minutes=10)
        async with opened(mailed, session=session) as person:
            person.app.carriers = carriers(mail)
            await person.sees("1 M")
            await person.presses("b")
            await person.sees("Create new recovery codes?")
            await person.presses("y")
            await person.sees("Confirm it's you", "A code was sent by e-mail to b•••@clinic.example.")
            await person.types(mail.code)
            await person.presses("enter")
            await person.sees("New recovery codes")
