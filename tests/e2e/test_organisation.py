"""An organisation of twenty goes from the mode off to the mode permanent.

Three of them use the real `ssh`, the others asyncssh's client. Their codes come from an app, by e-mail
through a real mail server and by text message through the real gammu-smsd.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from support.asyncssh_terminal import connect
from support.authenticator_app import Phone
from support.forked import run_twofold
from support.in_process_server import serving_ahead
from support.installed_program import (
    CODE_TO_SEND,
    Clinic,
    code_then,
    enrol,
    manual_key,
    password_then,
    save_recovery_codes,
    set_password,
    sign_out,
)
from support.pseudo_terminal import Terminal, TerminalProgram
from support.twenty_users import (
    BY_APP,
    BY_EMAIL,
    BY_SENDING,
    BY_TEXT,
    NOT_SENT,
    PENDING,
    PROMPTS,
    SIGNED_IN,
    Member,
    Organisation,
    a_phone,
    kind_of,
    organised,
)

ANNA_PASSWORD = "a walrus hums in july"
CLEO_PASSWORD = "seven quiet marble stairs"
ONE_WORKER = ("--workers", "1")
UP, DOWN = "\x1b[A", "\x1b[B"
NIGHT = timedelta(hours=16)


@pytest.fixture
async def organisation(clinic, require_program) -> AsyncIterator[Organisation]:
    smsd, inject = require_program("gammu-smsd"), require_program("gammu-smsd-inject")
    async with organised(clinic, smsd, inject) as found:
        yield found


async def found(organisation: Organisation, phone: Phone) -> TerminalProgram:
    """Create the installation; its administrator signs in for the first time, enrols and stays on."""
    clinic = organisation.clinic
    one_time = clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    (clinic.home / "twofold.toml").write_text(organisation.settings())
    await clinic.serve(*ONE_WORKER)
    clinic.known_hosts()
    anna = await clinic.connect("anna")
    await password_then(anna, one_time)
    await set_password(clinic, anna, ANNA_PASSWORD)
    await enrol(clinic, anna, phone, "Twofold:anna")
    await anna.expect_on_screen("1 M")
    return anna


async def change_mode(anna: Terminal, keys: str, mode: str, *preview: str) -> None:
    """Choose a mode on the Security screen, read whom it affects, and confirm it."""
    anna.type("3")
    await anna.expect_on_screen("Two-factor authentication is ")
    anna.type(keys)
    await anna.expect_on_screen(f"(•) {mode.capitalize()}")
    anna.type("\r")
    await anna.expect_on_screen("Change the mode from ")
    for words in preview:
        await anna.expect_on_screen(words)
    anna.type("y")
    await anna.expect_on_screen(f"The mode is now {mode}.")


async def import_people(organisation: Organisation, anna: Terminal, bob_key: str) -> None:
    """Paste the list of everyone but anna into the Import dialog."""
    keys = {
        name: member.keys[0].export_public_key("openssh").decode()
        for name, member in organisation.members.items()
    }
    keys |= {"bob": bob_key, "cleo": ""}
    rows = [
        f"{name},{name}@clinic.example,{name.title()} Example,{key.strip()}" for name, key in keys.items()
    ]
    anna.type("2")
    await anna.expect_on_screen("by name")
    anna.type("i")
    await anna.expect_on_screen("Paste CSV text")
    text = "\r\n".join(["name,email,full_name,public_key", *rows])
    anna.type(f"\x1b[200~{text}\x1b[201~")
    await anna.expect_on_screen("cleo@clinic")
    anna.type("\x13")
    await anna.expect_on_screen("Import 19 users?")
    await anna.expect_on_screen("1 user without a key will need an invitation")
    anna.type("y")
    await anna.expect_on_screen("Imported 19 users.")
    await anna.expect_on_screen("Not available")


async def switch_methods_on(anna: Terminal) -> None:
    """Switch text messages and e-mail on; the focus stays on the first, and the second is after it.

    Which switch `t` leads to changes in between: the app can then be switched off.
    """
    for switch, words in (("t ", "text message"), (f"{DOWN} ", "e-mail")):
        anna.type(switch)
        await anna.expect_on_screen(f"{words.capitalize()}: on.")
        anna.type("y")
        # Not said by the question, which may not have closed yet.
        await anna.expect_on_screen("The methods are now")
        await anna.expect_on_screen(f", {words}.")


async def come_in_without_a_code(organisation: Organisation, member: Member) -> None:
    terminal = await organisation.open(member)
    await terminal.expect_on_screen("1 M")
    assert terminal.asked == []
    await sign_out(terminal)


async def enrol_member(organisation: Organisation, member: Member) -> None:
    """Sign in by the key alone, into the wizard, and set up a method of one's own."""
    terminal = await organisation.open(member)
    await terminal.expect_on_screen("Authenticator app")
    assert terminal.asked == []
    await set_up(organisation, member, terminal)
    await sign_out(terminal)


