"""A user who enrols by sending a text message: real `ssh`, and the real gammu-smsd with its dummy phone."""

import pytest
from support.installed_program import (
    CODE_TO_SEND,
    PROGRAM,
    Clinic,
    password_then,
    save_recovery_codes,
    set_password,
    sign_out,
)
from support.sms_gateway import running_gateway

PASSWORD = "seven quiet marble stairs"
NUMBER = "+491701234711"


@pytest.mark.feature("enrol-sent-message")
async def test_gateway_hands_the_message_over(clinic: Clinic, require_program):
    """The wizard then finishes by itself."""
    smsd, inject = require_program("gammu-smsd"), require_program("gammu-smsd-inject")
    clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    one_time = clinic.one_time_password(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa"
    )
    hook = f"{PROGRAM} --home {clinic.home} sms received"
    async with running_gateway(smsd, inject, clinic.folder / "gammu", hook) as gateway:
        command = ", ".join(f'"{argument}"' for argument in gateway.send_command)
        settings = f'[sms]\nsend_command = [{command}]\nnumber = "+49 30 1234567"\n'
        (clinic.home / "twofold.toml").write_text(settings)
        clinic.twofold("policy", "set", "--methods", "app,sms", "--yes")
        await clinic.serve()
        clinic.known_hosts()
        terminal = await clinic.connect("ben")
        await password_then(terminal, one_time)
        await set_password(clinic, terminal, PASSWORD)

        await terminal.expect_on_screen("Authenticator app")
        terminal.type("\x1b[B\r")
        await terminal.expect_on_screen("+49 30 1234567")
        terminal.type("\x1b[B\r")
        await terminal.expect_on_screen("Waiting for your message")
        [code] = await terminal.expect_matches(CODE_TO_SEND)
        gateway.receive(NUMBER, code)
        await terminal.expect_on_screen("Step 3 of 3: Save your recovery codes")
        await save_recovery_codes(clinic, terminal)
        await terminal.expect_on_screen(NUMBER)
        await sign_out(terminal)

        # The number that was proven so gets the code of the next sign-in.
        terminal = await clinic.connect("ben")
        await password_then(terminal, PASSWORD)
        to, words = await gateway.sent()
        assert to == NUMBER
        await terminal.expect(r"A code was sent by text message to \*\*\*\* 4711\.")
        await terminal.expect("Verification code")
        terminal.type(f"{words[:6]}\r")
        await terminal.expect_on_screen("1 M")
        await sign_out(terminal)
        assert await clinic.stop() == 0
    told = clinic.twofold("audit", "list", "--user", "ben")
    assert "Authorisation code received by text message from •••• 4711" in told
    assert "Two-factor authentication set up: text message" in told
    assert code not in clinic.log.decode()
