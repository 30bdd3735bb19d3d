"""`me enrol` and `me replace-phone`: the wizard in text, and what leads out of a restricted session."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import pyte
import pytest
from support.database import OPERATOR, PASSWORD, World, totp
from support.mail_server import HOST, mail_server
from support.own_commands import Shown, run_me
from support.terminal_picture import read_qr

from data.delivery.carriers import Carriers, Command, Smtp
from data.operations.actors import Member
from data.operations.signin import admission, inbound_sms
from data.operations.users import temporary_codes
from data.rules.domain_types import Method, Mode
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode
from data.storage import models
from tui.cli.member import enrol_sent, own_session
from tui.cli.member.caller import MemberCaller

NEW = "seventeen green umbrellas"
NUMBER = "+493012345678"
ZERO = "000000"


def secret_in(shown: str) -> str:
    """Return the key that was shown last."""
    return re.findall(r"secret=([A-Z2-7]{32})&", shown)[-1]


def shown_code(world: World, steps: int = 0) -> Callable[[str], str]:
    """Return what types the code of the key that was shown."""
    return lambda shown: totp(secret_in(shown), world.clock.now, steps)


def wrong_code(world: World) -> Callable[[str], str]:
    return lambda shown: ZERO if shown_code(world)(shown) != ZERO else "111111"


def codes_in(shown: Shown) -> list[str]:
    return [line for line in shown.out.splitlines() if re.fullmatch(r"(\w{4}-){3}\w{4}", line)]


def decoded(lines: list[str], *, light: bool) -> str | None:
    """Read a QR code from the screen of a terminal that is dark, or light."""
    screen = pyte.Screen(max(map(len, lines)) + 1, len(lines) + 1)
    pyte.Stream(screen).feed(("\x1b[7m" if light else "") + "\r\n".join(lines))
    return read_qr(screen, inverted=False)


@pytest.mark.feature("me-enrol")
def test_app_at_a_terminal_of_forty_columns(world):
    """The key is shown in groups of four, then its address; wrong codes count for nothing."""
    me = world.session("anna")
    types = ["", wrong_code(world), "hello", shown_code(world, 8), shown_code(world), "n", "y"]
    shown = run_me(world, me, "enrol", types=types, columns=40)
    assert shown.status == 0
    assert shown.is_readable()
    assert shown.says(
        "Two-factor authentication is your choice. You need an authenticator app",
        "Seven wrong codes in a row lock you out",
        "Enter the six digits that the app shows, or type qr for the QR code.",
        "Wrong code. Wait for the next one",
        "That is not a code. Enter the six digits.",
        "Your phone's clock is about 240 s ahead.",
        "Two-factor authentication is enabled. Save your recovery codes",
        "Wait 30 s for a new code before signing in again.",
    )
    secret = secret_in(shown.out)
    groups = " ".join(secret[at : at + 4] for at in range(0, 32, 4))
    assert f"\n{groups}\notpauth://totp/Twofold:anna?secret={secret}&issuer=Twofold\n" in shown.out
    assert len(codes_in(shown)) == 5
    assert world.events(last=2) == ["two_factor.enrolled", "recovery.saved"]
    assert world.row("anna").attempts_left == 7


@pytest.mark.feature("me-enrol")
@pytest.mark.parametrize("is_plain", [False, True])
def test_an_address_that_is_too_long_stays_whole(world, is_plain):
    """Whoever copies it gets all of it, whatever signs are in the name."""
    me = world.session(world.user("anna-maria.o-neill"))
    shown = run_me(world, me, "enrol", types=[shown_code(world), "y"], columns=40, is_plain=is_plain)
    assert shown.status == 0
    assert shown.is_readable()
    assert (
        f"\notpauth://totp/Twofold:anna-maria.o-neill?secret={secret_in(shown.out)}&issuer=Twofold\n"
        in shown.out
    )


@pytest.mark.feature("me-enrol")
def test_app_from_a_pipe(world):
    """A program reads the key and answers line by line."""
    me = world.session("anna")
    shown = run_me(world, me, "enrol", stdin=[shown_code(world), "y"])
    assert (shown.status, len(codes_in(shown))) == (0, 5)
    assert world.row("anna").recovery_saved
    assert shown.all.replace("\n", "").isprintable()


@pytest.mark.feature("me-enrol")
def test_input_that_ends(world):
    """Before the code, nothing is set up; before the codes are saved, the next sign-in replaces them."""
    me = world.session("anna")
    before = world.dump()
    assert run_me(world, me, "enrol").status == 1
    assert run_me(world, me, "enrol", types=[wrong_code(world)]).status == 1
    assert world.dump() == before
    shown = run_me(world, me, "enrol", stdin=[shown_code(world)])
    assert shown.status == 0
    assert shown.says("You did not confirm that they are saved. Your next sign-in replaces them.")
    assert not world.row("anna").recovery_saved


@pytest.mark.feature("me-qr")
@pytest.mark.parametrize(
    ("columns", "encoding", "width"),
    [
        *((39, "utf-8", 39), (40, "utf-8", 39), (41, "utf-8", 41), (80, "utf-8", 45), (None, "utf-8", 45)),
        *((80, "ascii", 78), (90, "ascii", 90), (80, "iso8859-1", 78), (80, "gbk", 78), (40, "koi8-r", 39)),
    ],
)
def test_qr_code(world, columns, encoding, width):
    """It decodes on a dark terminal, the next one on a light one, each with as much of a border as fits."""
    me = world.session("anna")
    types = ["qr", "QR", shown_code(world), "y"]
    shown = run_me(world, me, "enrol", "--qr", types=types[1:], columns=columns, encoding=encoding)
    painted = set("█▀▄ ") if encoding in ("utf-8", "koi8-r") else set("# ")
    lines = [line for line in shown.all.splitlines() if len(line) == width and set(line) <= painted]
    assert lines
    half = len(lines) // 2
    for drawn, light in ((lines[:half], False), (lines[half:], True)):
        assert (
            decoded(drawn, light=light)
            == f"otpauth://totp/Twofold:anna?secret={secret_in(shown.out)}&issuer=Twofold"
        )
    assert shown.all.replace("\n", "").isprintable()


@pytest.mark.feature("me-qr")
@pytest.mark.parametrize(("columns", "encoding", "needs"), [(38, "utf-8", 39), (77, "ascii", 78)])
def test_no_room_for_the_qr_code(world, columns, encoding, needs):
    me = world.session("anna")
    shown = run_me(world, me, "enrol", types=["qr"], columns=columns, encoding=encoding)
    assert shown.says(f"A QR code needs a terminal of {needs} columns; this one has {columns}.")
    assert not set(shown.all) & set("█▀▄#")


def test_a_set_up_that_took_too_long(world):
    me = world.session("anna")

    def late(shown: str) -> str:
        world.clock.forward(minutes=31)
        return shown_code(world)(shown)

    shown = run_me(world, me, "enrol", types=[late])
    assert (shown.status, shown.out.count("enabled")) == (1, 0)
    assert shown.err.endswith("This setup took too long and was cancelled. Start again.\n")


@pytest.mark.feature("me-enrol")
def test_refused_methods(world):
    me = world.session("anna")
    shown = run_me(world, me, "enrol", "--method", "sms")
    assert (shown.status, shown.err) == (
        1,
        "twofold: The method text message is turned off. Choose another one.\n",
    )
    assert run_me(world, me, "enrol", "--method", "pigeon").status == 2
    world.mode(Mode.OFF)
    assert run_me(world, me, "enrol").err.startswith("twofold: Two-factor authentication is not available.")
    shown = run_me(world, me, "replace-phone")
    assert shown.status == 1


@pytest.mark.feature("me-enrol")
async def test_email(world):
    """It is chosen by its number; another code is sent when asked for."""
    world.methods(Method.APP, Method.EMAIL)
    me = world.session("anna")

    def later(_shown: str) -> str:
        world.clock.forward(minutes=2)
        return "new"

    async with mail_server() as mail:
        carriers = Carriers(Smtp(HOST, mail.port, "twofold@clinic.example", "none"))

        def wrong(_shown: str) -> str:
            return ZERO if mail.code != ZERO else "111111"

        types = ["7", "2", wrong, "new", later, lambda _: mail.code, "y"]
        shown = await asyncio.to_thread(
            run_me, world, me, "enrol", types=types, columns=40, carriers=carriers
        )
        assert len(mail.messages) == 2
    assert shown.status == 0
    assert shown.is_readable()
    assert shown.says(
        "Two-factor authentication is your choice. How do you want to get codes?",
        "1. Authenticator app: works offline; nothing is sent. 2. E-mail:",
        "Type a number from 1 to 2 [1]: 7",
        "Enter the code sent by e-mail to a•••@clinic.example. Type new for a new one.",
        "Wrong code, or older than 15 minutes.",
        "The next one can be sent in 60 s.",
        "Codes by e-mail are set up. Save your recovery codes",
    )
    assert world.events(last=2) == ["two_factor.enrolled", "recovery.saved"]


@pytest.mark.feature("me-enrol")
async def test_typed_number(world, tmp_path):
    """It must be a number; one that another user has is warned of; what is present is replaced."""
    world.methods(Method.SMS)
    world.set("boris", phone=NUMBER)
    sent = tmp_path / "sent"
    carriers = Carriers(None, Command(("/bin/sh", "-c", f"cat >> {sent}")))
    me = world.session("anna")
    types = ["none", NUMBER, lambda _: sent.read_text()[:6], "y"]
    shown = await asyncio.to_thread(run_me, world, me, "enrol", types=types, columns=40, carriers=carriers)
    assert shown.status == 0
    assert shown.is_readable()
    assert shown.says(
        "Include the country code.",
        "Another user has this number too.",
        "Codes by text message are set up.",
    )
    assert world.row("anna").phone == NUMBER
    assert models.Factor.get(models.Factor.user == world.row("anna").id).destination == NUMBER


@pytest.fixture
def receiving(world, monkeypatch):
    """A world that receives text messages, for which nobody waits long."""
    world.methods(Method.SMS)
    world.store.services = replace(world.services, sms_number=NUMBER)
    monkeypatch.setattr(enrol_sent, "LOOK_SECONDS", 0)
    return world


def digits_in(shown: str) -> str:
    return re.findall(r"Code  (.+)\n", shown)[-1]


@pytest.mark.feature("me-enrol")
def test_message_from_the_phone(receiving):
    """The number that the message comes from is set up; whoever waits is told how it stands."""
    world = receiving
    me = world.session("anna")

    def sends(sender: str) -> Callable[[str], str]:
        def send(shown: str) -> str:
            world.run(inbound_sms.receive_message, sender, digits_in(shown))
            return ""

        return send

    def too_late(_shown: str) -> str:
        world.clock.forward(minutes=16)
        return ""

    types = ["2", "", sends("Clinic"), too_late, "new", PASSWORD, sends("+49 170 1234567"), "y"]
    shown = run_me(world, me, "enrol", types=types, columns=40)
    assert shown.status == 0
    assert shown.is_readable()
    assert shown.says(
        "2. Or send a text message from your phone to +49 30 12345678.",
        "No message with this code has arrived yet.",
        "came without a phone number.",
        "This code has expired. Type new for a new one.",
        "Your message came from •••• 4567. Codes will be sent there.",
    )
    assert world.row("anna").phone == "+491701234567"
    assert world.events(user="anna", last=3) == ["user.edited", "two_factor.enrolled", "recovery.saved"]


def test_a_message_that_is_no_longer_awaited(receiving):
    """Leaving voids the code."""
    shown = run_me(receiving, receiving.session("anna"), "enrol", types=["2"])
    assert shown.status == 1
    refused = receiving.run(inbound_sms.receive_message, NUMBER, digits_in(shown.all))
    assert refused.message == inbound_sms.NOBODY_WAITS


@pytest.mark.feature("me-phone")
def test_replacing_the_phone(world):
    """The old one works until the new one is confirmed; no recovery codes are made, other sessions end."""
    me = world.enrol("anna")
    old = world.secrets["anna"]
    world.clock.forward(minutes=6)
    shown = run_me(world, me, "replace-phone", types=[world.live_code("anna"), shown_code(world)], columns=40)
    assert shown.status == 0
    assert shown.is_readable()
    assert shown.says(
        "Confirm it's you. A temporary code is good too. Type your app's code, or a recovery code.",
        "Your current phone works until you confirm the new one.",
        "The new phone is set up; the old one no longer works.",
    )
    assert codes_in(shown) == []
    assert secret_in(shown.out) != old
    assert world.events(last=2) == ["signin.code_fresh", "two_factor.replaced"]


@pytest.mark.feature("me-phone")
def test_no_phone_to_replace(world):
    shown = run_me(world, world.session("anna"), "replace-phone")
    assert (shown.status, shown.err) == (
        1,
        "twofold: No phone is set up. Set one up with: ssh gate me enrol\n",
    )


def welcomed(world: World, session: admission.Session, types: list[str]) -> str:
    """Return what a prompt says first to who has signed in."""
    shown: list[str] = []

    def say(here: MemberCaller) -> None:
        own_session.welcome(here, session)
        shown.append(own_session.what_next(here))

    told = run_me(world, Member(session.id), types=types, act=say)
    return " ".join(f"{told.all}{shown[0]}".split())


@pytest.mark.feature("me-phone")
def test_phone_after_a_temporary_code(world):
    """It is offered at once, and needs no other code; anything else does."""
    world.enrol("anna")
    made = world.run(temporary_codes.make_temporary_code, OPERATOR, "anna").code
    session = world.submit(world.attempt("anna"), made).session
    told = welcomed(world, session, [])
    assert "If your phone is lost, set up another one now" in told
    assert told.endswith("Type: ssh gate me replace-phone")
    me = Member(session.id)
    assert "Confirm it's you first: ssh -t gate me confirm" in run_me(world, me, "codes", "--yes").err
    assert run_me(world, me, "replace-phone", types=[shown_code(world)]).status == 0
    assert world.events(last=1) == ["two_factor.replaced"]


@pytest.mark.feature("me-codes")
def test_codes_that_were_not_saved_are_replaced(world):
    me = world.session("anna")
    shown = run_me(world, me, "enrol", stdin=[shown_code(world)])
    world.secrets["anna"] = secret_in(shown.out)
    session = world.submit(world.attempt("anna"), world.live_code("anna")).session
    told = welcomed(world, session, ["y"])
    assert "You did not confirm that you saved the previous codes. These replace them." in told
    assert codes_in(shown)[0] not in told
    assert world.row("anna").recovery_saved


@pytest.mark.feature("me-restricted")
def test_first_password_then_enrolment(world):
    """Each command says what comes next, and nothing else is done before."""
    world.mode(Mode.REQUIRED)
    world.user("nora", one_time=True)
    me = Member(world.restricted("nora", MustChangePassword).id)
    first = "You signed in with a one-time password. Replace it with one that only you know"
    assert first in welcomed(world, world.run(admission.unfinished_session, me), [])
    for early in ([], ["enrol"], ["codes", "--yes"], ["confirm"]):
        shown = run_me(world, me, *early)
        assert shown.status == 1
        assert shown.says(first, "Type: ssh gate me password")
    shown = run_me(world, me, "password", types=[NEW, NEW], columns=40)
    assert shown.status == 0
    assert shown.is_readable()
    second = "Two-factor authentication is required by Clinic. Type: ssh gate me enrol"
    assert shown.says("Password changed.", second)
    assert run_me(world, me).says(second)
    shown = run_me(world, me, "enrol", types=[shown_code(world), "y"], columns=40)
    assert shown.status == 0
    assert shown.is_readable()
    assert shown.says("Two-factor authentication is enabled.", "You are signed in.")
    assert run_me(world, me).out.startswith("2FA is on, by authenticator app")
    assert world.events(user="nora", last=5) == [
        "password.changed",
        "signin.restricted",
        "two_factor.enrolled",
        "recovery.saved",
        "signin.admitted",
    ]


@pytest.mark.feature("me-restricted")
@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_a_code_after_the_first_password(world, at_a_terminal):
    """`me confirm` gives the code that the sign-in still needs."""
    world.enrol("anna")
    world.one_time_password("anna")
    me = Member(world.restricted("anna", MustChangePassword).id)
    shown = run_me(world, me, "password", stdin=f"{NEW}\n".encode())
    assert shown.says("You must enter a code. Type: ssh gate me confirm")
    assert isinstance(world.run(admission.unfinished_session, me).step, NeedCode)
    answers = [world.wrong_code("anna"), world.live_code("anna")]
    shown = run_me(world, me, "confirm", **{"types" if at_a_terminal else "stdin": answers})
    assert shown.status == 0
    assert shown.says("Wrong code, 6 attempts left.", "You are signed in.")
    assert run_me(world, me).status == 0
    assert world.row("anna").attempts_left == 7


@pytest.mark.feature("me-restricted")
def test_locked_on_the_way(world):
    world.enrol("anna")
    world.one_time_password("anna")
    me = Member(world.restricted("anna", MustChangePassword).id)
    run_me(world, me, "password", stdin=f"{NEW}\n".encode())
    shown = run_me(world, me, "confirm", stdin=[world.wrong_code("anna") for _ in range(7)])
    assert shown.status == 1
    assert shown.err.endswith("Locked after seven wrong codes. Ask a system administrator to unlock you.\n")


def test_a_restricted_session_by_key_or_password_enrols(world):
    world.mode(Mode.REQUIRED)
    session = world.restricted("anna", MustEnrol)
    assert PASSWORD not in welcomed(world, session, [])
    shown = run_me(world, Member(session.id), "enrol", stdin=[shown_code(world)])
    assert shown.says("Your next sign-in replaces them.", "You are signed in.")
    assert len(codes_in(shown)) == 5
