"""What one user may have, do within a time, and have under way at once."""

import asyncio
import base64
import struct
import threading
from contextlib import asynccontextmanager

import pytest
from support.database import OPERATOR, PASSWORD, SECURITY, START, SUPPORT, SYSTEM, statements

from data.operations import leases
from data.operations.audit import trail
from data.operations.leases import Work, one_at_a_time
from data.operations.results import Denied, Done
from data.operations.signin import enrolment, recovery_codes, sessions
from data.operations.signin.admission import TOO_MANY_SIGNINS, Admitted, TurnedAway
from data.operations.signin.code_verification import CodeAlreadyUsed
from data.operations.signin.recovery_codes import NewRecoveryCodes
from data.operations.signin.uncounted_attempts import record_misuse
from data.operations.users import bulk_actions, credentials, user_export, user_import
from data.operations.users.bulk_actions import BulkResult
from data.operations.users.signin_explanation import explain_user
from data.operations.users.user_search import UserQuery
from data.rules import passwords
from data.rules.audit_events import Event
from data.rules.domain_types import Application, Mode
from data.rules.policy import MustEnrol, Refusal
from data.rules.protocol_misuse import Misuse
from data.rules.source_addresses import Origin
from data.rules.users_csv import PersonRow
from data.storage import models

NEW_PASSWORD = "quince fathom lurid"
TOO_MANY = TurnedAway(TOO_MANY_SIGNINS)
UNDER_WAY = "is in progress, here or in another session"


# Keys.


def public_keys(count):
    """Make so many Ed25519 public keys as the lines of their files."""
    blobs = [struct.pack(">I11sI32s", 11, b"ssh-ed25519", 32, number.to_bytes(32)) for number in range(count)]
    return [f"ssh-ed25519 {base64.b64encode(blob).decode()}" for blob in blobs]


@pytest.mark.feature("fifty-keys")
@pytest.mark.parametrize("whose", ["my own", "another's"])
def test_a_user_holds_fifty_keys_and_no_more(world, whose):
    anna = world.person("anna")
    actor, name = (anna, None) if whose == "my own" else (OPERATOR, "anna")
    first, *others, last = public_keys(51)
    for key in (first, *others):
        assert isinstance(world.run(credentials.add_key, actor, key, name=name), Done)
    refused = world.run(credentials.add_key, actor, last, name=name)
    assert refused == Denied("A user can have at most 50 keys. Remove an unused one first.")
    assert len(world.row("anna").keys) == 50
    fingerprint = credentials.public_keys.parse(first).fingerprint
    assert isinstance(world.run(credentials.remove_key, actor, fingerprint, name=name), Done)
    assert isinstance(world.run(credentials.add_key, actor, last, name=name), Done)


# Recovery codes.


@pytest.mark.feature("ten-sets")
def test_recovery_codes_are_renewed_ten_times_an_hour(world):
    anna = world.enrol(world.user("anna"))
    world.clock.forward(hours=1)
    anna = world.session("anna")
    for _ in range(10):
        last = world.run(recovery_codes.renew_recovery_codes, anna)
        assert isinstance(last, NewRecoveryCodes)
    before = world.dump()
    refused = world.run(recovery_codes.renew_recovery_codes, anna)
    assert isinstance(refused, Denied)
    assert "10 sets of recovery codes within an hour" in refused.message
    assert world.run(recovery_codes.replace_unsaved_codes, anna) is None
    assert world.dump() == before
    assert isinstance(world.submit(world.attempt("anna"), last.recovery_codes[0]), Admitted)
    world.clock.forward(hours=1)
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, world.session("anna")), NewRecoveryCodes)


@pytest.mark.feature("ten-sets")
def test_setting_up_again_makes_no_more_codes(world):
    """Setting up and turning off in a loop makes no more codes than renewing them."""
    anna = world.person("anna")
    for _ in range(10):
        world.wizard("anna", anna)
        assert isinstance(world.run(enrolment.turn_off, anna), Done)
    refused = world.run(enrolment.begin_app, anna)
    assert isinstance(refused, Denied)
    assert "Try again later" in refused.message
    world.clock.forward(hours=1)
    assert isinstance(world.run(enrolment.begin_app, world.session("anna")), enrolment.PendingApp)


# Sign-ins.


def rows(world, event):
    return world.events(user="anna").count(event.value)


