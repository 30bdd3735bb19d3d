"""Certificates are listed for their users and administrators, and single ones are withdrawn."""

import pytest
from support.database import OPERATOR, SYSTEM

from data.operations.actors import Member, Operator
from data.operations.certificates import authorities, issuing, listing
from data.operations.certificates.listing import State
from data.operations.derived_user_columns import reindex_user
from data.operations.maintenance import accounts, doctor_facts
from data.operations.policy import overview
from data.operations.results import Denied
from data.operations.users.lifecycle import NewUser
from data.rules.doctor import Level
from data.rules.domain_types import Role
from data.rules.permissions import Action
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA x"


@pytest.fixture
def people(world, authority):
    """Sign in a system administrator, support and two users with fresh codes; return who acts, by name."""
    roles = {"anna": (), "ben": (), "carl": (Role.SUPPORT,), "dora": (SYSTEM,)}
    for name, held in roles.items():
        world.user(name, *held)
        world.enrol(name)
    world.clock.forward(minutes=10)
    return {
        name: Member(world.submit(world.attempt(name), world.live_code(name)).session.id) for name in roles
    }


def serials(page):
    return [row.serial for row in page.rows]


@pytest.mark.feature("certificates-listed")
def test_who_sees_which(world, people):
    """Users see their own, administrators the account's; pages are in the order of their ends."""
    made = []
    for name in ("anna", "ben", "anna"):
        made.append(world.run(issuing.issue_certificate, people[name], KEY).serial)
        world.clock.forward(seconds=1)
    newest = made[::-1]
    own = world.run(listing.own_certificates, people["anna"])
    assert ([row.serial for row in own.rows], own.refusal) == ([newest[0], newest[2]], "")
    assert serials(world.run(listing.list_certificates, people["anna"])) == [newest[0], newest[2]]
    refused = world.run(listing.list_certificates, people["anna"], user="ben")
    assert refused == Denied(Action.SEE_PEOPLE.who_can)
    for actor in (people["carl"], people["dora"], OPERATOR):
        first = world.run(listing.list_certificates, actor, limit=2)
        rest = world.run(listing.list_certificates, actor, limit=2, before=first.rows[-1])
        assert (serials(first) + serials(rest), first.more, rest.more) == (newest, True, False)
        assert serials(world.run(listing.list_certificates, actor, user="BEN")) == [newest[1]]
        assert world.run(listing.list_certificates, actor, user="x") == Denied("The user was not found.")
    row = first.rows[0]
    assert (row.user, row.principals, row.key_id) == ("anna", ("anna",), f"Clinic/anna#{row.serial}")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", NewUser("chief", "chief@other.example"))
    other = Operator("root", "Other")
    assert world.run(listing.list_certificates, other).rows == ()
    assert isinstance(world.run(listing.withdraw_certificate, other, row.serial), Denied)


@pytest.mark.feature("certificates-listed")
def test_who_withdraws_which(world, people):
    """One's own, or as a system administrator any; what is not seen is not found."""
    mine, other, third = (
        world.run(issuing.issue_certificate, people[name], KEY).serial for name in ("anna", "ben", "ben")
    )
    unseen = world.run(listing.withdraw_certificate, people["anna"], other)
    assert unseen == world.run(listing.withdraw_certificate, people["anna"], 1)
    assert world.run(listing.withdraw_certificate, people["carl"], other) == Denied(
        Action.MANAGE_PEOPLE.who_can
    )
    done = world.run(listing.withdraw_certificate, people["anna"], mine)
    assert done.message == f"Certificate {mine} of anna withdrawn."
    assert isinstance(world.run(listing.withdraw_certificate, people["anna"], mine), Denied)
    world.run(listing.withdraw_certificate, people["dora"], other)
    assert world.run(listing.own_certificates, people["anna"]).rows == ()
    assert serials(world.run(listing.list_certificates, people["ben"])) == [third]
    world.clock.forward(hours=8)
    assert world.run(listing.list_certificates, OPERATOR).rows == ()
    states = {
        row.serial: (row.state, row.withdrawn_because)
        for row in world.run(listing.list_certificates, OPERATOR, ended=True).rows
    }
    # What has ended matters more than that it was withdrawn.
    assert {state for state, _ in states.values()} == {State.ENDED}
    assert states[mine][1] == "by its user"
    assert states[other][1] == "by an administrator"
    assert len(states) == 3


@pytest.mark.feature("certificates-listed")
def test_why_no_other_one(world, people):
    """Whoever is refused another one is told the same before they ask, and keeps those they have."""
    made = world.run(issuing.issue_certificate, people["anna"], KEY).serial
    anna = models.User.get(models.User.name == "anna")
    models.User.update(name="root").where(models.User.id == anna.id).execute()
    reindex_user(anna.id)
    own = world.run(listing.own_certificates, people["anna"])
    refused = world.run(issuing.issue_certificate, people["anna"], KEY)
    assert ([row.serial for row in own.rows], Denied(own.refusal)) == ([made], refused)
    assert own.refusal.startswith("Your name is reserved")
    models.CertificateAuthority.update(retired_at=world.clock.now).execute()
    own = world.run(listing.own_certificates, people["anna"])
    assert "twofold ca init" in own.refusal


def found(world, account="account Clinic"):
    """Return what the check-up says of certificates."""
    findings = world.run(doctor_facts.check_accounts, Operator("root"))
    return [
        (each.level, each.sentence)
        for each in findings
        if each.topic == account and ("ertificat" in each.sentence)
    ]


@pytest.mark.feature("certificates-checked")
def test_what_the_check_up_says(world, people):
    """Of an authority at work, a retired one, names that are reserved, and a key that does not open."""
    first = world.run(authorities.show_authorities, OPERATOR).present.fingerprint
    assert found(world) == [(Level.FINE, f"Certificates for 8 h are signed by {first}.")]
    assert world.run(overview.show_overview, OPERATOR).certificates == 0
    until = world.run(issuing.issue_certificate, people["anna"], KEY).until
    assert world.run(overview.show_overview, OPERATOR).certificates == 1
    world.run(authorities.rotate_authority, OPERATOR, first)
    world.user("root")
    said = f"Certificates of a former authority can be used until {until:%Y-%m-%d %H:%M} UTC."
    assert (Level.NOTE, said) in found(world)
    nameless = "People who get no certificates, because their names are reserved: root."
    assert (Level.NOTE, nameless) in found(world)
    models.CertificateAuthority.update(sealed_key=b"x" * 80).execute()
    broken = "The key of the certificate authority cannot be opened. No certificates can be issued."
    assert (Level.PROBLEM, broken) in found(world)
    attention = world.run(overview.show_overview, OPERATOR).attention
    assert broken in [each.finding.sentence for each in attention if each.finding]


@pytest.mark.feature("certificates-checked")
def test_certificates_without_an_authority(world):
    assert found(world) == []
    models.Account.update(certificate_hours=8).execute()
    assert found(world) == [
        (Level.PROBLEM, "Certificates are on, but there is no certificate authority."),
    ]
