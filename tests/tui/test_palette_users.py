"""The command palette goes to a user whose name is typed."""

import asyncio

import pytest
from support.app_driver import Person, opened

from tui.command_palette import UsersByName

pytestmark = pytest.mark.feature("jump-to-user")


@pytest.fixture
def searches(world, monkeypatch):
    """What users were searched for."""
    seen = []
    read = world.store.read

    def recorded(operation, *args, **kwargs):
        if operation.__name__ == "list_users" and args[1].search:
            seen.append(args[1].search)
        return read(operation, *args, **kwargs)

    monkeypatch.setattr(world.store, "read", recorded)
    return seen


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """The palette waits for the database even on a machine that is busy with other things."""
    monkeypatch.setattr(UsersByName, "PATIENCE_SECONDS", 60)


async def opens_palette(person: Person, *words: str) -> None:
    await person.sees(*words)
    await person.presses("ctrl+p")


async def shows(person: Person, *words: str) -> None:
    """Wait for words of the palette, whose box is not a dialog's, and until it has searched."""
    async with asyncio.timeout(60):
        while _is_searching(person) or not all(word in person.screen for word in words):
            await person.pilot.pause(0.01)


def _is_searching(person: Person) -> bool:
    palette = person.app.screen
    return any(not worker.is_finished for worker in person.app.workers if worker.node is palette)


async def test_choosing_opens_the_detail(world):
    async with opened(world, "admin") as person:
        await opens_palette(person, "4 users")
        await person.presses(*"carl")
        await shows(person, "carla  Carla Díaz", "○ No  carla@clinic.example")
        await person.presses("enter")
        await person.sees("carla@clinic.example", "Attempts left")
        await person.presses("escape")
        await person.sees("4 users")


async def test_from_another_screen_and_by_another_word(world):
    """The search is that of the table: any word of a name, an address or a number begins so."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("4")
        await opens_palette(person, "newest first")
        await person.presses(*"iwan")
        await shows(person, "boris  Boris Iwanow")
        await person.presses("enter")
        await person.sees("boris@clinic.example", "Attempts left")
        await person.presses("escape")
        await person.sees("newest first")


async def test_only_the_last_of_what_is_typed_is_looked_for(world, searches, monkeypatch):
    """What another key follows within the pause is not; nor is a single letter."""
    async with opened(world, "admin") as person:
        await opens_palette(person, "4 users")
        for keys, pause in (("ann", 3600), ("a", 0)):
            monkeypatch.setattr(UsersByName, "PAUSE_SECONDS", pause)
            await person.presses(*keys)
        await shows(person, "anna  Anna Berg")
        assert searches == ["anna"]
        searches.clear()
        for keys, pause in ((["backspace"] * 4, 3600), ("b", 0)):
            monkeypatch.setattr(UsersByName, "PAUSE_SECONDS", pause)
            await person.presses(*keys)
        await asyncio.sleep(0.1)
        assert searches == []


async def test_foreign_strings_are_shown_as_they_are(world):
    world.set("anna", full_name="[bold]Anna[/] \x1b[31m", email="[red]anna@clinic.example")
    async with opened(world, "admin", size=(120, 40)) as person:
        await opens_palette(person, "4 users")
        await person.presses(*"anna")
        await shows(person, "anna  [bold]Anna[/] \\x1b[31m", "[red]anna@clinic.example")


async def test_users_find_no_users(world, searches):
    async with opened(world, "anna") as person:
        await opens_palette(person, "How it works")
        await person.presses(*"boris")
        await shows(person, "No matches found")
        assert searches == []


async def test_commands_do_not_wait_for_a_database_that_does_not_answer(world, monkeypatch):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        monkeypatch.setattr(UsersByName, "PATIENCE_SECONDS", 0.05)
        monkeypatch.setattr(world.store, "read", lambda *_args, **_kwargs: asyncio.sleep(1000))
        await person.presses("ctrl+p", *"light")
        await shows(person, "Theme: light")
        await person.presses("enter")
        await person.sees("4 users")
        assert person.app.theme == "twofold-light"
