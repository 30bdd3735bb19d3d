"""Certificates are what OpenSSH reads, and only a session with a fresh code of its own gets one."""

import base64
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from support.database import OPERATOR, SYSTEM, World

from data.operations.actors import Member, Operator
from data.operations.certificates import authorities, issuing
from data.operations.certificates.cleanup import forget_ended
from data.operations.certificates.issuing import IssuedCertificate
from data.operations.guards import FRESH_FOR
from data.operations.maintenance import accounts
from data.operations.results import Denied, FreshProof, FreshProofNeeded
from data.operations.signin import admission, first_factor
from data.operations.users import credentials, lifecycle, temporary_codes
from data.operations.users.temporary_codes import TemporaryCode
from data.rules import public_keys
from data.rules.certificate_issuing import MOST_LIVE, NOT_ENROLLED, TURNED_OFF
from data.rules.domain_types import Mode
from data.rules.policy import NOT_AVAILABLE
from data.rules.public_keys import ALGORITHMS, KeyFault, PublicKey
from data.rules.ssh_certificates import Extension, Terms, certify, ed25519_blob, ssh_string
from data.storage import models
from data.wording.certificate_authority import authority_lines

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
CODE = FreshProofNeeded(FreshProof.CODE)
INSTANT = timedelta(microseconds=1)


def issue(world: World, me: Member, key: str | None = KEY, sources: tuple[str, ...] = ()):
    return world.run(issuing.issue_certificate, me, key, sources)


def issued(world: World, me: Member, key: str | None = KEY, sources: tuple[str, ...] = ()):
    made = issue(world, me, key, sources)
    assert isinstance(made, IssuedCertificate), made
    return made


def described(line: str, folder: Path) -> list[str]:
    """Return what ssh-keygen says of a certificate, line by line."""
    file = folder / "cert.pub"
    file.write_text(line + "\n")
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", file], check=True, capture_output=True, text=True, env={"TZ": "UTC"}
    )
    return [each.strip() for each in shown.stdout.splitlines()]


@pytest.mark.feature("certificates-format")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_key_type(keys, tmp_path, require_program, algorithm):
    """OpenSSH describes it as it was meant, and asyncssh verifies its signature, by other code than ours."""
    require_program("ssh-keygen")
    authority = asyncssh.generate_private_key("ssh-ed25519")
    private = authority.pyca_key
    key = public_keys.parse(keys[algorithm])
    assert isinstance(key, PublicKey)
    terms = Terms(
        2**63 - 1,
        "Clinic Ost/anna#9223372036854775807",
        frozenset({"deploy", "anna"}),
        datetime(2026, 3, 2, 8, 55, tzinfo=UTC),
        datetime(2026, 3, 2, 17, 0, tzinfo=UTC),
        frozenset(Extension),
        ("10.0.0.0/8", "2001:db8::/32"),
    )
    blob = ed25519_blob(private.public_key().public_bytes_raw())
    line = certify(key, terms, bytes(32), blob, private.sign)
    said = described(line, tmp_path)
    assert f"Signing CA: ED25519 {public_keys.fingerprint(blob)} (using ssh-ed25519)" in said
    assert said[2].endswith(key.fingerprint)
    assert said[1].startswith(f"Type: {line.split()[0]} user")
    assert (
        said[said.index("Serial: 9223372036854775807") - 1] == 'Key ID: "Clinic Ost/anna#9223372036854775807"'
    )
    assert "Valid: from 2026-03-02T08:55:00 to 2026-03-02T17:00:00" in said
    at = said.index("Principals:")
    assert said[at:] == [
        *("Principals:", "anna", "deploy", "Critical Options:"),
        *("source-address 10.0.0.0/8,2001:db8::/32", "Extensions:", "permit-X11-forwarding"),
        *("permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"),
    ]
    read = asyncssh.import_certificate(line)
    assert read.signing_key.public_data == authority.public_data
    assert read.principals == ["anna", "deploy"]
    damaged = bytearray(base64.b64decode(line.split()[1]))
    damaged[-100] ^= 1
    with pytest.raises(asyncssh.KeyImportError):
        asyncssh.import_certificate(f"{line.split()[0]} {base64.b64encode(damaged).decode()}")


