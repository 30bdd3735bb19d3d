"""Hosts learn from the key revocation list which certificates to refuse, by OpenSSH's own reading."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.database import OPERATOR, World

from data.operations.actors import Member, Operator
from data.operations.certificates import authorities, issuing
from data.operations.certificates.issuing import IssuedCertificate
from data.operations.certificates.revocation_list import read_revocation_list, show_revocation_list
from data.operations.certificates.withdrawal import withdraw
from data.operations.maintenance import accounts
from data.operations.results import Denied
from data.operations.users import lifecycle
from data.rules.revocation_lists import revocation_list
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def revoked(tmp_path: Path, require_program):
    """Ask OpenSSH which of these certificates a list revokes."""
    require_program("ssh-keygen")

    def ask(krl: bytes, *lines: str) -> list[bool]:
        (tmp_path / "krl").write_bytes(krl)
        found = []
        for number, line in enumerate(lines):
            (tmp_path / f"{number}.pub").write_text(f"{line}\n")
            asked = subprocess.run(
                ["ssh-keygen", "-Q", "-f", tmp_path / "krl", tmp_path / f"{number}.pub"],
                check=False,
                capture_output=True,
                text=True,
            )
            assert asked.stdout.rstrip().endswith(("REVOKED", "ok")), asked
            found.append(asked.returncode == 1)
        return found

    return ask


def issue(world: World, me: Member) -> IssuedCertificate:
    made = world.run(issuing.issue_certificate, me, KEY)
    assert isinstance(made, IssuedCertificate), made
    return made


@pytest.mark.feature("certificates-withdrawn")
def test_exactly_what_was_withdrawn(world, authority, revoked):
    """Of the present and the former authority; nothing else, and nothing that has ended."""
    me, ben = world.enrol(world.user("anna")), world.enrol(world.user("ben"))
    assert revoked(world.run(read_revocation_list, "clinic"), KEY) == [False]
    made = [issue(world, me), issue(world, me)]
    world.run(authorities.rotate_authority, OPERATOR, authority.present.fingerprint)
    made += [issue(world, me), issue(world, ben)]
    lines = [each.line for each in made]
    assert revoked(world.run(read_revocation_list, "Clinic"), *lines) == [False] * 4
    world.run(
        withdraw, world.row("anna").id, "lost", models.Certificate.serial << [made[0].serial, made[2].serial]
    )
    krl = world.run(read_revocation_list, "Clinic")
    assert revoked(krl, *lines, KEY) == [True, False, True, False, False]
    assert world.run(show_revocation_list, OPERATOR) == krl
    # Until hosts whose clocks are behind refuse it by themselves.
    world.clock.now = made[0].until + timedelta(minutes=4)
    assert revoked(world.run(read_revocation_list, "Clinic"), *lines) == [True, False, True, False]
    world.clock.forward(minutes=2)
    assert revoked(world.run(read_revocation_list, "Clinic"), *lines) == [False] * 4


@pytest.mark.feature("certificates-withdrawn")
def test_a_list_of_each_account(world, authority, revoked):
    """The serials of one account revoke nothing of another, and no list tells which accounts there are."""
    made = issue(world, world.enrol(world.user("anna")))
    chief = lifecycle.NewUser("chief", "chief@other.example")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", chief)
    assert world.run(read_revocation_list, "Other") is world.run(read_revocation_list, "Nowhere") is None
    other = world.run(authorities.init_authority, Operator("root", "Other"))
    world.run(withdraw, world.row("anna").id, "lost")
    assert revoked(world.run(read_revocation_list, "Clinic"), made.line) == [True]
    assert revoked(world.run(read_revocation_list, "Other"), made.line) == [False]
    assert other.present.fingerprint != authority.present.fingerprint
    assert isinstance(world.run(show_revocation_list, world.session("anna")), Denied)


def test_many_serials(world, authority, revoked):
    """OpenSSH finds two among ten thousand, and not the one that is not there."""
    me = world.enrol(world.user("anna"))
    made = [issue(world, me) for _ in range(3)]
    key = models.CertificateAuthority.get()
    others = {number * 919_000_000_000_000 + 1 for number in range(10_000)}
    krl = revocation_list(
        {authorities.wire_form(key): others | {each.serial for each in made[:2]}}, datetime.now(UTC)
    )
    assert revoked(krl, *(each.line for each in made)) == [True, True, False]
