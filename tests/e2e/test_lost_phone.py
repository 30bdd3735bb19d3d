"""A lost phone by real `ssh`: a recovery code signs in, a new phone replaces the old one, which is dead."""

import pytest
from support.authenticator_app import Phone
from support.installed_program import (
    Clinic,
    code_then,
    enrol,
    new_phone,
    password_then,
    set_password,
    sign_out,
)

PASSWORD = "seven quiet marble stairs"


@pytest.mark.feature("new-user", "journey-lost-phone")
async def test_lost_phone(clinic: Clinic):
    """A recovery code, a new phone, and the old one is dead."""
    old, new = Phone(clinic.oathtool), Phone(clinic.oathtool)
    clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    one_time = clinic.one_time_password(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa"
    )
    await clinic.serve()
    clinic.known_hosts()
    terminal = await clinic.connect("ben")
    await password_then(terminal, one_time)
    await set_password(clinic, terminal, PASSWORD)
    recovery = await enrol(clinic, terminal, old, "Twofold:ben")
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)

    # The phone is gone: a recovery code goes into the same field, and the phone is replaced at once, since
    # that was a fresh code.
    terminal = await clinic.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, recovery[0])
    await terminal.expect_on_screen("Replace the phone")
    terminal.type("t")
    await new_phone(clinic, terminal, new, "Twofold:ben")
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    assert new.secret != old.secret

    # The old phone is dead and the new one good; the recovery codes that are left are still good.
    terminal = await clinic.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, await old.new_code())
    await terminal.expect("Wrong code, 6 attempts left")
    await code_then(terminal, await new.new_code())
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    terminal = await clinic.connect("ben")
    await password_then(terminal, PASSWORD)
    await code_then(terminal, recovery[0])
    await terminal.expect("Code already used")
    await code_then(terminal, recovery[1])
    await terminal.expect_on_screen("1 M")
    await sign_out(terminal)
    told = clinic.twofold("audit", "list", "--user", "ben")
    assert "Two-factor authentication replaced: authenticator app" in told
    assert "Recovery code used, 3 left" in told