@pytest.mark.feature("certificates-format")
def test_no_key_brings_its_own_terms(keys):
    """What follows a key's fields would be read as serial and principals, and no principals as all."""
    name, blob = keys["ssh-ed25519"].split()[:2]
    long = base64.b64encode(base64.b64decode(blob) + ssh_string("root")).decode()
    assert not isinstance(public_keys.parse(f"{name} {long}"), PublicKey)
    terms = Terms(1, "x", frozenset({"anna"}), datetime.now(UTC), datetime.now(UTC), frozenset())
    for given, said in ((long, terms), (blob, replace(terms, principals=frozenset()))):
        with pytest.raises(ValueError, match=r"fields|principals"):
            certify(PublicKey(name, given, "", ""), said, bytes(32), b"", lambda _: bytes(64))


@pytest.mark.feature("certificates-issued")
def test_keys_that_sign_nobody_in_are_not_certified(world, authority):
    world.user("anna")
    me = world.enrol("anna")
    weak = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode()
    old = asyncssh.generate_private_key("ssh-dss").export_public_key().decode()
    assert issue(world, me, weak) == Denied(KeyFault.WEAK.value)
    assert issue(world, me, old) == Denied(KeyFault.ALGORITHM.value)


@pytest.mark.feature("certificates-issued")
def test_what_a_certificate_says(world, authority, tmp_path, require_program):
    """For the key that signed in: the user's name, five minutes back, a terminal, and a serial of its own."""
    require_program("ssh-keygen")
    key = public_keys.parse(KEY)
    world.user("anna", key=key)
    world.enrol("anna")
    world.clock.forward(minutes=10)
    waiting = world.first_by_key("anna", key.fingerprint)
    assert isinstance(waiting, first_factor.CodeNeeded)
    me = Member(world.submit(waiting.attempt, world.live_code("anna")).session.id)
    made = issued(world, me, None, ("192.0.2.7", "10.0.0.0/8"))
    assert made.until - world.clock.now == timedelta(hours=8)
    said = described(made.line, tmp_path)
    start = world.clock.now - timedelta(minutes=5)
    assert said[4:] == [
        f'Key ID: "Clinic/anna#{made.serial}"',
        f"Serial: {made.serial}",
        f"Valid: from {start:%Y-%m-%dT%H:%M:%S} to {made.until:%Y-%m-%dT%H:%M:%S}",
        *("Principals:", "anna", "Critical Options:", "source-address 192.0.2.7/32,10.0.0.0/8"),
        *("Extensions:", "permit-pty"),
    ]
    assert said[2].endswith(key.fingerprint)
    assert authority.present.fingerprint in said[3]
    row = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()
    assert (row.event, row.user, row.actor) == ("certificate.issued", "anna", "anna")
    for part in (str(made.serial), key.fingerprint, '"anna"', f"{made.until:%Y-%m-%d %H:%M} UTC"):
        assert part in row.detail
    stored = models.Certificate.get_by_id(made.serial)
    assert (stored.session_id, stored.until, stored.withdrawn_at) == (me.session_id, made.until, None)
    assert issued(world, me).serial != made.serial


