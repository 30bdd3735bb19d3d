"""What others change is seen on every screen without a key, at next to no cost."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.app_driver import LOCAL, Person, opened, sign_in
from support.database import BOTH, OPERATOR, PASSWORD
from support.ssh_server import until

from data.operations.audit.changes import ChangeFeed
from data.operations.maintenance import accounts
from data.operations.signin import sessions, worker_sessions
from data.operations.users import factor_administration, practices
from data.operations.users.lifecycle import NewUser
from data.operations.users.user_search import PAGE
from data.storage import models
from sshserver.limits.limit_values import Limits
from tui.app import TwofoldApp
from tui.screens.base_screen import MainScreen
from tui.widgets.paged_table import PagedTable

pytestmark = pytest.mark.feature("live-screens")


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Screens look for changes fifty times as often as they do for people."""
    monkeypatch.setattr(MainScreen, "FOLLOW_SECONDS", 0.03)
    monkeypatch.setattr(ChangeFeed, "SECONDS", 0.02)


def test_a_change_is_seen_within_three_seconds(monkeypatch):
    """A change just after the feed was read waits for its whole period, and a screen for its own before."""
    monkeypatch.undo()
    assert MainScreen.FOLLOW_SECONDS + ChangeFeed.SECONDS < 3


@pytest.fixture
def reads(world, monkeypatch):
    """The operations that screens read by, by name."""
    seen = []
    read = world.store.read

    def recorded(operation, *args, **kwargs):
        seen.append(operation.__name__)
        return read(operation, *args, **kwargs)

    monkeypatch.setattr(world.store, "read", recorded)
    return seen


def crowd(world, *names: str) -> None:
    for name in names:
        world.user(name)


def table(person: Person) -> PagedTable:
    return person.app.screen.query_one(PagedTable)


def line_of(person: Person, words: str) -> int:
    return next(y for y, line in enumerate(person.screen.split("\n")) if words in line)


def list_statements(world, monkeypatch):
    """List the statements of all threads."""
    seen = []
    execute = world.database.execute_sql

    def recording(sql, *args, **kwargs):
        seen.append(sql)
        return execute(sql, *args, **kwargs)

    monkeypatch.setattr(world.database, "execute_sql", recording)
    return seen


