"""Test messages and the last error of each carrier, as administrators see them."""

import pytest
from support.database import OPERATOR, SECURITY, World
from support.mail_server import HOST, mail_server

from data.delivery.carriers import Carriers, Command, Smtp, Trial
from data.delivery.notices import send_due
from data.delivery.sent_codes import send
from data.delivery.trial_messages import send_test
from data.operations.policy import delivery_tests
from data.operations.policy.delivery_tests import CarrierState
from data.operations.results import Denied
from data.operations.signin import second_factor
from data.operations.users import factor_administration
from data.rules import sent_codes
from data.rules.domain_types import Method

TO = "eva@elsewhere.example"


@pytest.fixture
def chief(world: World):
    """A security administrator with a session."""
    world.user("chief", SECURITY)
    return world.enrol("chief")


def through(port: int) -> Carriers:
    return Carriers(Smtp(HOST, port, "door@clinic.example", security="none"))


def state(world: World, method: Method) -> CarrierState:
    (found,) = [
        state for state in world.run(delivery_tests.show_delivery, OPERATOR) if state.method is method
    ]
    return found


async def test_error_without_the_servers_words(world, chief):
    """A refused test message is the carrier's last error, without the server's words."""
    async with mail_server() as mail:
        mail.to_recipient = f"550 <{TO}> unknown"
        trial = await send_test(world.store, chief, through(mail.port), Method.EMAIL, TO)
    assert trial == Trial(False, f"{HOST}:{mail.port} answered 550 to RCPT TO", f"<{TO}> unknown")
    kept = CarrierState(Method.EMAIL, world.clock.now, trial.words)
    assert world.run(delivery_tests.show_delivery, chief) == (CarrierState(Method.SMS), kept)


@pytest.mark.feature("delivery-errors")
async def test_last_refusal_is_kept(world, chief):
    """A code, a notice and a test message all come to the same place."""
    world.methods(Method.APP, Method.EMAIL)
    world.user("bert")
    world.enrol_email("bert")
    world.clock.forward(hours=2)
    await send(world.store, through(1), second_factor.send_code, world.attempt("bert"), Method.EMAIL)
    first = state(world, Method.EMAIL)
    assert first == CarrierState(Method.EMAIL, world.clock.now, f"{HOST}:1 refused the connection")
    world.clock.forward(hours=1)
    world.run(factor_administration.clear_two_factor, OPERATOR, "bert")
    async with mail_server() as mail:
        mail.to_sender = "451 later"
        await send_due(world.store, through(mail.port))
    second = state(world, Method.EMAIL)
    assert second == CarrierState(
        Method.EMAIL, world.clock.now, f"{HOST}:{mail.port} answered 451 to MAIL FROM"
    )
    assert state(world, Method.SMS).failed_at is None
    await send_test(
        world.store, chief, Carriers(command=Command(("false", "{to}"))), Method.SMS, "+491701234711"
    )
    assert state(world, Method.SMS).reason == "false exited with status 1"


def test_five_an_hour_for_administrators(world, chief):
    """The operator sends as many as needed."""
    for _ in range(sent_codes.TESTS_PER_HOUR):
        assert not isinstance(world.run(delivery_tests.prepare_test, chief, Method.EMAIL, TO), Denied)
    assert isinstance(world.run(delivery_tests.prepare_test, chief, Method.EMAIL, TO), Denied)
    assert not isinstance(world.run(delivery_tests.prepare_test, OPERATOR, Method.EMAIL, TO), Denied)
    world.clock.forward(hours=1)
    assert not isinstance(world.run(delivery_tests.prepare_test, chief, Method.EMAIL, TO), Denied)
