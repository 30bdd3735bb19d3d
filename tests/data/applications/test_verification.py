"""What applications are answered: by the same rules, codes and attempts as at a sign-in over SSH."""

import asyncio
import json
from dataclasses import replace

import pytest
from support.database import OPERATOR, PASSWORD, SSH, World, code_in, statements
from support.mail_server import HOST, mail_server

from data.authserver.verification import IF_IT_CAN_BE_SENT, Verifier
from data.delivery.carriers import Carriers, Smtp
from data.operations.actors import Operator
from data.operations.applications import asking, code_only, registry
from data.operations.applications.asking import Accept, Challenge, Reject, VerifyRequest
from data.operations.audit import notice_outbox
from data.operations.maintenance import accounts
from data.operations.signin import second_factor
from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.code_verification import CodeAlreadyUsed
from data.operations.users import (
    lifecycle,
    practices,
    signin_explanation,
    temporary_codes,
    user_summaries,
)
from data.rules.applications import Asks
from data.rules.domain_types import Method, Mode
from data.rules.policy import Refusal
from data.storage import models
from data.wording.user_lines import attempts_line

REJECTED = Reject("The code was not accepted.")
WRONG_PASSWORD = Reject("Wrong user name or password.")
BOTH = pytest.mark.parametrize("asks", [Asks.PASSWORD_THEN_CODE, Asks.PASSWORD_AND_CODE])
ROUNDS = 20


@pytest.fixture
def anna(world: World) -> str:
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    return "anna"


def last_entry() -> models.AuditEntry:
    return models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()


@pytest.mark.feature("applications")
async def test_code_alone(world, application, anna):
    vpn = application("vpn", Asks.CODE)
    sessions = models.Session.select().count()
    assert await vpn.ask(" Anna", world.code(anna), from_address="::ffff:203.0.113.7") == Accept(anna)
    entry = last_entry()
    assert (entry.event, entry.application, entry.address) == ("signin.admitted", "vpn", "203.0.113.7")
    assert json.loads(entry.detail) == {"methods": "code"}
    assert world.row(anna).last_signin_at == world.clock.now
    assert models.Session.select().count() == sessions


@pytest.mark.feature("applications")
async def test_password_then_code(world, application, anna):
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    other = application("other", Asks.PASSWORD_THEN_CODE)
    expired = Reject("This sign-in has expired. Start again with your password.")
    assert await portal.ask(anna, "not it") == WRONG_PASSWORD
    assert await portal.ask("nobody", PASSWORD) == WRONG_PASSWORD
    asked = await portal.ask(anna, PASSWORD)
    assert isinstance(asked, Challenge)
    assert (asked.message, asked.methods) == ("Verification code:", (Method.APP,))
    world.user("ben")
    # The question is that of one user to one application.
    assert await other.ask(anna, world.code(anna), asked.transaction_id) == expired
    assert await portal.ask("ben", world.code(anna), asked.transaction_id) == expired
    wrong = await portal.ask(anna, world.wrong_code(anna), asked.transaction_id)
    assert wrong == Reject("Wrong code, 6 attempts left.")
    assert await portal.ask(anna, world.code(anna), asked.transaction_id) == Accept(anna)
    assert json.loads(last_entry().detail) == {"methods": "password and code"}
    assert await portal.ask(anna, world.code(anna, 1), asked.transaction_id) == expired
    late = await portal.ask(anna, PASSWORD)
    world.clock.forward(minutes=5)
    assert await portal.ask(anna, world.code(anna), late.transaction_id) == expired


@pytest.mark.feature("applications")
async def test_password_and_code_in_one_field(world, application, anna):
    host = application("host-1", Asks.PASSWORD_AND_CODE)
    code = world.code(anna)
    assert await host.ask(anna, f"not it{code}") == WRONG_PASSWORD
    assert await host.ask(anna, f"{PASSWORD}{code}") == Accept(anna)
    used = await host.ask(anna, f"{PASSWORD},{code}")
    assert used.message.startswith("Code already used.")
    assert await host.ask(anna, f"{PASSWORD},{world.recovery[anna][0]}") == Accept(anna)
    assert isinstance(await host.ask(anna, PASSWORD), Challenge)
    assert world.row(anna).attempts_left == 7


