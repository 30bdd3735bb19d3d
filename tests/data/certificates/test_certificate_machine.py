"""Certificates while everything changes: none is issued or stays good that the rules refuse."""

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from support.database import OPERATOR, SECURITY, SYSTEM, PassingWorld, undone

from data.operations.actors import Member
from data.operations.certificates import authorities
from data.operations.certificates.issuing import IssuedCertificate, issue_certificate
from data.operations.policy import policy_settings
from data.operations.results import Done
from data.operations.signin import enrolment, sessions
from data.operations.signin.admission import Admitted
from data.operations.signin.enrolment import PendingApp
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import (
    credentials,
    factor_administration,
    lifecycle,
    practices,
    principals,
    role_grants,
)
from data.rules import public_keys
from data.rules.domain_types import Method, Mode
from data.storage import models

KEYS = {
    "anna": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna",
    "ben": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ben",
}
FRESH = timedelta(minutes=5)
names = st.sampled_from(sorted(KEYS))
given = st.sampled_from(["deploy", "web", "root"])
there = st.sampled_from(["Main", "North"])


def fingerprint(name: str) -> str:
    return public_keys.parse(KEYS[name]).fingerprint


ON_USER = {
    "deactivate": lambda world, me, name: world.run(lifecycle.set_active, me, name, active=False),
    "activate": lambda world, me, name: world.run(lifecycle.set_active, me, name, active=True),
    "clear": lambda world, me, name: world.run(factor_administration.clear_two_factor, me, name),
    "disable": lambda world, me, name: world.run(factor_administration.disable_two_factor, me, name),
    "unlock": lambda world, me, name: world.run(factor_administration.unlock, me, name, "a slip"),
    "one-time password": lambda world, me, name: world.one_time_password(name, me),
    "remove the key": lambda world, me, name: world.run(
        credentials.remove_key, me, fingerprint(name), name=name
    ),
    "add the key": lambda world, me, name: world.run(credentials.add_key, me, KEYS[name], name=name),
    "require": lambda world, me, name: world.run(factor_administration.set_required, me, name, required=True),
}


