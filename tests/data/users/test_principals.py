"""Principals of users and practices: who gives which to whom, and what removing them withdraws."""

from dataclasses import replace

import pytest
from support.certificates import give_certificate, live_serials
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.actors import Member, Operator
from data.operations.audit import trail
from data.operations.certificates.effective_principals import principals_of
from data.operations.certificates.withdrawal import withdraw_reserved
from data.operations.guards import FRESH_FOR
from data.operations.maintenance import accounts, doctor_facts
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.users import bulk_actions, lifecycle, practices, principals, user_summaries
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.operations.users.principals import PrincipalPreview, PrincipalRow
from data.rules.doctor import Finding, Level
from data.rules.principals import MOST_PRINCIPALS, reserved_names
from data.storage import models


def borne(world: World, name: str) -> set[str]:
    return set(world.run(principals_of, world.row(name)))


def give(world: World, name: str, principal: str, actor=OPERATOR):
    return world.run(principals.add_principal, actor, name, principal)


def give_there(world: World, practice: str, principal: str, actor=OPERATOR):
    return world.run(principals.add_practice_principal, actor, practice, principal)


@pytest.fixture
def boss(world: World) -> Member:
    """Someone who may do everything that a member may, in a practice of their own."""
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(practices.add_practice, OPERATOR, "Office")
    member = world.enrol(world.user("boss", SYSTEM, SECURITY))
    world.run(practices.move_user, OPERATOR, "boss", "Office")
    world.user("ben")
    return member


@pytest.mark.feature("principals")
def test_given_and_taken(world, boss):
    """By name, by user and by practice; the log says who did it."""
    assert borne(world, "ben") == {"ben"}
    assert give(world, "ben", " deploy ", boss) == Done(
        "Principal deploy given to ben. New certificates include it."
    )
    assert isinstance(give_there(world, "main", "web", boss), Done)
    assert borne(world, "ben") == {"ben", "deploy", "web"}
    assert borne(world, "boss") == {"boss"}
    assert world.run(principals.list_principals, boss, "ben") == [
        PrincipalRow("ben", counts=True, is_name=True),
        PrincipalRow("deploy", counts=True),
        PrincipalRow("web", counts=True, practice="Main"),
    ]
    shown = world.run(user_summaries.user_detail, boss, "ben").principals
    assert [row.principal for row in shown] == ["ben", "deploy", "web"]
    assert world.run(principals.list_practice_principals, boss, "Main")[0].principal == "web"
    assert isinstance(world.run(principals.remove_principal, boss, "ben", "deploy"), Done)
    assert isinstance(world.run(principals.remove_practice_principal, boss, "Main", "web"), Done)
    assert borne(world, "ben") == {"ben"}
    said = [entry.sentence for entry in world.run(trail.list_entries, boss, trail.Filter("boss"))][:4]
    assert said == [
        "Principal web removed from practice Main",
        "Principal deploy removed",
        "Principal web added to practice Main",
        "Principal deploy added",
    ]


@pytest.mark.feature("principals")
def test_reserved_ones(world, boss):
    """Only the operator gives them, in any case of their letters, also to whom they are the name of."""
    world.store.services = world.services = replace(
        world.services, reserved_principals=reserved_names(["Deploy"])
    )
    world.user("deploy")
    for principal in ("root", "Root", "deploy", "DEPLOY"):
        for refused in (give(world, "ben", principal, boss), give_there(world, "North", principal, boss)):
            assert isinstance(refused, Denied)
            assert "reserved" in refused.message
    assert borne(world, "deploy") == set()
    assert world.run(principals.list_principals, boss, "deploy") == [
        PrincipalRow("deploy", counts=False, is_name=True)
    ]
    for name, principal in (("deploy", "deploy"), ("ben", "root")):
        assert isinstance(give(world, name, principal), Done)
        assert principal in borne(world, name)
    assert world.run(principals.list_principals, boss, "deploy") == [PrincipalRow("deploy", counts=True)]