@pytest.mark.feature("certificates-issued")
def test_own_code_of_five_minutes(world, authority):
    """A recovery code is one's own; what is older, temporary, remembered or only a password is not."""
    world.user("anna")
    me = world.enrol("anna")
    world.clock.forward(minutes=1)
    me = world.session("anna")
    given = world.clock.now
    world.clock.now = given + FRESH_FOR
    assert isinstance(issue(world, me), IssuedCertificate)
    world.clock.now += INSTANT
    before = world.dump()
    assert issue(world, me) == CODE
    world.clock.now = given - INSTANT
    assert issue(world, me) == CODE
    world.clock.now = given + FRESH_FOR + INSTANT
    assert world.dump() == before
    world.run(credentials.confirm_fresh_code, me, world.live_code("anna"))
    assert isinstance(issue(world, me), IssuedCertificate)
    # Another session of the same moment has given no code.
    models.Account.update(remember_days=3).execute()
    world.clock.forward(minutes=1)
    world.session("anna")
    remembered = world.first("anna")
    assert isinstance(remembered, admission.Admitted)
    by_address = Member(remembered.session.id)
    assert issue(world, by_address) == CODE
    # Nor does it profit from a code of before it was admitted by the address.
    models.Session.update(code_at=world.clock.now).where(models.Session.id == by_address.session_id).execute()
    assert issue(world, by_address) == CODE
    world.run(credentials.confirm_fresh_code, by_address, world.recovery["anna"][0])
    assert isinstance(issue(world, by_address), IssuedCertificate)


@pytest.mark.feature("certificates-issued")
def test_a_temporary_code_is_not_ones_own(world, authority):
    boss = world.person("boss", SYSTEM)
    world.user("anna")
    world.enrol("anna")
    world.clock.forward(minutes=1)
    given = world.run(temporary_codes.make_temporary_code, boss, "anna")
    assert isinstance(given, TemporaryCode), given
    me = Member(world.submit(world.attempt("anna"), given.code).session.id)
    assert issue(world, me) == CODE
    world.run(credentials.confirm_fresh_code, me, world.recovery["anna"][0])
    assert isinstance(issue(world, me), IssuedCertificate)


@pytest.mark.feature("certificates-issued")
def test_who_gets_none(world, authority):
    """Whatever is refused is refused before a code is asked for, and leaves no trace."""
    no_code = world.person("ben")
    me = world.enrol(world.user("anna"))
    reserved = world.enrol(world.user("root"))
    before = world.dump()
    for who, key, sources, reason in (
        (no_code, KEY, (), NOT_ENROLLED),
        (me, None, (), "Give the public key"),
        (me, "ssh-rsa x", (), "not an OpenSSH public key"),
        (me, authority.present.public_key, (), "key of a certificate authority"),
        (me, KEY, ("10.0.0.1/8",), "10.0.0.1/8 is not an address"),
        (me, KEY, ("10.0.0.1", "fe80::1%eth0"), "fe80::1%eth0 is not an address"),
        (me, KEY, ("::ffff:10.0.0.1.",), "not an address"),
        (me, KEY, ("x\u202e" * 99,), "x\\u202ex"),
        (me, KEY, ("10.0.0.1",) * 17, "at most 16"),
        (reserved, KEY, (), "reserved"),
    ):
        denied = issue(world, who, key, sources)
        assert isinstance(denied, Denied), denied
        assert reason in denied.message
        assert world.dump() == before
    assert isinstance(world.run(issuing.issue_certificate, OPERATOR, KEY), Denied)
    models.Account.update(certificate_hours=0).execute()
    assert issue(world, me) == Denied(TURNED_OFF)
    models.Account.update(certificate_hours=8).execute()
    world.mode(Mode.OFF)
    assert issue(world, me) == Denied(NOT_AVAILABLE)
    world.mode(Mode.OPTIONAL)
    models.Account.update(certificate_extensions="").execute()
    assert "permit" not in str(base64.b64decode(issued(world, me).line.split()[1]))
    for number in range(MOST_LIVE - 1):
        models.Certificate.insert(
            serial=number + 1,
            authority=1,
            user=world.row("anna").id,
            key_id="",
            fingerprint="",
            principals="anna",
            issued_at=world.clock.now,
            until=world.clock.now + timedelta(hours=1),
        ).execute()
    assert "100 certificates" in issue(world, me).message
    world.clock.forward(hours=1)
    assert issue(world, world.session("anna")).until > world.clock.now


