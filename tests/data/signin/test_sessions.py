"""Open sessions: who sees them, how they end, and what their servers are told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, statements

from data.operations.actors import Member
from data.operations.audit import trail
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, SessionOver
from data.operations.signin import admission, enrolment, sessions
from data.operations.users import credentials, factor_administration, lifecycle, role_grants, user_summaries
from data.rules import public_keys
from data.rules.domain_types import Method, Mode, Role
from data.rules.policy import LONGEST_SESSION, MustChangePassword, MustEnrol
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
FINGERPRINT = public_keys.parse(KEY).fingerprint


def listed(world: World, actor=OPERATOR, **page):
    return world.run(sessions.list_sessions, actor, **page)


def edited(world: World, **fields: str):
    return world.run(lifecycle.edit_user, OPERATOR, "anna", lifecycle.UserChanges(**fields))


def reason(world: World, member: Member) -> str | None:
    return world.run(sessions.ended_among, [member.session_id]).get(member.session_id)


@pytest.mark.feature("session-list")
def test_session_in_the_list(world):
    """It shows who, from where, since when and by which methods."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=5)
    attempt = world.attempt("anna", address="192.0.2.7")
    world.submit(attempt, world.recovery["anna"][0])
    newest = listed(world).rows[0]
    assert (newest.user, newest.application, newest.address) == ("anna", "ssh", "192.0.2.7")
    assert newest.started_at == world.clock.now
    assert newest.methods == "password and recovery code"
    assert not newest.restricted


def test_restricted_session_in_the_list(world):
    """It is shown as such and gains its methods."""
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


@pytest.mark.feature("session-end")
def test_ending_a_session_ends_that_one_and_is_audited(world):
    me = world.person("me", SYSTEM)
    world.user("anna")
    one, other = world.session("anna"), world.session("anna")
    assert isinstance(world.run(sessions.end_session_of, me, one.session_id), Done)
    assert world.run(user_summaries.my_profile, one) == SessionOver(sessions.ENDED_BY_ADMIN)
    assert isinstance(world.run(user_summaries.my_profile, other), user_summaries.Profile)
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


@pytest.mark.feature("session-ended-by")
@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda world: world.run(lifecycle.set_active, OPERATOR, "anna", active=False), "deactivated"),
        (
            lambda world: world.run(role_grants.set_roles, OPERATOR, "anna", frozenset()),
            "removed one of your roles",
        ),
        (lambda world: world.run(factor_administration.clear_two_factor, OPERATOR, "anna"), "cleared"),
        (lambda world: world.run(factor_administration.disable_two_factor, OPERATOR, "anna"), "disabled"),
        (lambda world: world.one_time_password("anna"), "reset your password"),
        (
            lambda world: world.run(credentials.remove_key, OPERATOR, FINGERPRINT, name="anna"),
            "SSH keys was removed",
        ),
        (lambda world: edited(world, email="new@clinic.example"), "second factor was removed"),
        (lambda world: world.lock("anna"), "Locked after seven"),
    ],
    ids=["deactivated", "demoted", "cleared", "disabled", "reset", "key removed", "address", "locked"],
)
def test_acts_that_end_sessions(world, act, told):
    """What is done to a user ends their sessions with the reason."""
    world.methods(*Method)
    world.enrol(world.user("anna", SUPPORT, key=public_keys.parse(KEY)))
    world.enrol_email("anna")
    member, bystander = world.session("anna"), world.session("admin")
    act(world)
    assert told in (reason(world, member) or "")
    assert reason(world, bystander) is None
    assert isinstance(world.run(user_summaries.my_profile, member), SessionOver)


@pytest.mark.parametrize("roles", [frozenset({SUPPORT}), frozenset({SUPPORT, SECURITY})])
def test_who_loses_no_role_keeps_the_session(world, roles):
    member = world.enrol(world.user("anna", SUPPORT))
    world.run(role_grants.set_roles, OPERATOR, "anna", roles)
    assert reason(world, member) is None


@pytest.mark.feature("session-idle")
@pytest.mark.parametrize("longest", [LONGEST_SESSION, timedelta(minutes=90)])
def test_longest_session(world, longest):
    """One that has lasted too long is over, whatever was done in it."""
    world.store.services = replace(world.services, longest_session=longest)
    member = world.session("admin")
    for _ in range(5):
        world.clock.now += longest / 5 - timedelta(seconds=1)
        assert isinstance(world.run(user_summaries.my_profile, member), user_summaries.Profile)
    assert reason(world, member) is None
    world.clock.forward(seconds=5)
    told = f"Signed out: a session lasts at most {longest / timedelta(hours=1):g} hours. Sign in again."
    assert world.run(user_summaries.my_profile, member) == SessionOver(told)
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


def test_one_statement_for_all_sessions(world):
    member = world.session("admin")
    world.run(sessions.end_session, member.session_id)
    with statements(world) as seen:
        over = world.run(sessions.ended_among, range(1, 9_000))
    assert set(over) == {member.session_id}
    assert len([sql for sql in seen if sql.startswith("SELECT")]) == 1


OWN_ACTS = {
    "password": (
        lambda world, me: world.run(credentials.store_password, me, world.services.hasher.hash("x" * 12)),
        "You changed your password. Sign in again.",
    ),
    "key": (
        lambda world, me: world.run(credentials.remove_key, me, FINGERPRINT),
        "One of your SSH keys was removed. Sign in again.",
    ),
    "phone": (
        lambda world, me: world.wizard("anna", me),
        "Your authenticator app was replaced by a new one. Sign in again.",
    ),
    "turned off": (
        lambda world, me: world.run(enrolment.turn_off, me),
        "You turned two-factor authentication off. Sign in again.",
    ),
}


