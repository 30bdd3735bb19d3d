"""The whole way by the installed program and the real `ssh`: from an empty directory to a new phone.

The QR code is decoded from the screen, and the codes come from oathtool.
"""

import re
from pathlib import Path

import pytest
from support.authenticator_app import Phone
from support.installed_program import (
    Clinic,
    code_then,
    enrol,
    manual_key,
    password_then,
    qr_code,
    set_password,
    sign_out,
)
from support.pseudo_terminal import TerminalProgram

ADMIN_PASSWORD = "a walrus hums in july"
BEN_PASSWORD = "seven quiet marble stairs"
ONE_TIME = re.compile(r"\b[a-z0-9]{5}(?:-[a-z0-9]{5}){3}\b")


async def create_in_the_app(clinic: Clinic, admin: TerminalProgram, name: str) -> str:
    """Create a user on the Users screen, as a person at the keyboard; return the one-time password."""
    admin.type("2")
    await admin.expect_on_screen("by name")
    admin.type("n")
    await admin.expect_on_screen("New user")
    # Enter goes on to the next field; the telephone number and the key are optional.
    admin.type(f"{name}\r{name}@clinic.example\r{name.title()} Example\r\r\r")
    await admin.expect_on_screen("I have saved it")
    password = (await admin.expect_matches(ONE_TIME))[0]
    clinic.secrets.append(password)
    admin.type("\t\r")
    await admin.expect_on_screen("2 users")
    return password


async def require_in_the_app(admin: TerminalProgram) -> None:
    """Require 2FA for the second user in the table."""
    admin.type("\x1b[Br")
    await admin.expect_on_screen("Require 2FA for ben?")
    admin.type("y")
    await admin.expect_on_screen("Pending setup on next login")


async def set_mode_in_the_app(admin: TerminalProgram) -> None:
    """Turn the account's mode to `required`, after the preview and the confirmation."""
    admin.type("3")
    await admin.expect_on_screen("You have nothing to do.")
    admin.type("\x1b[B")
    await admin.expect_on_screen("Required: ")
    admin.type("\r")
    await admin.expect_on_screen("(y)")
    admin.type("y")
    await admin.expect_on_screen("The mode is now required.")


