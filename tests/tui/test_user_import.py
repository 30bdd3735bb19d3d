"""Importing users in the app: pasted, previewed, confirmed."""

import pytest
from support.app_driver import opened
from textual.events import Paste
from textual.widgets import TextArea

from data.storage import models


async def pastes(person, text: str) -> None:
    await person.sees("2 Users", "by name")
    await person.presses("i")
    await person.sees("Import users", "Paste CSV text")
    person.app.screen.query_one(TextArea).post_message(Paste(text))
    await person.pilot.pause()


@pytest.mark.feature("import-csv")
async def test_pasted_users_are_previewed_and_imported(world):
    async with opened(world, "admin") as person:
        await pastes(person, "name,email,full_name\r\nben,ben@x.example,Ben\r\neve,eve@x.example,\r\n")
        await person.presses("ctrl+s")
        await person.sees("Import 2 users?", "ben@x.example", "2 users without a key")
        assert models.User.get_or_none(models.User.name == "ben") is None
        await person.presses("y")
        await person.sees("✓ Imported 2 users.", "6 users")
    assert world.row("ben").full_name == "Ben"


@pytest.mark.feature("import-errors")
async def test_faults_are_shown_by_row_and_the_text_stays(world):
    async with opened(world, "admin") as person:
        await pastes(person, "name,email\nanna,new@x.example\nkim,nobody\n")
        await person.presses("ctrl+s")
        await person.sees("Nothing was imported.", "Row 3, email: That is not an e-mail address.")
        assert "kim,nobody" in person.app.screen.query_one(TextArea).text
        person.app.screen.query_one(TextArea).text = "name,email\nanna,new@x.example\n"
        await person.presses("ctrl+s")
        await person.sees("Row 2, name: The name anna cannot be used. anna2 is free.")
        await person.presses("escape")
        await person.sees("4 users")


async def test_going_back_from_the_preview_keeps_the_text(world):
    async with opened(world, "admin", size=(60, 20)) as person:
        await pastes(person, "name\temail\nben\tben@x.example\n")
        await person.presses("ctrl+s")
        await person.sees("Import 1 user?")
        await person.presses("n")
        await person.sees("Import users")
        assert "ben@x.example" in person.app.screen.query_one(TextArea).text


async def test_pasted_control_characters_become_visible(world):
    async with opened(world, "admin") as person:
        await pastes(person, "name,email\n\x1b]0;taken over\x07,x\n")
        assert "\x1b" not in person.app.screen.query_one(TextArea).text
        await person.sees("\\x1b]0;taken over\\x07")
