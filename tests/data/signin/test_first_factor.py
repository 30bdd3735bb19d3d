"""The first factor: by password and by key, and what an outsider can tell from it."""

import asyncio
import contextlib
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from peewee import fn
from support.database import OPERATOR, PASSWORD, START, SYSTEM, Clock, World, statements

from data.fair_queue import SOURCES
from data.operations.actors import Member
from data.operations.results import Denied
from data.operations.signin import admission, first_factor, sessions
from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.first_factor import CodeNeeded, FirstFactorRejected, NotJudged
from data.operations.users import credentials, lifecycle
from data.rules import public_keys, throttle
from data.rules.domain_types import Application, FirstFactor, Mode
from data.rules.policy import MustChangePassword, MustEnrol, Refusal, SignedIn
from data.storage import models, password_hashing
from data.storage.password_hashing import HashCost, Hasher

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
PARSED = public_keys.parse(KEY)
SECRET_TYPED_AS_NAME = "my-Secret.passw0rd"


@contextlib.contextmanager
def hashes():
    """Count the password hashes that are computed."""
    seen: list[int] = []

    class Counting:
        def __call__(self, **options):
            seen.append(1)
            return Argon2id(**options)

        def verify_phc_encoded(self, *args):
            seen.append(1)
            Argon2id.verify_phc_encoded(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password_hashing, "Argon2id", Counting())
        yield seen


def failures() -> dict[tuple[str, int], int]:
    table = models.FirstFactorFailures
    counted: dict[tuple[str, int], int] = {}
    for row in table.select():
        counted[row.source, row.minute] = counted.get((row.source, row.minute), 0) + row.count
    return counted


def test_password_alone_if_no_code_is_asked(world):
    world.user("anna")
    admitted = world.first("anna")
    assert isinstance(admitted, Admitted)
    assert admitted.session.step == SignedIn()
    assert world.events(user="anna", last=1) == ["signin.admitted"]
    assert world.row("anna").last_signin_at == START


def test_the_name_is_folded_before_it_is_looked_up(world):
    world.user("anna")
    assert isinstance(world.first(" ANNA "), Admitted)


def test_a_key_that_the_user_holds_signs_in(world):
    world.user("anna", key=PARSED)
    admitted = world.first_by_key("anna", PARSED.fingerprint)
    assert isinstance(admitted, Admitted)
    assert models.PublicKey.get().last_used_at == START
    assert models.Session.get().first_factor == "key"


def test_the_candidate_names_the_keys_that_may_sign(world):
    world.user("anna", key=PARSED)
    assert world.run(first_factor.find_candidate, "anna", world.origin()).key_fingerprints == {
        PARSED.fingerprint
    }
    world.set("anna", active=False)
    assert world.run(first_factor.find_candidate, "anna", world.origin()).key_fingerprints == frozenset()


def test_wrong_key(world):
    """The key of someone else and an unknown key are rejected and counted."""
    world.user("anna", key=PARSED)
    world.user("bob")
    assert world.first_by_key("bob", PARSED.fingerprint) == FirstFactorRejected()
    assert world.first_by_key("anna", "SHA256:other") == FirstFactorRejected()
    assert world.first_by_key("nobody", PARSED.fingerprint) == FirstFactorRejected()
    assert sum(failures().values()) == 3


def test_enrolled_user_needs_a_code(world):
    """The code is asked after either first factor."""
    world.user("anna", key=PARSED)
    world.enrol("anna")
    assert isinstance(world.first("anna"), CodeNeeded)
    assert isinstance(world.first_by_key("anna", PARSED.fingerprint), CodeNeeded)


def test_no_code_while_off(world):
    """An enrolled user signs in without a code while the mode is off."""
    world.enrol(world.user("anna"))
    world.mode(Mode.OFF)
    assert world.first("anna").session.step == SignedIn()


@pytest.mark.feature("new-user")
@pytest.mark.parametrize("mode", [Mode.REQUIRED, Mode.PERMANENT])
def test_restricted_session_to_enrol(world, mode):
    world.user("anna")
    world.mode(mode)
    admitted = world.first("anna")
    assert admitted.session.step == MustEnrol()
    assert models.Session.get().restricted
    assert world.events(user="anna", last=1) == ["signin.restricted"]
    assert world.row("anna").last_signin_at is None


def test_restricted_session_by_one_time_password(world):
    world.user("anna", one_time=True)
    assert world.first("anna").session.step == MustChangePassword()