@pytest.mark.feature("principals")
def test_reserved_later(world, boss):
    """What an administrator gave counts no more, until the operator gives it too."""
    give(world, "ben", "deploy", boss)
    give_there(world, "Main", "web", boss)
    reserved = reserved_names(["deploy", "web"])
    world.store.services = world.services = replace(world.services, reserved_principals=reserved)
    assert borne(world, "ben") == {"ben"}
    assert isinstance(give(world, "ben", "deploy"), Done)
    assert isinstance(give_there(world, "Main", "web"), Done)
    assert borne(world, "ben") == {"ben", "deploy", "web"}
    assert isinstance(give(world, "ben", "deploy"), Denied)


@pytest.mark.feature("certificate-withdrawal")
def test_what_bears_names_reserved_later_is_withdrawn(world, boss):
    """A user's own name, or what an administrator gave; what only bears those of the operator stays."""
    give(world, "ben", "Deploy", boss)
    give(world, world.user("kim"), "web")
    give(world, "kim", "deploying", boss)
    world.user("deploy")
    world.user("joe")
    world.run(practices.move_user, OPERATOR, "joe", "North")
    give_there(world, "North", "web", boss)
    by_name, given, by_operator, by_practice = (
        give_certificate(world, world.session(name)) for name in ("deploy", "ben", "kim", "joe")
    )
    kept = {by_operator, give_certificate(world, boss), give_certificate(world, boss)}
    world.run(withdraw_reserved)
    assert live_serials(world) == {by_name, given, by_practice, *kept}
    reserved = reserved_names(["deploy", "web"])
    world.store.services = world.services = replace(world.services, reserved_principals=reserved)
    gone = {by_name, given, by_practice}

    def problems() -> list[Finding]:
        found = world.run(doctor_facts.check_accounts, Operator("root"))
        return [each for each in found if each.level is Level.PROBLEM and "reserved" in each.sentence]

    (problem,) = problems()
    assert all(str(serial) in problem.sentence for serial in gone)
    assert "Restart the server" in problem.advice
    world.run(withdraw_reserved)
    assert live_serials(world) == kept
    assert problems() == []
    entry = world.run(trail.list_entries, OPERATOR, trail.Filter(event="certificate.withdrawn"))[0]
    assert entry.sentence == "3 certificates withdrawn: a principal was reserved"
    assert entry.actor == "system:certificates"
    world.run(withdraw_reserved)
    assert len(world.run(trail.list_entries, OPERATOR, trail.Filter(event="certificate.withdrawn"))) == 1


@pytest.mark.feature("principals")
def test_not_to_oneself(world, boss):
    """Neither directly nor by way of a practice."""
    before = world.dump()
    refused = [
        give(world, "boss", "deploy", boss),
        give_there(world, "Office", "deploy", boss),
        world.run(principals.preview_principal, boss, "boss", "deploy"),
        world.run(principals.preview_practice_principal, boss, "Office", "deploy"),
    ]
    assert all(isinstance(each, Denied) for each in refused)
    assert world.dump() == before
    give_there(world, "North", "deploy", boss)
    before = world.dump()
    moved = world.run(practices.move_user, boss, "boss", "North")
    assert moved == Denied("You would give yourself principals: deploy. Another administrator can move you.")
    many = world.run(bulk_actions.act_on_many, boss, ["boss"], Bulk.MOVE, "North")
    assert many.refused == (("boss", moved.message),)
    assert world.dump() == before
    give(world, "boss", "deploy")
    assert isinstance(world.run(practices.move_user, boss, "boss", "North"), Done)


@pytest.mark.feature("principals")
def test_a_move_that_gives_principals_needs_a_fresh_code(world, boss):
    give_there(world, "North", "deploy", boss)
    world.clock.forward(seconds=FRESH_FOR.total_seconds() + 1)
    before = world.dump()
    for result in (
        world.run(practices.move_user, boss, "ben", "North"),
        world.run(bulk_actions.act_on_many, boss, ["ben"], Bulk.MOVE, "North"),
        give(world, "ben", "deploy", boss),
    ):
        assert isinstance(result, FreshProofNeeded)
    assert world.dump() == before
    assert isinstance(world.run(practices.move_user, boss, "ben", "Office"), Done)
    moved = world.run(practices.move_user, OPERATOR, "ben", "North")
    assert moved == Done("User ben moved to practice North. New certificates include deploy.")
    assert isinstance(world.run(bulk_actions.act_on_many, OPERATOR, ["ben"], Bulk.MOVE, "Main"), BulkResult)