@pytest.mark.feature("certificates-issued")
def test_a_key_id_is_safe_to_show(world, authority):
    """Hosts log it: what a terminal would act on in the name of an account is escaped."""
    me = world.enrol(world.user("anna"))
    for name, shown in (
        ("Praxis Müller", "Praxis Müller"),
        ("Clinic\u202e\x1b[31m", r"Clinic\u202e\x1b[31m"),
        ("\u202e" * 120, r"\u202e" * 19 + r"\u202…"),
    ):
        world.run(accounts.rename_account, OPERATOR, world.row("anna").account.name, name)
        made = issued(world, me)
        assert made.key_id == f"{shown}/anna#{made.serial}"
        assert made.line.endswith(f" {made.key_id}")
        assert made.key_id.encode() in base64.b64decode(made.line.split()[1])
        view = world.run(authorities.show_authorities, OPERATOR)
        (line,) = (line for line in authority_lines(view) if "Twofold CA of" in line)
        assert line.partition(" Twofold CA of ")[2].isprintable()


def test_a_serial_is_given_once(world, authority):
    """Where chance falls the same way again, another serial is drawn; and never zero."""
    me = world.enrol(world.user("anna"))
    drawn = [bytes(8), bytes(7) + b"\x02", bytes(7) + b"\x02", b"\xff" * 8]
    world.store.services = replace(
        world.services, random_bytes=lambda count: drawn.pop(0) if count == 8 else bytes(count)
    )
    assert [issued(world, me).serial for _ in range(2)] == [1, 2**63 - 1]


@pytest.mark.feature("certificates-authority")
def test_authorities(world, authority):
    """One an account, on the host only; a rotated one is listed until its certificates have ended."""
    assert "already" in world.run(authorities.init_authority, OPERATOR).message
    boss = world.person("boss", SYSTEM)
    assert isinstance(world.run(authorities.show_authorities, boss), Denied)
    assert authority.former == ()
    until = issued(world, boss).until
    rotate = authorities.rotate_authority
    rotated = world.run(rotate, OPERATOR, authority.present.fingerprint)
    assert rotated.present.fingerprint != authority.present.fingerprint
    assert [(row.public_key, row.live, row.last_until) for row in rotated.former] == [
        (authority.present.public_key, 1, until)
    ]
    assert "in the meantime" in world.run(rotate, OPERATOR, authority.present.fingerprint).message
    signed = asyncssh.import_certificate(issued(world, boss).line)
    assert signed.signing_key.get_fingerprint() == rotated.present.fingerprint
    world.clock.now = until
    assert world.run(authorities.show_authorities, OPERATOR).former == ()
    assert world.events(user=None)[-3:].count("authority.rotated") == 1
    chief = lifecycle.NewUser("chief", "chief@other.example")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", chief)
    other = Operator("root", "Other")
    assert "ca init" in world.run(authorities.show_authorities, other).message
    third = world.run(authorities.init_authority, other)
    assert third.present.fingerprint != rotated.present.fingerprint


@pytest.mark.feature("certificates-authority")
def test_what_ended_is_forgotten(world, authority):
    """A week after the end, with the former authority that signed nothing else; the present one stays."""
    me = world.enrol(world.user("anna"))
    until = issued(world, me).until
    world.run(authorities.rotate_authority, OPERATOR, authority.present.fingerprint)
    issued(world, me)
    for since, left in ((timedelta(days=7), (2, 2)), (timedelta(days=7, seconds=1), (0, 1))):
        world.clock.now = until + since
        world.run(forget_ended)
        assert (models.Certificate.select().count(), models.CertificateAuthority.select().count()) == left
    assert world.run(authorities.show_authorities, OPERATOR).present.live == 0
