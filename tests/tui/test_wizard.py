"""The QR code, the manual key and the first code."""

import base64

import pytest
import zxingcpp
from support.app_driver import Person, make_app, opened, photograph
from support.database import World, totp
from textual import events
from textual.filter import Monochrome, NoColor

from data.operations.actors import Member
from data.rules import totp as rules
from data.rules.domain_types import Mode
from data.rules.policy import MustEnrol
from data.storage import models
from sshserver.terminal.capabilities import Colours, Terminal
from tui.screens.enrolment_authenticator import SetUpScreen
from tui.widgets.qr import QrCode

LONGEST = "a" * 32


@pytest.fixture
def required(world: World) -> World:
    world.mode(Mode.REQUIRED)
    return world


async def sets_up(person: Person) -> SetUpScreen:
    await person.sees("Step 1 of 4")
    await person.presses("enter")
    await person.sees("Step 2 of 4")
    assert isinstance(person.app.screen, SetUpScreen)
    return person.app.screen


def decoded(person: Person) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(photograph(person.app))]


@pytest.mark.feature("enrol-key")
@pytest.mark.parametrize("theme", ["twofold-dark", "twofold-light"])
async def test_qr_code_at_80x24(required, theme):
    """It is read from the screen, beside the key and the field for the code."""
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        person.app.theme = theme
        screen = await sets_up(person)
        assert decoded(person) == [screen._pending.uri]
        await person.sees("Scan the code or type this key:")
        groups = screen._pending.manual_key.split()
        await person.sees(
            " ".join(groups[:4]), " ".join(groups[4:]), "123 456", "Enable 2FA", "Shift-drag to select"
        )


async def test_qr_code_of_the_longest_name(required):
    required.user(LONGEST)
    async with opened(required, session=required.restricted(LONGEST, MustEnrol)) as person:
        screen = await sets_up(person)
        assert screen.query_one(QrCode).needs == (45, 23)
        assert decoded(person) == [screen._pending.uri]
        assert LONGEST in screen._pending.uri


async def test_qr_code_where_colours_are_filtered(required):
    app = make_app(required, required.restricted("anna", MustEnrol))
    app._filters.append(Monochrome())
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(app, pilot, required)
        screen = await sets_up(person)
        assert decoded(person) == [screen._pending.uri]


@pytest.mark.feature("enrol-key")
async def test_no_colour_shows_the_key(required):
    app = make_app(required, required.restricted("anna", MustEnrol), Terminal(colours=Colours.NONE))
    app.no_color = True
    app._filters.append(NoColor())
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(app, pilot, required)
        screen = await sets_up(person)
        await person.sees("A terminal without colour cannot show a QR code.", screen._pending.manual_key[:19])
        assert decoded(person) == []


@pytest.mark.feature("qr-alone")
@pytest.mark.parametrize("size", [(60, 30), (45, 22), (41, 20)])
@pytest.mark.parametrize("theme", ["twofold-dark", "twofold-light", "twofold-sixteen"])
async def test_qr_code_alone(required, theme, size):
    """Any key brings the key and what was typed back."""
    async with opened(required, session=required.restricted("anna", MustEnrol), size=size) as person:
        person.app.theme = theme
        screen = await sets_up(person)
        await person.sees("Press q for the QR code, or type this key:", screen._pending.manual_key[:19])
        assert decoded(person) == []
        await person.presses("1", "2", "q")
        await person.sees_no_more("Step 2 of 4")
        assert decoded(person) == [screen._pending.uri]
        await person.presses("question_mark")
        await person.sees("Step 2 of 4", "12")
        await person.clicks("q QR code")
        await person.sees_no_more("Step 2 of 4")
        await person.pilot.click(offset=(9, 9))
        await person.sees("Step 2 of 4", "12")


@pytest.mark.feature("qr-alone")
async def test_digit_that_closes_the_qr_code(required):
    """It begins the code: no digit is lost to who types at once what the phone shows."""
    async with opened(required, session=required.restricted("anna", MustEnrol), size=(60, 20)) as person:
        await sets_up(person)
        await person.presses("q")
        await person.sees_no_more("Step 2 of 4")
        await person.presses("1", "2", "3")
        await person.sees("Step 2 of 4", "123")


@pytest.mark.feature("qr-alone")
async def test_qr_code_alone_of_the_longest_name(required):
    required.user(LONGEST)
    async with opened(required, session=required.restricted(LONGEST, MustEnrol), size=(45, 22)) as person:
        screen = await sets_up(person)
        await person.presses("q")
        assert decoded(person) == [screen._pending.uri]


