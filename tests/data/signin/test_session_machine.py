"""Sessions of every kind while everything changes: none acts that the rules would not admit now."""

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from support.database import BOTH, OPERATOR, SECURITY, SUPPORT, SYSTEM, PassingWorld, undone

from data.operations.actors import Member, facts_of, policy_of, roles_of
from data.operations.audit import trail
from data.operations.guards import FRESH_FOR
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded, SessionOver
from data.operations.signin import admission, enrolment, remembered_addresses, sessions
from data.operations.signin.admission import Admitted
from data.operations.signin.enrolment import PendingApp
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import (
    credentials,
    factor_administration,
    lifecycle,
    practices,
    role_grants,
    user_summaries,
)
from data.operations.users.user_search import UserQuery
from data.rules import public_keys
from data.rules.domain_types import FirstFactor, Mode, Proof
from data.rules.policy import MustChangePassword, MustEnrol, SignedIn, next_step
from data.storage import models

KEYS = {
    "anna": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna",
    "ben": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ben",
}
ROLES = [frozenset(), frozenset({SUPPORT}), frozenset({SYSTEM}), frozenset({SECURITY}), BOTH]
names = st.sampled_from(sorted(KEYS))
addresses = st.sampled_from(["192.0.2.1", "192.0.2.2"])

READING = {
    "list users": lambda world, me, name: world.run(user_summaries.list_users, me, UserQuery()),
    "see a user": lambda world, me, name: world.run(user_summaries.user_detail, me, name),
    "list sessions": lambda world, me, name: world.run(sessions.list_sessions, me),
    "read the log": lambda world, me, name: world.run(trail.list_entries, me, trail.Filter()),
}
PLAIN = {
    "edit a name": lambda world, me, name: world.run(
        lifecycle.edit_user, me, name, lifecycle.UserChanges(full_name=f"{world.clock.now}")
    ),
    "require": lambda world, me, name: world.run(factor_administration.set_required, me, name, required=True),
    "forget addresses": lambda world, me, name: world.run(factor_administration.forget_addresses, me, name),
    "deactivate": lambda world, me, name: world.run(lifecycle.set_active, me, name, active=False),
    "add a practice": lambda world, me, name: world.run(practices.add_practice, me, f"{world.clock.now}"),
}
SENSITIVE = {
    "require no more": lambda world, me, name: world.run(
        factor_administration.set_required, me, name, required=False
    ),
    "clear": lambda world, me, name: world.run(factor_administration.clear_two_factor, me, name),
    "disable": lambda world, me, name: world.run(factor_administration.disable_two_factor, me, name),
    "unlock": lambda world, me, name: world.run(factor_administration.unlock, me, name, "a slip"),
    "activate": lambda world, me, name: world.run(lifecycle.set_active, me, name, active=True),
    "reset the password": lambda world, me, name: world.one_time_password(name, me),
    "add the key": lambda world, me, name: world.run(credentials.add_key, me, KEYS[name], name=name),
    "remove the key": lambda world, me, name: world.run(
        credentials.remove_key, me, public_keys.parse(KEYS[name]).fingerprint, name=name
    ),
    "create a user": lambda world, me, name: world.run(
        lifecycle.create_user,
        me,
        lifecycle.NewUser(f"n{models.User.select().count()}", f"n{models.User.select().count()}@x.example"),
    ),
}
OWN = {
    "see oneself": lambda world, me: world.run(user_summaries.my_profile, me),
    "forget my addresses": lambda world, me: world.run(remembered_addresses.forget_my_addresses, me),
    "turn off": lambda world, me: world.run(enrolment.turn_off, me),
    "change my password": lambda world, me: world.run(
        credentials.store_password, me, world.row("admin").password_hash
    ),
}
REFUSED = Denied | SessionOver | FreshProofNeeded