def test_used_codes_in_the_log(world):
    """Used codes are always refused; the log takes twenty an hour from a source."""
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    code = world.code("anna")
    world.submit(world.attempt("anna"), code)
    for number in range(30):
        from_there = world.attempt("anna", address=f"2001:db8::{number:x}")
        assert isinstance(world.submit(from_there, code), CodeAlreadyUsed)
    assert rows(world, Event.CODE_REPLAYED) == 20
    world.submit(world.attempt("anna", address="192.0.2.7"), code)
    assert rows(world, Event.CODE_REPLAYED) == 21
    assert world.row("anna").attempts_left == 7


def test_misuses_in_the_log(world):
    """The log takes twenty misuses an hour from a source."""
    world.user("anna")
    origin = Origin(Application.SSH, "192.0.2.7")
    for _ in range(30):
        world.run(record_misuse, world.row("anna").id, origin, Misuse.NAME_CHANGED)
    assert rows(world, Event.MISUSED) == 20
    world.clock.forward(hours=1)
    world.run(record_misuse, world.row("anna").id, origin, Misuse.NAME_CHANGED)
    assert rows(world, Event.MISUSED) == 21


def test_explains_the_busiest_sources(world):
    """Of many sources, explain names those that sent most answers."""
    world.enrol(world.user("anna"))
    for number in range(30):
        for answers in range(1 + number % 3):
            typed = f"no code {answers}"
            world.submit(world.attempt("anna", address=f"192.0.2.{number}"), typed)
    world.submit(world.attempt("anna", address="2001:db8::1"), "no code")
    explained = world.run(explain_user, OPERATOR, "anna").reasons
    told = [finding.sentence for finding in explained if "not codes" in finding.sentence]
    assert len(told) == 5
    assert all("3 answers" in sentence for sentence in told)


@pytest.mark.feature("sixty-sign-ins")
def test_sixty_sign_ins_a_minute(world):
    """Beyond that a user is told so, and not locked."""
    world.user("anna")
    assert all(isinstance(world.first("anna"), Admitted) for _ in range(60))
    assert [world.first("anna", address=f"192.0.2.{number}") for number in range(5)] == [TOO_MANY] * 5
    assert world.events(user="anna").count("signin.turned_away") == 1
    assert world.row("anna").locked_at is None
    world.user("bob")
    assert isinstance(world.first("bob"), Admitted)
    world.clock.forward(minutes=1)
    assert isinstance(world.first("anna"), Admitted)


def test_restricted_sign_ins_count_as_well(world):
    world.user("anna")
    world.mode(Mode.REQUIRED)
    assert all(isinstance(world.first("anna").session.step, MustEnrol) for _ in range(60))
    assert world.first("anna") == TOO_MANY
    assert len(models.Session.select().where(models.Session.user == world.row("anna").id)) == 60


