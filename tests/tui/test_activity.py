"""The audit log."""

import json

import pytest
from support.app_driver import opened, sign_in

from data.storage import models
from tui.widgets.paged_table import PagedTable


def fill(world, count: int) -> None:
    account = models.Account.get()
    models.AuditEntry.insert_many(
        {
            "at": world.clock.now,
            "account": account.id,
            "event": "user.edited",
            "actor": "admin",
            "user": f"user{number:03}",
            "application": "ssh",
            "address": "192.0.2.1",
            "detail": '{"fields": "email"}',
        }
        for number in range(count)
    ).execute()


async def test_newest_first_in_utc(world):
    world.clock.forward(minutes=90)
    async with opened(world, "admin", size=(200, 60)) as person:
        await person.sees("2 Users")
        await person.presses("4")
        await person.sees(
            "Time (UTC)", "newest first", "2026-03-02 10:30 admin Signed in with password and code"
        )
        await person.sees("operator:root host ", "Account Clinic created")


async def test_pages_follow_each_other_without_gaps(world):
    fill(world, 120)
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("4")
        await person.sees("newest first")
        seen = []
        for words in ("newest first", "page 2", "page 3"):
            await person.sees(words)
            seen += [row.id for row in person.app.screen.query_one(PagedTable)._page]
            await person.presses("right_square_bracket")
        assert seen == [row.id for row in models.AuditEntry.select().order_by(models.AuditEntry.id.desc())]
        await person.presses("left_square_bracket")
        await person.sees("page 2")
        await person.presses("home", "up")
        await person.sees("newest first")


async def test_rows_are_filtered_by_user(world):
    world.session("anna")
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("4")
        await person.sees("newest first")
        await person.presses("slash")
        await person.types("Anna")
        await person.presses("enter")
        await person.sees("user anna", "Signed in with password")
        assert "boris" not in person.screen
        await person.presses("escape")
        await person.sees_no_more("user anna")


async def test_rows_are_filtered_by_kind_and_by_time(world):
    world.clock.forward(days=3)
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("4")
        await person.sees("All events", "All time")
        await person.presses("f")
        await person.sees("Filter activity", "SSH keys")
        await person.presses(*["down"] * 4, "enter")
        await person.sees("Users · All time", "User created")
        assert "Signed in" not in person.screen
        await person.presses("f")
        await person.sees("Filter activity")
        await person.presses("end")
        await person.sees("Last 24 hours", "Last 30 days")
        await person.presses("up", "up", "enter")
        await person.sees("Users · Last 24 hours", "Nothing found")
        await person.presses("escape")
        await person.sees("All events · All time", "Signed in")


async def test_a_row_is_shown_in_full(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("4")
        await person.sees("newest first")
        await person.presses("enter")
        await person.sees(
            "Signed in with password and code", "Source: ssh 192.0.2.1", "Event: signin.admitted"
        )
        await person.presses("escape")
        await person.sees_no_more("Source: ssh")


REASON = " ".join(f"word{number}" for number in range(60))


@pytest.mark.feature("whole-entries")
class TestEntryInFull:
    """The row under the cursor is shown whole, with all that is known of it."""

    @pytest.fixture
    def told(self, world):
        models.AuditEntry.insert(
            at=world.clock.now,
            account=models.Account.get().id,
            event="user.unlocked",
            actor="sysop",
            user="anna",
            application="ssh",
            address="2001:db8::77",
            detail=json.dumps({"reason": REASON, "because": "phone lost"}),
        ).execute()

    @pytest.mark.parametrize("size", [(60, 30), (80, 24), (120, 40), (200, 60)])
    async def test_beside_or_below_the_table(self, world, told, size):
        session = sign_in(world, "admin")
        async with opened(world, session=session, size=size) as person:
            await person.sees("2 Users")
            await person.presses("4")
            await person.sees("Signed in with password and code", "Time 2026-03-02 09:00:30 UTC")
            await person.presses("down")
            assert whole(person) == " ".join(
                f"""Unlocked: {REASON} Time 2026-03-02 09:00:00 UTC User anna By sysop
                Source ssh 2001:db8::77 Event user.unlocked Because phone lost""".split()
            )
            assert person.app.screen.query_one("#entry").max_scroll_y == 0
            assert table_rows(person) >= 5

    async def test_opened_where_there_is_no_room(self, world, told):
        session = sign_in(world, "admin")
        async with opened(world, session=session, size=(60, 20)) as person:
            await person.sees("2 Users")
            await person.presses("4")
            await person.sees("newest first")
            assert table_rows(person) >= 13
            assert "By admin" not in person.screen
            await person.presses("down", "enter")
            await person.sees(f"Unlocked: {REASON}", "Time: 2026-03-02 09:00:00 UTC")
            await person.presses("end")
            await person.sees("By: sysop", "Source: ssh 2001:db8::77", "Because: phone lost")

    async def test_what_is_shown_follows_filters_and_sizes(self, world, told):
        session = sign_in(world, "admin")
        async with opened(world, session=session) as person:
            await person.sees("2 Users")
            await person.presses("4")
            await person.sees("Event signin.admitted")
            await person.presses("slash")
            await person.types("anna")
            await person.presses("enter")
            await person.sees("Event user.unlocked")
            await person.resizes(60, 20)
            await person.sees_no_more("Event user.unlocked")
            await person.resizes(120, 40)
            await person.sees("Event user.unlocked")
            assert label_gap(person, "Time") == 16
            await person.resizes(60, 30)
            await person.sees("Event user.unlocked")
            assert label_gap(person, "Time") == 15
            await person.presses("slash")
            await person.types("nobody")
            await person.presses("enter")
            await person.sees("Nothing found")
            assert "user.unlocked" not in person.screen


def whole(person) -> str:
    """What the pane shows, however its lines are broken."""
    region = person.app.screen.query_one("#entry").content_region
    lines = person.screen.split("\n")[region.y : region.bottom]
    return " ".join(" ".join(line[region.x : region.right] for line in lines).split())


def label_gap(person, label: str) -> int:
    """How far a value begins from its label."""
    line = next(line for line in person.screen.split("\n") if f"{label}  " in line)
    return line.index("2026", line.index(label)) - line.index(label)


def table_rows(person) -> int:
    return person.app.screen.query_one(PagedTable).size.height - 1
