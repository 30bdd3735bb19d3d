"""`me` by real `ssh`: everything that is one's own, on one connection, from pipes and at a terminal."""

import json

import pytest
from support.authenticator_app import Phone
from support.gate import Gate, enrols_by_a_program
from support.installed_program import qr_code

PASSWORD = "seven quiet marble stairs"


@pytest.mark.feature(
    "me-status", "me-enrol", "me-keys", "me-codes", "me-password", "me-confirm", "me-sessions"
)
async def test_everything_of_ones_own(clinic, require_program):
    clinic.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    await clinic.serve()
    clinic.known_hosts()
    key, other = clinic.new_key("ben"), clinic.new_key("other")
    public = str(key.with_suffix(".pub"))
    clinic.twofold(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa", "--key-file", public
    )
    phone, gate = Phone(clinic.oathtool), Gate(clinic, key)
    await gate.open()
    status, out, err = await gate.run("me", "--json")
    assert (status, out) == (1, "")
    assert err.endswith(
        "Two-factor authentication is required by an administrator. Type: ssh gate me enrol\n"
    )
    codes = await enrols_by_a_program(gate, phone)
    assert len(codes) == 5

    status, out, err = await gate.run("me", "--json")
    assert (status, err) == (0, "")
    mine = json.loads(out)
    assert (mine["status"], mine["required"], mine["attempts_left"]) == ("Enabled", True, 7)
    assert [row["mine"] for row in mine["sessions"]] == [True]
    status, out, _ = await gate.run("me")
    assert out.startswith("2FA is on, by authenticator app, since ")
    assert "5 recovery codes left. 7 attempts left.\n" in out

    for words, given, says in (
        (("me", "key", "add", "-"), other.with_suffix(".pub").read_text(), "Key SHA256:"),
        (("me", "key", "list"), "", "never used"),
        (("me", "password"), f"{PASSWORD}\n", "Password changed."),
        (("me", "codes", "--yes"), "y\n", "-"),
        (("me", "edit", "--name", "'Ben Okri'"), "", "saved"),
        (("me", "theme", "dark"), "", "Theme: dark."),
        (("me", "sessions"), "", "(this session)"),
        (("me", "forget"), "", "No address is remembered."),
        (("me", "confirm"), f"{await phone.new_code()}\n", "Confirmed."),
    ):
        status, out, err = await gate.run(*words, given=given)
        assert (status, says in out) == (0, True), (words, out, err)
    for words, refused, says in (
        (("me", "turn-off", "--yes"), 1, "so it cannot be turned off"),
        (("me", "sessions", "end", "--others"), 1, "not one of your other sessions"),
        (("me", "key", "add", "/etc/passwd"), 2, "is not"),
        (("me", "nothing"), 2, "No such command 'nothing'"),
    ):
        status, out, err = await gate.run(*words)
        assert (status, out, says in err) == (refused, "", True), (words, err)

    terminal = await gate.at_a_terminal("me", "replace-phone")
    clinic.open.append(terminal)
    await terminal.expect("Code: ")
    terminal.type("qr\r")
    await terminal.expect("Code: ")
    old = phone.secret
    assert phone.scan(await qr_code(terminal)) == "Twofold:ben"
    assert phone.secret != old
    terminal.type(f"{await phone.new_code()}\r")
    assert await terminal.end() == 0
    assert b"The new phone is set up" in terminal.output
    assert b"\x1b" not in terminal.output
    await gate.close()
    assert await clinic.stop() == 0
    assert not [secret for secret in (*codes, old, phone.secret, PASSWORD) if secret.encode() in clinic.log]