@pytest.mark.feature("applications-attempts", "applications-named")
async def test_attempts_are_shared(world, application, anna):
    """Three wrong codes in a VPN and four over SSH lock, everywhere, and the VPN is named."""
    models.Notice.delete().execute()
    vpn = application("vpn", Asks.CODE)
    portal = application("portal", Asks.PASSWORD_AND_CODE)
    for left in (6, 5, 4):
        assert await vpn.ask(anna, world.wrong_code(anna)) == REJECTED
        assert world.row(anna).attempts_left == left
    attempt = world.attempt(anna)
    for _ in range(4):
        result = world.submit(attempt, world.wrong_code(anna))
    used = "3 of your 7 attempts were used by vpn."
    locked = TurnedAway(f"{Refusal.LOCKED} {used}")
    assert result == world.submit(attempt, world.code(anna)) == world.first(anna) == locked
    (notice,) = world.run(notice_outbox.claim)
    assert used in " ".join(notice.envelope.text.split())
    said = world.run(signin_explanation.explain_user, OPERATOR, anna).reasons
    assert any("Wrong codes: 4 over SSH, 3 by vpn, most recently" in each.sentence for each in said)
    detail = world.run(user_summaries.user_detail, OPERATOR, anna)
    assert attempts_line(detail).startswith("0; wrong codes: 4 over SSH, 3 by vpn, most recently")
    assert await vpn.ask(anna, world.code(anna)) == REJECTED
    told = await portal.ask(anna, f"{PASSWORD}{world.code(anna)}")
    assert told.message == locked.reason


async def test_locked_through_an_application(world, application, anna):
    """The last attempt through an application ends the sessions over SSH."""
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    member = world.session(anna)
    asked = await portal.ask(anna, PASSWORD)
    for _ in range(6):
        await portal.ask(anna, world.wrong_code(anna), asked.transaction_id)
    locked = await portal.ask(anna, world.wrong_code(anna), asked.transaction_id)
    assert locked.message == f"{Refusal.LOCKED} 7 of your 7 attempts were used by portal."
    assert models.Session.get_by_id(member.session_id).ended_because == Refusal.LOCKED
    assert isinstance(world.first(anna), TurnedAway)
    again = await portal.ask(anna, world.code(anna), asked.transaction_id)
    assert again == locked


@pytest.mark.feature("applications-attempts")
async def test_a_code_is_good_once(world, application, anna):
    """A code that was used in one application is dead in all others."""
    vpn = application("vpn", Asks.CODE)
    portal = application("portal", Asks.PASSWORD_AND_CODE)
    code = world.code(anna)
    assert isinstance(world.submit(world.attempt(anna), code), Admitted)
    assert await vpn.ask(anna, code) == REJECTED
    assert (last_entry().event, last_entry().application) == ("signin.code_replayed", "vpn")
    world.clock.forward(seconds=30)
    code = world.code(anna)
    assert await vpn.ask(anna, code) == Accept(anna)
    assert (await portal.ask(anna, f"{PASSWORD}{code}")).message.startswith("Code already used.")
    assert isinstance(world.submit(world.attempt(anna), code), CodeAlreadyUsed)
    assert world.row(anna).attempts_left == 7


async def test_one_code_in_three_places_at_once(world, application, anna):
    vpn = application("vpn", Asks.CODE)
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    attempt = world.attempt(anna)
    for _ in range(ROUNDS):
        world.clock.forward(seconds=30)
        code = world.code(anna)
        asked = await portal.ask(anna, PASSWORD)
        results = await asyncio.gather(
            vpn.ask(anna, code),
            portal.ask(anna, code, asked.transaction_id),
            world.store.run(second_factor.submit_code, attempt, code),
        )
        assert sum(isinstance(result, Accept | Admitted) for result in results) == 1, results
    assert world.row(anna).attempts_left == 7


async def test_temporary_code(world, application, anna):
    made = world.run(temporary_codes.make_temporary_code, OPERATOR, anna, 24)
    vpn = application("vpn", Asks.CODE)
    assert await vpn.ask(anna, made.code) == Accept(anna)
    assert json.loads(last_entry().detail) == {"methods": "temporary code"}
    assert await vpn.ask(anna, made.code) == REJECTED


@pytest.mark.feature("applications-without-2fa")
@BOTH
async def test_who_needs_no_code(world, application, asks):
    """They are rejected, unless the application was added to accept them."""
    world.user("ben")
    strict = application("strict", asks)
    lax = application("lax", asks, accept_without_2fa=True)
    where = SSH.command("ben")
    assert await strict.ask("ben", PASSWORD) == Reject(f"Set up a second factor first: {where}")
    assert world.events(user="ben", last=1) == ["signin.turned_away"]
    assert await lax.ask("ben", PASSWORD) == Accept("ben")
    assert json.loads(last_entry().detail) == {"methods": "password"}
    for _ in range(60):
        await lax.ask("ben", PASSWORD)
    assert (await lax.ask("ben", PASSWORD)).message.startswith("You have signed in too often.")
    world.clock.forward(minutes=1)
    world.mode(Mode.OFF)
    off = "This application asks for a code, and two-factor authentication is turned off."
    assert await strict.ask("ben", PASSWORD) == Reject(off)
    assert await lax.ask("ben", PASSWORD) == Accept("ben")


