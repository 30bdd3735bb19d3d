"""The audit log: written with the act, read in pages."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.database import OPERATOR, SECURITY, SYSTEM, PassingWorld, clipped, unguarded

from data.operations.actors import Operator
from data.operations.audit import trail
from data.operations.audit.trail import Entry, Filter
from data.operations.policy import policy_settings
from data.operations.signin import enrolment, first_factor, recovery_codes, second_factor, sessions
from data.operations.users import credentials, factor_administration, lifecycle
from data.rules.audit_events import Event
from data.rules.domain_types import Application, Mode
from data.rules.source_addresses import Origin
from data.storage import models
from data.store import StoreUnavailableError

USERS = ["anna", "bob", "admin"]
EVENTS = [Event.SIGNED_IN, Event.CODE_WRONG, Event.KEY_ADDED, Event.KEY_REMOVED, Event.LOCKED]


class WentWrongError(Exception):
    """Stands for anything that fails after the act."""


def every_act(world, boss):
    """Name one operation of each kind that writes, ready to be run."""
    world.user("victim", required=True)
    world.set("victim", locked_at=world.clock.now, attempts_left=0)
    anna = world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    attempt = world.attempt("anna")
    pending = world.run(enrolment.begin_app, anna)
    changes = lifecycle.UserChanges(full_name="Anna")
    candidate = world.run(first_factor.find_candidate, "victim", world.origin())
    return {
        "unlock": (factor_administration.unlock, boss, "victim", "a slip"),
        "create": (lifecycle.create_user, boss, lifecycle.NewUser("new", "new@clinic.example")),
        "edit": (lifecycle.edit_user, boss, "anna", changes),
        "clear": (factor_administration.clear_two_factor, boss, "anna"),
        "disable": (factor_administration.disable_two_factor, boss, "victim"),
        "mode": (lambda tx: policy_settings.set_mode(tx, boss, Mode.OFF, seen=Mode.OPTIONAL),),
        "right code": (second_factor.submit_code, attempt, world.code("anna")),
        "wrong code": (second_factor.submit_code, attempt, world.wrong_code("anna")),
        "recovery code": (second_factor.submit_code, attempt, world.recovery["anna"][0]),
        "replace the app": (
            enrolment.confirm_app,
            anna,
            pending,
            world.run(lambda tx: enrolment.totp.code_at(pending.secret, enrolment.totp.step_at(tx.now))),
        ),
        "renew": (recovery_codes.renew_recovery_codes, anna),
        "saved": (recovery_codes.confirm_saved, anna),
        "turn off": (enrolment.turn_off, anna),
        "password": (credentials.store_password, anna, "hash"),
        "one-time password": (credentials.set_one_time_password, boss, "anna", "hash"),
        "turned away": (lambda tx: first_factor.settle_password(tx, candidate, right=True),),
        "sign out": (sessions.end_session, anna.session_id),
    }


def names_of_acts():
    with PassingWorld() as world:
        return list(every_act(world, world.person("boss", SYSTEM, SECURITY)))


@pytest.mark.parametrize("act", names_of_acts())
def test_an_act_and_its_row_stand_or_fall_together(world, act):
    operation, *args = every_act(world, world.person("boss", SYSTEM, SECURITY))[act]
    before = world.dump()

    def failing(tx):
        operation(tx, *args)
        assert models.AuditEntry.select().count() > len(before["audit_entry"])
        raise WentWrongError

    with pytest.raises(WentWrongError):
        world.run(failing)
    assert world.dump() == before
    world.run(operation, *args)
    assert world.dump() != before
    assert models.AuditEntry.select().count() > len(before["audit_entry"])


def test_act_without_its_row_is_not_done(world):
    """An act whose row cannot be written is not done."""
    world.user("anna")
    before = world.dump()
    world.database.execute_sql("ALTER TABLE audit_entry RENAME TO elsewhere")
    with pytest.raises(StoreUnavailableError):
        world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    world.database.execute_sql("ALTER TABLE elsewhere RENAME TO audit_entry")
    assert world.dump() == before


def test_a_row_copies_the_names_and_the_place(world):
    world.user("boss", SYSTEM)
    boss = world.session("boss", application=Application.LOCAL, address="::ffff:192.0.2.8")
    world.user("anna")
    world.run(factor_administration.set_required, boss, "anna", required=True)
    world.run(factor_administration.set_required, OPERATOR, "anna", required=False)
    by_operator, by_boss = world.run(trail.list_entries, OPERATOR, Filter(user="anna"), limit=2)
    assert (by_boss.actor, by_boss.user, by_boss.application, by_boss.address) == (
        "boss",
        "anna",
        "local",
        "192.0.2.8",
    )
    assert by_boss.sentence == "Two-factor authentication required"
    assert (by_operator.actor, by_operator.application, by_operator.address) == (
        "operator:root",
        "host",
        "host",
    )


def test_no_row_holds_a_secret(world):
    anna = world.person("anna")
    world.wizard("anna", anna)
    world.clock.forward(minutes=1)
    typed = [world.code("anna"), world.wrong_code("anna"), world.recovery["anna"][0]]
    for answer in typed:
        world.submit(world.attempt("anna"), answer)
    renewed = world.run(recovery_codes.renew_recovery_codes, anna)
    log = json.dumps([(row.detail, row.event) for row in models.AuditEntry.select()])
    for secret in (*typed, *renewed.recovery_codes, *world.recovery["anna"], world.secrets["anna"]):
        assert secret not in log


def write(world, user, actor, event):
    def operation(tx):
        account_id = models.Account.get().id
        trail.write(
            tx,
            event,
            Origin(Application.SSH, "192.0.2.1"),
            account_id=account_id,
            actor=actor,
            user=user,
            left=3,
        )

    world.run(operation)


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([*USERS, None]), st.sampled_from(USERS), st.sampled_from(EVENTS)),
        max_size=25,
    ),
    user=st.sampled_from([*USERS, None, "nobody", "%", "_"]),
    event=st.sampled_from([None, "signin", "signin.code_wrong", "key.", "%", "sign_n"]),
    minutes=st.none() | st.integers(-1, 26),
    limit=st.integers(1, 7),
)
def test_pages_and_filters_say_what_a_plain_list_would(passing_world, rows, user, event, minutes, limit):
    with passing_world() as world:
        with unguarded(world):
            models.AuditEntry.delete().execute()
        since = None if minutes is None else world.clock.now + timedelta(minutes=minutes)
        expected = []
        for subject, actor, kind in rows:
            if (
                (user is None or user in {subject, actor})
                and (event is None or kind.value.startswith(event))
                and (since is None or world.clock.now >= since)
            ):
                expected.insert(0, (world.clock.now, kind.value, actor, subject))
            write(world, subject, actor, kind)
            world.clock.forward(minutes=1)
        read: list[Entry] = []
        while page := world.run(
            trail.list_entries,
            OPERATOR,
            Filter(user, event, since),
            before=read[-1].id if read else None,
            limit=limit,
        ):
            assert len(page) <= limit
            read += page
            assert len(read) <= len(expected)
        assert [(row.at, row.event, row.actor, row.user) for row in read] == expected


def test_rows_of_another_account_are_not_read(world):
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    with unguarded(world):
        models.AuditEntry.update(account=other).execute()
    assert world.run(trail.list_entries, Operator("root", "Clinic"), Filter()) == []


@pytest.mark.parametrize("typed", ["\ud800", "\x00", "'; DROP TABLE user; --", "x" * 5000], ids=clipped)
def test_nonsense_filter(world, typed):
    assert world.run(trail.list_entries, OPERATOR, Filter(user=typed)) == []
    assert world.run(trail.list_entries, OPERATOR, Filter(event=typed)) == []