class SessionMachine(RuleBasedStateMachine):
    opened = Bundle("opened")
    server = None

    def __init__(self):
        super().__init__()
        self.world = PassingWorld(self.server)
        self.world.run(policy_settings.set_remember_days, OPERATOR, 7, seen=0)
        for name, key in KEYS.items():
            self.world.user(name, key=public_keys.parse(key))
        self.code_at = {}
        """When a code was last given in a session, by its number; not of factors that were removed since."""
        self.world.run(role_grants.set_roles, OPERATOR, "anna", BOTH)
        self.gave_code(self.world.session("anna").session_id)

    def teardown(self):
        self.world.close()

    # The oracle

    def is_signed_in(self, session_id: int) -> bool:
        """Whether the rules would call a session signed in now, by what was proven in it."""
        row = models.Session.get_by_id(session_id)
        user = models.User.get_by_id(row.user_id)
        addresses = models.RememberedAddress.select().where(
            (models.RememberedAddress.user == user.id)
            & (models.RememberedAddress.address == row.address)
            & (models.RememberedAddress.credential == row.credential)
        )
        proof = Proof(FirstFactor(row.first_factor), session_id in self.code_at, addresses.exists())
        return (
            next_step(policy_of(user.account), self.world.run(facts_of, user), proof, self.world.clock.now)
            == SignedIn()
        )

    def is_fresh(self, session_id: int) -> bool:
        """Whether a code was given in a session in the last five minutes."""
        given = self.code_at.get(session_id)
        return given is not None and timedelta(0) <= self.world.clock.now - given <= FRESH_FOR

    def gave_code(self, session_id: int) -> None:
        self.code_at[session_id] = self.world.clock.now

    def note(self, session_id: int, name: str, result: object, *, roles: frozenset, proven: bool) -> None:
        """Look whether something that was done was done in a session that may do it."""
        if not isinstance(result, REFUSED):
            assert self.was_signed_in, (name, result)
            assert roles, (name, result)
            assert self.is_fresh(session_id) or not proven, (name, result)

    # Signing in

    @rule(target=opened, name=names, address=addresses, by_key=st.booleans())
    def sign_in(self, name, address, by_key):
        if by_key:
            fingerprint = public_keys.parse(KEYS[name]).fingerprint
            result = self.world.first_by_key(name, fingerprint, address=address)
        else:
            result = self.world.first(name, address=address)
        coded = isinstance(result, CodeNeeded)
        if coded:
            result = self.world.submit(result.attempt, self.world.live_code(name))
        if not isinstance(result, Admitted):
            return multiple()
        if coded:
            self.gave_code(result.session.id)
        return (name, result.session.id)

    @rule(session=opened)
    def go_on(self, session):
        """Do what a restricted session is for, or set two-factor authentication up, or replace it."""
        name, session_id = session
        me = Member(session_id)
        step = self.world.run(admission.advance, session_id)
        asked = step.session.step if isinstance(step, Admitted) else None
        if isinstance(asked, MustChangePassword):
            self.world.run(credentials.store_password, me, self.world.row("admin").password_hash)
        elif isinstance(asked, MustEnrol | SignedIn):
            if isinstance(self.world.run(enrolment.begin_app, me), PendingApp):
                self.world.wizard(name, me)
                self.gave_code(session_id)
        elif asked is not None:
            given = self.world.submit(step.session.attempt, self.world.live_code(name))
            if isinstance(given, Admitted):
                self.gave_code(session_id)
        self.world.run(admission.advance, session_id)

    @rule(session=opened)
    def give_a_fresh_code(self, session):
        name, session_id = session
        if models.Factor.select().where(models.Factor.user == self.world.row(name).id).exists():
            code = self.world.live_code(name)
            if isinstance(self.world.run(credentials.confirm_fresh_code, Member(session_id), code), Done):
                self.gave_code(session_id)

    @rule(session=opened)
    def give_the_password(self, session):
        name, session_id = session
        credential = self.world.row(name).credential
        self.world.run(credentials._mark_fresh_by_password, Member(session_id), credential)

    # Acting

    @rule(session=opened, other=names, act=st.sampled_from(sorted({**READING, **PLAIN, **SENSITIVE})))
    def act_on_others(self, session, other, act):
        name, session_id = session
        roles = roles_of(self.world.row(name))
        self.was_signed_in = self.is_signed_in(session_id)
        perform = {**READING, **PLAIN, **SENSITIVE}[act]
        result = perform(self.world, Member(session_id), other)
        self.note(session_id, act, result, roles=roles, proven=act in SENSITIVE)

    @rule(session=opened, other=names, roles=st.sampled_from(ROLES))
    def grant(self, session, other, roles):
        name, session_id = session
        held = roles_of(self.world.row(name))
        self.was_signed_in = self.is_signed_in(session_id)
        result = self.world.run(role_grants.set_roles, Member(session_id), other, roles)
        self.note(session_id, "grant", result, roles=held, proven=True)

    @rule(session=opened, mode=st.sampled_from([Mode.OFF, Mode.OPTIONAL, Mode.REQUIRED]))
    def change_the_mode(self, session, mode):
        name, session_id = session
        held = roles_of(self.world.row(name))
        self.was_signed_in = self.is_signed_in(session_id)
        seen = Mode(models.Account.get().mode)
        result = self.world.run(policy_settings.set_mode, Member(session_id), mode, seen=seen)
        self.note(session_id, "mode", result, roles=held, proven=True)

    @rule(session=opened, act=st.sampled_from(sorted(OWN)))
    def act_on_oneself(self, session, act):
        _, session_id = session
        signed_in = self.is_signed_in(session_id)
        restricted = models.Session.get_by_id(session_id).restricted
        result = OWN[act](self.world, Member(session_id))
        assert isinstance(result, REFUSED) or signed_in or (restricted and act == "change my password")

    # What the operator and the clock do

    @rule(name=names, act=st.sampled_from(sorted({**PLAIN, **SENSITIVE})))
    def the_operator_acts(self, name, act):
        {**PLAIN, **SENSITIVE}[act](self.world, OPERATOR, name)

    @rule(name=names, roles=st.sampled_from(ROLES))
    def the_operator_grants(self, name, roles):
        self.world.run(role_grants.set_roles, OPERATOR, name, roles)

    @rule(mode=st.sampled_from([Mode.OFF, Mode.OPTIONAL, Mode.REQUIRED]))
    def the_operator_changes_the_mode(self, mode):
        self.world.run(policy_settings.set_mode, OPERATOR, mode, seen=Mode(models.Account.get().mode))

    @rule(days=st.sampled_from([0, 7, 7]))
    def the_operator_changes_what_is_remembered(self, days):
        self.world.run(
            policy_settings.set_remember_days, OPERATOR, days, seen=models.Account.get().remember_days
        )

    @rule(minutes=st.sampled_from([1, 4, 6]))
    def let_time_pass(self, minutes):
        self.world.clock.forward(minutes=minutes)

    # What must hold

    @invariant()
    def codes_are_of_factors_that_are_there(self):
        for row in models.Session.select():
            if not models.Factor.select().where(models.Factor.user == row.user_id).exists():
                self.code_at.pop(row.id, None)

    @invariant()
    def every_open_session_would_be_admitted_now(self):
        open_ones = models.Session.select().where(
            models.Session.ended_at.is_null() & ~models.Session.restricted
        )
        for row in open_ones:
            assert self.is_signed_in(row.id), (row.user.name, row.methods)

    @invariant()
    def the_newest_sessions_act_on_others_just_as_they_may(self):
        for row in models.Session.select().order_by(models.Session.id.desc()).limit(3):
            roles = roles_of(models.User.get_by_id(row.user_id))
            full = row.ended_at is None and not row.restricted and self.is_signed_in(row.id)
            with undone(self.world):
                seen = READING["list users"](self.world, Member(row.id), "anna")
                made = SENSITIVE["create a user"](self.world, Member(row.id), "anna")
            assert isinstance(seen, user_summaries.UserPage) == (full and bool(roles)), (row.methods, seen)
            assert isinstance(made, Done) == (full and SYSTEM in roles and self.is_fresh(row.id)), made

    @invariant()
    def every_session_that_ended_says_why(self):
        ended = models.Session.select().where(models.Session.ended_at.is_null(False))
        assert all(row.ended_because for row in ended)


@pytest.mark.timeout(600)
class TestSessions(SessionMachine.TestCase):
    settings = settings(max_examples=10, stateful_step_count=30)


@pytest.mark.timeout(600)
class TestSessionsOnPostgresql(SessionMachine.TestCase):
    settings = settings(max_examples=3, stateful_step_count=30)

    @pytest.fixture(autouse=True)
    def on_a_server(self, postgresql, monkeypatch):
        monkeypatch.setattr(SessionMachine, "server", postgresql)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestManySessions(SessionMachine.TestCase):
    settings = settings(max_examples=200, stateful_step_count=40)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestManySessionsOnPostgresql(TestSessionsOnPostgresql):
    settings = settings(max_examples=80, stateful_step_count=40)