@pytest.mark.feature("applications-without-2fa")
@BOTH
async def test_who_must_do_something_first(world, application, anna, asks):
    """They are rejected by every application, with the command that leads there."""
    lax = application("lax", asks, accept_without_2fa=True)
    world.user("ben", required=True)
    world.user("cleo", one_time=True)
    assert await lax.ask("ben", PASSWORD) == Reject(f"Set up a second factor first: {SSH.command('ben')}")
    assert await lax.ask("cleo", PASSWORD) == Reject(f"Choose a new password first: {SSH.command('cleo')}")
    # The last factor is lost: a recovery code here would be spent for nothing.
    world.methods(Method.EMAIL)
    world.set(anna, lost_factor=True)
    told = await lax.ask(anna, f"{PASSWORD},{world.recovery[anna][0]}")
    assert told == Reject(
        WRONG_PASSWORD.message
        if asks is Asks.PASSWORD_THEN_CODE
        else f"Set up a second factor first: {SSH.command(anna)}"
    )
    assert models.RecoveryCode.select().where(models.RecoveryCode.used_at.is_null()).count() == 5


async def test_nothing_is_remembered(world, application, anna):
    """A code is asked for where SSH asks for none."""
    models.Account.update(remember_days=7).execute()
    portal = application("portal", Asks.PASSWORD_AND_CODE)
    world.submit(world.attempt(anna), world.code(anna))
    assert isinstance(world.first(anna), Admitted)
    asked = await portal.ask(anna, PASSWORD, from_address="192.0.2.1")
    assert isinstance(asked, Challenge)
    world.clock.forward(seconds=30)
    models.RememberedAddress.delete().execute()
    answer = f"{PASSWORD}{world.code(anna)}"
    assert await portal.ask(anna, answer, from_address="192.0.2.1") == Accept(anna)
    assert models.RememberedAddress.select().count() == 0


async def test_password_changed_meanwhile(world, application, anna):
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    asked = await portal.ask(anna, PASSWORD)
    world.one_time_password(anna)
    told = await portal.ask(anna, world.code(anna), asked.transaction_id)
    assert told == Reject("Your key or password was changed in the meantime. Sign in again.")


@pytest.mark.feature("applications-practices")
@pytest.mark.parametrize("asks", Asks)
async def test_users_of_its_practices_alone(world, application, anna, asks):
    """A user of another practice, or of another account, is like one who does not exist."""
    world.run(practices.add_practice, OPERATOR, "North")
    chief = lifecycle.NewUser("chief", "c@other.example", password_hash=world.row(anna).password_hash)
    world.run(accounts.add_account, OPERATOR, "Other", "Main", replace(chief, one_time_password=False))
    operator = Operator("root", "Clinic")
    asked = application("north", asks, practices=("north",), actor=operator)
    answer = world.code(anna) if asks is Asks.CODE else f"{PASSWORD}{world.code(anna)}"
    answer = PASSWORD if asks is Asks.PASSWORD_THEN_CODE else answer
    expected = REJECTED if asks is Asks.CODE else WRONG_PASSWORD
    assert await asked.ask(anna, answer) == await asked.ask("chief", answer) == expected
    world.run(practices.move_user, operator, anna, "North")
    assert isinstance(await asked.ask(anna, answer), Accept | Challenge)
    # Without its practice it serves nobody, and not everybody.
    world.run(practices.move_user, operator, anna, "Main")
    world.run(practices.remove_practice, operator, "North")
    assert await asked.ask(anna, answer) == expected


@pytest.mark.feature("applications-sent-codes")
async def test_code_by_email_through_a_challenge(world, application):
    world.methods(Method.APP, Method.EMAIL)
    world.user("bert")
    world.enrol_email("bert")
    world.clock.forward(hours=1)
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    async with mail_server() as mail:
        portal.verifier = Verifier(world.store, Carriers(Smtp(HOST, mail.port, "t@clinic.example", "none")))
        asked = await portal.ask("bert", PASSWORD)
        assert isinstance(asked, Challenge)
        assert asked.message.startswith("A code was sent by e-mail to b•••@clinic.example.")
        assert asked.methods == (Method.EMAIL,)
        again = await portal.ask("bert", "e", asked.transaction_id)
        assert again.message.startswith("A code was sent a moment ago.")
        assert again.transaction_id == asked.transaction_id
        assert await portal.ask("bert", mail.code, asked.transaction_id) == Accept("bert")
        world.clock.forward(minutes=2)
        field = application("field", Asks.PASSWORD_AND_CODE)
        field.verifier = portal.verifier
        asked = await field.ask("bert", f"{PASSWORD},e")
        assert asked.message.startswith("A code was sent by e-mail")
        assert await field.ask("bert", f"{PASSWORD}{mail.code}") == Accept("bert")


