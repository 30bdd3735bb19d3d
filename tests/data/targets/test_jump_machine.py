"""Jumps of every kind while everything changes: none stays open that the rules refuse."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from support.database import OPERATOR, SUPPORT, PassingWorld

from data.operations.actors import Member
from data.operations.policy import policy_settings
from data.operations.signin import admission, enrolment, sessions
from data.operations.signin.admission import Admitted
from data.operations.signin.first_factor import CodeNeeded
from data.operations.targets import jumps, registry
from data.operations.targets.jumps import JumpTarget
from data.operations.users import factor_administration, lifecycle, practices, role_grants
from data.rules.domain_types import Mode
from data.rules.targets import NewTarget
from data.storage import models

PEOPLE = ("anna", "ben")
TARGETS = ("db1", "web1")
names = st.sampled_from(PEOPLE)
target_names = st.sampled_from(TARGETS)
GRANTS = (
    {},
    {"practices": ("North",)},
    {"roles": frozenset({SUPPORT})},
    {"users": ("anna",)},
    {"practices": ("Main",), "users": ("ben",)},
)


def lock(world: PassingWorld, name: str) -> None:
    """Lock a user by seven wrong codes from another address, if they are asked for codes."""
    asked = world.first(name, address="192.0.2.9")
    if isinstance(asked, CodeNeeded):
        for _ in range(7):
            world.submit(asked.attempt, world.wrong_code(name))


ACTS = {
    "deactivate": lambda world, name: world.run(lifecycle.set_active, OPERATOR, name, active=False),
    "activate": lambda world, name: world.run(lifecycle.set_active, OPERATOR, name, active=True),
    "lock": lock,
    "unlock": lambda world, name: world.run(factor_administration.unlock, OPERATOR, name, "a slip"),
    "clear": lambda world, name: world.run(factor_administration.clear_two_factor, OPERATOR, name),
    "disable": lambda world, name: world.run(factor_administration.disable_two_factor, OPERATOR, name),
    "forget": lambda world, name: world.run(factor_administration.forget_addresses, OPERATOR, name),
    "support": lambda world, name: world.run(role_grants.set_roles, OPERATOR, name, frozenset({SUPPORT})),
    "no role": lambda world, name: world.run(role_grants.set_roles, OPERATOR, name, frozenset()),
    "north": lambda world, name: world.run(practices.move_user, OPERATOR, name, "North"),
    "main": lambda world, name: world.run(practices.move_user, OPERATOR, name, "Main"),
}


class JumpMachine(RuleBasedStateMachine):
    opened = Bundle("opened")
    server = None

    def __init__(self):
        super().__init__()
        self.world = PassingWorld(self.server)
        self.world.run(policy_settings.set_remember_days, OPERATOR, 7, seen=0)
        self.world.run(practices.add_practice, OPERATOR, "North")
        for name in PEOPLE:
            self.world.user(name)
            self.world.enrol(name)
        for name, grants in zip(TARGETS, ({"practices": ("Main",)}, {}), strict=True):
            self.world.run(registry.add_target, OPERATOR, NewTarget(name, f"{name}.example", **grants))

    def teardown(self):
        self.world.close()

    def may_jump(self, jump: models.Jump) -> bool:
        """Whether a jump may be open now, judged from the rows by other code than the product's."""
        session, now = jump.session, self.world.clock.now
        user = models.User.get_or_none(models.User.id == session.user_id)
        if user is None or session.ended_at is not None or session.restricted or jump.target_id is None:
            return False
        target, account = jump.target, user.account
        factors = models.Factor.select().where(models.Factor.user == user.id, models.Factor.kind == "app")
        remembered = models.RememberedAddress.select().where(
            models.RememberedAddress.user == user.id,
            models.RememberedAddress.address == session.address,
            models.RememberedAddress.credential == session.credential,
            models.RememberedAddress.until > now,
        )
        grants = list(models.TargetGrant.select().where(models.TargetGrant.target == target.id))
        roles = {row.role for row in user.role_rows}
        granted = target.everyone or any(
            grant.user_id == user.id or grant.practice_id == user.practice_id or grant.role in roles
            for grant in grants
        )
        return (
            granted
            and user.active
            and user.locked_at is None
            and account.mode != "off"
            and account.app_on
            and factors.exists()
            and (session.code_at is not None or remembered.exists())
            and now - session.started_at < self.world.services.longest_session
        )

    @initialize(target=opened)
    def begin(self):
        """Everyone has jumped: a run that only moves people, or only removes targets, ends jumps too."""
        return multiple(*(self.sign_in(name) for name in PEOPLE))

    @rule(target=opened, name=names)
    def sign_in(self, name):
        """With a code, from a remembered address, or as far as one gets."""
        result = self.world.first(name)
        if isinstance(result, CodeNeeded):
            result = self.world.submit(result.attempt, self.world.live_code(name))
        if not isinstance(result, Admitted):
            return multiple()
        for target in TARGETS:
            self.jump(result.session.id, target)
        return result.session.id

    def jump(self, session, name):
        found = self.world.run(jumps.find_target, Member(session), name, 22)
        if isinstance(found, JumpTarget):
            jump = self.world.run(jumps.open_jump, Member(session), found, "10.0.0.9")
            assert isinstance(jump, int), jump
            assert self.may_jump(models.Jump.get_by_id(jump))

    @rule(session=opened, name=target_names)
    def jump_again(self, session, name):
        self.jump(session, name)

    @rule(name=names, act=st.sampled_from(["main", "no role", "north", "support"]))
    def move_or_promote(self, name, act):
        ACTS[act](self.world, name)

    @rule(session=opened)
    def set_up_again(self, session):
        """As far as the session may."""
        name = models.Session.get_by_id(session).user.name
        begun = self.world.run(enrolment.begin_app, Member(session))
        if isinstance(begun, enrolment.PendingApp):
            self.world.wizard(name, Member(session))
        self.world.run(admission.advance, session)

    @rule(session=opened)
    def turn_off(self, session):
        self.world.run(enrolment.turn_off, Member(session))

    @rule(session=opened)
    def end(self, session):
        self.world.run(sessions.end_session_of, OPERATOR, session)

    @rule(name=names, act=st.sampled_from(sorted(ACTS)))
    def act(self, name, act):
        ACTS[act](self.world, name)

    @rule(name=target_names, grants=st.sampled_from(GRANTS))
    def add_anew(self, name, grants):
        """Another target of the same name is not the one that was dialled."""
        self.world.run(registry.remove_target, OPERATOR, name)
        self.world.run(registry.add_target, OPERATOR, NewTarget(name, f"{name}.example", **grants))

    @rule(mode=st.sampled_from([Mode.OFF, Mode.OPTIONAL, Mode.REQUIRED]))
    def change_the_mode(self, mode):
        self.world.mode(mode)

    @rule(hours=st.sampled_from([1, 5, 24 * 8]))
    def let_time_pass(self, hours):
        self.world.clock.forward(hours=hours)

    @invariant()
    def what_is_not_closed_may_be_open(self):
        """The server closes what it is told to, every two seconds; exactly what may be open stays."""
        open_ones = list(models.Jump.select())
        may = {row.id for row in open_ones if self.may_jump(row)}
        over = self.world.run(jumps.jumps_to_close, [row.id for row in open_ones])
        assert {row.id for row in open_ones} - over.keys() == may, over
        for jump_id, reason in over.items():
            assert reason
            self.world.run(jumps.close_jump, jump_id, 0, 0, reason)


@pytest.mark.feature("jumps-kept")
@pytest.mark.timeout(600)
class TestJumps(JumpMachine.TestCase):
    settings = settings(max_examples=12, stateful_step_count=30)


@pytest.mark.feature("jumps-kept")
@pytest.mark.timeout(600)
class TestJumpsOnPostgresql(JumpMachine.TestCase):
    settings = settings(max_examples=3, stateful_step_count=30)

    @pytest.fixture(autouse=True)
    def on_a_server(self, postgresql, monkeypatch):
        monkeypatch.setattr(JumpMachine, "server", postgresql)


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestManyJumps(JumpMachine.TestCase):
    settings = settings(max_examples=200, stateful_step_count=40)
