"""Acting on marked users in the table."""

import pytest
from support.app_driver import opened
from support.database import OPERATOR, SUPPORT, SYSTEM

from data.operations import leases
from data.operations.users import bulk_actions, practices, user_summaries
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Role
from data.storage import models
from data.wording import bulk_results
from tui.widgets.paged_table import PagedTable


async def marks(person, *names: str) -> None:
    """Move to each of these in the table and press space."""
    table = person.app.screen.query_one(PagedTable)
    for name in names:
        rows = [row.name for row in table._page]
        table.move_cursor(row=rows.index(name))
        await person.presses("space")


async def test_marks(world):
    """They are seen without colour and counted, and escape takes them away."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "carla")
        await person.sees("✓ anna", "✓ carla", "2 marked")
        assert "✓ boris" not in person.screen
        await marks(person, "anna")
        await person.sees("1 marked")
        await person.presses("escape")
        await person.sees_no_more("✓", "marked")


async def test_leaving_the_search_keeps_the_marks(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "carla")
        await person.presses("slash")
        await person.types("bor")
        await person.presses("escape")
        await person.sees("2 marked", "boris")
        await person.presses("slash", "ctrl+u", "escape")
        await person.sees("2 marked", "✓ anna", "✓ carla")
        await person.presses("escape")
        await person.sees("4 users")
        assert "✓" not in person.screen


async def test_space_marks_and_moves_on(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("down", "space", "space", "space", "space")
        await person.sees("2 marked", "✓ anna", "✓ boris")


@pytest.mark.feature("bulk")
async def test_one_confirmation_for_all(world):
    """It names how many."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris")
        await person.presses("r")
        await person.sees("Require 2FA for 2 users?", "anna, boris.", "Require 2 (y)")
        assert not world.row("anna").required
        await person.presses("y")
        await person.sees("✓ 2 users required.")
        assert "✓ anna" not in person.screen
    assert world.row("anna").required
    assert world.row("boris").required
    assert not world.row("carla").required


@pytest.mark.feature("bulk-refused")
async def test_refused_users_stay_marked(world):
    """They are named with the reason."""
    world.set("boris", active=False)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "admin", "anna", "boris")
        await person.presses("a")
        await person.sees("Deactivate 3 users?")
        await person.presses("y")
        await person.sees(
            "1 user deactivated, 2 refused",
            "admin: You cannot deactivate yourself.",
            "boris: User boris is already deactivated.",
        )
        await person.presses("escape")
        await person.sees("✓ admin", "✓ boris", "2 marked")
    assert not world.row("anna").active


@pytest.mark.feature("bulk")
async def test_clearing_many_asks_for_a_fresh_code_once(world, system_admin):
    for name in ("anna", "boris"):
        world.enrol(name)
    async with opened(world, system_admin) as person:
        await person.sees("5 users")
        world.clock.forward(hours=1)
        await marks(person, "anna", "boris")
        await person.presses("l")
        await person.sees("Clear the 2FA data of 2 users?")
        await person.presses("y")
        await person.sees("code")
        await person.types(world.live_code(system_admin))
        await person.presses("enter")
        await person.sees("✓ 2 users cleared.")
    people = [world.row(name).id for name in ("anna", "boris")]
    assert models.Factor.select().where(models.Factor.user.in_(people)).count() == 0


async def test_no_means_nothing_happens_and_the_marks_stay(world):
    world.user("helper", SYSTEM)
    async with opened(world, "admin") as person:
        await person.sees("5 users")
        await marks(person, "anna")
        await person.presses("a")
        await person.sees("Deactivate 1 user?")
        await person.presses("n")
        await person.sees("✓ anna")
    assert world.row("anna").active


@pytest.mark.feature("bulk-one-at-a-time")
async def test_another_act_is_running(world):
    """The user is told so, and the marks stay."""
    lease = world.run(leases.take, world.session("admin"), leases.Work.BULK)
    world.clock.forward(minutes=1)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris")
        await person.presses("r")
        await person.sees("Require 2FA for 2 users?")
        await person.presses("y")
        await person.sees("✗ Another bulk action of yours is in progress", "✓ anna", "✓ boris")
        world.run(leases.give_back, lease)
        await person.presses("r", "y")
        await person.sees("✓ 2 users required.")


@pytest.mark.feature("bulk-all")
async def test_all_who_match_are_marked_and_no_one_else(world):
    """They are counted, on every page; who matches only afterwards is not acted on."""
    for number in range(60):
        world.user(f"help{number:02}", SUPPORT)
    async with opened(world, "admin") as person:
        await person.sees("64 users")
        person.app.open_users(UserQuery(role=Role.SUPPORT))
        await person.sees("1-50 of 60 users")
        await person.presses("asterisk")
        await person.sees("60 users marked.", "60 marked: r require", "✓ help00")
        world.user("late", SUPPORT)
        await person.presses("a")
        await person.sees("Deactivate 60 users?", "help07 and 52 more.", "Deactivate 60 (y)")
        await person.presses("y")
        await person.sees("✓ 60 users deactivated.")
    active = models.User.select().where(models.User.active)
    assert {row.name for row in active} == {"admin", "anna", "boris", "carla", "late"}


@pytest.mark.feature("bulk-all")
async def test_more_match_than_can_be_marked(world, monkeypatch):
    monkeypatch.setattr("tui.screens.users._MOST_MARKED", 3)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("asterisk")
        await person.sees("3 users marked. More match: narrow the search or the filters.", "3 marked")