@pytest.mark.parametrize(
    "prepare",
    [
        lambda world: None,
        lambda world: world.user("anna"),
        lambda world: (world.user("anna"), world.set("anna", active=False)),
        lambda world: world.user("anna", password=None),
        lambda world: world.enrol(world.user("anna")),
        lambda world: (world.enrol(world.user("anna")), world.lock("anna")),
    ],
    ids=["unknown", "wrong password", "deactivated", "no password", "enrolled", "locked"],
)
def test_failures_cost_the_same(world, prepare):
    """Every failure takes the same statements and one hash."""
    world.user("witness")
    with statements(world) as expected, hashes() as expected_hashes:
        assert world.first("nobody-at-all", "wrong password") == FirstFactorRejected()
    prepare(world)
    world.clock.forward(minutes=1)
    with statements(world) as seen, hashes() as seen_hashes:
        assert world.first("anna", "wrong password") == FirstFactorRejected()
    assert seen == expected
    assert len(seen) >= 3
    assert len(seen_hashes) == len(expected_hashes) == 1


def test_deactivated_looks_unknown(world):
    """The right password of a deactivated user looks like that of an unknown one."""
    world.user("anna")
    world.set("anna", active=False)
    world.first("first-of-its-minute")
    with statements(world) as unknown:
        assert world.first("nobody") == FirstFactorRejected()
    with statements(world) as deactivated:
        assert world.first("anna") == FirstFactorRejected()
    assert deactivated == unknown
    assert world.events(user="anna") == ["user.created"]


def test_impossible_name_costs_the_same(world):
    world.first("first-of-its-minute")
    with statements(world) as unknown:
        world.first("nobody")
    with statements(world) as rubbish:
        assert world.first("\x1b \ud800 DROP TABLE") == FirstFactorRejected()
    assert rubbish == unknown


def test_empty_password_never_signs_in(world):
    world.user("anna", password=None)
    assert world.first("anna", "") == FirstFactorRejected()
    assert world.first("nobody", "") == FirstFactorRejected()


def test_lock_is_told_after_the_first_factor(world):
    """A locked user is told so only then."""
    world.enrol(world.user("anna"))
    world.lock("anna")
    assert world.first("anna", "wrong password") == FirstFactorRejected()
    assert world.first("anna") == TurnedAway(Refusal.LOCKED.value)
    assert world.events(user="anna", last=1) == ["signin.turned_away"]


def test_first_factor_failures_lock_nobody(world):
    world.enrol(world.user("anna"))
    for _ in range(50):
        world.first("anna", "wrong password")
    assert world.row("anna").attempts_left == 7
    assert isinstance(world.first("anna"), CodeNeeded)


def test_failures_are_counted_not_audited(world):
    """They are counted by source and minute."""
    world.user("anna")
    before = world.events()
    for _ in range(3):
        world.first("anna", "wrong", address="2001:db8::1")
        world.first("nobody", "wrong", address="2001:db8::2%eth0")
    world.clock.forward(minutes=1)
    world.first("anna", "wrong", address="::ffff:192.0.2.9")
    minute = int(START.timestamp()) // 60
    assert failures() == {("2001:db8::/64", minute): 6, ("192.0.2.9", minute + 1): 1}
    assert world.events() == before


def test_unknown_names_are_not_on_disk(world):
    """What is typed as an unknown name is not on the disk."""
    world.user("anna")
    for typed in (SECRET_TYPED_AS_NAME, SECRET_TYPED_AS_NAME.lower(), "Tr0ub4dor & 3 typed here"):
        world.first(typed, "some-password-typed")
    assert sum(failures().values()) == 3
    on_disk = world.file_bytes().lower()
    assert b"anna@clinic.example" in on_disk
    for typed in (SECRET_TYPED_AS_NAME, "Tr0ub4dor", "some-password-typed"):
        assert typed.lower().encode() not in on_disk


def test_what_is_typed_as_a_name_is_not_shown_by_repr(world):
    candidate = world.run(first_factor.find_candidate, SECRET_TYPED_AS_NAME, world.origin())
    assert SECRET_TYPED_AS_NAME.lower() not in repr(candidate).lower()
    assert candidate.password_hash not in repr(candidate)


def delay(world: World, name: str, address: str = "192.0.2.1") -> float:
    candidate = world.run(first_factor.find_candidate, name, world.origin(address=address))
    return world.run(first_factor.first_factor_delay, candidate)