async def first_signin_of_the_admin(clinic: Clinic, phone: Phone) -> TerminalProgram:
    """A one-time password, a new password, the wizard, and the console in the same session."""
    arguments = ("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    one_time = clinic.one_time_password(*arguments)
    settings = clinic.home / "twofold.toml"
    settings.write_text(settings.read_text().replace('#level = "warning"', 'level = "debug"'))
    await clinic.serve()
    clinic.known_hosts()
    admin = await clinic.connect("anna")
    await password_then(admin, one_time)
    await set_password(clinic, admin, ADMIN_PASSWORD)
    await enrol(clinic, admin, phone, "Twofold:anna")
    await admin.expect_on_screen("1 M")
    assert clinic.status("anna") == "Enabled"
    return admin


async def first_signin_of_a_user(clinic: Clinic, phone: Phone, one_time: str) -> list[str]:
    terminal = await clinic.connect("ben")
    await password_then(terminal, one_time)
    await set_password(clinic, terminal, BEN_PASSWORD)
    codes = await enrol(clinic, terminal, phone, "Twofold:ben")
    await terminal.expect_on_screen("1 M")
    assert "2 Users" not in terminal.text
    await sign_out(terminal)
    return codes


async def scan_on_a_small_terminal(clinic: Clinic, one_time: str) -> None:
    """The QR code is read in sixteen colours from a screen that it fills, before and after a resize."""
    terminal = await clinic.connect("carol", size=(60, 30), term="xterm")
    await password_then(terminal, one_time)
    await set_password(clinic, terminal, "copper lantern on the sill")
    await terminal.expect_on_screen("required by Clinic.")
    terminal.type("\r")
    await terminal.expect_on_screen("Press q for the QR code")
    secret = await manual_key(terminal)
    for columns, rows in ((60, 30), (45, 22)):
        terminal.resize(columns, rows)
        terminal.type("q")
        uri = await qr_code(terminal)
        phone = Phone(clinic.oathtool)
        assert (phone.scan(uri), phone.secret) == ("Twofold:carol", secret)
        terminal.type("x")
        await terminal.expect_on_screen("Press q for the QR code")
    clinic.secrets.append(secret)
    await terminal.kill()


async def sign_in_by_password_key_and_recovery_code(clinic: Clinic, phone: Phone, recovery: str) -> Path:
    """Return the key that signs in from now on. The code that was used before is refused."""
    terminal = await clinic.connect("ben")
    await password_then(terminal, BEN_PASSWORD)
    await code_then(terminal, await phone.new_code())
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    terminal = await clinic.connect("ben")
    await password_then(terminal, BEN_PASSWORD)
    await code_then(terminal, phone.last_code())
    await terminal.expect("Code already used")
    await terminal.kill()

    key = clinic.new_key("ben_key")
    clinic.twofold("user", "key", "add", "ben", f"{key}.pub")
    for answer in (await phone.new_code(), recovery.lower().replace("-", " ")):
        terminal = await clinic.connect("ben", key=key)
        await code_then(terminal, answer)
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
    return key


async def lock(clinic: Clinic, phone: Phone, key: Path) -> None:
    """Seven wrong codes; then neither factor helps."""
    terminal = await clinic.connect("ben", key=key)
    for left in range(6, 0, -1):
        await code_then(terminal, phone.wrong_code())
        await terminal.expect(f"Wrong code, {left} attempt{'s' if left > 1 else ''} left")
    await code_then(terminal, phone.wrong_code())
    await terminal.expect("Locked after seven wrong codes. Ask a system administrator")
    assert await terminal.end() != 0
    assert clinic.status("ben") == "Locked"
    terminal = await clinic.connect("ben")
    await password_then(terminal, BEN_PASSWORD)
    await terminal.expect("Locked after seven wrong codes")
    assert await terminal.end() != 0


@pytest.mark.feature("enrol-app")
async def test_from_an_empty_directory_to_a_new_phone(clinic):
    anna, ben = Phone(clinic.oathtool), Phone(clinic.oathtool)
    admin = await first_signin_of_the_admin(clinic, anna)

    one_time = await create_in_the_app(clinic, admin, "ben")
    await require_in_the_app(admin)
    recovery = await first_signin_of_a_user(clinic, ben, one_time)
    admin.type("1")
    await admin.expect_on_screen("How it works")
    admin.type("2")
    await admin.expect_on_screen("by name")
    await admin.expect_matches(re.compile("Enabled"), 2)

    await set_mode_in_the_app(admin)
    await sign_out(admin)
    carol = clinic.one_time_password("user", "add", "carol", "--email", "carol@clinic.example")
    assert clinic.status("carol") == "Pending setup on next login"
    await scan_on_a_small_terminal(clinic, carol)

    key = await sign_in_by_password_key_and_recovery_code(clinic, ben, recovery[0])
    await lock(clinic, ben, key)

    # Unlocked, he signs in; cleared, he enrols again, with a new secret.
    clinic.twofold("user", "unlock", "ben", "--reason", "a slip")
    terminal = await clinic.connect("ben", key=key)
    await code_then(terminal, await ben.new_code())
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    clinic.twofold("user", "clear-2fa", "--yes", "ben")
    assert clinic.status("ben") == "Pending setup on next login"
    old_secret = ben.secret
    terminal = await clinic.connect("ben", key=key)
    await enrol(clinic, terminal, ben, "Twofold:ben")
    await terminal.expect_on_screen("1 M")
    assert ben.secret != old_secret

    # SIGTERM tells who is still there, and ends well.
    assert await clinic.stop() == 0
    assert await terminal.end() == 0
    assert b"shutting down" in terminal.output
    assert_told_without_secrets(clinic, anna, ben)


def assert_told_without_secrets(clinic: Clinic, *phones: Phone) -> None:
    """The log at debug level and the audit log tell what happened, and no secret."""
    told = clinic.log.decode("utf-8", "replace") + clinic.twofold("audit", "list", "--json", "--limit", "0")
    codes = [code for phone in phones for code in phone.codes]
    assert [secret for secret in [*clinic.secrets, *codes] if secret in told] == []
    assert "Traceback" not in told
    audit = clinic.twofold("audit", "list", "--user", "ben", "--limit", "0")
    for sentence in (
        "Refused a code that was already used",
        "Locked after seven wrong codes",
        "Unlocked",
        "Two-factor data cleared",
        "Recovery code used, 4 left",
    ):
        assert sentence in audit