@pytest.mark.feature("session-ended-by")
@pytest.mark.parametrize("by_key", [False, True], ids=["by password", "by key"])
@pytest.mark.parametrize("act", OWN_ACTS)
def test_own_change_ends_the_other_sessions(world, act, by_key):
    """The session in which a user changed a credential goes on."""
    world.enrol(world.user("anna", key=public_keys.parse(KEY)))
    others = [world.session("anna"), Member(signed_in_by_key(world).id)]
    me = Member(signed_in_by_key(world).id) if by_key else world.session("anna")
    bystander = world.session("admin")
    change, told = OWN_ACTS[act]
    change(world, me)
    assert [reason(world, other) for other in others] == [told, told]
    assert reason(world, me) is None
    assert reason(world, bystander) is None
    assert isinstance(world.run(user_summaries.my_profile, me), user_summaries.Profile)
    for other in others:
        assert world.run(user_summaries.my_profile, other) == SessionOver(told)


def signed_in_by_key(world: World):
    needed = world.first_by_key("anna", FINGERPRINT)
    return world.submit(needed.attempt, world.live_code("anna")).session


@pytest.mark.feature("session-judged")
@pytest.mark.parametrize("role", Role)
def test_new_role_ends_sessions_without_factor(world, role):
    """The next session sets the second factor up."""
    anna = world.person("anna")
    world.run(role_grants.set_roles, OPERATOR, "anna", frozenset({role}))
    told = "You must now set up two-factor authentication. Sign in again."
    assert reason(world, anna) == told
    assert world.run(factor_administration.clear_two_factor, anna, "admin") == SessionOver(told)
    world.run(role_grants.set_roles, OPERATOR, "anna", frozenset())
    assert world.run(user_summaries.my_profile, anna) == SessionOver(told)
    world.run(role_grants.set_roles, OPERATOR, "anna", frozenset({role}))
    assert world.restricted("anna", MustEnrol)


@pytest.mark.feature("session-judged")
def test_judged_without_being_ended(world):
    """The rules are asked in each operation: whatever changed, and whoever forgot to end the session."""
    anna = world.person("anna")
    world.mode(Mode.REQUIRED)
    over = SessionOver("You must now set up two-factor authentication. Sign in again.")
    assert world.run(user_summaries.my_profile, anna) == over
    world.mode(Mode.OPTIONAL)
    assert isinstance(world.run(user_summaries.my_profile, anna), user_summaries.Profile)


@pytest.mark.feature("session-judged")
def test_session_of_a_remembered_address(world):
    """It goes on while the address is remembered."""
    world.run(policy_settings.set_remember_days, OPERATOR, 1, seen=0)
    world.enrol(world.user("anna"))
    world.submit(world.attempt("anna"), world.live_code("anna"))
    by_address = [Member(world.first("anna").session.id) for _ in range(2)]
    by_code = world.session("anna", address="192.0.2.2")
    assert isinstance(world.run(user_summaries.my_profile, by_address[0]), user_summaries.Profile)
    world.run(credentials.confirm_fresh_code, by_address[1], world.live_code("anna"))
    world.run(factor_administration.forget_addresses, OPERATOR, "anna")
    told = "You must now enter a code. Sign in again."
    assert [reason(world, one) for one in (*by_address, by_code)] == [told, None, None]
    world.submit(world.attempt("anna"), world.live_code("anna"))
    world.clock.forward(hours=20)
    later = Member(world.first("anna").session.id)
    by_code = world.session("anna", address="192.0.2.2")
    world.clock.forward(hours=5)
    assert world.run(user_summaries.my_profile, later) == SessionOver(told)
    assert isinstance(world.run(user_summaries.my_profile, by_code), user_summaries.Profile)


@pytest.mark.feature("own-sessions")
def test_own_sessions(world):
    """They are listed, and ended one or all, and that is audited."""
    world.user("anna")
    me, one, two, three = (world.session("anna", address=f"192.0.2.{n}") for n in (1, 2, 3, 3))
    stranger = world.session("admin")
    page = world.run(user_summaries.my_profile, me).sessions
    assert [(row.address, row.mine) for row in page.rows] == [
        ("192.0.2.3", False),
        ("192.0.2.3", False),
        ("192.0.2.2", False),
        ("192.0.2.1", True),
    ]
    assert isinstance(world.run(sessions.end_my_sessions, me, me.session_id), Denied)
    assert isinstance(world.run(sessions.end_my_sessions, me, stranger.session_id), Denied)
    assert world.run(sessions.end_my_sessions, me, one.session_id) == Done("Ended 1 other session.")
    told = "You ended this session from another of your sessions."
    assert [reason(world, each) for each in (me, one, two, three)] == [None, told, None, None]
    assert world.run(sessions.end_my_sessions, me) == Done("Ended 2 other sessions.")
    assert [reason(world, each) for each in (me, two, three, stranger)] == [None, told, told, None]
    assert isinstance(world.run(sessions.end_my_sessions, me), Denied)
    entry = trail.entries(1, trail.Filter(user="anna"), limit=1)[0]
    assert entry.sentence == "Ended 2 sessions of their own (ssh 192.0.2.3)"


def test_sessions_that_end_together(world):
    """Each is recorded and audited once, whatever is named twice, has ended or was never there."""
    members = [world.session(world.user(name)) for name in ("anna", "bob", "carl")]
    world.run(sessions.end_session, members[2].session_id)
    ids = [member.session_id for member in members]
    world.run(sessions.end_sessions, [*ids, ids[0], 999])
    world.run(sessions.end_sessions, ids)
    assert world.events().count("signin.ended") == 3
    assert [world.events(user=name, last=1) for name in ("anna", "bob", "carl")] == [["signin.ended"]] * 3
    assert listed(world).total == 0