async def set_up(organisation: Organisation, member: Member, terminal: Terminal) -> None:
    """Go through the wizard from the choice of a method on."""
    if member.name in BY_APP:
        terminal.type("\r")
        await terminal.expect_on_screen("Step 1 of 4")
        terminal.type("\r")
        await terminal.expect_on_screen("Enable 2FA")
        member.phone.type_in(await manual_key(terminal))
    elif member.name in BY_EMAIL:
        terminal.type(f"{DOWN}{DOWN}\r")
        await until_sent(terminal, "e-mail")
    else:
        terminal.type(f"{DOWN}\r")
        await terminal.expect_on_screen("Type the number")
    if member.name in BY_SENDING:
        await send_a_message(organisation, member, terminal)
    else:
        if member.name in BY_TEXT:
            await type_number(terminal, member.number)
        terminal.type(await organisation.code_of(member) + "\r")
    await save_recovery_codes(organisation.clinic, terminal)
    await terminal.expect_on_screen("1 M")


async def type_number(terminal: Terminal, number: str) -> None:
    terminal.type("\r")
    await terminal.expect_on_screen("Your phone number")
    terminal.type(f"{number}\r")
    await until_sent(terminal, "text message")


async def until_sent(terminal: Terminal, way: str) -> None:
    """Wait until a code was sent, asking for another one where the first was not."""
    sent = f"A code was sent by {way}"
    while await terminal.expect_either(sent, NOT_SENT) != sent:
        terminal.type("n")
        await terminal.expect_either("Sending", sent)


async def send_a_message(organisation: Organisation, member: Member, terminal: Terminal) -> None:
    """Send the code that the screen shows from one's own phone: by the gateway's hook, or by the command."""
    terminal.type(f"{DOWN}\r")
    await terminal.expect_on_screen("Waiting for your message")
    shown = (await terminal.expect_matches(CODE_TO_SEND))[-1]
    if member.name == BY_SENDING[0]:
        organisation.gateway.receive(member.number, shown)
    else:
        message = f"{member.number}\nHere it is: {shown}\n"
        await asyncio.to_thread(organisation.clinic.twofold, "sms", "received", given=message)


async def enrol_bob(organisation: Organisation, phone: Phone) -> None:
    """A system administrator, by real ssh with a key: an app, from the QR code."""
    clinic = organisation.clinic
    bob = await clinic.connect("bob", key=clinic.folder / "bob_key")
    await bob.expect_on_screen("Authenticator app")
    bob.type("\r")
    await enrol(clinic, bob, phone, "Twofold:bob")
    await bob.expect_on_screen("1 M")
    await sign_out(bob)


async def enrol_cleo(organisation: Organisation) -> None:
    """Someone without a key, by real ssh with a one-time password: text messages."""
    clinic = organisation.clinic
    one_time = await asyncio.to_thread(clinic.one_time_password, "user", "password", "cleo")
    cleo = await clinic.connect("cleo")
    await password_then(cleo, one_time)
    await set_password(clinic, cleo, CLEO_PASSWORD)
    await cleo.expect_on_screen("Authenticator app")
    cleo.type(f"{DOWN}\r")
    await cleo.expect_on_screen("Type the number")
    await type_number(cleo, organisation.cleo.number)
    cleo.type(await organisation.code_of(organisation.cleo) + "\r")
    await save_recovery_codes(clinic, cleo)
    await cleo.expect_on_screen("1 M")
    await sign_out(cleo)


