"""An application that sends wrong codes of many users is suspended; addresses are slowed down first."""

import json

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.applications import code_only, guessing, password_signin, registry
from data.operations.applications.asking import Accept, Reject, VerifyRequest
from data.operations.applications.registry import State
from data.operations.audit import notice_outbox
from data.operations.maintenance import doctor_facts
from data.operations.policy import needs_attention, overview
from data.operations.signin import first_factor
from data.rules.applications import GUESSED_USERS, Asks
from data.rules.doctor import Level
from data.storage import models


@pytest.fixture
def people(world: World) -> list[str]:
    """As many enrolled users as it takes, and one more."""
    names = [f"user{number}" for number in range(GUESSED_USERS + 1)]
    for name in names:
        world.enrol(world.user(name))
    world.clock.forward(minutes=1)
    return names


def state(world: World, name: str) -> State:
    return world.run(registry.show_application, OPERATOR, name).state


@pytest.mark.feature("applications-suspended")
async def test_wrong_codes_of_ten_users(world, application, people, caplog):
    world.user("chief", SECURITY)
    world.user("system", SYSTEM)
    models.Notice.delete().execute()
    vpn, portal = application("vpn", Asks.CODE), application("portal", Asks.PASSWORD_THEN_CODE)
    *nine, tenth, last = people
    for name in nine * 2:
        assert await vpn.ask(name, world.wrong_code(name)) == Reject()
    for name in ("nobody", "someone", "no name"):
        assert await vpn.ask(name, "123456") == Reject()
    assert await vpn.ask(tenth, world.code(tenth)) == Accept(tenth)
    assert (state(world, "vpn"), caplog.messages) == (State.ENABLED, [])
    assert (await vpn.ask(tenth, world.wrong_code(tenth))).suspends
    assert state(world, "vpn") is State.SUSPENDED
    (line,) = caplog.messages
    assert line.startswith("Application vpn is suspended")
    assert world.events(last=1) == ["application.suspended"]

    # It is rejected unjudged and uncounted, and others are not.
    before = world.dump()
    assert await vpn.ask(last, world.code(last)) == await vpn.ask(last, world.wrong_code(last)) == Reject()
    assert world.dump() == before
    assert not isinstance(await portal.ask(last, "not it"), Accept)

    told = {(row.user.name, row.event) for row in models.Notice.select()}
    assert told == {("admin", "application.suspended"), ("chief", "application.suspended")}
    (notice, _) = world.run(notice_outbox.claim)
    assert "The application vpn was suspended: codes of 10 users were wrong" in notice.envelope.text
    found = world.run(doctor_facts.check_accounts, OPERATOR)
    assert [each.level for each in found if "Application vpn was suspended" in each.sentence] == [
        Level.PROBLEM
    ]
    seen = world.run(needs_attention.show_needs_attention, OPERATOR)
    assert seen.suspended_applications == ("vpn",)
    lines = world.run(overview.show_overview, OPERATOR).attention
    assert any(line.finding and "vpn was suspended" in line.finding.sentence for line in lines)

    world.run(registry.enable_application, OPERATOR, "vpn")
    assert await vpn.ask(last, world.wrong_code(last)) == Reject()
    assert state(world, "vpn") is State.ENABLED, "those of before count again"
    assert await vpn.ask(last, world.code(last)) == Accept(last)


async def test_ten_minutes(world, application, people):
    """Wrong codes that are older than that do not suspend."""
    vpn = application("vpn", Asks.CODE)
    for name in people[:-1]:
        world.clock.forward(minutes=1, seconds=10)
        await vpn.ask(name, world.wrong_code(name))
    assert state(world, "vpn") is State.ENABLED


async def test_where_the_password_is_checked(world, application, people):
    """Ten users whose passwords were right are not guessed at by the application."""
    portal = application("portal", Asks.PASSWORD_AND_CODE)
    for name in people:
        assert (await portal.ask(name, f"correct horse battery staple{world.wrong_code(name)}")).message
    assert state(world, "portal") is State.ENABLED


def test_passwords_through_a_portal(world, application, people):
    """If it does not say where its users come from, failures for one name slow nobody else down."""
    portal = application("portal", Asks.PASSWORD_THEN_CODE)

    def candidate(name: str, address: str | None = None):
        request = VerifyRequest(name, "", from_address=address)
        return world.run(password_signin.find_candidate, portal.identity, request)

    for name in people[:-1] * 4:
        world.run(first_factor.settle_password, candidate(name), right=False)
    assert world.run(first_factor.first_factor_delay, candidate(people[0])) > 0
    assert world.run(first_factor.first_factor_delay, candidate(people[-1])) == 0
    for _ in range(25):
        world.run(first_factor.settle_password, candidate("nobody", "203.0.113.7"), right=False)
    assert world.run(first_factor.first_factor_delay, candidate(people[-1], "203.0.113.7")) > 0


def test_addresses_are_slowed_down(world, application, people):
    """Each address, and more so for one name; an address that is not told slows nobody down."""
    vpn, other = application("vpn", Asks.CODE), application("other", Asks.CODE)

    def delay(name: str, address: str | None) -> float:
        request = VerifyRequest(name, "", from_address=address)
        guess = code_only.guess_of(world.services.vault, vpn.identity, request)
        return world.run(guessing.delay_of, guess)

    for name in ("nobody", people[0]):
        for asking in (vpn, other, vpn):
            request = VerifyRequest(name, "000000", from_address="203.0.113.7")
            world.run(code_only.judge_code, asking.identity, request)
        assert delay(name, "203.0.113.7") > 0
        assert delay(name, "198.51.100.1") == delay(people[1], "203.0.113.7") == 0
    world.clock.forward(minutes=16)
    assert delay(people[0], "203.0.113.7") == 0
    detail = json.dumps([row.detail for row in models.AuditEntry.select()])
    assert "nobody" not in detail
