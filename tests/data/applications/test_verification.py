"""What applications are answered: by the same rules, codes and attempts as at a sign-in over SSH."""

import pytest
from support.database import PASSWORD, World

from data.operations.applications.asking import Accept, Challenge, Reject
from data.rules.applications import Asks
from data.rules.domain_types import Method
from data.storage import models

REJECTED = Reject()


@pytest.fixture
def anna(world: World) -> str:
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    return "anna"


async def test_code_alone(world, application, anna):
    vpn = application("vpn", Asks.CODE)
    assert await vpn.ask("Anna ", world.code(anna)) == Accept(anna)
    entry = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()
    assert (entry.event, entry.application, entry.address) == ("signin.admitted", "vpn", "127.0.0.1")
    assert await vpn.ask(anna, world.code(anna)) == REJECTED
    assert models.Session.select().where(models.Session.application == "vpn").count() == 0


async def test_password_then_code(world, application, anna):
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    assert await portal.ask(anna, "not it") == Reject("Wrong user name or password.")
    assert await portal.ask("nobody", PASSWORD) == Reject("Wrong user name or password.")
    asked = await portal.ask(anna, PASSWORD)
    assert isinstance(asked, Challenge)
    assert (asked.message, asked.methods) == ("Verification code:", (Method.APP,))
    wrong = await portal.ask(anna, world.wrong_code(anna), asked.transaction_id)
    assert wrong == Reject("Wrong code, 6 attempts left.")
    assert await portal.ask(anna, world.code(anna), asked.transaction_id) == Accept(anna)
    assert await portal.ask(anna, world.code(anna), asked.transaction_id) == Reject(
        "This sign-in has expired. Start again with your password."
    )


async def test_password_and_code_in_one_field(world, application, anna):
    host = application("host-1", Asks.PASSWORD_AND_CODE)
    code = world.code(anna)
    assert await host.ask(anna, f"not it{code}") == Reject("Wrong user name or password.")
    assert await host.ask(anna, f"{PASSWORD}{code}") == Accept(anna)
    used = await host.ask(anna, f"{PASSWORD},{code}")
    assert used.message.startswith("Code already used.")
    recovery = world.recovery[anna][0]
    assert await host.ask(anna, f"{PASSWORD},{recovery}") == Accept(anna)
    assert world.row(anna).attempts_left == 7