@pytest.mark.feature("bulk-all")
async def test_marking_can_be_stopped(world, monkeypatch):
    """Escape stops it between the parts that are read, and then no one is marked."""
    monkeypatch.setattr("tui.screens.users._READ", 1)
    original = user_summaries.list_users

    def stopped_at_third(tx, actor, query):
        if query.limit == 1 and query.after and query.after[0] == "anna":
            person.app.call_from_thread(person.app.screen.action_all)
        return original(tx, actor, query)

    monkeypatch.setattr(user_summaries, "list_users", stopped_at_third)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("asterisk")
        await person.sees("Stopped. No one was marked.", "4 users")
        assert "✓ a" not in person.screen


@pytest.mark.feature("bulk-more")
async def test_unlocking_many_asks_for_a_reason(world, system_admin):
    for name in ("anna", "boris"):
        world.set(name, locked_at=world.clock.now, attempts_left=0)
    async with opened(world, system_admin) as person:
        await person.sees("5 users")
        await marks(person, "anna", "boris", "carla")
        await person.presses("u")
        await person.sees("Unlock 3 users?", "The reason is logged for each.", "Unlock 3")
        await person.presses("enter")
        await person.sees("✗ Enter a reason; it is logged.")
        await person.types("rain")
        await person.presses("enter")
        await person.sees("2 users unlocked, 1 refused", "carla: User carla is not locked.")
        await person.presses("escape")
        await person.sees("1 marked", "✓ carla")
    assert [world.row(name).locked_at for name in ("anna", "boris")] == [None, None]
    assert world.events(user="anna", last=1) == ["user.unlocked"]


@pytest.mark.feature("bulk-more")
async def test_moving_many(world):
    """It says where to, before and after."""
    world.run(practices.add_practice, OPERATOR, "North")
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris")
        await person.presses("m")
        await person.sees("Move 2 users to which practice?", "North")
        await person.presses("end", "enter")
        await person.sees("Move 2 users to North?", "Move 2 (y)")
        await person.presses("y")
        await person.sees("✓ 2 users moved.")
    assert {world.row(name).practice.name for name in ("anna", "boris")} == {"North"}


@pytest.mark.feature("bulk-more")
async def test_disabling_many(world, system_admin):
    for name in ("anna", "boris"):
        world.enrol(name)
    async with opened(world, system_admin) as person:
        await person.sees("5 users")
        await marks(person, "anna", "boris")
        await person.presses("d")
        await person.sees("Disable 2FA for 2 users?", "Removes everything they have set up", "Disable 2 (y)")
        await person.presses("y")
        await person.sees("✓ 2 users had their 2FA disabled.")
    assert models.Factor.select().where(models.Factor.user == world.row("anna").id).count() == 0


@pytest.mark.feature("bulk-more")
async def test_one_time_passwords_are_shown_once_for_all(world, system_admin):
    """Each stands beside its name, Escape does not lose them, and each signs its user in."""
    async with opened(world, system_admin, size=(100, 30)) as person:
        await person.sees("5 users")
        await marks(person, "anna", "boris", system_admin)
        await person.presses("p")
        await person.sees(
            "New one-time passwords for 3 users?", "The new ones are shown once", "Create 3 (y)"
        )
        await person.presses("y")
        shown = await person.sees(
            "One-time passwords for 2 users", "anna", "boris", "They are not shown again."
        )
        await person.presses("escape", "c")
        await person.sees("One-time passwords for 2 users", "✓ Sent to the clipboard.")
        made = dict(line.split() for line in person.app.clipboard.split("\n"))
        assert set(made) == {"anna", "boris"}
        assert all(f"{name} {password}" in " ".join(shown.split()) for name, password in made.items())
        await person.presses("tab", "enter")
        await person.sees("2 users given a one-time password, 1 refused", f"{system_admin}: Change your own")
        await person.presses("escape")
        assert not any(password in person.screen for password in made.values())
    for name, password in made.items():
        assert world.services.hasher.verify(world.row(name).password_hash, password)


@pytest.mark.feature("bulk-parts")
async def test_long_work_shows_how_far_it_is_and_can_be_stopped(world, monkeypatch):
    """What was done stays done; who is left stays marked."""
    monkeypatch.setattr(bulk_actions, "PART", 1)
    original = bulk_actions.act_on_many

    def stopping_at_second(tx, actor, names, *args, **keywords):
        if tuple(names) == ("boris",):
            person.app.call_from_thread(person.app.screen.action_cancel)
        return original(tx, actor, names, *args, **keywords)

    monkeypatch.setattr(bulk_actions, "act_on_many", stopping_at_second)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris", "carla")
        await person.presses("r", "y")
        await person.sees("2 users required, 1 left", "Not reached: carla. You stopped it.")
        await person.presses("escape")
        await person.sees("1 marked", "✓ carla")
    assert [world.row(name).required for name in ("anna", "boris", "carla")] == [True, True, False]


@pytest.mark.feature("bulk-refused")
def test_the_same_reason_is_told_once():
    refused = (
        ("a", "User a is already deactivated."),
        ("ben", "You cannot deactivate yourself."),
        ("ab", "User ab is already deactivated."),
    )
    result = BulkResult(("eve",), refused, left=("joe",), stopped="The session is over.")
    assert bulk_results.summary(result, Bulk.DEACTIVATE) == "1 user deactivated, 3 refused, 1 left"
    assert bulk_results.reasons(result).split("\n") == [
        "a: User a is already deactivated. The same for ab.",
        "ben: You cannot deactivate yourself.",
        "Not reached: joe. The session is over.",
    ]