def test_source_waits_for_its_name(world):
    """A source waits longer for a name it got wrong; other sources do not."""
    world.user("anna")
    waits = [delay(world, "anna")]
    for _ in range(8):
        world.first("anna", "wrong")
        waits.append(delay(world, "anna"))
    assert waits[0] == 0 < waits[-1]
    assert all(earlier <= later for earlier, later in pairwise(waits))
    assert delay(world, "anna", "198.51.100.1") == 0
    assert delay(world, "bob") == 0


def test_a_name_is_slowed_down_however_it_is_typed(world):
    for typed in ("anna", "ANNA", " Anna ", "aNNa", "anna\n"):
        world.first(typed, "wrong")
    assert delay(world, "anna") == delay(world, "ANNA") > 0


def test_an_unknown_name_waits_as_long_as_a_known_one(world):
    world.user("anna")
    for name in ("anna", "nobody"):
        for _ in range(5):
            world.first(name, "wrong")
    assert delay(world, "anna") == delay(world, "nobody") > 0


def test_failures_read_are_bounded(world):
    """Of endless failures only the rows that decide are read."""
    minute = int(world.clock.now.timestamp()) // 60
    rows = [
        {"source": "192.0.2.1", "bucket": bucket, "user_id": 0, "minute": minute, "count": 1}
        for bucket in range(200)
    ]
    models.FirstFactorFailures.insert_many(rows).execute()
    assert delay(world, "anna") == throttle.MAX_DELAY
    assert len(first_factor._FAILURES.all("192.0.2.1", minute - 1)) == throttle.ENOUGH


def test_failures_are_kept_for_a_day_at_most(world):
    """They are kept for a day only if their user must still be told."""
    world.user("anna")
    world.user("ben")
    for name in ("anna", "ben", "nobody"):
        world.first(name, "wrong")
    ben = world.row("ben").id
    table = models.FirstFactorFailures
    table.update(told=True).where(table.user_id == ben).execute()
    world.clock.forward(minutes=throttle.WINDOW_MINUTES + 1)
    world.first("carl", "wrong")
    kept = {row.user_id for row in table.select().where(table.minute < table.select(fn.MAX(table.minute)))}
    assert kept == {world.row("anna").id}
    world.clock.forward(minutes=throttle.KEPT_MINUTES + 1)
    world.first("carl", "wrong")
    assert table.select().count() == 1


def test_source_that_tries_many_names(world):
    """It waits for all of them."""
    for number in range(throttle.FREE_PER_SOURCE + 1):
        world.first(f"user{number}", "wrong")
    assert delay(world, "someone-new") > 0


def test_failures_are_forgotten_after_their_window(world):
    for _ in range(8):
        world.first("anna", "wrong")
    world.clock.forward(minutes=throttle.WINDOW_MINUTES - 1)
    assert delay(world, "anna") > 0
    world.clock.forward(minutes=1)
    assert delay(world, "anna") == 0


async def test_wait_comes_before_the_password(world, monkeypatch):
    """It is kept before the password is judged."""
    world.user("anna")
    for _ in range(8):
        world.first("anna", "wrong")
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("data.operations.signin.first_factor.asyncio.sleep", sleep)
    candidate = await world.store.read(first_factor.find_candidate, "anna", world.origin())
    assert isinstance(await first_factor.prove_password(world.store, candidate, PASSWORD), Admitted)
    assert slept == [delay(world, "anna")]


async def test_password_is_judged_off_the_event_loop(world):
    world.user("anna")
    candidate = await world.store.read(first_factor.find_candidate, "anna", world.origin())
    assert isinstance(await first_factor.prove_password(world.store, candidate, PASSWORD), Admitted)
    assert await first_factor.prove_password(world.store, candidate, "wrong") == FirstFactorRejected()
    assert sum(failures().values()) == 1


async def test_client_leaves_before_its_hash(world):
    """The password counts as a failure and is not hashed."""
    world.user("anna")
    candidate = await world.store.read(first_factor.find_candidate, "anna", world.origin())
    gone = asyncio.Event()
    gone.set()
    with hashes() as seen:
        judged = await first_factor.prove_password(world.store, candidate, PASSWORD, gone)
    assert (judged, seen) == (FirstFactorRejected(), [])
    assert sum(failures().values()) == 1


async def test_a_client_that_leaves_is_not_waited_for(world):
    world.user("anna")
    for _ in range(12):
        world.first("anna", "wrong")
    candidate = await world.store.read(first_factor.find_candidate, "anna", world.origin())
    gone = asyncio.Event()
    judging = asyncio.create_task(first_factor.prove_password(world.store, candidate, PASSWORD, gone))
    await asyncio.sleep(0.1)
    assert not judging.done()
    gone.set()
    async with asyncio.timeout(throttle.MAX_DELAY / 2):
        assert await judging == FirstFactorRejected()
    assert sum(failures().values()) == 13


