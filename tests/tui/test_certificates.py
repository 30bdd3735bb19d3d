"""Certificates on My profile, under Security, and in a user's detail."""

import pytest
from support.app_driver import opened
from support.certificates import give_certificate, live_serials
from support.database import OPERATOR, World

from data.operations.certificates import authorities
from data.operations.users import credentials, practices, principals
from data.rules import public_keys
from data.rules.domain_types import Role
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2Gt0Y9mkCtLMUxOJjTkzyqRuvqgSGfjATVoLEbMXX1 anna@laptop"


def turn_on(world: World) -> None:
    models.Account.update(certificate_hours=8).execute()
    world.run(authorities.init_authority, OPERATOR)


@pytest.mark.feature("certificates-profile")
async def test_one_is_got_and_withdrawn(world):
    """A fresh code is asked for, and what was wrong keeps what was typed."""
    turn_on(world)
    world.enrol("anna")
    async with opened(world, "anna", size=(100, 40)) as person:
        await person.sees("+ Certificates", "none")
        world.clock.forward(minutes=6)
        await person.presses("+")
        await person.sees("New one for another key")
        assert "the key you signed in with" not in person.screen
        await person.presses("enter")
        await person.sees("New certificate", "Paste the line in the file that ends in .pub.")
        await person.types("ssh-ed25519 x")
        await person.presses("tab", "enter")
        await person.sees("✗ That is not an OpenSSH public key.")
        await person.presses("home", *["delete"] * 13)
        await person.types(KEY)
        await person.presses("tab", "enter")
        await person.sees("Confirm it's you")
        await person.types(world.live_code("anna"))
        await person.presses("enter")
        await person.sees("ssh-ed25519-cert-v01@openssh.com AAAA", "It lets you in as anna until")
        (made,) = models.Certificate.select()
        await person.presses("c")
        await person.sees("Sent to the clipboard.")
        assert person.app.clipboard.startswith("ssh-ed25519-cert-v01@openssh.com AAAA")
        await person.presses("escape")
        await person.sees("Certificates", f"key {made.fingerprint}"[:40])
        await person.presses("+", "down", "enter")
        await person.sees(f"Withdraw certificate {made.serial}?", "until it next fetches the")
        await person.presses("y")
        await person.sees(f"✓ Certificate {made.serial} of anna withdrawn.")
        assert models.Certificate.get().withdrawn_at is not None


@pytest.mark.feature("certificates-profile")
async def test_what_one_cannot_have_is_not_offered(world):
    world.user("ben")
    async with opened(world, "ben", size=(100, 40)) as person:
        await person.sees("How it works")
        assert "Certificates" not in person.screen
    turn_on(world)
    async with opened(world, "ben", size=(100, 40)) as person:
        await person.sees("Set up two-factor authentication first. Certificates need a code.")


@pytest.mark.feature("certificates-profile")
async def test_policy_and_detail(world):
    world.run(authorities.init_authority, OPERATOR)
    world.user("sara", Role.SECURITY_ADMIN)
    world.enrol("sara")
    async with opened(world, "sara", first="3", size=(100, 44)) as person:
        await person.sees("+ Certificates")
        await person.presses("+")
        await person.sees("Hours (0 to 24; 0 for none)", "People get certificates for other hosts")
        await person.presses("end", "backspace", "9", "9", "enter", "enter")
        await person.sees("✗ Certificates are valid for 0 to 24 hours.")
        await person.presses("end", "backspace", "backspace", "4", "enter")
        await person.types("pty, user-rc")
        await person.presses("enter")
        await person.sees("✓ New certificates permit: pty, user-rc.")
    account = models.Account.get()
    assert (account.certificate_hours, account.certificate_extensions) == (4, "pty user-rc")
    async with opened(world, "sara", first="3", size=(100, 44)) as person:
        await person.presses("1", "+", "enter")
        await person.types(KEY)
        await person.presses("enter")
        await person.sees("It lets you in as sara until")
    async with opened(world, "admin", size=(100, 44)) as person:
        await person.sees("sara")
        await person.presses("end", "enter")
        await person.sees("Full name", "Certificates", "for sara, until")


@pytest.mark.feature("certificate-withdrawal")
async def test_what_is_withdrawn_is_said_first(world):
    """A dialog says how many are withdrawn, and how long those still work; without any, nothing."""
    turn_on(world)
    key = public_keys.parse(KEY)
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(principals.add_practice_principal, OPERATOR, "Main", "web")
    admin, anna = world.session("admin"), world.enrol("anna")
    for name in ("anna", "boris"):
        world.run(credentials.add_key, OPERATOR, KEY, name=name)
    given = {give_certificate(world, anna, key.fingerprint), give_certificate(world, anna)}
    mine = give_certificate(world, admin)
    async with opened(world, "admin", size=(100, 40)) as person:
        await person.sees("4 users")
        await person.presses("down", "x", "enter")
        await person.sees(
            "It will no longer sign anna in. This withdraws 1 certificate.",
            "next fetches the list, which takes about a minute",
        )
        await person.presses("n", "m", "enter")
        await person.sees("Move anna to North?", "This withdraws 2 certificates. A host accepts")
        await person.presses("n", "space", "space", "a")
        await person.sees("Deactivate 2 users?", "their open sessions end.", "This withdraws 2 certificates.")
        await person.presses("n", "escape")
        assert live_serials(world) == {*given, mine}
        await person.presses("up", "x", "enter")
        await person.sees("Remove this SSH key?", "It will no longer sign")
        assert "certificate" not in person.screen
        await person.presses("n", "1", "p")
        await person.sees("Change your password", "This withdraws 1 certificate. A host accepts")
