"""The outbox: claimed by one sender, handed to a real mail server, tried again, and given up in the end."""

import asyncio
import os
import signal
import sys
from datetime import timedelta

import pytest
from support.database import OPERATOR, World
from support.mail_server import HOST, mail_server

from data.delivery.carriers import Carriers, Smtp
from data.delivery.notices import keep_sending, send_due, send_own, sending
from data.operations.audit import notice_outbox
from data.operations.users import credentials, factor_administration
from data.storage import models
from data.store import Store

NOBODY_LISTENS = 1


def through(port: int, seconds: float = 5) -> Carriers:
    return Carriers(Smtp(HOST, port, "twofold@clinic.example", "none"), limit_seconds=seconds)


@pytest.fixture
def told(world: World) -> World:
    """A world in which anna is to be told of one act."""
    world.user("anna")
    world.clock.forward(hours=1)
    world.run(factor_administration.clear_two_factor, OPERATOR, "anna")
    return world


def rows() -> list[models.Notice]:
    return list(models.Notice.select().order_by(models.Notice.id))


@pytest.mark.feature("notice-sending")
async def test_a_notice_reaches_a_real_mail_server_once(told):
    async with mail_server() as mail:
        await send_due(told.store, through(mail.port))
        await send_due(told.store, through(mail.port))
    (message,) = mail.messages
    assert message["To"] == "anna@clinic.example"
    assert message["Subject"] == "Twofold: your two-factor data was cleared"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    assert mail.words.split("\r\n")[:3] == [
        "Hello anna,",
        "",
        "What you had set up for two-factor authentication and your recovery",
    ]
    (row,) = rows()
    assert (row.next_try_at, row.done_at, row.tries) == (None, told.clock.now, 1)


@pytest.mark.feature("notice-sending")
async def test_retries_wait_longer_each_time(told):
    down = through(NOBODY_LISTENS)
    for minutes in (1, 2, 4):
        await send_due(told.store, down)
        (row,) = rows()
        assert row.next_try_at == told.clock.now + timedelta(minutes=minutes)
        await send_due(told.store, down)
        assert rows()[0].tries == row.tries, "it was tried before its time"
        told.clock.forward(minutes=minutes)
    async with mail_server() as mail:
        await send_due(told.store, through(mail.port))
    assert len(mail.messages) == 1


async def test_a_rude_mail_server_is_asked_again_later(told):
    async with mail_server() as mail:
        mail.answer = "550 no"
        await send_due(told.store, through(mail.port))
        mail.answer = "250 taken"
        told.clock.forward(minutes=1)
        await send_due(told.store, through(mail.port))
    assert len(mail.messages) == 1


async def test_given_up_after_a_day(told):
    """The log says so."""
    down = through(NOBODY_LISTENS)
    for _ in range(30):
        await send_due(told.store, down)
        told.clock.forward(hours=1)
    (row,) = rows()
    assert row.next_try_at is None
    assert 24 <= row.tries <= 32
    assert told.events(user="anna", last=1) == ["notice.abandoned"]
    assert told.events().count("notice.abandoned") == 1
    async with mail_server() as mail:
        await send_due(told.store, through(mail.port))
    assert not mail.messages


def test_notice_of_a_newer_version(told):
    """It is given up and holds no other up."""
    models.Notice.update(event="future.event").execute()
    told.one_time_password("anna")
    assert [claimed.envelope.subject for claimed in told.run(notice_outbox.claim)] == [
        "Twofold: a one-time password was set"
    ]
    assert told.events(user="anna", last=1) == ["notice.abandoned"]


async def test_settled_rows_are_deleted_after_a_week(told):
    async with mail_server() as mail:
        await send_due(told.store, through(mail.port))
        told.clock.forward(days=8)
        told.one_time_password("anna")
        await send_due(told.store, through(mail.port))
    assert [row.event for row in rows()] == ["password.one_time_set"]


async def test_of_two_senders_at_once_one_holds_each_notice(told):
    for _ in range(24):
        told.clock.forward(minutes=11)
        told.one_time_password("anna")
    # A second store has connections and threads of its own, as another process has.
    other = Store(told.database, told.services)
    async with mail_server() as mail:
        carriers = through(mail.port)
        await asyncio.gather(*(send_due(store, carriers) for store in (told.store, other) * 3))
    other.close()
    assert len(mail.messages) == 25
    assert all(row.tries == 1 for row in rows())