async def test_full_queue(world):
    """The password is neither judged nor counted."""
    world.user("anna")
    candidate = await world.store.read(first_factor.find_candidate, "anna", world.origin())
    member = world.session("anna")
    full = asyncio.Event()
    queue = [
        asyncio.create_task(world.store.turns.run("hash", f"source {number}", None, full.wait))
        for number in range(SOURCES + 1)
    ]
    await asyncio.sleep(0)
    assert await first_factor.prove_password(world.store, candidate, PASSWORD) == NotJudged()
    fresh = await credentials.confirm_fresh_password(world.store, member, PASSWORD)
    assert fresh == Denied(NotJudged.message)
    assert failures() == {}
    full.set()
    await asyncio.gather(*queue)
    assert isinstance(await first_factor.prove_password(world.store, candidate, PASSWORD), Admitted)


def test_password_changed_while_judged(world):
    """The old one does not sign in."""
    world.user("anna")
    candidate = world.run(first_factor.find_candidate, "anna", world.origin())
    world.one_time_password("anna")
    assert world.run(first_factor.settle_password, candidate, right=True) == FirstFactorRejected()


def test_user_deactivated_while_judged(world):
    """The user does not sign in."""
    world.user("anna", key=PARSED)
    candidate = world.run(first_factor.find_candidate, "anna", world.origin())
    world.set("anna", active=False)
    assert world.run(first_factor.settle_password, candidate, right=True) == FirstFactorRejected()
    assert world.run(first_factor.prove_key, candidate, PARSED.fingerprint) == FirstFactorRejected()


def test_decoy_signs_nobody_in(world):
    """Not even if it is judged right by mistake."""
    candidate = world.run(first_factor.find_candidate, "nobody", world.origin())
    assert world.run(first_factor.settle_password, candidate, right=True) == FirstFactorRejected()


def look_up(world, name="anna"):
    candidate = world.run(first_factor.find_candidate, name, world.origin())
    return first_factor.code_needed(candidate, FirstFactor.KEY, PARSED.fingerprint)


def test_look_up_knows_who_is_asked(world):
    """It says the same as the transaction, and nothing where that does more than ask."""
    world.user("anna", key=PARSED)
    assert look_up(world) is None
    assert look_up(world, "nobody") is None
    world.enrol("anna")
    asked = look_up(world)
    assert isinstance(asked, CodeNeeded)
    assert asked == world.first_by_key("anna", PARSED.fingerprint)
    world.one_time_password("anna")
    assert look_up(world) is None
    world.set("anna", one_time_until=None, locked_at=START)
    assert look_up(world) is None
    world.set("anna", locked_at=None)
    world.mode(Mode.OFF)
    assert look_up(world) is None


MEANWHILE = {
    "locked": (lambda world: world.set("anna", locked_at=START), Refusal.LOCKED),
    "deactivated": (lambda world: world.set("anna", active=False), Refusal.DEACTIVATED),
    "key removed": (
        lambda world: world.run(credentials.remove_key, OPERATOR, PARSED.fingerprint, name="anna"),
        admission.CREDENTIAL_CHANGED,
    ),
}


@pytest.mark.parametrize(("meanwhile", "told"), MEANWHILE.values(), ids=MEANWHILE)
def test_who_is_asked_by_the_look_up_is_judged_again(world, meanwhile, told):
    """The right code admits nobody to whom something happened since the look-up."""
    world.user("anna", key=PARSED)
    world.enrol("anna")
    world.clock.forward(minutes=1)
    asked = look_up(world)
    meanwhile(world)
    assert world.submit(asked.attempt, world.code("anna")) == TurnedAway(told)
    assert world.events(user="anna", last=1) == ["signin.turned_away"]


def test_look_up_runs_the_same_statements_for_everyone(world):
    """Nobody sees from outside who exists, who has a second factor, and who is locked."""
    for name in ("anna", "bob", "gone", "lost"):
        world.user(name, key=PARSED if name == "anna" else None)
    world.enrol("anna")
    world.set("gone", active=False)
    world.set("lost", lost_factor=True)
    seen = []
    for name in ("anna", "bob", "gone", "lost", "nobody", "not a name"):
        with statements(world) as run:
            world.run(first_factor.find_candidate, name, world.origin())
        seen.append(run)
    assert seen == [seen[0]] * 6