@pytest.mark.feature("sixty-sign-ins")
def test_code_passes_the_sign_in_limit(world):
    """A right code is let in even if the user's key was used too often elsewhere."""
    anna = world.enrol(world.user("anna"))
    world.run(sessions.end_session, anna.session_id)
    world.mode(Mode.OFF)
    for _ in range(61):
        last = world.first("anna")
    assert last == TOO_MANY
    world.mode(Mode.OPTIONAL)
    code = world.live_code("anna")
    models.User.update(signin_minute=int(world.clock.now.timestamp()) // 60).execute()
    assert isinstance(world.submit(world.attempt("anna"), code), Admitted)


def test_turned_away_in_the_log(world):
    """Sign-ins that are turned away do not fill it either."""
    world.user("anna")
    world.set("anna", locked_at=START, attempts_left=0)
    assert {world.first("anna").reason for _ in range(100)} == {Refusal.LOCKED.value}
    assert world.events(user="anna").count("signin.turned_away") == 61


def test_counting_takes_no_statement_of_its_own(world):
    world.user("anna")
    with statements(world) as seen:
        assert isinstance(world.first("anna"), Admitted)
    assert sum("UPDATE" in statement and '"user"' in statement for statement in seen) == 1


# One at a time.


@asynccontextmanager
async def under_way(world, actor, work):
    """Have a user busy with something in a session."""
    ends, begun = asyncio.Event(), asyncio.Event()

    async def act():
        begun.set()
        await ends.wait()
        return Done("")

    task = asyncio.create_task(one_at_a_time(world.store, actor, work, act))
    await begun.wait()
    yield
    ends.set()
    assert await task == Done("")


def is_refused(result):
    return isinstance(result, Denied) and UNDER_WAY in result.message


ROWS = (PersonRow(2, "new", "new@clinic.example", "", None, "", required=False, key=None),)
ACTS = {
    "password": (
        Work.PASSWORD,
        lambda world, me: credentials.change_password(world.store, me, NEW_PASSWORD),
        Done,
    ),
    "proof by password": (
        Work.PASSWORD,
        lambda world, me: credentials.confirm_fresh_password(world.store, me, PASSWORD),
        Done,
    ),
    "one-time password": (
        Work.PASSWORD,
        lambda world, me: credentials.give_one_time_password(world.store, me, "bob"),
        credentials.OneTimePassword,
    ),
    "bulk": (
        Work.BULK,
        lambda world, me: bulk_actions.carry_out(world.store, me, ["bob"], bulk_actions.Bulk.REQUIRE),
        BulkResult,
    ),
    "import": (
        Work.BULK,
        lambda world, me: user_import.import_people(world.store, me, ROWS, lambda _more: None),
        Done,
    ),
}


@pytest.mark.feature("bulk-one-at-a-time")
@pytest.mark.parametrize("act", ACTS)
async def test_one_at_a_time_over_sessions(world, act):
    """A user does it once at a time in all of their sessions."""
    work, perform, done = ACTS[act]
    world.user("bob")
    roles = () if act == "proof by password" else (SYSTEM, SECURITY)
    me, other = world.person("me", *roles), world.user("other", *roles)
    again, other = world.session("me"), world.session("other")
    async with under_way(world, me, work):
        assert is_refused(await perform(world, again))
        assert is_refused(await perform(world, me))
        assert isinstance(await perform(world, other), done)
    world.run(sessions.end_session, other.session_id)
    if act == "import":
        models.User.delete().where(models.User.name == "new").execute()
    if act == "bulk":
        world.set("bob", required=False)
    assert isinstance(await perform(world, again), done)
    assert not models.Lease.select().exists()


@pytest.mark.feature("bulk-one-at-a-time")
async def test_broken_off_acts_bar_nobody(world):
    """They stop nobody once their session is over, or after a long time."""
    me, again = world.person("me", SYSTEM), world.session("me")

    async def breaks():
        raise asyncio.CancelledError

    for end in (
        lambda: world.run(sessions.end_session, me.session_id),
        lambda: world.clock.forward(hours=1),
        lambda: world.clock.forward(hours=-3),
    ):
        models.Lease.delete().execute()
        models.Session.update(ended_at=None).execute()
        async with under_way(world, me, Work.BULK):
            assert is_refused(await one_at_a_time(world.store, again, Work.BULK, breaks))
            end()
            with pytest.raises(asyncio.CancelledError):
                await one_at_a_time(world.store, again, Work.BULK, breaks)
    assert not models.Lease.select().exists()


async def test_unreturned_password_slots(world):
    """A password whose turn is never given back blocks others for two minutes only."""
    me = world.person("me")
    world.run(leases.take, me, Work.PASSWORD)
    assert is_refused(await credentials.confirm_fresh_password(world.store, me, PASSWORD))
    world.clock.forward(minutes=2)
    assert await credentials.confirm_fresh_password(world.store, me, PASSWORD) == Done("Confirmed.")


@pytest.mark.feature("export-one-at-a-time")
@pytest.mark.parametrize("kind", ["users", "log"])
def test_a_user_exports_once_at_a_time(world, kind):
    def page(actor, rows):
        if kind == "users":
            if rows and rows[-1].name == "other":
                return ()  # The page with the last user was the last one.
            after = (rows[-1].name, 0) if rows else None
            read = world.run(user_export.export_people, actor, UserQuery(after=after, limit=1))
            return read if isinstance(read, Denied) else read.records
        return world.run(
            trail.export_entries, actor, trail.Filter(), after=rows[-1].id if rows else 0, limit=1
        )

    me = world.person("me", SUPPORT)
    again, other = world.session("me"), world.person("other", SUPPORT)
    rows = list(page(me, []))
    assert is_refused(page(again, []))
    assert page(again, rows) == Denied("The export took too long and was stopped. Start it again.")
    assert page(other, [])
    assert page(OPERATOR, [])
    while found := page(me, rows):
        rows += found
    assert page(again, [])
    world.clock.forward(minutes=2)
    assert page(me, [])


async def test_judging_a_password_keeps_no_hash_waiting(world, monkeypatch):
    me, ends, judged_by = world.person("me"), threading.Event(), []
    world.user("bob")

    def judge(*_args, **_keywords):
        judged_by.append(threading.current_thread())
        assert ends.wait(60)

    monkeypatch.setattr(passwords, "fault", judge)
    changing = asyncio.create_task(credentials.change_password(world.store, me, NEW_PASSWORD))
    while not judged_by:
        await asyncio.sleep(0.01)
    verify = world.services.hasher.verify
    assert await world.store.compute(verify, world.row("bob").password_hash, PASSWORD)
    assert judged_by != [threading.main_thread()]
    ends.set()
    assert await changing == Done("Password changed.")