async def make_permanent(clinic: Clinic, anna: Terminal) -> None:
    """Type another name than the account's first, which confirms nothing."""
    anna.type("1")
    await anna.expect_on_screen("How it works")
    anna.type("3")
    await anna.expect_on_screen("(•) Required")
    anna.type(DOWN)
    await anna.expect_on_screen("(•) Permanent")
    await anna.expect_on_screen("✓ ")
    anna.type("\r")
    await anna.expect_on_screen("Make it permanent?")
    anna.type("Clinique\r")
    await anna.expect_on_screen("Not confirmed")
    anna.type("\x15Clinic\r")
    await anna.expect_on_screen("Permanent since ")
    await anna.expect_on_screen("Set by anna.")


def refused(clinic: Clinic, *arguments: str) -> str:
    """Run a command that is refused; return what it says."""
    ended = run_twofold(("--home", clinic.home, *arguments))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stderr


async def nothing_changes_the_mode(clinic: Clinic, anna: Terminal) -> None:
    assert "permanent" in refused(clinic, "policy", "set", "--mode", "optional", "--yes")
    for key in (UP, DOWN, "\r"):
        anna.type(key)
    anna.type("2")
    await anna.expect_on_screen("20 users")
    anna.type("3")
    await anna.expect_on_screen("No one can change the mode again.")


