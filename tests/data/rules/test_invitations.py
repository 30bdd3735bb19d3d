"""Invitations: where people sign in, who is invited, and the words."""

from datetime import UTC, datetime

import pytest

from data.rules import invitations
from data.rules.invitations import Invitee, Letter, SshAddress, is_reachable, parse_address, why_not

SSH = SshAddress("ssh.clinic.example", 2222, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
LETTER = Letter(
    "ben@clinic.example", "ben", "Clinic", "the administrator anna", SSH, "Twofold", must_set_up=True
)
UNTIL = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
PASSWORD = "abcde-fghjk-mnpqr-stuvw"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ssh.clinic.example", ("ssh.clinic.example", 2222)),
        ("ssh.clinic.example:22", ("ssh.clinic.example", 22)),
        ("192.0.2.7:2022", ("192.0.2.7", 2022)),
        ("2001:db8::7", ("2001:db8::7", 2222)),
        ("[2001:db8::7]:22", ("2001:db8::7", 22)),
        ("[2001:db8::7]", ("2001:db8::7", 2222)),
    ],
)
def test_an_address_is_read_with_and_without_a_port(text, read):
    assert parse_address(text, 2222) == read


@pytest.mark.parametrize(
    "text",
    [
        "", "-oProxyCommand=x", "a b", "a;b", "a:0", "a:65536", "a:b", "ben@a", "[a]:22", "a:1:2", "ssh://a",
        "[2001:db8::7", "fe80::1%eth0", "a\n", "$(x)",
    ],
)  # fmt: skip
def test_no_option_as_address(text):
    """What would be an option of ssh is no address."""
    assert parse_address(text, 2222) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::", "", "localhost"])
def test_loopback_is_not_for_others(host):
    """Others are not sent to an address of this computer alone."""
    assert not is_reachable(host)


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "ssh.clinic.example"])
def test_address_for_others(host):
    assert is_reachable(host)


def test_port_in_the_command():
    """It is given where it is not that of SSH."""
    assert SSH.command("ben") == "ssh -p 2222 ben@ssh.clinic.example"
    assert SshAddress("2001:db8::7", 22, "").command("ben") == "ssh ben@2001:db8::7"


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ({"active": False}, "deactivated"),
        ({"locked": True}, "locked"),
        ({"has_role": True}, "role"),
        ({"has_own_password": True}, "a password of their own"),
        ({"has_key": True}, "an SSH key"),
        ({"has_factor": True}, "two-factor authentication"),
    ],
)
def test_each_reason_against_an_invitation_is_said(fact, words):
    assert words in why_not(Invitee("ben", **fact))
    assert why_not(Invitee("ben")) is None


@pytest.mark.feature("invite")
def test_invitation():
    """It tells how to sign in, which key to trust and until when."""
    envelope = invitations.invitation(LETTER, PASSWORD, UNTIL)
    lines = envelope.text.split("\n")
    assert f"    {SSH.command('ben')}" in lines
    assert f"    {SSH.fingerprint}" in lines
    assert f"    {PASSWORD}" in lines
    assert "until 2026-03-09 09:00 UTC" in envelope.text
    assert "By:      the administrator anna" in lines
    assert max(map(len, lines)) <= 72
    assert PASSWORD not in envelope.subject + repr(envelope)


def test_set_up_is_announced_if_required():
    others = Letter("b@x.example", "ben", "Clinic", "anna", SSH, "Twofold", must_set_up=False)
    assert "set up two-factor" in invitations.invitation(LETTER, PASSWORD, UNTIL).text.replace("\n", " ")
    assert "two-factor" not in invitations.invitation(others, PASSWORD, UNTIL).text.replace("\n", " ")


def test_foreign_text_without_control_characters():
    letter = Letter("b@x.example", "ben", "Cli\x1b\nnic", "a\x07", SSH, "Twofold", must_set_up=True)
    for envelope in (invitations.invitation(letter, PASSWORD, UNTIL), invitations.reminder(letter)):
        assert "\x1b" not in envelope.text
        assert "\x07" not in envelope.text
