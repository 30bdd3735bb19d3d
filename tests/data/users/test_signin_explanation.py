"""Why can't they sign in? Each sentence, and the facts behind them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.database import OPERATOR, SUPPORT, SYSTEM, World

from data.delivery.carriers import Carriers, Smtp
from data.delivery.notices import send_due
from data.delivery.sent_codes import send
from data.operations.policy import policy_settings
from data.operations.results import Denied
from data.operations.signin import second_factor
from data.operations.users import credentials, signin_explanation
from data.rules.domain_types import Application, Method, Mode, Policy, Role, UserFacts
from data.rules.signin_explanation import Failures, Known, Reason, Success, Undelivered, Weight, explain
from data.storage import models

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY_TEXT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
KEY = credentials.public_keys.parse(KEY_TEXT)
STOPS, NOTE, FINE = Weight


def known(mode=Mode.OPTIONAL, has_password=True, **given) -> Known:
    facts = {name: given.pop(name) for name in list(given) if name in UserFacts.__dataclass_fields__}
    return Known("ben", Policy(mode), UserFacts(**facts), AT, has_password=has_password, **given)


CASES = [
    (known(), FINE, "ben is active."),
    (known(active=False), STOPS, "ben is deactivated. A system administrator can activate them."),
    (known(locked=True, locked_at=AT), STOPS, "Locked after seven wrong codes, 2026-03-02 09:00 UTC."),
    (known(has_password=False), STOPS, "Neither a password nor an SSH key is set"),
    (known(has_password=False, keys=1), NOTE, "No password is set: only an SSH key signs in."),
    (known(one_time_password=True), NOTE, "The password is a one-time password"),
    (known(), FINE, "A password is set."),
    (known(keys=1), FINE, "1 SSH key, not used yet."),
    (known(keys=2, key_used_at=AT), FINE, "2 SSH keys, last used 2026-03-02 09:00 UTC."),
    (known(), NOTE, "No SSH key is set: only the password signs in."),
    (
        known(first_factor_failures=3),
        NOTE,
        "In the last 15 minutes, 3 sign-ins failed for this name",
    ),
    (known(Mode.OFF), FINE, "The mode is off: no one is asked for a code."),
    (known(), FINE, "The mode is optional."),
    (known(Mode.REQUIRED), FINE, "The mode is required: everyone must"),
    (known(Mode.PERMANENT), FINE, "The mode is permanent: everyone must"),
    (known(required=True), FINE, "An administrator requires two-factor authentication for them."),
    (known(roles=frozenset({Role.SYSTEM_ADMIN})), FINE, "Their role requires two-factor authentication."),
    (
        known(methods=(Method.APP,), enrolled_at=AT, recovery_left=1),
        FINE,
        "An authenticator app is set up since 2026-03-02 09:00 UTC; 1 recovery code left.",
    ),
    (
        known(methods=(Method.APP,), refused_until=AT),
        STOPS,
        "Codes from their app are refused until 2026-03-02 09:00 UTC: one was accepted while the",
    ),
    (known(lost_factor=True), NOTE, "Their last second factor was removed, so they must set one up again."),
    (
        known(lost_factor=True, recovery_codes=True, recovery_left=1),
        NOTE,
        "1 recovery code left. They must enter one first. If they have lost them, clear the 2FA data.",
    ),
    (
        known(
            Mode.OPTIONAL,
            undelivered=(Undelivered("code", "e-mail", 2, AT, "mail:25 answered 550 to RCPT TO"),),
        ),
        NOTE,
        "2 codes by e-mail could not be delivered in the last day, most recently 2026-03-02 09:00 UTC: mail",
    ),
    (known(), NOTE, "No second factor is set up."),
    (known(notices_waiting=1), NOTE, "1 notice by e-mail could not be delivered yet"),
    (known(methods=(Method.APP,)), FINE, "7 of 7 attempts left."),
    (
        known(methods=(Method.APP,), attempts_left=4, wrong=Failures((("local", 1), ("ssh", 2)), AT)),
        NOTE,
        "4 of 7 attempts left. Wrong codes: 1 on the host, 2 over SSH, most recently 2026-03-02 09:00 UTC.",
    ),
    (
        known(methods=(Method.APP,), replayed=Failures((("ssh", 2),), AT)),
        NOTE,
        "Codes that were already used were refused in the last day: 2 over SSH, most recently 2026-03-02",
    ),
    (
        known(methods=(Method.APP,), clock_offset=0),
        FINE,
        "The phone's clock was right at the last accepted code.",
    ),
    (known(methods=(Method.APP,), drift=-4), FINE, "Since a resync, it is assumed to be about 120 s behind."),
    (known(methods=(Method.APP,), resync_until=AT), NOTE, "A resync is offered until 2026-03-02 09:00 UTC"),
    (known(methods=(Method.APP,), clock_offset=1), NOTE, "about 30 s ahead at the last accepted code."),
    (known(methods=(Method.APP,), clock_offset=-1), NOTE, "about 30 s behind at the last accepted code."),
    (
        known(methods=(Method.APP,), remembered=(("192.0.2.1", "password", AT),)),
        FINE,
        "From 192.0.2.1 with password, no code is asked for until 2026-03-02 09:00 UTC.",
    ),
    (known(), NOTE, "They have not signed in yet."),
    (
        known(successes=(Success(AT, "ssh", "192.0.2.1", "key and code"),)),
        FINE,
        "Signed in 2026-03-02 09:00 UTC over SSH from 192.0.2.1 with key and code.",
    ),
]


@pytest.mark.feature("explain")
@pytest.mark.parametrize(("facts", "weight", "words"), CASES, ids=[words[:40] for _, _, words in CASES])
def test_the_sentence_is_said_with_its_weight(facts, weight, words):
    assert [reason for reason in explain(facts) if reason.weight is weight and words in reason.sentence]


def test_what_does_not_hold_is_not_said():
    said = " ".join(reason.sentence for reason in explain(known()))
    for words in (
        "deactivated",
        "Locked",
        "one-time",
        "attempts",
        "clock",
        "already used",
        "no code",
        "wrong",
    ):
        assert words not in said


EMAIL = frozenset({Method.EMAIL})
ENROLLED = {"methods": (Method.APP,), "enrolled_at": AT}
BY_EMAIL = {"methods": (Method.EMAIL,), "enrolled_at": AT}
NO_CODES = ", and they have no recovery codes left."
VERDICTS = [
    (known(), FINE, "Yes, ben can sign in now, with the password or key alone."),
    (known(active=False), STOPS, "No, ben cannot sign in now: they are deactivated."),
    (known(active=False, has_password=False), STOPS, "No, ben cannot sign in now: they are deactivated."),
    (known(locked=True), STOPS, "No, ben cannot sign in now: they are locked after seven wrong codes."),
    (
        known(has_password=False),
        STOPS,
        "No, ben cannot sign in now: they have neither a password nor an SSH key.",
    ),
    (
        known(one_time_password=True, one_time_ended=True),
        STOPS,
        "No, ben cannot sign in now: their one-time password has expired, and they have no SSH key.",
    ),
    (known(has_password=False, keys=1), FINE, "Yes, ben can sign in now, with the password or key alone."),
    (
        known(one_time_password=True),
        NOTE,
        "Yes, ben can sign in now, with the one-time password, and must set a new one first.",
    ),
    (
        known(Mode.REQUIRED),
        NOTE,
        "Yes, ben can sign in now, and must set up two-factor authentication before anything else.",
    ),
    (
        known(lost_factor=True, recovery_codes=True, recovery_left=2),
        NOTE,
        "Yes, ben can sign in now, with a recovery code, and must then set up 2FA again.",
    ),
    (known(**ENROLLED), FINE, "Yes, ben can sign in now, with a code after the password or key."),
    (
        known(Mode.OFF, **ENROLLED, refused_until=AT),
        FINE,
        "Yes, ben can sign in now, with the password or key alone.",
    ),
    (
        known(**ENROLLED, refused_until=AT),
        STOPS,
        "No, ben cannot sign in now: codes from their app are refused until 2026-03-02 09:00 UTC" + NO_CODES,
    ),
    (
        known(**BY_EMAIL, unreachable=EMAIL, recovery_left=1),
        NOTE,
        "Yes, ben can sign in now, with a recovery code only: codes by e-mail do not reach them.",
    ),
    (
        known(**BY_EMAIL, unreachable=EMAIL),
        STOPS,
        "No, ben cannot sign in now: codes by e-mail do not reach them" + NO_CODES,
    ),
    (
        known(methods=(Method.APP, Method.EMAIL), enrolled_at=AT, unreachable=EMAIL),
        FINE,
        "Yes, ben can sign in now, with a code after the password or key.",
    ),
]


@pytest.mark.feature("explain")
@pytest.mark.parametrize(("facts", "weight", "words"), VERDICTS, ids=[words[:60] for _, _, words in VERDICTS])
def test_first_line_is_the_verdict(facts, weight, words):
    """It gives one reason."""
    assert explain(facts)[0] == Reason(weight, words)


@pytest.mark.feature("explain")
async def test_undelivered_messages(world):
    """Codes and notices that were not delivered are named."""
    world.methods(Method.APP, Method.EMAIL)
    world.user("bert")
    world.enrol_email("bert")
    world.clock.forward(hours=2)
    down = Carriers(Smtp("127.0.0.1", 1, "door@clinic.example", security="none"))
    await send(world.store, down, second_factor.send_code, world.attempt("bert"), Method.EMAIL)
    world.run(credentials.add_key, OPERATOR, KEY_TEXT, name="bert")
    await send_due(world.store, down)
    told = answer(world, "bert")
    assert (
        told[0] == "Yes, bert can sign in now, with a recovery code only: codes by e-mail do not reach them."
    )
    (code,) = [line for line in told if line.startswith("1 code by e-mail could not be delivered")]
    assert code.endswith("most recently 2026-03-02 11:00 UTC: 127.0.0.1:1 refused the connection.")
    assert "1 notice by e-mail could not be delivered yet; the server will try again." in told
    world.clock.forward(days=2)
    await send_due(world.store, down)
    told = answer(world, "bert")
    assert told[0] == "Yes, bert can sign in now, with a code after the password or key."
    assert (
        "1 notice by e-mail could not be delivered in the last day, most recently 2026-03-04 11:00 UTC."
        in told
    )


def test_method_that_nothing_sends(world):
    """A method without a carrier does not reach its user."""
    world.methods(Method.APP, Method.EMAIL)
    world.user("bert")
    world.enrol_email("bert")
    models.RecoveryCode.delete().execute()
    world.catch_up()
    assert answer(world, "bert")[0].startswith("Yes, ")
    world.store.services = replace(world.services, sends=frozenset())
    assert answer(world, "bert")[0].startswith(
        "No, bert cannot sign in now: codes by e-mail do not reach them"
    )


def answer(world: World, name="anna", actor=OPERATOR) -> list[str]:
    return [reason.sentence for reason in world.run(signin_explanation.explain_user, actor, name).reasons]


@pytest.fixture
def anna(world: World) -> str:
    world.enrol(world.user("anna", key=KEY))
    world.clock.forward(minutes=5)
    return "anna"


@pytest.mark.feature("explain")
def test_wrong_codes_by_application(world, anna):
    """They are listed until a right one."""
    here = world.attempt(anna)
    there = world.attempt(anna, application=Application.LOCAL, address="local")
    for attempt in (here, here, there):
        world.submit(attempt, world.wrong_code(anna))
    assert (
        "4 of 7 attempts left. Wrong codes: 1 on the host, 2 over SSH, most recently 2026-03-02 09:05 UTC."
        in (answer(world))
    )
    world.submit(here, world.code(anna))
    assert "7 of 7 attempts left." in answer(world)


@pytest.mark.feature("explain")
def test_replayed_code_and_last_clock(world, anna):
    """It tells of a replayed code and of the clock of the last accepted one."""
    ahead = world.code(anna, 1)
    world.submit(world.attempt(anna), ahead)
    assert "The phone's clock was about 30 s ahead at the last accepted code." in answer(world)
    world.submit(world.attempt(anna), ahead)
    assert any("already used were refused in the last day: 1 over SSH" in said for said in answer(world))
    world.clock.forward(days=2)
    assert not any("already used" in said for said in answer(world))


def test_a_lock_and_the_attempts_behind_it_are_told(world, anna):
    world.lock(anna)
    said = answer(world)
    assert any(line.startswith("Locked after seven wrong codes, 2026-03-02 09:05 UTC.") for line in said)
    assert any("0 of 7 attempts left. Wrong codes: 7 over SSH" in line for line in said)


def test_recent_wrong_passwords(world, anna):
    """Wrong passwords of the last quarter of an hour are counted."""
    for _ in range(3):
        world.first(anna, "wrong")
    assert any("3 sign-ins failed for this name" in line for line in answer(world))
    world.clock.forward(minutes=16)
    assert not any("failed for this name" in line for line in answer(world))


@pytest.mark.feature("explain")
def test_keys_addresses_and_successes(world, anna):
    world.run(policy_settings.set_remember_days, OPERATOR, 2, seen=0)
    by_key = world.first_by_key(anna, KEY.fingerprint)
    world.submit(by_key.attempt, world.code(anna))
    said = answer(world)
    assert "1 SSH key, last used 2026-03-02 09:05 UTC." in said
    assert f"From 192.0.2.1 with {KEY.fingerprint}, no code is asked for until 2026-03-04 09:05 UTC." in said
    assert "Signed in 2026-03-02 09:05 UTC over SSH from 192.0.2.1 with key and code." in said


def test_who_may_ask(world, anna):
    """Explaining changes nothing and is open to those who see users."""
    helper = world.person("helper", SUPPORT)
    before = world.dump()
    assert answer(world, actor=helper) == answer(world)
    assert world.dump() == before
    assert isinstance(world.run(signin_explanation.explain_user, world.session(anna), "helper"), Denied)
    assert isinstance(world.run(signin_explanation.explain_user, OPERATOR, "nobody"), Denied)


def test_another_account_is_not_explained(world, anna):
    chief = world.person("chief", SYSTEM)
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    world.set(anna, account=other)
    assert world.run(signin_explanation.explain_user, chief, anna) == Denied("The user was not found.")


def test_an_answer_names_no_secret(world, anna):
    said = repr(world.run(signin_explanation.explain_user, OPERATOR, anna))
    assert world.secrets[anna] not in said
    assert "argon2" not in said
