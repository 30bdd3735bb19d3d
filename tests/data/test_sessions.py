"""Open sessions: who sees them, how they end, and what their servers are told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.data_world import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, statements

from data.operations.actors import Member
from data.operations.people import credentials, directory, granting, reading, two_factor
from data.operations.results import Denied, Done, SessionOver
from data.operations.signing_in import admission, sessions
from data.rules.policy import MustChangePassword
from data.rules.sessions import LONGEST
from data.storage import models


def listed(world: World, actor=OPERATOR, **page):
    return world.run(sessions.list_sessions, actor, **page)


def reason(world: World, member: Member) -> str | None:
    return world.run(sessions.ended_among, [member.session_id]).get(member.session_id)


def test_a_session_is_listed_with_who_from_where_since_when_and_by_which_methods(world):
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=5)
    attempt = world.attempt("anna", address="192.0.2.7")
    world.submit(attempt, world.recovery["anna"][0])
    newest = listed(world).rows[0]
    assert (newest.user, newest.application, newest.address) == ("anna", "ssh", "192.0.2.7")
    assert newest.started_at == world.clock.now
    assert newest.methods == "password and recovery code"
    assert not newest.restricted


def test_a_restricted_session_is_listed_as_such_and_gains_its_methods(world):
    world.enrol(world.user("anna"))
    world.one_time_password("anna")
    session = world.restricted("anna", MustChangePassword)
    row = listed(world).rows[0]
    assert (row.id, row.restricted, row.methods) == (session.id, True, "password")
    world.run(credentials.store_password, Member(session.id), world.services.hasher.hash("x" * 12))
    waiting = world.run(admission.advance, session.id).session
    world.submit(waiting.attempt, world.live_code("anna"))
    row = listed(world).rows[0]
    assert (row.id, row.restricted, row.methods) == (session.id, False, "password and code")


def test_pages_follow_each_other_without_gaps(world):
    world.user("anna")
    made = [world.session("anna").session_id for _ in range(7)]
    first = listed(world, limit=3)
    second = listed(world, before=first.rows[-1].id, limit=3)
    third = listed(world, before=second.rows[-1].id, limit=3)
    assert [row.id for page in (first, second, third) for row in page.rows] == made[::-1]
    assert (first.more, second.more, third.more, first.total) == (True, True, False, 7)


def test_ending_a_session_ends_that_one_and_is_audited(world):
    me = world.person("me", SYSTEM)
    world.user("anna")
    one, other = world.session("anna"), world.session("anna")
    assert isinstance(world.run(sessions.end_session_of, me, one.session_id), Done)
    assert world.run(reading.my_profile, one) == SessionOver(sessions.ENDED_BY_ADMIN)
    assert isinstance(world.run(reading.my_profile, other), reading.Profile)
    assert reason(world, one) == sessions.ENDED_BY_ADMIN
    assert reason(world, other) is None
    assert world.events(user="anna", last=1) == ["session.ended"]
    assert isinstance(world.run(sessions.end_session_of, me, one.session_id), Denied)
    assert isinstance(world.run(sessions.end_session_of, me, 4711), Denied)


def test_nobody_ends_the_session_they_are_in(world):
    me = world.person("me", SYSTEM)
    result = world.run(sessions.end_session_of, me, me.session_id)
    assert isinstance(result, Denied)
    assert "Sign out" in result.message


def test_sessions_of_another_account_are_out_of_reach(world):
    me = world.person("me", SYSTEM)
    world.user("stranger")
    theirs = world.session("stranger")
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    world.set("stranger", account=other, practice=models.Practice.create(account=other, name="Main"))
    assert {row.user for row in listed(world, me).rows} == {"me"}
    assert isinstance(world.run(sessions.end_session_of, me, theirs.session_id), Denied)
    assert reason(world, theirs) is None


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda world: world.run(directory.set_active, OPERATOR, "anna", active=False), "deactivated"),
        (lambda world: world.run(granting.set_roles, OPERATOR, "anna", frozenset()), "took a role"),
        (lambda world: world.run(two_factor.clear_two_factor, OPERATOR, "anna"), "cleared"),
        (lambda world: world.lock("anna"), "Locked after seven"),
    ],
    ids=["deactivated", "demoted", "cleared", "locked"],
)
def test_what_is_done_to_a_user_ends_their_sessions_with_the_reason(world, act, told):
    world.enrol(world.user("anna", SUPPORT))
    member, bystander = world.session("anna"), world.session("admin")
    act(world)
    assert told in (reason(world, member) or "")
    assert reason(world, bystander) is None
    assert isinstance(world.run(reading.my_profile, member), SessionOver)


@pytest.mark.parametrize("roles", [frozenset({SUPPORT}), frozenset({SUPPORT, SECURITY})])
def test_who_loses_no_role_keeps_the_session(world, roles):
    member = world.enrol(world.user("anna", SUPPORT))
    world.run(granting.set_roles, OPERATOR, "anna", roles)
    assert reason(world, member) is None


@pytest.mark.parametrize("longest", [LONGEST, timedelta(minutes=90)])
def test_a_session_that_has_lasted_too_long_is_over_whatever_was_done_in_it(world, longest):
    world.store.services = replace(world.services, longest_session=longest)
    member = world.session("admin")
    for _ in range(5):
        world.clock.now += longest / 5 - timedelta(seconds=1)
        assert isinstance(world.run(reading.my_profile, member), reading.Profile)
    assert reason(world, member) is None
    world.clock.forward(seconds=5)
    told = f"Signed out: a session lasts {longest / timedelta(hours=1):g} hours at most. Sign in again."
    assert world.run(reading.my_profile, member) == SessionOver(told)
    assert world.run(sessions.list_sessions, member) == SessionOver(told)
    assert reason(world, member) == told


def test_a_restricted_session_began_when_it_was_opened(world):
    world.enrol(world.user("anna"))
    world.one_time_password("anna")
    begun = world.restricted("anna", MustChangePassword)
    world.clock.forward(minutes=5)
    world.run(credentials.store_password, Member(begun.id), world.services.hasher.hash("x" * 12))
    advanced = world.run(admission.advance, begun.id)
    assert advanced.session.started_at == begun.started_at == world.clock.now - timedelta(minutes=5)


def test_one_statement_asks_about_all_sessions_of_a_server(world):
    member = world.session("admin")
    world.run(sessions.end_session, member.session_id)
    with statements(world) as seen:
        over = world.run(sessions.ended_among, range(1, 9_000))
    assert set(over) == {member.session_id}
    assert len([sql for sql in seen if sql.startswith("SELECT")]) == 1
