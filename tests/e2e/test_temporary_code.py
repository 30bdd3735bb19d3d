"""A temporary code by real `ssh`: it signs in once, replaces the phone alone, and is told by e-mail."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from support.authenticator_app import Phone
from support.installed_program import (
    RECOVERY,
    Clinic,
    code_then,
    enrol,
    new_phone,
    password_then,
    set_password,
    sign_out,
)
from support.mail_server import HOST, mail_server

PASSWORD = "seven quiet marble stairs"
MADE, USED = (
    f"Twofold: {words}" for words in ("a temporary code was made for you", "your temporary code was used")
)


def temporary_code(clinic: Clinic) -> str:
    """Have a temporary code made for ben."""
    code = RECOVERY.search(clinic.twofold("user", "temporary-code", "ben", "--hours", "2", "--yes")).group()
    clinic.secrets.append(code)
    return code


async def signs_in(clinic: Clinic, code: str):
    terminal = await clinic.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, code)
    return terminal


async def at_home(clinic: Clinic, old: Phone) -> None:
    """Sign in without the phone: the offer is declined, and new recovery codes need another code.

    Then the temporary code is spent, it was not remembered, and the phone still works.
    """
    code = await asyncio.to_thread(temporary_code, clinic)
    terminal = await signs_in(clinic, code.lower())
    await terminal.expect_on_screen("Replace the phone?")
    terminal.type("n")
    await terminal.expect_on_screen("New recovery codes")
    terminal.type("b")
    await terminal.expect_on_screen("stop working")
    terminal.type("y")
    await terminal.expect_on_screen("Confirm it's you")
    terminal.type("\x1b")
    await terminal.expect_on_screen("Not confirmed. Nothing was changed.")
    await sign_out(terminal)
    terminal = await signs_in(clinic, code)
    await terminal.expect("Code already used")
    await code_then(terminal, await old.new_code())
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    clinic.twofold("user", "forget", "ben")


async def lost(clinic: Clinic, old: Phone, new: Phone) -> None:
    """Replace the phone, which needs no other code; the old one is dead.

    A code that has expired is refused and does not count, and a newer one makes it void.
    """
    expired = await asyncio.to_thread(temporary_code, clinic)
    with closing(sqlite3.connect(clinic.home / "twofold.db")) as database:
        database.execute("UPDATE recovery_code SET expires_at = 1 WHERE expires_at IS NOT NULL")
        database.commit()
    terminal = await signs_in(clinic, expired)
    await terminal.expect("That temporary code has expired")
    newer = await asyncio.to_thread(temporary_code, clinic)
    await code_then(terminal, expired)
    await terminal.expect("Wrong code, 6 attempts left")
    await code_then(terminal, newer)
    await terminal.expect_on_screen("Replace the phone?")
    terminal.type("y")
    await new_phone(clinic, terminal, new, "Twofold:ben")
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    terminal = await signs_in(clinic, await old.new_code())
    await terminal.expect("Wrong code, 6 attempts left")
    await code_then(terminal, await new.new_code())
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)


@pytest.mark.feature("temporary-code", "temporary-code-fresh", "temporary-code-told")
async def test_temporary_code(clinic: Clinic):
    """Ben leaves his phone at home, and later loses it."""
    old, new = Phone(clinic.oathtool), Phone(clinic.oathtool)
    clinic.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    one_time = clinic.one_time_password(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa"
    )
    clinic.twofold("policy", "set", "--remember-days", "7")
    async with mail_server() as mail:
        (clinic.home / "twofold.toml").write_text(
            f'[smtp]\nhost = "{HOST}"\nport = {mail.port}\nsecurity = "none"\nfrom = "t@clinic.example"\n'
        )
        await clinic.serve()
        clinic.known_hosts()
        terminal = await clinic.connect("ben")
        await password_then(terminal, one_time)
        await set_password(clinic, terminal, PASSWORD)
        await enrol(clinic, terminal, old, "Twofold:ben")
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
        await at_home(clinic, old)
        await lost(clinic, old, new)
        async with asyncio.timeout(60):
            while [message["Subject"] for message in mail.messages].count(USED) < 2:
                await asyncio.sleep(0.05)
        assert [message["Subject"] for message in mail.messages].count(MADE) == 3
    assert await clinic.stop() == 0
    assert "Signed in with password and temporary code" in clinic.twofold("audit", "list", "--user", "ben")
    for secret in clinic.secrets:
        assert secret not in mail.words
        assert secret.encode() not in clinic.log