@pytest.mark.feature("applications-sent-codes")
async def test_messages_for_code_applications(world, application, anna):
    """Without `may_send` none is sent; with it, every name gets the same answer."""
    world.methods(Method.APP, Method.EMAIL)
    world.user("bert")
    world.enrol_email("bert")
    world.clock.forward(hours=1)
    vpn = application("vpn", Asks.CODE)
    assert await vpn.ask("bert", "") == await vpn.ask("bert", "e") == REJECTED
    sends = application("sends", Asks.CODE, may_send=True)
    answers = {(await sends.ask(name, "")).message for name in ("nobody", "admin")}
    assert answers == {IF_IT_CAN_BE_SENT}
    made = world.run(code_only.make_code, sends.identity, VerifyRequest("bert", ""))
    assert await sends.ask("bert", code_in(made)) == Accept("bert")
    for name, answer in (("nobody", "e"), (anna, ""), ("admin", "e")):
        assert world.run(code_only.make_code, sends.identity, VerifyRequest(name, answer)) is None
    assert world.run(code_only.make_code, vpn.identity, VerifyRequest("bert", "")) is None


@pytest.mark.feature("applications-no-oracle")
async def test_every_reject_takes_the_same_statements(world, application):
    """Unknown, deactivated, locked, unenrolled, unserved and wrong look alike, as do right codes of these."""
    vpn = application("vpn", Asks.CODE)
    for name in ("wrong", "locked", "inactive", "unserved"):
        world.enrol(world.user(name))
    world.user("unenrolled")
    world.user("pending", required=True)
    world.lock("locked")
    world.set("inactive", active=False)
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    world.set("unserved", account=other, practice=models.Practice.create(account=other, name="Main"))
    world.clock.forward(minutes=1)
    await vpn.ask("wrong", world.wrong_code("wrong"))  # The first of a minute also forgets old ones.
    world.clock.forward(seconds=30)
    ran: dict[str, list[str]] = {}
    for name in ("wrong", "locked", "inactive", "unserved", "unenrolled", "pending", "nobody", "not a name"):
        code = "000000" if name not in world.secrets or name == "wrong" else world.code(name)
        before = world.dump()
        with statements(world) as seen:
            request = VerifyRequest(name, code, from_address="203.0.113.7")
            assert world.run(code_only.judge_code, vpn.identity, request) == REJECTED
        # What was judged in nobody's place is rolled back, where a wrong code is kept.
        ran[name] = [sql.replace("ROLLBACK TO", "RELEASE") for sql in seen]
        if name != "wrong":
            after = world.dump()
            changed = {table for table in before if before[table] != after[table]}
            assert changed == {"application_rejects"}, name
    assert {tuple(each) for each in ran.values()} == {tuple(ran["wrong"])}
    assert "nobody" not in str(world.dump()), "an unknown name is kept"


async def test_other_answers_of_code_applications(world, application, anna):
    """What has no form of a code is rejected like a wrong one, and does not count."""
    vpn = application("vpn", Asks.CODE)
    for answer in ("", "e", PASSWORD, "x" * 100_000, "\ud800", "1234567"):
        assert await vpn.ask(anna, answer) == REJECTED
    assert world.row(anna).attempts_left == 7


async def test_disabled_and_removed(world, application, anna):
    """It takes effect at once, also between a question and its answer."""
    vpn = application("vpn", Asks.CODE)
    portal = application("portal", Asks.PASSWORD_THEN_CODE)
    before = {app: app.identity for app in (vpn, portal)}
    asked = await portal.ask(anna, PASSWORD)
    for app in (vpn, portal):
        world.run(registry.disable_application, OPERATOR, app.name)
        assert world.run(asking.authenticate_application, app.token, "127.0.0.1") is None
        assert world.run(asking.application_on_host, app.name) is None
    verify = Verifier(world.store).verify
    assert await verify(before[vpn], VerifyRequest(anna, world.code(anna))) == REJECTED
    answer = VerifyRequest(anna, world.code(anna), asked.transaction_id)
    assert isinstance(await verify(before[portal], answer), Reject)
    assert isinstance(await verify(before[portal], VerifyRequest(anna, PASSWORD)), Reject)
    world.run(registry.enable_application, OPERATOR, "vpn")
    assert await vpn.ask(anna, world.code(anna)) == Accept(anna)
    world.run(registry.remove_application, OPERATOR, "vpn")
    assert world.run(asking.authenticate_application, vpn.token, "127.0.0.1") is None
    assert await verify(before[vpn], VerifyRequest(anna, world.code(anna, 1))) == REJECTED