@pytest.mark.feature("qr-alone")
async def test_qr_code_alone_where_colours_are_filtered(required):
    app = make_app(required, required.restricted("anna", MustEnrol))
    app._filters.append(Monochrome())
    async with app.run_test(size=(60, 30)) as pilot:
        person = Person(app, pilot, required)
        screen = await sets_up(person)
        await person.presses("q")
        await person.sees("Press any key to go back.")
        assert decoded(person) == [screen._pending.uri]


@pytest.mark.feature("qr-alone")
async def test_shrinking_terminal(required):
    """The QR code is offered alone, then not at all, and comes back."""
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        await person.types("12")
        await person.resizes(60, 20)
        await person.sees("Press q for the QR code, or type this key:", "Enable 2FA")
        await person.presses("q")
        assert decoded(person) == [screen._pending.uri]
        await person.resizes(60, 19)
        shown = await person.sees(
            "A QR code needs a terminal of 41x20; this one is 60x19.", "Type this key into your app:"
        )
        assert screen._pending.manual_key[:19] in shown
        assert "q QR code" not in shown
        assert decoded(person) == []
        await person.presses("q")
        await person.sees("✗ Enter only the digits of the code.")
        await person.presses("c")
        await person.sees("✓ Sent to the clipboard.")
        assert person.app.clipboard == screen._pending.secret
        await person.resizes(60, 20)
        await person.presses("q")
        await person.resizes(80, 24)
        await person.presses("q")
        await person.sees("Scan the code or type this key:", "12")
        assert decoded(person) == [screen._pending.uri]


async def test_high_and_narrow_terminal(required):
    async with opened(required, session=required.restricted("anna", MustEnrol), size=(60, 42)) as person:
        screen = await sets_up(person)
        assert decoded(person) == [screen._pending.uri]
        await person.sees(screen._pending.manual_key[:19], "Enable 2FA")


async def test_wrong_code(required):
    """The refusal never shows the right one."""
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        secret = screen._pending.secret
        near = {totp(secret, required.clock.now, steps) for steps in range(-25, 26)}
        await person.types(next(code for code in ("000000", "111111") if code not in near))
        await person.clicks("Enable 2FA")
        shown = await person.sees("✗ Wrong code.")
        assert totp(secret, required.clock.now) not in shown.replace(" ", "")
    assert required.row("anna").attempts_left == 7


@pytest.mark.parametrize(("steps", "words"), [(8, "ahead"), (-8, "behind")])
async def test_clock_that_is_off(required, steps, words):
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        await person.types(totp(screen._pending.secret, required.clock.now, steps))
        await person.presses("enter")
        await person.sees("Your phone's clock is", "240", words)


async def test_refusal_on_the_smallest_terminal(required):
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        await person.resizes(40, 12)
        secret = screen._pending.secret
        near = {totp(secret, required.clock.now, steps) for steps in range(-25, 26)}
        await person.types(next(code for code in ("000000", "111111") if code not in near))
        await person.presses("enter")
        await person.sees("✗ Wrong code.")


async def test_letters_stay_free_for_actions(required):
    """The key c sends the secret to the clipboard."""
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        await person.presses("1", "x", "2")
        await person.sees("✗ Enter only the digits")
        await person.presses("c")
        await person.sees("✓ Sent to the clipboard")
        assert "opied" not in person.screen
        assert person.app.clipboard == screen._pending.secret
        assert screen.query_one("DigitsInput").value == "12"
        await person.presses("question_mark")
        await person.sees("Keys on this screen", "Copy the key")


async def test_clicks_beside_the_qr_code(required):
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        await person.clicks("c copy key")
        await person.sees("✓ Sent to the clipboard")
        assert person.app.clipboard == screen._pending.secret
        await person.clicks("Esc back")
        await person.sees("Step 1 of 4")


@pytest.mark.feature("enrol-app")
async def test_secret_becomes_active_with_the_code(required):
    """The next code is counted down to."""
    required.clock.forward(seconds=7)
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        assert not models.Factor.select().where(models.Factor.user == required.row("anna").id).exists()
        code = totp(screen._pending.secret, required.clock.now)
        await person.types(code)
        await person.presses("enter")
        await person.sees("Wait 23 s for a new code before signing in again.")
        required.clock.forward(seconds=10)
        person.app.screen.query_one("Countdown").tick()
        await person.sees("Wait 13 s")
        required.clock.forward(seconds=13)
        person.app.screen.query_one("Countdown").tick()
        await person.sees("You can sign in again with the code that the phone shows now.")