class CertificateMachine(RuleBasedStateMachine):
    """What it knows of who has which principal, and of which codes were given where, it notes itself."""

    opened = Bundle("opened")
    server = None

    def __init__(self):
        super().__init__()
        self.world = PassingWorld(self.server)
        self.world.methods(Method.APP, Method.EMAIL)
        models.Account.update(certificate_hours=8).execute()
        self.world.run(authorities.init_authority, OPERATOR)
        self.world.run(practices.add_practice, OPERATOR, "North")
        for name, key in KEYS.items():
            self.world.user(name, key=public_keys.parse(key))
        self.world.run(role_grants.set_roles, OPERATOR, "anna", frozenset({SYSTEM, SECURITY}))
        self.code_at = {}
        """When a code of one's own was last given in a session, by its number."""
        self.own = {name: {} for name in KEYS}
        self.shared = {"Main": {}, "North": {}}
        """The principals that were given, each with whether the operator gave it."""
        self.practice = dict.fromkeys(KEYS, "Main")
        self.key = {}
        """By serial, the keys that a certificate rests on: its own, and the one that opened its session."""
        self.removed = set()
        """Serials whose key, password or session with its certificates was taken away."""

    def teardown(self):
        self.world.close()

    @initialize(target=opened)
    def everyone_has_one(self):
        """Begin where there is something to withdraw: chance would seldom come there."""
        begun = []
        for name in KEYS:
            session_id = self.world.enrol(name).session_id
            self.code_at[session_id] = self.world.clock.now
            begun.append((name, session_id, None))
            self.obtain(begun[-1], name)
        return multiple(*begun)

    # The oracle

    def principals_of(self, name: str) -> set[str]:
        had = {**self.shared[self.practice[name]], **self.own[name]}
        both = {
            principal
            for principal in had
            if principal != "root"
            or any(held.get(principal) for held in (self.own[name], self.shared[self.practice[name]]))
        }
        return both | {name}

    def methods_of(self, row: models.User) -> set[str]:
        account = models.Account.get()
        on = {kind for kind in ("app", "sms", "email") if getattr(account, f"{kind}_on")}
        return on & {factor.kind for factor in models.Factor.select().where(models.Factor.user == row.id)}

    def may_have(self, session_id: int) -> bool:
        session = models.Session.get_by_id(session_id)
        user, at = session.user, self.code_at.get(session_id)
        return (
            session.ended_at is None
            and not session.restricted
            and user.active
            and user.locked_at is None
            and (user.one_time_until is None or session.first_factor == "key")
            and models.Account.get().mode != Mode.OFF.value
            and bool(self.methods_of(user))
            and at is not None
            and timedelta(0) <= self.world.clock.now - at <= FRESH
        )

    def live(self) -> list[models.Certificate]:
        table = models.Certificate
        return list(table.select().where((table.until > self.world.clock.now) & table.withdrawn_at.is_null()))

    # Signing in

    @rule(target=opened, name=names, by_key=st.booleans())
    def sign_in(self, name, by_key):
        first = self.world.first_by_key(name, fingerprint(name)) if by_key else self.world.first(name)
        coded = isinstance(first, CodeNeeded)
        result = self.world.submit(first.attempt, self.world.live_code(name)) if coded else first
        if not isinstance(result, Admitted):
            return multiple()
        if coded:
            self.code_at[result.session.id] = self.world.clock.now
        return (name, result.session.id, fingerprint(name) if by_key else None)

    @rule(session=opened)
    def set_up_or_replace(self, session):
        name, session_id, _ = session
        me = Member(session_id)
        if isinstance(self.world.run(enrolment.begin_app, me), PendingApp):
            had = models.Factor.select().where(
                (models.Factor.user == self.world.row(name).id) & (models.Factor.kind == "app")
            )
            if had.exists():
                self.gone(name)
            self.world.wizard(name, me)
            self.code_at[session_id] = self.world.clock.now

    @rule(session=opened)
    def give_a_fresh_code(self, session):
        name, session_id, _ = session
        if "app" in self.methods_of(self.world.row(name)):
            code = self.world.live_code(name)
            if isinstance(self.world.run(credentials.confirm_fresh_code, Member(session_id), code), Done):
                self.code_at[session_id] = self.world.clock.now

    @rule(name=names)
    def guess_until_locked(self, name):
        first = self.world.first(name)
        if isinstance(first, CodeNeeded):
            for _ in range(7):
                self.world.submit(first.attempt, self.world.wrong_code(name))

    # Certificates

    @rule(session=opened, of_key=names)
    def obtain_one(self, session, of_key):
        self.obtain(session, of_key)

    def obtain(self, session, of_key):
        name, session_id, opened_by = session
        may = self.may_have(session_id)
        result = self.world.run(issue_certificate, Member(session_id), KEYS[of_key])
        assert isinstance(result, IssuedCertificate) == may, result
        if may:
            assert set(result.principals) == self.principals_of(name)
            self.key[result.serial] = {fingerprint(of_key), opened_by}

    # Acting

    @rule(session=opened, name=names, act=st.sampled_from(sorted(ON_USER)))
    def an_administrator_acts(self, session, name, act):
        self.on_user(Member(session[1]), name, act)

    @rule(name=names, act=st.sampled_from(sorted(ON_USER)))
    def the_operator_acts(self, name, act):
        self.on_user(OPERATOR, name, act)

    def on_user(self, me, name, act):
        result = ON_USER[act](self.world, me, name)
        if not isinstance(result, Done):
            return
        if act in ("deactivate", "clear", "disable", "one-time password"):
            self.gone(name)
        if act == "remove the key":
            mine = self.serials_of(name)
            self.removed |= {serial for serial in mine if fingerprint(name) in self.key[serial]}

    def serials_of(self, name: str) -> set[int]:
        table = models.Certificate
        return {row.serial for row in table.select().where(table.user == self.world.row(name).id)}

    def gone(self, name: str) -> None:
        self.removed |= self.serials_of(name)

    @rule(session=opened)
    def turn_off(self, session):
        if isinstance(self.world.run(enrolment.turn_off, Member(session[1])), Done):
            self.gone(session[0])

    @rule(session=opened)
    def change_the_password(self, session):
        hashed = self.world.row("admin").password_hash
        if isinstance(self.world.run(credentials.store_password, Member(session[1]), hashed), Done):
            self.gone(session[0])

    @rule(session=opened, certificates=st.booleans())
    def end_a_session(self, session, certificates):
        ended = self.world.run(sessions.end_session_of, OPERATOR, session[1], certificates=certificates)
        if isinstance(ended, Done) and certificates:
            obtained = models.Certificate.select().where(models.Certificate.session == session[1])
            self.removed |= {row.serial for row in obtained}

    @rule(session=st.none() | opened, name=names, principal=given, adds=st.booleans())
    def change_principals(self, session, name, principal, adds):
        me = Member(session[1]) if session else OPERATOR
        change = principals.add_principal if adds else principals.remove_principal
        if isinstance(self.world.run(change, me, name, principal), Done):
            assert session is None or (session[0] != name and (principal != "root" or not adds))
            self.note(self.own[name], principal, adds=adds, by_operator=session is None)

    @rule(session=st.none() | opened, practice=there, principal=given, adds=st.booleans())
    def change_principals_of_a_practice(self, session, practice, principal, adds):
        me = Member(session[1]) if session else OPERATOR
        change = principals.add_practice_principal if adds else principals.remove_practice_principal
        if isinstance(self.world.run(change, me, practice, principal), Done):
            assert (
                not adds or session is None or (self.practice[session[0]] != practice and principal != "root")
            )
            self.note(self.shared[practice], principal, adds=adds, by_operator=session is None)

    def note(self, held, principal, *, adds, by_operator):
        if adds:
            held[principal] = by_operator
        else:
            del held[principal]

    @rule(session=st.none() | opened, name=names, practice=there)
    def move(self, session, name, practice):
        me = Member(session[1]) if session else OPERATOR
        before = self.principals_of(name)
        if isinstance(self.world.run(practices.move_user, me, name, practice), Done):
            self.practice[name] = practice
            assert session is None or session[0] != name or self.principals_of(name) <= before

    @rule(mode=st.sampled_from([Mode.OFF, Mode.OPTIONAL, Mode.REQUIRED]))
    def change_the_mode(self, mode):
        self.world.run(policy_settings.set_mode, OPERATOR, mode, seen=Mode(models.Account.get().mode))

    @rule(methods=st.sampled_from([{Method.APP}, {Method.EMAIL}, {Method.APP, Method.EMAIL}]))
    def change_the_methods(self, methods):
        account = models.Account.get()
        seen = frozenset(method for method in Method if getattr(account, f"{method.value}_on"))
        self.world.run(policy_settings.set_methods, OPERATOR, frozenset(methods), seen=seen)

    @rule(minutes=st.sampled_from([1, 4, 6, 500]))
    def let_time_pass(self, minutes):
        self.world.clock.forward(minutes=minutes)

    # What must hold

    @invariant()
    def what_is_live_is_entitled(self):
        users = {self.world.row(name).id: name for name in KEYS}
        for row in self.live():
            name = users[row.user_id]
            user = self.world.row(name)
            assert user.active
            assert user.locked_at is None
            assert self.methods_of(user), "no factor"
            assert set(row.principals.split()) <= self.principals_of(name)
            assert row.serial not in self.removed

    @invariant()
    def what_was_withdrawn_says_why(self):
        table = models.Certificate
        assert all(row.withdrawn_because for row in table.select().where(table.withdrawn_at.is_null(False)))

    @invariant()
    def the_newest_sessions_get_just_what_they_may(self):
        for row in models.Session.select().order_by(models.Session.id.desc()).limit(2):
            if row.user.name in KEYS:
                may = self.may_have(row.id)
                with undone(self.world):
                    result = self.world.run(issue_certificate, Member(row.id), KEYS["ben"])
                assert isinstance(result, IssuedCertificate) == may, result
                assert not may or set(result.principals) == self.principals_of(row.user.name)


@pytest.mark.timeout(600)
class TestCertificates(CertificateMachine.TestCase):
    settings = settings(max_examples=12, stateful_step_count=30)


@pytest.mark.timeout(600)
class TestCertificatesOnPostgresql(CertificateMachine.TestCase):
    settings = settings(max_examples=2, stateful_step_count=30)

    @pytest.fixture(autouse=True)
    def on_a_server(self, postgresql, monkeypatch):
        monkeypatch.setattr(CertificateMachine, "server", postgresql)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestManyCertificates(CertificateMachine.TestCase):
    settings = settings(max_examples=200, stateful_step_count=50)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestManyCertificatesOnPostgresql(TestCertificatesOnPostgresql):
    settings = settings(max_examples=60, stateful_step_count=50)
