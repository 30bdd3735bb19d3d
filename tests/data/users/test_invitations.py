"""Invitations and reminders: queued by an act, and handed over to a real mail server."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from support.database import OPERATOR, PASSWORD, SECURITY, SYSTEM, World
from support.mail_server import HOST, MailServer, mail_server

from data.delivery.carriers import Carriers, Smtp
from data.delivery.notices import send_due
from data.operations.actors import Member
from data.operations.audit import notice_outbox
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.signin import admission, enrolment
from data.operations.signin.first_factor import FirstFactorRejected
from data.operations.users import (
    bulk_actions,
    credentials,
    invitations,
    lifecycle,
    practices,
    signin_explanation,
    user_import,
)
from data.operations.users.bulk_actions import Bulk
from data.operations.users.invitations import Group, WrittenPassword
from data.rules import public_keys
from data.rules.domain_types import Method, Mode
from data.rules.invitations import EMAIL_AFTER_ANOTHER, HOURS
from data.rules.policy import MustChangePassword, MustEnrol, SignedIn
from data.rules.users_csv import PersonRow
from data.storage import models
from data.store import Store

NOBODY_LISTENS = 1
PASSWORD_LINE = re.compile(r"^    (\w{5}-\w{5}-\w{5}-\w{5})\r?$", re.MULTILINE)
KEY = public_keys.parse(
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA ben"
)
OWN = "seven quiet marble stairs"


def through(port: int) -> Carriers:
    return Carriers(Smtp(HOST, port, "twofold@clinic.example", "none"))


@pytest.fixture
def people(world: World) -> World:
    """A world with ben and eve, who have nothing to sign in with."""
    for name in ("ben", "eve"):
        world.user(name, password=None)
    return world


def invite(world: World, name: str = "ben", actor=OPERATOR):
    return world.run(invitations.invite, actor, name)


def password_in(mail: MailServer) -> str:
    return PASSWORD_LINE.search(mail.words).group(1)


async def invited(world: World, mail: MailServer, name: str = "ben") -> str:
    """Invite someone, and return the password that the mail server got."""
    assert isinstance(invite(world, name), Done)
    await send_due(world.store, through(mail.port))
    assert mail.messages[-1]["To"] == f"{name}@clinic.example"
    return password_in(mail)


def begun(world: World, password: str, name: str = "ben") -> Member:
    """Sign in with a password from a message."""
    result = world.first(name, password)
    assert isinstance(result, admission.Admitted), result
    assert isinstance(result.session.step, MustChangePassword)
    return Member(result.session.id)


def choose_password(world: World, me: Member, password: str = OWN) -> None:
    hashed = world.services.hasher.hash(password)
    assert isinstance(world.run(credentials.store_password, me, hashed), Done)


# The way of an invitation


async def test_mailed_password_leads_to_enrolment(people):
    """It leads to a new password and through the wizard."""
    people.mode(Mode.REQUIRED)
    async with mail_server() as mail:
        password = await invited(people, mail)
    me = begun(people, password)
    choose_password(people, me)
    assert isinstance(people.run(admission.advance, me.session_id).session.step, MustEnrol)
    people.wizard("ben", me)
    assert isinstance(people.run(admission.advance, me.session_id).session.step, SignedIn)
    assert people.events(user="ben") == [
        "user.created", "user.invited", "invitation.sent", "signin.restricted", "password.changed",
        "signin.restricted", "two_factor.enrolled", "signin.admitted",
    ]  # fmt: skip


@pytest.mark.feature("invite-password")
async def test_password_is_made_at_delivery(people):
    """It is stored nowhere."""
    assert isinstance(invite(people), Done)
    assert people.row("ben").password_hash is None
    await send_due(people.store, through(NOBODY_LISTENS))
    assert people.row("ben").password_hash is None, "nobody has got that password"
    people.clock.forward(minutes=1)
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
        password = password_in(mail)
    assert people.has_hash_of("ben", password)
    assert password.encode() not in people.file_bytes()


@pytest.mark.feature("invite-password")
async def test_it_ends_after_seven_days(people):
    async with mail_server() as mail:
        password = await invited(people, mail)
    people.clock.forward(hours=HOURS, microseconds=-1)
    assert isinstance(people.first("ben", password), admission.Admitted)
    people.clock.forward(microseconds=1)
    assert isinstance(people.first("ben", password), FirstFactorRejected)
    assert timedelta(hours=HOURS) == timedelta(days=7)


@pytest.mark.feature("invite-password")
async def test_it_ends_with_the_next_invitation(people):
    async with mail_server() as mail:
        former = await invited(people, mail)
        people.clock.forward(minutes=1)
        latter = await invited(people, mail)
    assert isinstance(people.first("ben", former), FirstFactorRejected)
    assert isinstance(people.first("ben", latter), admission.Admitted)


async def test_failed_delivery_keeps_the_old_password(people):
    """The password of the invitation before stays good."""
    async with mail_server() as mail:
        former = await invited(people, mail)
        people.clock.forward(minutes=1)
        invite(people)
        mail.answer = "451 later"
        await send_due(people.store, through(mail.port))
    assert isinstance(people.first("ben", former), admission.Admitted)


async def test_no_password_after_signing_in(people):
    """A user who signed in meanwhile is sent no other password."""
    async with mail_server() as mail:
        password = await invited(people, mail)
        invite(people)
        people.clock.forward(minutes=1)
        begun(people, password)
        await send_due(people.store, through(mail.port))
        assert len(mail.messages) == 1
    assert people.events(user="ben", last=1) == ["invitation.dropped"]


async def test_overtaken_sender(people):
    invite(people)
    (mine,) = people.run(notice_outbox.claim)
    prepared = await invitations.prepare(people.store, mine)
    people.clock.forward(seconds=notice_outbox.LEASE.total_seconds())
    people.run(notice_outbox.claim)
    people.run(invitations.take_effect, mine, prepared)
    assert people.row("ben").password_hash is None


async def test_two_senders_at_once(people):
    """Each password that arrived is the one that is good."""
    names = [people.user(f"new{number}", password=None) for number in range(24)]
    await bulk_actions.carry_out(people.store, OPERATOR, names, Bulk.INVITE)
    other = Store(people.database, people.services)
    async with mail_server() as mail:
        carriers = through(mail.port)
        await asyncio.gather(*(send_due(store, carriers) for store in (people.store, other) * 3))
    other.close()
    assert sorted(message["To"] for message in mail.messages) == sorted(
        f"{name}@clinic.example" for name in names
    )
    for message in mail.messages:
        password = PASSWORD_LINE.search(str(message.get_content())).group(1)
        assert people.has_hash_of(message["To"].partition("@")[0], password)


def test_notices_go_before_invitations(people):
    """They do, however many invitations wait."""
    for number in range(notice_outbox.BATCH + 5):
        invite(people, people.user(f"new{number}", password=None))
    people.clock.forward(minutes=1)
    people.one_time_password("eve")
    claimed = people.run(notice_outbox.claim)
    assert [each.act.event.value for each in claimed][:2] == ["password.one_time_set", "user.invited"]
    assert len(claimed) == notice_outbox.BATCH


# Whom an invitation is for


def deactivated(world: World) -> None:
    world.run(lifecycle.set_active, OPERATOR, "ben", active=False)


def given_a_role(world: World) -> None:
    models.UserRole.create(user=world.row("ben"), role=SYSTEM.value)
    world.catch_up()


def given_a_factor(world: World) -> None:
    models.Factor.create(
        user=world.row("ben"), kind="sms", sealed_secret=b"", last_step=0, confirmed_at=world.clock.now
    )
    world.catch_up()


BARS = {
    "deactivated": deactivated,
    "locked": lambda world: world.set("ben", locked_at=world.clock.now),
    "role": given_a_role,
    "own password": lambda world: world.set("ben", password_hash="hash"),
    "key": lambda world: world.run(credentials.add_key, OPERATOR, KEY_LINE, name="ben"),
    "factor of a method that is off": given_a_factor,
    "factor that was lost": lambda world: world.set("ben", lost_factor=True),
}
LATER_BARS = BARS | {"e-mail alone": lambda world: world.methods(Method.EMAIL)}
KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA ben"


@pytest.mark.feature("invite-whom")
@pytest.mark.parametrize("bar", BARS.values(), ids=BARS)
async def test_ineligible_users_are_left_out(people, bar):
    """They are neither invited nor listed, and nothing is stored of it."""
    assert people.run(invitations.names_of, OPERATOR, Group.NOT_INVITED) == ("ben", "eve")
    bar(people)
    before = people.dump()
    refused = invite(people)
    assert isinstance(refused, Denied)
    assert refused.message.startswith("ben ")
    assert await invitations.write_password(people.store, OPERATOR, "ben") == refused
    assert people.run(invitations.names_of, OPERATOR, Group.NOT_INVITED) == ("eve",)
    assert people.dump() == before


@pytest.mark.feature("invite-whom")
@pytest.mark.parametrize("bar", LATER_BARS.values(), ids=LATER_BARS)
async def test_change_since_the_act_stops_the_message(people, bar):
    invite(people)
    bar(people)
    people.clock.forward(minutes=1)
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
        assert "ben@clinic.example" not in [
            message["To"] for message in mail.messages if "sign in" in message["Subject"]
        ]
    assert "invitation.dropped" in people.events(user="ben")
    assert people.run(notice_outbox.is_due) is False


@pytest.mark.parametrize("bar", LATER_BARS.values(), ids=LATER_BARS)
async def test_change_during_delivery(people, bar):
    """The mailed password then has no effect."""
    invite(people)
    (claimed,) = people.run(notice_outbox.claim)
    prepared = await invitations.prepare(people.store, claimed)
    bar(people)
    before = people.row("ben").password_hash
    people.run(invitations.take_effect, claimed, prepared)
    assert people.row("ben").password_hash == before
    assert people.row("ben").password_mailed_at is None


async def test_new_address_gets_no_old_message(people):
    invite(people)
    people.run(lifecycle.edit_user, OPERATOR, "ben", lifecycle.UserChanges(email="ben@new.example"))
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
        assert not [message for message in mail.messages if "how to sign in" in message["Subject"]]


async def test_password_in_person_stops_the_message(people):
    """A password given in person takes back what was not delivered."""
    people.clock.forward(minutes=1)
    invite(people)
    people.one_time_password("ben")
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
        assert ["one-time password was set" in message["Subject"] for message in mail.messages] == [True]
    assert people.has_hash_of("ben", PASSWORD)


def test_fresh_proof_and_role_come_first(people):
    """An act asks for fresh proof and a role before anything is read."""
    boss = people.person("boss", SYSTEM)
    plain = people.person("plain")
    people.clock.forward(hours=1)
    assert isinstance(people.run(bulk_actions.act_on_many, boss, ["ben"], Bulk.INVITE), FreshProofNeeded)
    for act in (Bulk.INVITE, Bulk.REMIND):
        assert isinstance(people.run(bulk_actions.act_on_many, plain, ["ben"], act), Denied)
    assert isinstance(invite(people, actor=boss), FreshProofNeeded)
    assert isinstance(people.run(invitations.check_written, boss, "ben"), FreshProofNeeded)


def test_nobody_without_mail_server_or_address(people):
    services = people.store.services
    for lacking, says in (
        ({"sends": frozenset()}, "user invite --pending --csv FILE"),
        ({"ssh": None}, "public_address"),
        ({"ssh": replace(services.ssh, fingerprint="")}, "host key"),
    ):
        people.store.services = replace(services, **lacking)
        refused = people.run(bulk_actions.act_on_many, OPERATOR, ["ben", "nobody"], Bulk.INVITE)
        assert isinstance(refused, Denied)
        assert says in refused.message
        assert invite(people) == refused
    people.store.services = services


async def test_not_invited_list(people):
    """Users are listed as not invited until they are, and again when that ended."""

    def listed():
        return people.run(invitations.names_of, OPERATOR, Group.NOT_INVITED)

    invite(people)
    assert listed() == ("eve",)
    assert "already" in invite(people).message
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
    assert listed() == ("eve",)
    people.clock.forward(days=7)
    assert listed() == ("ben", "eve")


def test_names_are_read_by_page_and_by_practice(people):
    people.run(practices.add_practice, OPERATOR, "North")
    people.run(practices.move_user, OPERATOR, "eve", "North")
    names = [
        people.run(invitations.names_of, OPERATOR, Group.ALL, after=after, limit=1)
        for after in ("", "admin", "ben", "eve")
    ]
    assert names == [("admin",), ("ben",), ("eve",), ()]
    assert people.run(invitations.names_of, OPERATOR, Group.NOT_INVITED, practice="north") == ("eve",)
    assert (
        people.run(invitations.names_of, OPERATOR, Group.ALL, practice="South") == practices.NO_SUCH_PRACTICE
    )


async def test_invitations_of_one_user_are_bounded(people):
    async with mail_server() as mail:
        for _ in range(6):
            await invited(people, mail)
            people.clock.forward(minutes=1)
        assert "too often" in invite(people).message
        people.clock.forward(hours=1)
        assert isinstance(invite(people), Done)


async def test_many_in_parts(people):
    """Many are invited in parts, and the others are named."""
    for number in range(60):
        people.user(f"new{number}", password=None)
    people.user("held")
    told: list[int] = []
    names = [f"new{number}" for number in range(60)] + ["held", "nobody"]
    result = await bulk_actions.carry_out(people.store, OPERATOR, names, Bulk.INVITE, told.append)
    assert (len(result.done), told) == (60, [25, 25, 12])
    assert [name for name, _ in result.refused] == ["held", "nobody"]
    assert "a password of their own" in dict(result.refused)["held"]


@pytest.mark.feature("invite")
async def test_imported_people_are_invited(people):
    row = PersonRow(2, "kim", "kim@clinic.example", "", None, "", required=True, key=None)
    await user_import.import_people(people.store, OPERATOR, [row], lambda _more: None)
    async with mail_server() as mail:
        password = await invited(people, mail, "kim")
        assert "set up two-factor" in mail.words.replace("\r\n", " ")
    begun(people, password, "kim")


# E-mail alone is no second factor beside a mailed password


@pytest.fixture
def mailed(people: World) -> World:
    """A world in which ben was sent a password, and everyone may set up e-mail."""
    people.methods(Method.APP, Method.SMS, Method.EMAIL)
    people.mode(Mode.REQUIRED)
    hashed = people.services.hasher.hash(PASSWORD)
    until = people.clock.now + timedelta(hours=HOURS)
    credentials.set_password(people.row("ben"), hashed, until, mailed_at=people.clock.now)
    return people


def barred_from_email(world: World, me: Member) -> bool:
    choice = world.run(enrolment.wizard_choice, me)
    refused = world.run(enrolment.begin_email, me) == Denied(EMAIL_AFTER_ANOTHER)
    assert refused == (Method.EMAIL not in choice.methods)
    return refused


@pytest.mark.feature("invite-not-email")
def test_email_is_barred_in_its_session(mailed):
    """A session that began with a mailed password cannot set up e-mail."""
    me = begun(mailed, PASSWORD)
    choose_password(mailed, me)
    mailed.run(admission.advance, me.session_id)
    assert barred_from_email(mailed, me)


@pytest.mark.feature("invite-not-email")
def test_email_is_barred_in_the_next_session(mailed):
    """Nor can a session with the password that replaced it."""
    choose_password(mailed, begun(mailed, PASSWORD))
    again = mailed.first("ben", OWN).session
    assert isinstance(again.step, MustEnrol)
    assert barred_from_email(mailed, Member(again.id))


def test_it_can_when_another_method_is_set_up(mailed):
    me = begun(mailed, PASSWORD)
    choose_password(mailed, me)
    mailed.run(admission.advance, me.session_id)
    mailed.wizard("ben", me)
    mailed.run(admission.advance, me.session_id)
    assert not barred_from_email(mailed, me)


def test_email_after_another_method(mailed):
    """Once another method was set up, e-mail is allowed, even when that method is gone."""
    mailed.mode(Mode.OPTIONAL)
    me = begun(mailed, PASSWORD)
    choose_password(mailed, me)
    mailed.run(admission.advance, me.session_id)
    assert barred_from_email(mailed, me)
    mailed.wizard("ben", me)
    assert isinstance(mailed.run(enrolment.turn_off, me), Done)
    assert not barred_from_email(mailed, me)


def test_email_after_a_password_in_person(mailed):
    """A session with a password that an administrator gave in person can set e-mail up."""
    mailed.one_time_password("ben")
    choose_password(mailed, begun(mailed, PASSWORD))
    assert not barred_from_email(mailed, Member(mailed.first("ben", OWN).session.id))


def test_email_as_the_only_method(mailed):
    """Nobody is invited, and who was is told what to do."""
    mailed.methods(Method.EMAIL)
    assert "both factors" in invite(mailed, "eve").message
    choose_password(mailed, begun(mailed, PASSWORD))
    me = Member(mailed.first("ben", OWN).session.id)
    assert mailed.run(enrolment.wizard_choice, me) == Denied(EMAIL_AFTER_ANOTHER)


# On paper


@pytest.mark.feature("invite-on-paper")
async def test_password_on_paper(people):
    """It signs in and ends with the next one."""
    written = await invitations.write_password(people.store, OPERATOR, "ben")
    assert isinstance(written, WrittenPassword)
    assert written.password not in repr(written)
    assert written.password.encode() not in people.file_bytes()
    assert written.until == people.clock.now + timedelta(days=7)
    again = await invitations.write_password(people.store, OPERATOR, "ben")
    assert isinstance(people.first("ben", written.password), FirstFactorRejected)
    begun(people, again.password)
    assert people.row("ben").password_mailed_at is None
    assert people.events(user="ben").count("user.invited") == 2


async def test_paper_replaces_an_undelivered_invitation(people):
    invite(people)
    written = await invitations.write_password(people.store, OPERATOR, "ben")
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
        assert not mail.messages
    begun(people, written.password)


# Reminders


@pytest.fixture
def obliged(world: World) -> World:
    """A world in which anna must set 2FA up, kim has, dan need not, and eve has nothing to sign in with."""
    world.user("anna", required=True)
    world.enrol(world.user("kim"))
    world.user("dan")
    world.user("eve", password=None, required=True)
    return world


@pytest.mark.feature("remind")
async def test_remind(obliged):
    """Who must set up is reminded, and the others are named."""
    chosen = obliged.run(invitations.names_of, OPERATOR, Group.MUST_SET_UP)
    assert chosen == ("admin", "anna", "eve")
    result = await bulk_actions.carry_out(obliged.store, OPERATOR, [*chosen, "kim", "dan"], Bulk.REMIND)
    assert result.done == ("admin", "anna")
    reasons = dict(result.refused)
    assert "invitation" in reasons["eve"]
    assert reasons["kim"] == "kim does not have to set up two-factor authentication now."
    async with mail_server() as mail:
        await send_due(obliged.store, through(mail.port))
        assert {message["To"] for message in mail.messages} == {"admin@clinic.example", "anna@clinic.example"}
        assert mail.messages[0]["Subject"] == "Twofold: set up two-factor authentication"
        assert "    ssh -p 2222 a" in mail.words
    assert obliged.events(user="anna", last=1) == ["user.reminded"]


@pytest.mark.feature("remind")
async def test_a_user_is_reminded_once_a_day(obliged):
    assert isinstance(obliged.run(invitations.remind, OPERATOR, "anna"), Done)
    obliged.clock.forward(days=1, microseconds=-1)
    assert "already reminded in the last day" in obliged.run(invitations.remind, OPERATOR, "anna").message
    obliged.clock.forward(microseconds=1)
    assert isinstance(obliged.run(invitations.remind, OPERATOR, "anna"), Done)


async def test_who_has_set_up_meanwhile_is_not_reminded(obliged):
    obliged.run(invitations.remind, OPERATOR, "anna")
    obliged.enrol("anna")
    async with mail_server() as mail:
        await send_due(obliged.store, through(mail.port))
        assert not [
            message
            for message in mail.messages
            if message["Subject"].endswith(": set up two-factor authentication")
        ]


def test_nobody_is_reminded_while_the_mode_is_off(obliged):
    obliged.mode(Mode.OFF)
    assert obliged.run(invitations.names_of, OPERATOR, Group.MUST_SET_UP) == ()
    assert isinstance(obliged.run(invitations.remind, OPERATOR, "anna"), Denied)


# What is told of it


async def test_explain_follows_an_invitation(people):
    """Explain tells of it from the act to the user's own password."""

    def sentences() -> str:
        return " ".join(
            found.sentence for found in people.run(signin_explanation.explain_user, OPERATOR, "ben").reasons
        )

    assert "invite them" in sentences()
    invite(people)
    assert "requested 2026-03-02 09:00 UTC, has not been sent yet" in sentences()
    async with mail_server() as mail:
        await send_due(people.store, through(mail.port))
        password = password_in(mail)
    assert "the password was sent by e-mail 2026-03-02 09:00 UTC" in sentences()
    choose_password(people, begun(people, password))
    assert "cannot be e-mail" in sentences()


async def test_undelivered_after_a_day(people):
    """The invitation is given up, and the log says so."""
    invite(people)
    await send_due(people.store, through(NOBODY_LISTENS))
    people.clock.forward(days=1)
    await send_due(people.store, through(NOBODY_LISTENS))
    assert people.events(user="ben", last=1) == ["notice.abandoned"]
    assert people.run(invitations.names_of, OPERATOR, Group.NOT_INVITED) == ("ben", "eve")


async def test_security_admins_remind_only(people):
    """Security administrators remind and do not invite."""
    me = people.person("me", SECURITY)
    people.set("eve", required=True, password_hash="hash")
    assert isinstance(invite(people, actor=me), Denied)
    assert isinstance(people.run(invitations.remind, me, "eve"), Done)