class TestTables:
    async def test_users(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            world.user("dora")
            await person.sees("5 users", "dora")
            world.run(factor_administration.set_required, OPERATOR, "dora", required=True)
            await person.sees("Pending setup on next login")

    async def test_activity(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("4")
            await person.sees("newest first")
            world.run(practices.add_practice, OPERATOR, "Annex")
            await person.sees("Practice Annex added")

    async def test_practices(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("5")
            await person.sees("1 practice")
            world.run(practices.add_practice, OPERATOR, "Annex")
            await person.sees("2 practices", "Annex")

    async def test_sessions(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("6")
            await person.sees("sessions open")
            anna = world.session("anna", address="192.0.2.77")
            await person.sees("192.0.2.77")
            world.run(sessions.end_session_of, OPERATOR, anna.session_id)
            await person.sees_no_more("192.0.2.77")

    async def test_sessions_of_a_process_that_is_gone(self, world):
        """No row of the audit log tells of those."""
        world.run(worker_sessions.beat, "0123456789abcdef", "other")
        anna = world.session("anna", address="192.0.2.77")
        models.Session.update(worker="0123456789abcdef").where(models.Session.id == anna.session_id).execute()
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("6")
            await person.sees("192.0.2.77")
            world.run(worker_sessions.leave, "0123456789abcdef")
            await person.sees_no_more("192.0.2.77")


class TestOtherScreens:
    async def test_detail_of_a_user(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("down", "enter")
            await person.sees("anna@clinic.example", "not individually")
            world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
            await person.sees("Required individually")

    async def test_profile(self, world):
        async with opened(world, "anna") as person:
            await person.sees("Optional: people choose")
            world.run(practices.add_practice, OPERATOR, "Annex")
            world.run(practices.move_user, OPERATOR, "anna", "Annex")
            await person.sees("Annex, Clinic")

    async def test_security_keeps_what_was_chosen(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("3")
            await person.sees("(•) Optional")
            await person.presses("down")
            await person.sees("3 people must set it up")
            world.user("dora")
            await person.sees("4 people must set it up", "(•) Required")


class TestWhatStays:
    async def test_cursor_marks_and_place_on_the_screen(self, world):
        crowd(world, *(f"m{number:02}" for number in range(16)))
        async with opened(world, "admin", size=(80, 14)) as person:
            await person.sees("20 users")
            await person.presses(*["down"] * 12, "space", "up", "up")
            await person.sees("1 marked")
            chosen, before = table(person).selected.name, line_of(person, "✓ m")
            world.user("bert")
            await until(lambda: person.app.screen.page.total == 21)
            await person.pilot.pause()
            assert table(person).selected.name == chosen
            assert line_of(person, "✓ m") == before
            assert "1 marked" in person.screen

    async def test_new_rows_are_seen_from_the_first_row(self, world):
        async with opened(world, "admin") as person:
            await person.sees("4 users", "anna")
            await person.presses("down")
            world.user("abel")
            await person.sees("abel")
            assert table(person).selected.name == "anna"

    async def test_place_of_a_row_that_is_gone(self, world):
        for name in ("Annex", "Branch", "Deputy"):
            world.run(practices.add_practice, OPERATOR, name)
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("5")
            await person.sees("Branch")
            await person.presses("down")
            world.run(practices.remove_practice, OPERATOR, "Branch")
            await person.sees_no_more("Branch")
            assert table(person).cursor_row == 1

    async def test_what_is_being_typed(self, world, reads):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("slash")
            for number, letter in enumerate("carla"):
                world.user(f"carla{number}")
                await person.presses(letter)
                await asyncio.sleep(0.05)
            await person.sees("6 users", "carla4")
            assert person.app.focused.value == "carla"

    async def test_a_change_that_shows_nowhere_draws_nothing(self, world, reads, monkeypatch):
        """The second sign-in of a day is read, and looks like the first."""
        world.session("anna")
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await until(lambda: reads[-2:] == ["changes_since"] * 2)
            drawn = []
            monkeypatch.setattr(person.app, "_display", lambda *args: drawn.append(args))
            reads.clear()
            world.session("anna")
            await until(lambda: "list_users" in reads)
            await until(lambda: reads[-2:] == ["changes_since"] * 2)
            assert drawn == []


class TestCost:
    async def test_statements_of_many_screens(self, world, monkeypatch):
        """While nothing happens, all of them together have the database asked one thing in each period."""
        answers = []
        session = sign_in(world, "admin")
        asked = list_statements(world, monkeypatch)

        class Counted(ChangeFeed):
            async def since(self, mark):
                answers.append(mark)
                return await super().since(mark)

        feed = Counted(world.store)
        monkeypatch.setattr(Counted, "SECONDS", 1000)
        async with AsyncExitStack() as stack:
            for _ in range(10):
                app = TwofoldApp(world.store, session=session, clock=world.clock, origin=LOCAL, changes=feed)
                person = Person(app, await stack.enter_async_context(app.run_test()), world)
                await person.sees("0 Overview")
            await until(lambda: len(answers) >= 50)
            asked.clear(), answers.clear()
            await until(lambda: len(answers) >= 100)
            assert asked == []
            feed._read_at = -1000
            await until(lambda: len(answers) >= 200)
            assert len(asked) == 1

    async def test_sign_ins_of_people_on_another_page(self, world, reads):
        """They have the page read again only where it can show them."""
        crowd(world, *(f"b{number:02}" for number in range(PAGE)))
        async with opened(world, "admin") as person:
            await person.sees("54 users")
            await until(lambda: reads[-2:] == ["changes_since"] * 2)
            reads.clear()
            world.session("carla")
            await until(lambda: reads.count("changes_since") > 3)
            assert "list_users" not in reads
            world.session("anna")
            await until(lambda: "list_users" in reads)

    async def test_what_adds_no_row_to_a_page_of_activity(self, world, reads):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("4", "slash")
            await person.types("anna")
            await person.presses("enter")
            await person.sees("user anna")
            await until(lambda: reads[-2:] == ["changes_since"] * 2)
            reads.clear()
            world.session("carla")
            await until(lambda: reads.count("changes_since") > 3)
            assert "list_entries" not in reads
            world.session("anna")
            await person.sees("Signed in with password")

    async def test_a_change_in_another_account_has_no_page_read(self, world, reads):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await until(lambda: reads[-2:] == ["changes_since"] * 2)
            reads.clear()
            mark = person.app.changes.mark
            lena = NewUser("lena", "lena@lab.example", roles=BOTH)
            world.run(accounts.add_account, OPERATOR, "Lab", "Main", lena)
            await until(lambda: person.app.changes.mark > mark)
            await until(lambda: reads[-2:] == ["changes_since"] * 2)
            assert "list_users" not in reads

    async def test_a_screen_below_a_dialog_reads_nothing(self, world, reads):
        async with opened(world, "admin") as person:
            await person.sees("4 users")
            await person.presses("question_mark")
            await person.sees("Keys on this screen")
            reads.clear()
            world.user("dora")
            await asyncio.sleep(0.3)
            assert reads == []
            await person.presses("escape")
            await person.sees("5 users")


async def test_following_is_no_activity(world, reads):
    """Nothing keeps a session in which nobody types, although its screen goes on being read."""
    app = TwofoldApp(
        world.store, session=None, clock=world.clock, origin=LOCAL, limits=Limits(idle_minutes=10)
    )
    async with app.run_test() as pilot:
        person = Person(app, pilot, world)
        await person.sees("Sign in to Twofold")
        await person.types("anna")
        await person.presses("enter")
        await person.types(PASSWORD)
        await person.presses("enter")
        await person.sees("How it works")
        before = app._idle._last
        await until(lambda: reads.count("changes_since") > 3)
        assert app._idle._last == before


async def test_a_database_that_is_away_is_told_of(world, monkeypatch):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        world.spoilt = True
        world.database.execute_sql("ALTER TABLE audit_chain RENAME TO away")
        world.database.execute_sql("ALTER TABLE practice RENAME TO gone")
        await person.sees("The database is not available")
        monkeypatch.setattr(MainScreen, "AGAIN_SECONDS", 0.02)
        world.database.execute_sql("ALTER TABLE gone RENAME TO practice")
        world.database.execute_sql("ALTER TABLE away RENAME TO audit_chain")
        await person.sees("available again")
