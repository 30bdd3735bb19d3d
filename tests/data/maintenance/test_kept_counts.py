"""Kept counts: whatever happens, they are what counting the rows would give; what was spoilt is corrected."""

import asyncio
from collections import Counter
from datetime import timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, lags

from data.operations.actors import Member, factor_of
from data.operations.audit import archiving
from data.operations.maintenance import kept_counts
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done
from data.operations.signin import enrolment, recovery_codes
from data.operations.signin.admission import Admitted
from data.operations.signin.enrolment import PendingApp
from data.operations.signin.first_factor import CodeNeeded
from data.operations.users import (
    deletion,
    factor_administration,
    lifecycle,
    practices,
    role_grants,
    user_import,
)
from data.rules.audit_events import COUNTED, COUNTED_DAYS
from data.rules.doctor import Level
from data.rules.domain_types import Method, Mode
from data.rules.users_csv import PersonRow
from data.storage import models

NAMES = ("admin", "anna", "ben", "cleo")
PRACTICES = ("Main", "North", "South")
ROLES = (frozenset(), frozenset({SUPPORT}), frozenset({SYSTEM, SECURITY}), frozenset({SUPPORT, SYSTEM}))


def sign_in(world: World, name: str, *, right: bool = True) -> Member | None:
    """Sign in as far as the rules let someone, with the next good code or a wrong one."""
    result = world.first(name)
    if isinstance(result, CodeNeeded):
        answer = world.wrong_code(name)
        if right:
            by_app = factor_of(world.row(name).id, Method.APP) and Method.APP in result.attempt.methods
            answer = world.live_code(name) if by_app else (world.recovery.get(name) or ("",))[0]
        result = world.submit(result.attempt, answer)
    return Member(result.session.id) if isinstance(result, Admitted) else None


def enrol(world: World, name: str) -> None:
    member = sign_in(world, name)
    if member and isinstance(world.run(enrolment.begin_app, member), PendingApp):
        world.wizard(name, member)


def use_recovery_code(world: World, name: str) -> None:
    result = world.first(name)
    if isinstance(result, CodeNeeded) and world.recovery.get(name):
        first, *rest = world.recovery[name]
        world.recovery[name] = tuple(rest)
        world.submit(result.attempt, first)


def renew_codes(world: World, name: str) -> None:
    if member := sign_in(world, name):
        renewed = world.run(recovery_codes.renew_recovery_codes, member)
        world.recovery[name] = getattr(renewed, "recovery_codes", world.recovery.get(name, ()))


def turn_off(world: World, name: str) -> None:
    if member := sign_in(world, name):
        world.run(enrolment.turn_off, member)


def import_two(world: World, name: str) -> None:
    number = models.User.select().count()
    rows = [
        PersonRow(n, f"{name}{n}", f"{name}{n}@x.example", "", None, "", required=bool(n % 2), key=None)
        for n in (number, number + 1)
    ]
    asyncio.run(user_import.import_people(world.store, OPERATOR, rows, lambda _more: None))


def set_mode(world: World, mode: Mode) -> None:
    world.run(policy_settings.set_mode, OPERATOR, mode, seen=Mode(models.Account.get().mode))


def set_methods(world: World, *methods: Method) -> None:
    account = models.Account.get()
    switches = {Method.APP: account.app_on, Method.SMS: account.sms_on, Method.EMAIL: account.email_on}
    seen = frozenset(method for method, on in switches.items() if on)
    world.run(policy_settings.set_methods, OPERATOR, frozenset(methods), seen=seen)


def break_off(world: World, name: str) -> None:
    """Do much in a transaction that comes to nothing."""
    with world.database.atomic() as undone:
        models.User.update(standing="locked", few_codes=True).execute()
        models.UserRole.delete().execute()
        undone.rollback()


def remove_row(world: World, name: str) -> None:
    """Remove a user's row, as no operation does."""
    for table in (models.Factor, models.Session):
        table.delete().where(table.user == world.row(name).id).execute()
    models.User.delete().where(models.User.name == name).execute()


def act(operation, *args, **kwargs):
    return lambda world, name: world.run(operation, OPERATOR, name, *args, **kwargs)


ACTS = {
    "add": lambda world, name: world.run(
        lifecycle.create_user, OPERATOR, lifecycle.NewUser(f"{name}-x", f"{name}-x@clinic.example")
    ),
    "enrol": enrol,
    "sign in": sign_in,
    "wrong code": lambda world, name: sign_in(world, name, right=False),
    "lock": lambda world, name: [sign_in(world, name, right=False) for _ in range(7)],
    "use a recovery code": use_recovery_code,
    "use three": lambda world, name: [use_recovery_code(world, name) for _ in range(3)],
    "renew codes": renew_codes,
    "turn off": turn_off,
    "unlock": act(factor_administration.unlock, "asked"),
    "require": act(factor_administration.set_required, required=True),
    "require no more": act(factor_administration.set_required, required=False),
    "clear": act(factor_administration.clear_two_factor),
    "disable": act(factor_administration.disable_two_factor),
    "deactivate": act(lifecycle.set_active, active=False),
    "activate": act(lifecycle.set_active, active=True),
    "delete": act(deletion.delete_user),
    "change the address": act(lifecycle.edit_user, lifecycle.UserChanges(email="other@clinic.example")),
    "import": import_two,
    "break off": break_off,
    "remove the row": remove_row,
    **{f"roles {roles}": act(role_grants.set_roles, roles) for roles in ROLES},
    **{f"move to {practice}": act(practices.move_user, practice) for practice in PRACTICES},
    **{f"mode {mode}": lambda world, _, mode=mode: set_mode(world, mode) for mode in list(Mode)[:3]},
    "app alone": lambda world, _: set_methods(world, Method.APP),
    "e-mail alone": lambda world, _: set_methods(world, Method.EMAIL),
    "empty South": lambda world, _: world.run(practices.remove_practice, OPERATOR, "South"),
}