@pytest.fixture
def costlier(world):
    """Raise the cost of hashes after Anna has her password."""
    world.user("anna")
    object.__setattr__(world.services, "hasher", Hasher(HashCost(passes=2, memory=8, lanes=1)))
    return world


def cost_of(hashed: str) -> str:
    return hashed[: hashed.index("t=") + 3]


async def judge(world, name, password=PASSWORD):
    candidate = await world.store.read(first_factor.find_candidate, name, world.origin())
    return await first_factor.prove_password(world.store, candidate, password)


async def test_rehash_at_todays_cost(costlier):
    before = costlier.row("anna")
    await judge(costlier, "anna", "a wrong password")
    assert costlier.row("anna").password_hash == before.password_hash
    assert isinstance(await judge(costlier, "anna"), Admitted)
    renewed = costlier.row("anna")
    assert cost_of(before.password_hash) != cost_of(renewed.password_hash) == "$argon2id$v=19$m=8,t=2"
    assert renewed.credential == before.credential
    assert isinstance(await judge(costlier, "anna"), Admitted)
    assert costlier.row("anna").password_hash == renewed.password_hash


async def test_rehash_spares_a_changed_password(costlier):
    candidate = costlier.run(first_factor.find_candidate, "anna", costlier.origin())
    costlier.one_time_password("anna", password="another long password")
    changed = costlier.row("anna").password_hash
    costlier.run(first_factor.settle_password, candidate, right=True, renewed="the old one")
    assert costlier.row("anna").password_hash == changed


async def test_unknown_name_costs_a_hash(costlier):
    def costs(names):
        found = [
            costlier.run(first_factor.find_candidate, name, costlier.origin()).password_hash for name in names
        ]
        return {name: cost_of(hashed) for name, hashed in zip(names, found, strict=True)}

    names = [f"nobody{number}" for number in range(60)]
    old, new = "$argon2id$v=19$m=8,t=1", "$argon2id$v=19$m=8,t=2"
    costlier.user("keyless", password=None)
    await judge(costlier, "nobody")
    assert set(costs([*names, "keyless", "not a name"]).values()) == {old}
    costlier.set("admin", password_hash=costlier.services.hasher.hash("x"))
    costlier.clock.forward(minutes=10)
    await judge(costlier, "nobody")
    half = costs(names)
    assert {old, new} == set(half.values())
    assert costs(names) == half
    await judge(costlier, "anna")
    costlier.clock.forward(minutes=10)
    await judge(costlier, "nobody")
    assert set(costs(names).values()) == {new}


async def test_deactivated_user_costs_a_hash(costlier):
    costlier.set("anna", active=False)
    candidate = costlier.run(first_factor.find_candidate, "anna", costlier.origin())
    stored = costlier.row("anna").password_hash
    assert candidate.password_hash != stored
    assert cost_of(candidate.password_hash) == cost_of(stored) != cost_of(costlier.services.hasher.decoy)
    assert await judge(costlier, "anna") == FirstFactorRejected()


def test_a_session_records_where_it_came_from(world):
    world.user("anna")
    world.first("anna", application=Application.LOCAL, address="::ffff:192.0.2.7")
    session = models.Session.get()
    assert (session.application, session.address) == ("local", "192.0.2.7")


def test_an_ended_session_is_over_for_good(world):
    member = world.person("anna")
    world.run(sessions.end_session, member.session_id)
    world.clock.forward(minutes=1)
    world.run(sessions.end_session, member.session_id)
    assert models.Session.get().ended_at == START
    assert world.events(user="anna").count("signin.ended") == 1
    assert isinstance(world.run(admission.advance, member.session_id), TurnedAway)


def test_the_clock_of_the_transaction_stands_still(tmp_path):
    class Ticking(Clock):
        def __call__(self):
            self.forward(seconds=1)
            return self.now

    world = World(tmp_path)
    world.services = None
    ticking = Ticking()
    object.__setattr__(world.store.services, "clock", ticking)
    moments = world.run(lambda tx: (tx.now, tx.now))
    assert moments[0] == moments[1]
    world.close()


def test_new_user_with_a_key(world):
    done = world.run(
        lifecycle.create_user,
        Member(world.person("boss", SYSTEM).session_id),
        lifecycle.NewUser("carl", "carl@clinic.example", key=PARSED),
    )
    assert done.message == "User carl created."
    assert isinstance(world.first_by_key("carl", PARSED.fingerprint), Admitted)
    assert isinstance(world.run(credentials.add_key, Member(99), KEY), credentials.SessionOver)
