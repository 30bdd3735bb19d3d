"""Sign-in, locking, unlocking, clearing and enrolling in any order, beside a small model."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from support.database import OPERATOR, PassingWorld, totp

from data.operations.actors import Member
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded, SessionOver
from data.operations.signin import admission, enrolment
from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.attempts import NotACode, WrongBefore
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.signin.enrolment import Enrolled, PendingApp
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import credentials, factor_administration
from data.rules.domain_types import Mode
from data.rules.policy import MustEnrol, SignedIn
from data.storage import models

NAMES = ("anna", "bob")
names = st.sampled_from(NAMES)
RUBBISH = "no code at all"


@dataclass
class Person:
    """What the machine knows of a user."""

    required: bool = False
    lost: bool = False
    locked: bool = False
    attempts: int = 7
    secret: str | None = None
    last_step: int = -1
    accepted: list[tuple[str, int]] = field(default_factory=list)
    seen_codes: list[str] = field(default_factory=list)
    recovery: dict[str, bool] = field(default_factory=dict)
    wrong: dict[str, datetime] = field(default_factory=dict)
    full: dict[int, bool] = field(default_factory=dict)
    """The full sessions that go on, each with whether a code was given in it."""
    begun: set[int] = field(default_factory=set)
    """The restricted sessions that go on."""

    def opened(self, session: admission.Session) -> None:
        if session.step == SignedIn():
            self.full[session.id] = False
        else:
            self.begun.add(session.id)

    def has_open(self, session_id: int) -> bool:
        return session_id in self.full or session_id in self.begun


class SignInMachine(RuleBasedStateMachine):
    attempts = Bundle("attempts")
    sessions = Bundle("sessions")
    restricted = Bundle("restricted")
    server = None

    def __init__(self):
        super().__init__()
        self.world = PassingWorld(self.server)
        self.mode = Mode.OPTIONAL
        self.people = {self.world.user(name): Person() for name in NAMES}

    def teardown(self):
        self.world.close()

    # The model

    @property
    def step(self) -> int:
        return int(self.world.clock.now.timestamp()) // 30

    def expected_step(self, person: Person) -> object:
        """The rules' answer to someone who is not locked and has given no code."""
        if self.mode is Mode.OFF:
            return SignedIn()
        if person.secret:
            return None
        demanded = person.required or person.lost or self.mode is not Mode.OPTIONAL
        return MustEnrol() if demanded else SignedIn()

    def judge(self, person: Person) -> None:
        """End the full sessions that the rules would not call signed in now."""
        step = self.expected_step(person)
        if step == MustEnrol():
            person.full = {}
        elif step is None:
            person.full = {number: coded for number, coded in person.full.items() if coded}

    def expected_verdict(self, person: Person, answer: str) -> str:
        """Judge an answer, and keep the count."""
        now = self.world.clock.now
        if answer == RUBBISH:
            return "no code"
        if answer in person.wrong and now - person.wrong[answer] < timedelta(minutes=5):
            return "known"
        if answer in person.recovery:
            verdict = "replayed" if person.recovery[answer] else "right"
            person.recovery[answer] = True
        else:
            window = range(self.step - 1, self.step + 2)
            hits = [step for step in window if totp(person.secret, now, step - self.step) == answer]
            live = [step for step in hits if step > person.last_step]
            verdict = "right" if live else "replayed" if hits else "wrong"
            if live:
                person.last_step = live[0]
                person.accepted.append((person.secret, live[0]))
        if verdict == "right":
            person.attempts = 7
        elif verdict == "wrong":
            person.attempts -= 1
            person.wrong[answer] = now
            person.locked = person.attempts == 0
            if person.locked:
                self.end_sessions(person)
        return "locked" if person.locked else verdict

    def forget(self, person: Person) -> None:
        person.secret, person.last_step, person.recovery = None, -1, {}
        if not person.locked:
            person.attempts = 7

    def answer_of(self, person: Person, kind: str, steps: int, choice: int) -> str:
        if kind == "code" and person.secret:
            code = totp(person.secret, self.world.clock.now, steps)
            person.seen_codes.append(code)
            return code
        if kind == "old code" and person.seen_codes:
            return person.seen_codes[choice % len(person.seen_codes)]
        if kind == "recovery code" and person.recovery:
            return list(person.recovery)[choice % len(person.recovery)]
        return RUBBISH

    # What people do

    answers = {  # noqa: RUF012 - the arguments of rules, shared by two of them.
        "kind": st.sampled_from(["code", "code", "old code", "recovery code", "rubbish"]),
        "steps": st.integers(-2, 2),
        "choice": st.integers(0, 99),
    }

    @rule(name=names, target=attempts)
    def pass_the_first_factor(self, name):
        person = self.people[name]
        result = self.world.first(name)
        if person.locked:
            assert isinstance(result, TurnedAway)
        elif (step := self.expected_step(person)) is not None:
            assert isinstance(result, Admitted)
            assert result.session.step == step
            person.opened(result.session)
        else:
            assert isinstance(result, CodeNeeded)
            return result.attempt
        return multiple()

    @rule(target=sessions, attempt=consumes(attempts), **answers)
    def answer_the_question(self, attempt, kind, steps, choice):
        person = self.people[attempt.username]
        answer = self.answer_of(person, kind, steps, choice)
        was_locked = person.locked
        early = None if was_locked else self.expected_step(person)
        result = self.world.submit(attempt, answer)
        if was_locked:
            assert isinstance(result, TurnedAway)
        elif early is not None:
            assert isinstance(result, Admitted)
            assert result.session.step == early
            person.opened(result.session)
        else:
            verdict = self.expected_verdict(person, answer)
            expected = {
                "right": Admitted,
                "replayed": CodeAlreadyUsed,
                "wrong": CodeWrong,
                "known": WrongBefore,
                "no code": NotACode,
                "locked": TurnedAway,
            }[verdict]
            assert isinstance(result, expected), (verdict, result)
            if verdict == "right":
                assert result.session.step == SignedIn()
                person.full[result.session.id] = True
                return (attempt.username, Member(result.session.id))
        return multiple()

    @rule(name=names, target=sessions)
    def sign_in_where_no_code_is_asked(self, name):
        person = self.people[name]
        if not person.locked and self.expected_step(person) == SignedIn():
            session = self.world.first(name).session
            assert session.step == SignedIn()
            person.opened(session)
            return (name, Member(session.id))
        return multiple()

    @rule(name=names, target=restricted)
    def begin_a_restricted_session(self, name):
        person = self.people[name]
        if not person.locked and self.expected_step(person) == MustEnrol():
            session = self.world.first(name).session
            assert session.step == MustEnrol()
            person.opened(session)
            return (name, Member(session.id))
        return multiple()

    @rule(session=sessions, **answers)
    def confirm_with_a_fresh_code(self, session, kind, steps, choice):
        name, member = session
        person = self.people[name]
        answer = self.answer_of(person, kind, steps, choice)
        result = self.world.run(credentials.confirm_fresh_code, member, answer)
        if not person.has_open(member.session_id):
            assert isinstance(result, SessionOver)
        elif not person.secret:
            assert isinstance(result, Denied)
        else:
            expected = {
                "right": Done,
                "replayed": CodeAlreadyUsed,
                "wrong": CodeWrong,
                "known": WrongBefore,
                "no code": NotACode,
                "locked": SessionOver,
            }
            verdict = self.expected_verdict(person, answer)
            assert isinstance(result, expected[verdict])
            if verdict == "right":
                person.full[member.session_id] = True

    @rule(session=sessions)
    def enrol_or_replace_in_a_full_session(self, session):
        name, member = session
        self.enrol(name, member, restricted=False)

    @rule(session=consumes(restricted))
    def enrol_in_a_restricted_session(self, session):
        name, member = session
        self.enrol(name, member, restricted=True)

    def enrol(self, name, member, *, restricted):
        person = self.people[name]
        begun = self.world.run(enrolment.begin_app, member)
        if not person.has_open(member.session_id):
            assert isinstance(begun, SessionOver)
            return
        if self.mode is Mode.OFF or (restricted and person.secret):
            assert isinstance(begun, Denied)
            return
        if isinstance(begun, FreshProofNeeded):
            assert not restricted
            return
        assert isinstance(begun, PendingApp)
        code = totp(begun.secret, self.world.clock.now)
        result = self.world.run(enrolment.confirm_app, member, begun, code)
        assert isinstance(result, Enrolled)
        assert bool(result.recovery_codes) == (person.secret is None)
        if person.secret is None:
            person.recovery = dict.fromkeys(result.recovery_codes, False)
        else:
            self.end_sessions(person)
        person.secret, person.last_step = begun.secret, self.step
        person.lost = False
        person.begun.discard(member.session_id)
        person.full[member.session_id] = True
        self.judge(person)
        person.accepted.append((begun.secret, self.step))
        person.seen_codes.append(code)
        if restricted:
            assert self.world.run(admission.advance, member.session_id).session.step == SignedIn()

    # What administrators and the clock do

    def end_sessions(self, person):
        person.full, person.begun = {}, set()

    @rule(name=names)
    def unlock(self, name):
        person = self.people[name]
        result = self.world.run(factor_administration.unlock, OPERATOR, name, "a slip")
        assert isinstance(result, Done) == person.locked
        if person.locked:
            person.locked, person.attempts = False, 7
            person.wrong.clear()

    @rule(name=names, disable=st.booleans())
    def clear_or_disable(self, name, disable):
        person = self.people[name]
        act = factor_administration.disable_two_factor if disable else factor_administration.clear_two_factor
        assert isinstance(self.world.run(act, OPERATOR, name), Done)
        person.lost = not disable and (person.lost or person.secret is not None)
        self.forget(person)
        person.required = person.required and not disable
        self.end_sessions(person)

    @rule(name=names)
    def require_or_not(self, name):
        person = self.people[name]
        person.required = not person.required
        self.world.run(factor_administration.set_required, OPERATOR, name, required=person.required)
        self.judge(person)

    @rule(mode=st.sampled_from([Mode.OFF, Mode.OPTIONAL, Mode.OPTIONAL, Mode.REQUIRED]))
    def change_the_mode(self, mode):
        result = self.world.run(policy_settings.set_mode, OPERATOR, mode, seen=self.mode)
        assert isinstance(result, Done) == (mode is not self.mode)
        self.mode = mode
        for person in self.people.values():
            self.judge(person)

    @rule(seconds=st.sampled_from([1, 13, 30, 30, 60, 400]))
    def let_time_pass(self, seconds):
        self.world.clock.forward(seconds=seconds)

    # What must hold

    @invariant()
    def the_sessions_that_go_on_are_those_of_the_model(self):
        for name, person in self.people.items():
            table = models.Session
            rows = table.select().where((table.user == self.world.row(name).id) & table.ended_at.is_null())
            assert {row.id for row in rows} == {*person.full, *person.begun}

    @invariant()
    def counts_and_locks_are_those_of_the_model(self):
        for name, person in self.people.items():
            row = self.world.row(name)
            assert row.attempts_left == person.attempts
            assert 0 <= row.attempts_left <= 7
            assert (row.locked_at is not None) == person.locked == (row.attempts_left == 0)

    @invariant()
    def no_step_is_accepted_twice(self):
        for name, person in self.people.items():
            assert len(set(person.accepted)) == len(person.accepted)
            factor = models.Factor.get_or_none(models.Factor.user == self.world.row(name).id)
            assert (factor is not None) == (person.secret is not None)
            assert factor is None or factor.last_step == person.last_step


class TestSignIn(SignInMachine.TestCase):
    settings = settings(max_examples=20, stateful_step_count=40)


class TestSignInOnPostgresql(SignInMachine.TestCase):
    settings = settings(max_examples=6, stateful_step_count=40)

    @pytest.fixture(autouse=True)
    def on_a_server(self, postgresql, monkeypatch):
        monkeypatch.setattr(SignInMachine, "server", postgresql)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestLongSignIn(SignInMachine.TestCase):
    settings = settings(max_examples=400, stateful_step_count=50)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestLongSignInOnPostgresql(TestSignInOnPostgresql):
    settings = settings(max_examples=150, stateful_step_count=50)