def counted_events() -> Counter[tuple[int, int, str]]:
    """Count the events of each account and day from the log."""
    rows = models.AuditEntry.select().where(models.AuditEntry.event.in_([event.value for event in COUNTED]))
    return Counter((row.account_id, models.day_number(row.at), row.event) for row in rows)


def kept_events() -> Counter[tuple[int, int, str]]:
    counts: Counter[tuple[int, int, str]] = Counter()
    for row in models.EventCount.select():
        counts[row.account_id, row.day, row.event] += row.count
    return counts


@pytest.mark.feature("kept-counts")
@settings(max_examples=15, deadline=None)
@given(acts=st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.sampled_from(NAMES)), max_size=30))
def test_kept_equals_counted(passing_world, acts):
    with passing_world() as world:
        for practice in PRACTICES[1:]:
            world.run(practices.add_practice, OPERATOR, practice)
        for name in NAMES[1:]:
            world.user(name)
            enrol(world, name)
        world.user("eve", SYSTEM, SECURITY)
        for what, name in acts:
            world.clock.forward(hours=7)
            if models.User.select().where(models.User.name == name).exists():
                ACTS[what](world, name)
        assert lags() == []
        assert kept_events() == counted_events()
        assert world.run(kept_counts.check_counts).level is Level.FINE


@pytest.fixture
def busy(world: World) -> World:
    """Let a week pass in which anna and ben sign in and are refused."""
    for name in ("anna", "ben"):
        world.user(name, SUPPORT)
        world.enrol(name)
    for _ in range(7):
        world.clock.forward(days=1)
        sign_in(world, "anna")
        sign_in(world, "ben", right=False)
        sign_in(world, "ben")
    return world


def spoil(world: World) -> None:
    """Change four counts, as if the triggers had been missing for a while."""
    users, events = models.UserCount, models.EventCount
    users.update(enrolled=users.enrolled + 1).where((users.role == "") & (users.practice_id == 0)).execute()
    users.delete().where(users.role == "support").execute()
    newest = models.day_number(world.clock.now)
    events.update(count=100).where((events.day == newest) & (events.event == "signin.admitted")).execute()
    events.insert(account_id=1, day=newest, event="code.not_sent", chain="other", count=3).execute()


@pytest.mark.feature("repair-counts")
def test_wrong_counts_are_corrected(busy):
    events, before = kept_events(), set(models.UserCount.select().tuples())
    assert (
        busy.run(kept_counts.repair_counts, OPERATOR).message == "All counts are right. Nothing was changed."
    )
    spoil(busy)
    found = busy.run(kept_counts.check_counts)
    assert (found.level, found.sentence) == (
        Level.PROBLEM,
        "4 kept counts differ from the users or the log.",
    )
    assert busy.run(kept_counts.repair_counts, OPERATOR) == Done("4 counts corrected.")
    assert (kept_events(), set(models.UserCount.select().tuples())) == (events, before)
    assert busy.events(last=1) == ["counts.repaired"]
    assert busy.run(kept_counts.check_counts).level is Level.FINE
    assert isinstance(busy.run(kept_counts.repair_counts, busy.person("boss", SYSTEM)), Denied)


@pytest.mark.feature("repair-counts")
def test_counts_outlive_the_log(busy):
    """Of days whose rows are archived the counts stay, also when others are corrected."""
    before = kept_events()
    plan = busy.run(archiving.plan_archive, OPERATOR, busy.clock.now - timedelta(days=3))
    busy.run(archiving.cut, OPERATOR, plan.stretches, busy.clock.now)
    assert counted_events() != before
    assert busy.run(kept_counts.check_counts).level is Level.FINE
    spoil(busy)
    busy.run(kept_counts.repair_counts, OPERATOR)
    assert kept_events() == before


@pytest.mark.feature("kept-counts")
def test_old_days_are_forgotten(busy):
    busy.run(kept_counts.forget_old_days)
    assert kept_events() == counted_events()
    busy.clock.forward(days=COUNTED_DAYS - 3)
    busy.run(kept_counts.forget_old_days)
    assert {models.day_number(busy.clock.now) - day for _, day, _ in kept_events()} == set(range(397, 400))
    assert busy.run(kept_counts.check_counts).level is Level.FINE


@pytest.mark.feature("kept-counts")
@pytest.mark.only_on("postgresql")
def test_signins_do_not_wait_for_each_other(world):
    """Nor do they fail: each process has counts of its own, and only PostgreSQL has several that write."""
    world.user("anna")
    world.enrol("anna")
    before = kept_events().total()
    at = models.microseconds(world.clock.now)
    with psycopg.connect(world.where) as elsewhere:
        elsewhere.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        elsewhere.execute(
            "INSERT INTO audit_entry"
            " (at, account_id, event, actor, application, address, detail, chain, seq, mac)"
            f" VALUES ({at}, 1, 'signin.admitted', 'ben', 'ssh', '', '{{}}', 'elsewhere', 9999, '')"
        )
        models.database.execute_sql("SET lock_timeout = '1ms'")
        assert sign_in(world, "anna") is not None
        models.database.execute_sql("RESET lock_timeout")
    assert kept_events().total() == before + 2