def assert_told_without_secrets(organisation: Organisation, *phones: Phone) -> None:
    """The log, at debug level, holds no password, secret, code or key."""
    log = organisation.clinic.log.decode("utf-8", "replace")
    members = [*organisation.members.values(), organisation.cleo]
    phones = (*phones, *(member.phone for member in members if member.phone.secret))
    codes = {code for phone in phones for code in phone.codes}
    sent = {code for member in members for code in organisation.codes_sent_to(member)}
    assert len(sent) >= 2 * len(BY_EMAIL) + 2 * len(BY_TEXT) + len(BY_SENDING)
    secrets = {*organisation.clinic.secrets, *codes, *sent, *(phone.secret for phone in phones)}
    assert [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", log)] == []
    assert "Traceback" not in log


async def statuses(clinic: Clinic) -> dict[str, str]:
    """Read everyone's two-factor status, as the operator sees it."""
    listed = await asyncio.to_thread(clinic.twofold, "user", "list")
    return dict(re.findall(rf"^(\w+) +(Enabled|{PENDING}|No|Not available) ", listed, re.MULTILINE))


async def come_in_with_both_factors(organisation: Organisation, member: Member) -> None:
    """Sign in by the key and one code; one of each kind has the app opened too."""
    if member.name.endswith("1"):
        terminal = await organisation.open(member)
        asked = terminal.asked
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
    else:
        answers = organisation.answers_of(member)
        connection, client = await connect(organisation.clinic.port, member.name, member.keys, answers)
        asked = client.asked
        connection.close()
        await connection.wait_closed()
    assert set(asked) == {PROMPTS[kind_of(member.name)]}


@pytest.mark.feature(
    "off-rests",
    "enrol-text-message",
    "enrol-email",
    "no-code-logged",
    "permanent-checklist",
    "permanent-stays",
    "import-csv",
    "journey-organisation",
)
@pytest.mark.timeout(300)
async def test_twenty_people_go_from_off_to_permanent(organisation):
    clinic, members = organisation.clinic, list(organisation.members)
    everyone = ["anna", "bob", "cleo", *members]
    anna_phone, bob_phone = (a_phone(clinic) for _ in range(2))
    anna = await found(organisation, anna_phone)

    # Off: the people are imported, and nobody is asked for a code.
    await change_mode(anna, UP, "off")
    bob_key = clinic.new_key("bob_key").with_suffix(".pub").read_text()
    await import_people(organisation, anna, bob_key)
    await organisation.each(lambda who: come_in_without_a_code(organisation, who), members[:2])
    assert await statuses(clinic) == dict.fromkeys(everyone, "Not available")

    # Optional: whoever wants to sets it up; a second administrator must.
    await change_mode(anna, DOWN, "optional")
    await switch_methods_on(anna)
    clinic.twofold("user", "role", "bob", "--grant", "system_admin")
    volunteer = organisation.members[BY_APP[0]]
    terminal = await organisation.open(volunteer)
    await terminal.expect_on_screen("1 M")
    terminal.type("t")
    await terminal.expect_on_screen("is your choice")
    await set_up(organisation, volunteer, terminal)
    await sign_out(terminal)
    enabled = {"anna": "Enabled", volunteer.name: "Enabled"}
    assert await statuses(clinic) == dict.fromkeys(everyone, "No") | {"bob": PENDING} | enabled

    # Required: everyone sets it up at their next sign-in, and the checklist says who is missing.
    await change_mode(anna, DOWN, "required", "18 people must set it up at the next sign-in")
    assert await statuses(clinic) == dict.fromkeys(everyone, PENDING) | enabled
    async with asyncio.TaskGroup() as group:
        group.create_task(enrol_cleo(organisation))
        group.create_task(organisation.each(lambda who: enrol_member(organisation, who), members[:0:-1]))
    assert "bob" in refused(clinic, "policy", "set", "--mode", "permanent", "--confirm", "Clinic")
    anna.type(DOWN)
    await anna.expect_on_screen("✗ ")
    await anna.expect_on_screen("bob")
    assert re.search(r"^NO .*bob", clinic.twofold("policy", "checklist"), re.MULTILINE)
    await enrol_bob(organisation, bob_phone)
    assert await statuses(clinic) == dict.fromkeys(everyone, "Enabled")

    # Permanent: by the typed name of the account, and for good.
    await make_permanent(clinic, anna)
    await nothing_changes_the_mode(clinic, anna)
    await sign_out(anna)

    # The next morning everyone signs in with both factors; one alone is not enough.
    assert await clinic.stop() == 0
    for phone in (anna_phone, bob_phone, *(member.phone for member in organisation.members.values())):
        phone.go_ahead(NIGHT)
    async with serving_ahead(clinic.home, NIGHT, clinic.log) as server:
        clinic.port = server.port
        await asyncio.to_thread(clinic.known_hosts)
        await morning(organisation, anna_phone, bob_phone)
    words = {name: SIGNED_IN[kind_of(name)] for name in members}
    words |= {"anna": "password and code", "bob": "key and code", "cleo": "password and text message code"}
    assert re.search(r"^mode +permanent", clinic.twofold("policy", "show"), re.MULTILINE | re.IGNORECASE)
    assert signed_in_since(clinic, datetime.now(UTC) + NIGHT / 2) == words
    assert_told_without_secrets(organisation, anna_phone, bob_phone)


async def morning(organisation: Organisation, anna_phone: Phone, bob_phone: Phone) -> None:
    """Everyone comes in, three at a time and the three by real ssh; then a thief who has a key alone."""
    clinic, members = organisation.clinic, list(organisation.members)
    async with asyncio.TaskGroup() as group:
        group.create_task(morning_of_the_three(organisation, anna_phone, bob_phone))
        group.create_task(
            organisation.each(lambda who: come_in_with_both_factors(organisation, who), members[::-1])
        )
    thief = await clinic.connect("bob", key=clinic.folder / "bob_key")
    await code_then(thief, bob_phone.wrong_code())
    await thief.expect("Wrong code, 6 attempts left")
    await thief.kill()


async def morning_of_the_three(organisation: Organisation, anna_phone: Phone, bob_phone: Phone) -> None:
    clinic = organisation.clinic
    cleo = await clinic.connect("cleo")
    await password_then(cleo, CLEO_PASSWORD)
    while await cleo.expect(f"{NOT_SENT}|A code was sent by text message") == NOT_SENT:
        await cleo.expect(re.escape(PROMPTS["text"]))
        cleo.type("s\r")
    await cleo.expect(re.escape(PROMPTS["text"]))
    cleo.type(await organisation.code_of(organisation.cleo) + "\r")
    anna = await clinic.connect("anna")
    await password_then(anna, ANNA_PASSWORD)
    await code_then(anna, await anna_phone.new_code())
    bob = await clinic.connect("bob", key=clinic.folder / "bob_key")
    await code_then(bob, await bob_phone.new_code())
    for terminal in (cleo, anna, bob):
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)


def signed_in_since(clinic: Clinic, since: datetime) -> dict[str, str]:
    """Read from the audit log who signed in since then, and with what."""
    rows = clinic.twofold("audit", "list", "--since", f"{since:%Y-%m-%dT%H:%M}", "--limit", "0")
    return dict(re.findall(r"^\S+ \S+ +(\w+) .* Signed in with (.+)$", rows, re.MULTILINE))