@pytest.mark.feature("principals")
def test_what_cannot_be_given(world, boss):
    for principal in ("", "a b", "a,b", "*", "ben", "x" * 65):
        assert isinstance(give(world, "ben", principal, boss), Denied), principal
    give(world, "ben", "deploy", boss)
    assert give(world, "ben", "deploy", boss) == Denied("ben already has the principal deploy.")
    assert isinstance(world.run(principals.remove_principal, boss, "ben", "web"), Denied)
    assert isinstance(give_there(world, "South", "deploy", boss), Denied)
    models.UserPrincipal.insert_many(
        {"user": world.row("ben").id, "principal": f"p{number}", "by_operator": False}
        for number in range(MOST_PRINCIPALS - 1)
    ).execute()
    assert "At most 50" in give(world, "ben", "web", boss).message


@pytest.mark.feature("principals")
def test_anothers_name(world, boss):
    """Whoever gives it is warned, but not of a name in another account."""
    world.user("anna")
    of_ben = world.run(principals.preview_principal, boss, "ben", "anna")
    assert of_ben == PrincipalPreview("anna", "ben", others_name=True)
    there = world.run(principals.preview_practice_principal, boss, "Main", "Anna")
    assert there == PrincipalPreview("Anna", "Main", people=3, others_name=True)
    elsewhere = lifecycle.NewUser("zoe", "zoe@other.example", roles=frozenset({SYSTEM, SECURITY}))
    assert isinstance(world.run(accounts.add_account, OPERATOR, "Other", "Main", elsewhere), Done)
    assert not world.run(principals.preview_principal, boss, "ben", "zoe").others_name


@pytest.mark.feature("certificate-withdrawal", "principals")
def test_what_removing_withdraws(world, boss):
    """What bears the principal, unless its user has it in another way; the preview counts just that."""
    give_there(world, "Main", "deploy", boss)
    plain = world.session(world.user("eve"))
    give(world, "ben", "deploy", boss)
    ben = world.session("ben")
    of_ben, of_eve = give_certificate(world, ben), give_certificate(world, plain)
    preview = world.run(principals.preview_principal, boss, "ben", "deploy", removes=True)
    assert preview.certificates == 0
    preview = world.run(principals.preview_practice_principal, boss, "Main", "deploy", removes=True)
    assert preview.certificates == 1
    done = world.run(principals.remove_practice_principal, boss, "Main", "deploy")
    assert done == Done("Principal deploy removed from Main. 1 certificate withdrawn.")
    assert live_serials(world) == {of_ben}
    later = give_certificate(world, plain)
    preview = world.run(principals.preview_principal, boss, "ben", "deploy", removes=True)
    assert preview.certificates == 1
    done = world.run(principals.remove_principal, boss, "ben", "deploy")
    assert done == Done("Principal deploy removed from ben. 1 certificate withdrawn.")
    assert live_serials(world) == {later}
    assert models.Certificate.get_by_id(of_eve).withdrawn_because == "the principal deploy was removed"


@pytest.mark.feature("certificate-withdrawal", "principals")
def test_what_a_move_withdraws(world, boss):
    give_there(world, "Main", "deploy", boss)
    given = give_certificate(world, world.session("ben"))
    kept = give_certificate(world, boss)
    moved = world.run(practices.move_user, boss, "ben", "North")
    assert moved == Done("User ben moved to practice North. 1 certificate withdrawn.")
    assert given not in live_serials(world)
    assert kept in live_serials(world)


def test_a_removed_practice_gives_nothing_more(world, boss):
    give_there(world, "North", "deploy", boss)
    assert isinstance(world.run(practices.remove_practice, OPERATOR, "North"), Done)
    assert not models.PracticePrincipal.select().exists()
