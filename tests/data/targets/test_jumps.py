"""Jumps: what a client asks for is found as text, opened, counted, and closed when the rules refuse it."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, statements

from data.operations.actors import Member
from data.operations.audit import trail
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done
from data.operations.signin import enrolment, sessions, worker_sessions
from data.operations.targets import jumps, registry
from data.operations.targets.jumps import JumpTarget, NotAmongTargets
from data.operations.users import factor_administration, lifecycle, practices, role_grants
from data.rules.domain_types import Mode
from data.rules.policy import MustChangePassword, MustEnrol
from data.rules.targets import NewTarget
from data.storage import models

DB1 = NewTarget("db1", "db1.clinic.example")
WEB1 = NewTarget("web1", "10.0.0.5", 2200)
SIGN_IN = "ssh -p 2222 {}@ssh.clinic.example"


@pytest.fixture
def ben(world) -> Member:
    """A user with two targets, signed in with a code."""
    for new in (DB1, WEB1):
        assert isinstance(world.run(registry.add_target, OPERATOR, new), Done)
    world.user("ben")
    return world.enrol("ben")


def opened(world: World, me: Member, name: str = "db1") -> int:
    port = 22 if name == "db1" else 2200
    found = world.run(jumps.find_target, me, name, port)
    assert isinstance(found, JumpTarget), found
    jump_id = world.run(jumps.open_jump, me, found, "10.0.0.9")
    assert isinstance(jump_id, int), jump_id
    return jump_id


@pytest.mark.feature("targets-refusals")
def test_matched_as_text(world, ben):
    """By name or host, folded, with the port; nothing else is found, and it is said what there is."""
    for asked in ("db1", " DB1", "db1.clinic.example", "DB1.CLINIC.EXAMPLE."):
        assert world.run(jumps.find_target, ben, asked, 22).name == "db1"
    for asked in ("web1", "10.0.0.5", "::ffff:10.0.0.5"):
        assert world.run(jumps.find_target, ben, asked, 2200).host == "10.0.0.5"
    for asked, port in (("db9", 22), ("db1", 23), ("web1", 22), ("10.5", 2200), ("167772165", 2200)):
        told = world.run(jumps.find_target, ben, asked, port)
        assert told == NotAmongTargets(f"{asked}:{port} is not among your targets: db1, web1:2200.")
    endless = world.run(jumps.find_target, ben, "\x1b" * 100_000, 2**32 - 1)
    assert endless.message.startswith("\\x1b\\x1b")
    assert len(endless.message) < 200


@pytest.mark.feature("targets-refusals")
def test_a_name_goes_before_a_host_and_the_operators_before_others(world, ben):
    world.user("boss", SECURITY)
    world.run(registry.add_target, world.enrol("boss"), NewTarget("a", "same.example"))
    world.run(registry.add_target, OPERATOR, NewTarget("b", "same.example"))
    world.run(registry.add_target, OPERATOR, NewTarget("c", "db1"))
    assert world.run(jumps.find_target, ben, "same.example", 22).name == "b"
    assert world.run(jumps.find_target, ben, "a", 22).name == "a"
    assert world.run(jumps.find_target, ben, "db1", 22).name == "db1"


@pytest.mark.feature("jumps-both-factors", "targets-refusals")
def test_what_must_be_done_first(world, ben):
    """Whoever has not signed in with both factors is told what to do, since a jump has no screen."""
    world.user("fresh", one_time=True)
    world.user("chief", SYSTEM)
    world.user("free")
    told = {
        world.run(jumps.find_target, me, "db1", 22).message
        for me in (
            Member(world.restricted("fresh", MustChangePassword).id),
            Member(world.restricted("chief", MustEnrol).id),
            world.session("free"),
        )
    }
    assert told == {
        f"Change your password first: {SIGN_IN.format('fresh')}",
        f"Set up two-factor authentication first: {SIGN_IN.format('chief')}",
        f"Set up two-factor authentication first: {SIGN_IN.format('free')}",
    }
    world.lock("ben")
    locked = world.run(jumps.find_target, ben, "db1", 22).message
    assert locked == "Locked after seven wrong codes. Ask a system administrator to unlock you."
    world.store.services = replace(world.services, ssh=None)
    unknown = world.run(jumps.find_target, world.session("free"), "db1", 22).message
    assert unknown == "Set up two-factor authentication first: sign in over SSH, without -J."


@pytest.mark.feature("jumps-both-factors")
def test_a_remembered_address_counts(world, ben):
    """A code was given there; without one, in the mode off, nobody jumps."""
    world.run(policy_settings.set_remember_days, OPERATOR, 7, seen=0)
    world.session("ben")
    world.clock.forward(minutes=10)
    again = world.first("ben")
    remembered = Member(again.session.id)
    assert models.Session.get_by_id(remembered.session_id).code_at is None
    assert isinstance(world.run(jumps.find_target, remembered, "db1", 22), JumpTarget)
    world.mode(Mode.OFF)
    assert "not available" in world.run(jumps.find_target, ben, "db1", 22).message


@pytest.mark.feature("jumps-kept")
def test_opened_counted_and_closed(world, ben):
    jump_id = opened(world, ben)
    world.run(jumps.note_bytes, {jump_id: (10, 20), 99: (1, 1)})
    row = models.Jump.get_by_id(jump_id)
    assert (row.session_id, row.name, row.address, row.port) == (ben.session_id, "db1", "10.0.0.9", 22)
    assert (row.sent, row.received, row.opened_at) == (10, 20, world.clock.now)
    assert world.run(jumps.jumps_to_close, [jump_id]) == {}
    world.clock.forward(seconds=90)
    for _ in range(2):
        world.run(jumps.close_jump, jump_id, 2**40, 1, "closed by the client")
    assert models.Jump.select().count() == 0
    closed, opening = world.run(trail.list_entries, OPERATOR, trail.Filter(event="jump"))
    assert (opening.actor, opening.user, opening.address) == ("ben", "ben", "192.0.2.1")
    assert opening.sentence == "Jump to db1 opened: 10.0.0.9, port 22"
    assert closed.sentence == (
        "Jump to db1 closed after 90 seconds, 1099511627776 bytes sent, 1 byte received: closed by the client"
    )


@pytest.mark.feature("targets-addresses")
def test_a_number_is_not_given_again(world, ben):
    """The audit log has it, and a server may close a jump twice when it does not know whether it did."""
    first = opened(world, ben)
    world.run(jumps.close_jump, first, 0, 0, "the client left")
    second = opened(world, ben)
    assert second != first
    world.run(jumps.close_jump, first, 0, 0, "the client left")
    assert world.run(jumps.jumps_to_close, [second]) == {}


def test_everything_is_decided_again(world, ben):
    """What changed between finding a target and dialling it counts, and so does the address."""
    found = world.run(jumps.find_target, ben, "db1", 22)
    world.run(registry.remove_target, OPERATOR, "db1")
    world.run(registry.add_target, OPERATOR, replace(DB1, host="elsewhere.example"))
    gone = Denied("db1 is no longer among your targets.")
    assert world.run(jumps.open_jump, ben, found, "10.0.0.9") == gone
    world.user("boss", SECURITY)
    boss = world.enrol("boss")
    world.store.services = world.services = replace(world.services, forwarding=(ip_network("10.0.0.0/8"),))
    world.run(registry.add_target, boss, NewTarget("theirs", "theirs.example"))
    theirs = world.run(jumps.find_target, ben, "theirs", 22)
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "192.0.2.1", "64:ff9b::169.254.169.254", "x"):
        assert isinstance(world.run(jumps.open_jump, ben, theirs, address), Denied)
    assert models.Jump.select().count() == 0
    assert isinstance(world.run(jumps.open_jump, ben, theirs, "10.0.0.9"), int)


def move(world: World) -> None:
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(practices.move_user, OPERATOR, "ben", "North")


ENDS = {
    "removed": lambda world, me: world.run(registry.remove_target, OPERATOR, "own"),
    "moved": lambda world, me: move(world),
    "locked": lambda world, me: world.lock("ben"),
    "deactivated": lambda world, me: world.run(lifecycle.set_active, OPERATOR, "ben", active=False),
    "cleared": lambda world, me: world.run(factor_administration.clear_two_factor, OPERATOR, "ben"),
    "turned off by oneself": lambda world, me: world.run(enrolment.turn_off, me),
    "mode off": lambda world, me: world.mode(Mode.OFF),
    "session ended": lambda world, me: world.run(sessions.end_session_of, OPERATOR, me.session_id),
    "too long": lambda world, me: world.clock.forward(hours=13),
    "closed elsewhere": lambda world, me: models.Jump.delete().execute(),
}


@pytest.mark.feature("jumps-kept")
@pytest.mark.parametrize("end", ENDS)
def test_what_ends_it(world, ben, end):
    """Whatever makes the rules refuse a jump has it closed, with a reason; that of another stays open."""
    world.run(registry.add_target, OPERATOR, NewTarget("own", "10.0.0.7", practices=("Main",)))
    world.user("kim")
    kim = world.enrol("kim")
    theirs = opened(world, kim)
    found = world.run(jumps.find_target, ben, "own", 22)
    mine = world.run(jumps.open_jump, ben, found, "10.0.0.7")
    assert world.run(jumps.jumps_to_close, [mine, theirs]) == {}
    ENDS[end](world, ben)
    over = world.run(jumps.jumps_to_close, [mine, theirs])
    assert over[mine]
    if end not in ("mode off", "too long", "closed elsewhere"):
        assert theirs not in over


@pytest.mark.feature("jumps-kept", "targets-granted")
def test_a_role_that_is_taken_ends_it(world, ben):
    world.user("sue", SUPPORT)
    sue = world.enrol("sue")
    world.run(registry.add_target, OPERATOR, NewTarget("help", "10.0.0.7", roles=frozenset({SUPPORT})))
    found = world.run(jumps.find_target, sue, "help", 22)
    jump_id = world.run(jumps.open_jump, sue, found, "10.0.0.7")
    world.run(role_grants.set_roles, OPERATOR, "sue", frozenset())
    assert jump_id in world.run(jumps.jumps_to_close, [jump_id])


def held_by(world: World, worker: str) -> None:
    """Have a worker serve, and hold all sessions."""
    world.run(worker_sessions.beat, worker, "node")
    models.Session.update(worker=worker).execute()


@pytest.mark.feature("jumps-kept")
def test_what_a_dead_server_left(world, ben):
    """A jump whose session ended is its server's to close for a minute; then anyone does."""
    held_by(world, "one")
    jump_id = opened(world, ben)
    world.run(jumps.note_bytes, {jump_id: (10, 20)})
    assert world.run(jumps.close_abandoned) == 0
    world.run(sessions.end_session_of, OPERATOR, ben.session_id)
    assert world.run(jumps.close_abandoned) == 0
    assert not world.run(jumps.has_abandoned)
    world.clock.forward(minutes=2)
    assert world.run(jumps.has_abandoned)
    assert world.run(jumps.close_abandoned) == 1
    assert not world.run(jumps.has_abandoned)
    assert world.events(last=1) == ["jump.closed"]
    (closed,) = world.run(trail.list_entries, OPERATOR, trail.Filter(event="jump.closed"))
    assert (closed.detail["sent"], closed.detail["received"]) == (10, 20)


@pytest.mark.feature("jumps-kept")
def test_what_a_worker_left_that_is_gone(world, ben):
    """Nobody else closes it, so that it is closed as soon as that is known."""
    held_by(world, "one")
    opened(world, ben)
    world.run(sessions.end_session_of, OPERATOR, ben.session_id)
    assert world.run(jumps.close_abandoned) == 0
    world.run(worker_sessions.take_node, "node")
    assert world.run(jumps.has_abandoned)
    assert world.run(jumps.close_abandoned) == 1
    assert models.Jump.select().count() == 0


@pytest.mark.feature("jumps-kept")
def test_the_look_costs_a_session_not_a_jump(world, ben):
    """It runs every few seconds."""
    one = [opened(world, ben)]
    many = one + [opened(world, ben, "web1") for _ in range(20)]
    counts = []
    for asked in (one, many):
        with statements(world) as seen:
            assert jumps_of(world, asked) == {}
        counts.append(len(seen))
    assert counts[0] == counts[1]


def jumps_of(world: World, asked: list[int]) -> dict[int, str]:
    return world.run(jumps.jumps_to_close, asked)