def test_claim_holds_until_its_lease_ends(told):
    (mine,) = told.run(notice_outbox.claim)
    assert told.run(notice_outbox.claim) == ()
    told.clock.forward(seconds=notice_outbox.LEASE.total_seconds())
    (theirs,) = told.run(notice_outbox.claim)
    assert (mine.id, mine.tries, theirs.tries) == (theirs.id, 1, 2)


def test_slow_sender_does_not_delay_the_next(told):
    mine = told.run(notice_outbox.claim)
    told.clock.forward(seconds=notice_outbox.LEASE.total_seconds())
    theirs = told.run(notice_outbox.claim)
    told.run(notice_outbox.settle, theirs, {})
    told.run(notice_outbox.settle, mine, {mine[0].id: "no answer in time"})
    assert rows()[0].next_try_at is None


KILLED = """
import asyncio, sys
sys.path[:0] = ["tests", "."]
from support.database_process import place_of
from support.database import services
from data.delivery.carriers import Carriers, Smtp
from data.delivery.notices import send_due
from data.storage.database import open_database
from data.storage import models
from data.store import Store
now = models._EPOCH.fromisoformat(sys.argv[3])
store = Store(open_database(place_of(sys.argv[1])), services(lambda: now))
smtp = Smtp("127.0.0.1", int(sys.argv[2]), "twofold@clinic.example", "none")
asyncio.run(send_due(store, Carriers(smtp)))
"""


async def test_killed_sender_is_replaced(told):
    """Another sends its notice when the lease is over."""
    async with mail_server() as mail:
        mail.wait = 60
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, told.where, str(mail.port), told.clock.now.isoformat()
        )
        async with asyncio.timeout(30):
            while rows()[0].tries == 0:
                await asyncio.sleep(0.02)
        os.kill(sender.pid, signal.SIGKILL)
        await sender.wait()
        mail.wait = 0
        await send_due(told.store, through(mail.port))
        assert not mail.messages, "the killed sender's claim holds"
        told.clock.forward(seconds=notice_outbox.LEASE.total_seconds())
        await send_due(told.store, through(mail.port))
    assert len(mail.messages) == 1


async def test_background_outlives_the_database(told, caplog):
    async with mail_server() as mail:
        told.database.execute_sql("ALTER TABLE notice RENAME TO away")
        task = asyncio.create_task(keep_sending(told.store, through(mail.port), every=0.01))
        async with asyncio.timeout(30):
            while not caplog.records:
                await asyncio.sleep(0.01)
            told.database.execute_sql("ALTER TABLE away RENAME TO notice")
            while not mail.messages:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [record.getMessage() for record in caplog.records if record.name == "twofold.delivery"] == [
        "Sending notices failed: StoreUnavailableError"
    ]


async def test_ending_settles_what_is_being_sent(told):
    async with mail_server() as mail:
        mail.wait = 0.2
        async with sending(told.store, through(mail.port)):
            async with asyncio.timeout(30):
                while rows()[0].tries == 0:
                    await asyncio.sleep(0.01)
        assert len(mail.messages) == 1
    assert rows()[0].done_at is not None


async def test_nothing_without_a_mail_server(told):
    await asyncio.wait_for(keep_sending(told.store, Carriers()), 30)
    assert rows()[0].tries == 0


async def test_the_act_does_not_wait_for_the_mail_server(told):
    async with mail_server() as mail:
        mail.wait = 60
        async with asyncio.timeout(30):
            async with sending(told.store, through(mail.port, seconds=0.5)):
                while rows()[0].tries == 0:
                    await asyncio.sleep(0.01)
                done = await told.store.run(credentials.set_one_time_password, OPERATOR, "anna", "hash")
                assert done.message.startswith("anna has a one-time password")
                assert rows()[0].done_at is None, "the mail server had answered already"


async def test_command_sends_its_own_notices(told):
    """It sends nothing older."""
    async with mail_server() as mail:
        told.clock.forward(minutes=5)
        begun = told.clock.now
        told.one_time_password("anna")
        assert await send_own(told.store, through(mail.port), begun)
    assert [message["Subject"] for message in mail.messages] == ["Twofold: a one-time password was set"]


async def test_a_command_says_that_its_notice_was_not_taken(told):
    assert not await send_own(told.store, through(NOBODY_LISTENS), told.clock.now)