async def test_saving_recovery_codes(required):
    """They are confirmed before going on and offered as a plain page."""
    async with opened(required, session=required.restricted("anna", MustEnrol), size=(60, 20)) as person:
        screen = await sets_up(person)
        await person.types(totp(screen._pending.secret, required.clock.now))
        await person.presses("enter")
        shown = await person.sees(
            "Save your recovery codes", "Shift-drag to select", "[ ] I have saved these codes"
        )
        codes = [word for word in shown.split() if word.count("-") == 3]
        assert len(codes) == 5
        await person.presses("enter", "escape")
        await person.presses("b")
        plain = await person.sees(*codes, "Esc back")
        assert [line.strip() for line in plain.split("\n") if line.strip()] == [
            "Twofold recovery codes",
            *codes,
            "Esc back",
        ]
        await person.clicks("Esc back")
        await person.sees("Step 4 of 4")
        await person.presses("c")
        await person.sees("✓ Sent to the clipboard")
        assert person.app.clipboard.split() == codes
        assert not required.row("anna").recovery_saved
        await person.clicks("[ ]")
        await person.sees("[x] I have saved")
        await person.clicks("Continue")
        await person.sees("1 M")
        assert required.row("anna").recovery_saved


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (45, 22)])
async def test_recovery_codes_are_saved_by_keys(required, size):
    """Ticking moves to the button, which stands out and which Enter presses."""
    async with opened(required, session=required.restricted("anna", MustEnrol), size=size) as person:
        screen = await sets_up(person)
        await person.types(totp(screen._pending.secret, required.clock.now))
        await person.presses("enter")
        await person.sees("Save your recovery codes")
        await person.presses("tab", "space")
        await person.sees("[x] I have saved", "Continue")
        assert person.app.focused is person.app.screen.query_one("Button")
        await person.presses("enter")
        await person.sees("1 M")
    assert required.row("anna").recovery_saved


@pytest.mark.feature("enrol-key")
async def test_shown_key_is_the_stored_secret(required):
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        shown = screen._pending.manual_key.replace(" ", "")
        await person.types(totp(shown, required.clock.now))
        await person.presses("enter")
        await person.sees("Step 4 of 4")
    factor = models.Factor.get(models.Factor.user == required.row("anna").id)
    opened_secret = required.services.vault.open(
        factor.sealed_secret, user_id=factor.user_id, factor_id=factor.id
    )
    assert base64.b32encode(opened_secret).decode() == shown
    assert len(opened_secret) == rules.SECRET_BYTES


async def test_a_set_up_that_took_too_long_ends_in_words(world):
    async with opened(world, "anna") as person:
        await person.sees("1 M")
        await person.presses("t")
        screen = await sets_up(person)
        world.clock.forward(minutes=31)
        await person.types(totp(screen._pending.secret, world.clock.now))
        await person.presses("enter")
        await person.sees("✗ This setup took too long and was cancelled.", "1 M")


async def test_factor_set_up_meanwhile(world):
    """It ends the wizard and the session without a code."""
    async with opened(world, "anna") as person:
        await person.sees("1 M")
        await person.presses("t")
        screen = await sets_up(person)
        world.wizard("anna", Member(world.session("anna").session_id))
        await person.types(totp(screen._pending.secret, world.clock.now))
        await person.presses("enter")
        assert await person.has_left() == "You must now enter a code. Sign in again."


@pytest.mark.feature("spellings")
@pytest.mark.parametrize("spelling", ["{}-{}", "{}.{}", "{} {}\u200b", "\u2066{}\u00a0{}\u2069"])
async def test_code_in_every_spelling(required, spelling):
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        code = totp(screen._pending.secret, required.clock.now)
        screen.query_one("DigitsInput").post_message(events.Paste(spelling.format(code[:3], code[3:])))
        await person.presses("enter")
        await person.sees("Save your recovery codes")


async def test_what_is_pasted_and_no_code_is_said(required):
    async with opened(required, session=required.restricted("anna", MustEnrol)) as person:
        screen = await sets_up(person)
        screen.query_one("DigitsInput").post_message(events.Paste("correct horse"))
        await person.sees("✗ Enter only the digits")
        assert screen.query_one("DigitsInput").value == ""
        await person.types("12345")
        await person.presses("enter")
        await person.sees("✗ That is not a code.")
