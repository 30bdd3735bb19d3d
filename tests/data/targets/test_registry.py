"""Targets are added, listed and removed, and each is for whom it was added."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.actors import Operator
from data.operations.maintenance import accounts, doctor_facts
from data.operations.results import Denied, Done
from data.operations.targets import jumps, registry
from data.operations.targets.jumps import JumpTarget
from data.operations.users import deletion, lifecycle, practices, role_grants
from data.rules.targets import MOST_TARGETS, NewTarget
from data.storage import models

DB1 = NewTarget("DB1", "DB1.Clinic.Example.")
PRIVATE = (ip_network("10.0.0.0/8"),)


def add(world: World, new: NewTarget, actor=OPERATOR) -> str:
    done = world.run(registry.add_target, actor, new)
    assert isinstance(done, Done), done
    return done.message


def reaches(world: World, me, host: str, port: int = 22) -> bool:
    return isinstance(world.run(jumps.find_target, me, host, port), JumpTarget)


def forwarding(world: World, *networks) -> None:
    world.store.services = world.services = replace(world.services, forwarding=networks)


@pytest.mark.feature("targets")
def test_what_is_kept(world):
    world.user("ben")
    assert add(world, DB1) == "Target db1 added for everyone in the account."
    web = NewTarget("web", "::FFFF:10.0.0.5", 2200, ("MAIN",), frozenset({SUPPORT}), ("Ben", "ben"))
    assert add(world, web) == "Target web added for practice Main, support, ben."
    db1, kept = world.run(registry.list_targets, OPERATOR).rows
    assert (db1.name, db1.host, db1.port, db1.everyone, db1.by_operator) == (
        *("db1", "db1.clinic.example", 22),
        *(True, True),
    )
    assert (kept.host, kept.port, kept.everyone) == ("10.0.0.5", 2200, False)
    assert (kept.practices, kept.roles, kept.users) == (("Main",), (SUPPORT,), ("ben",))
    assert world.run(registry.show_target, OPERATOR, " WEB ") == kept
    assert world.run(registry.remove_target, OPERATOR, "DB1") == Done("Target db1 removed.")
    assert world.run(registry.show_target, OPERATOR, "db1") == registry.NO_SUCH_TARGET
    assert world.events(last=3) == ["target.added"] * 2 + ["target.removed"]


@pytest.mark.feature("targets")
@pytest.mark.parametrize(
    "wrong",
    [
        replace(DB1, name="1"),
        replace(DB1, host="2130706433"),
        replace(DB1, port=0),
        replace(DB1, name="taken"),
        replace(DB1, practices=("South",)),
        replace(DB1, users=("nobody",)),
        replace(DB1, users=("stranger",)),
    ],
)
def test_what_is_not_added(world, wrong):
    add(world, replace(DB1, name="taken"))
    stranger = lifecycle.NewUser("stranger", "stranger@other.example")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", stranger)
    before = world.dump()
    assert isinstance(world.run(registry.add_target, Operator("root", "Clinic"), wrong), Denied)
    assert world.dump() == before


@pytest.mark.feature("targets")
def test_an_account_has_so_many(world):
    """So lists stay bounded."""
    for number in range(MOST_TARGETS):
        models.Target.insert(
            account=1, name=f"t{number}", host="h", port=22, by_operator=True, everyone=True,
            created_at=world.clock.now,
        ).execute()  # fmt: skip
    assert isinstance(world.run(registry.add_target, OPERATOR, DB1), Denied)


@pytest.mark.feature("targets-addresses")
def test_members_are_bounded(world):
    """A security administrator adds no special address, and is told what cannot be reached yet."""
    world.user("boss", SECURITY)
    boss = world.enrol("boss")
    for host in ("127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"):
        refused = world.run(registry.add_target, boss, replace(DB1, host=host))
        assert "Only the operator on the host can add such a target." in refused.message
    assert "[forwarding] networks in twofold.toml is empty" in add(world, DB1, boss)
    forwarding(world, *PRIVATE)
    assert "192.0.2.1 is not in [forwarding] networks" in add(world, NewTarget("a", "192.0.2.1"), boss)
    assert add(world, NewTarget("b", "10.0.0.5"), boss) == "Target b added for everyone in the account."
    add(world, NewTarget("c", "127.0.0.1"))
    found = world.run(doctor_facts.check_accounts, OPERATOR)
    assert [each.sentence for each in found if "arget" in each.sentence] == [
        "Targets that no one can reach: a."
    ]
    states = {row.name: bool(row.why_unreachable) for row in world.run(registry.list_targets, boss).rows}
    assert states == {"db1": False, "a": True, "b": False, "c": False}


@pytest.mark.feature("targets-granted")
def test_whom_it_is_for(world):
    """Practices, roles and users together; without any of them, everyone in the account and nobody else."""
    world.run(practices.add_practice, OPERATOR, "North")
    members = {}
    for name, *roles in (("ben",), ("kim",), ("sue", SUPPORT), ("tom",)):
        world.user(name, *roles)
        members[name] = world.enrol(name)
    for name in ("kim", "tom"):
        world.run(practices.move_user, OPERATOR, name, "North")
    add(world, NewTarget("all", "10.0.0.1"))
    add(world, NewTarget("some", "10.0.0.2", 22, ("North",), frozenset({SUPPORT}), ("ben",)))
    add(world, NewTarget("hers", "10.0.0.3", users=("sue",)))

    def who(target: str) -> set[str]:
        return {name for name, me in members.items() if reaches(world, me, target)}

    assert (who("all"), who("some"), who("hers")) == (set(members), set(members), {"sue"})
    world.run(role_grants.set_roles, OPERATOR, "sue", frozenset())
    members["sue"] = world.session("sue")
    world.run(practices.move_user, OPERATOR, "kim", "Main")
    assert who("some") == {"ben", "tom"}
    own = world.run(registry.my_targets, members["tom"])
    assert [row.command for row in own.rows] == [
        f"ssh -J tom@ssh.clinic.example:2222 {name}" for name in ("all", "some")
    ]


@pytest.mark.feature("targets-granted")
def test_a_grant_that_goes_opens_it_to_nobody_else(world):
    world.run(practices.add_practice, OPERATOR, "North")
    world.user("ben")
    world.user("kim")
    kim = world.enrol("kim")
    add(world, NewTarget("north", "10.0.0.1", practices=("North",)))
    add(world, NewTarget("bens", "10.0.0.2", users=("ben",)))
    world.run(practices.remove_practice, OPERATOR, "North")
    world.run(deletion.delete_user, OPERATOR, "ben")
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(practices.move_user, OPERATOR, "kim", "North")
    assert not reaches(world, kim, "north")
    assert not reaches(world, kim, "bens")
    rows = world.run(registry.list_targets, OPERATOR).rows
    assert {registry.whom_in_words(row) for row in rows} == {"no one"}


@pytest.mark.feature("targets", "account-walls")
def test_own_targets_say_what_hinders(world):
    world.user("ben")
    world.user("boss", SYSTEM)
    add(world, DB1)
    own = world.run(registry.my_targets, world.session("ben"))
    first = "Set up two-factor authentication first."
    assert ([row.name for row in own.rows], own.hindrance) == (["db1"], first)
    assert world.run(registry.my_targets, world.enrol("boss")).hindrance == ""
    world.run(accounts.add_account, OPERATOR, "Other", "Main", lifecycle.NewUser("x", "x@other.example"))
    assert world.run(registry.list_targets, Operator("root", "Other")).rows == ()
