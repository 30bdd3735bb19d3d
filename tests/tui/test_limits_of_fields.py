"""Every field takes a bounded text, however it comes."""

import ast
from pathlib import Path

import pytest
from support.app_driver import opened
from textual.command import CommandPalette
from textual.events import Paste
from textual.widgets import Input, TextArea

import tui
from data.rules.user_fields import EMAIL_LIMIT, TEXT_LIMIT
from data.rules.users_csv import PASTED_LIMIT

MARKS = "a" + "\u0301\u0316" * 100_000


def built(module: Path) -> set[str]:
    """Name the classes and functions that a module calls."""
    calls = [node.func for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
    return {function.id for function in calls if isinstance(function, ast.Name)}


@pytest.mark.feature("lengths")
def test_no_field_is_made_but_those_that_want_a_limit():
    modules = list(Path(tui.__file__).parent.rglob("*.py"))
    assert any("TextField" in built(module) for module in modules)
    for module in modules:
        assert not built(module) & {"Input", "MaskedInput", "TextArea"}, module


async def test_endless_address(world):
    async with opened(world, "anna") as person:
        await person.sees("Anna Berg (anna)")
        await person.presses("e")
        await person.sees("Edit anna")
        field = person.app.focused
        assert isinstance(field, Input)
        before = field.value
        await person.types(MARKS)
        assert f"Too long: at most {EMAIL_LIMIT} characters." in person.screen
        assert field.value == before
        field.value = ""
        await person.types("anna@new.example")
        assert field.value == "anna@new.example"


async def test_repeated_paste_ends_at_the_limit(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("slash")
        for _ in range(5):
            await person.types("x" * 100)
        field = person.app.screen.query_one("#search", Input)
        assert field.value == "x" * 200


async def test_escape_counts_as_one_character(world):
    mark = "\u200f"
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("5")
        await person.sees("1 practice")
        await person.presses("n")
        await person.sees("New practice")
        await person.types(mark * (TEXT_LIMIT + 1))
        assert f"Too long: at most {TEXT_LIMIT} characters." in person.screen
        await person.types("x" + mark * (TEXT_LIMIT - 1))
        await person.presses("y")
        assert person.app.focused.text == "x" + mark * (TEXT_LIMIT - 1)
        await person.presses("enter")
        await person.sees("2 practices")


async def test_a_paste_area_takes_so_much_and_no_more(world):
    async with opened(world, "admin", size=(60, 20)) as person:
        await person.sees("2 Users")
        await person.presses("i")
        await person.sees("Import users")
        area = person.app.screen.query_one(TextArea)
        for text in ("name,email\n", "x" * (PASTED_LIMIT + 1), "\n".join(["\x1b" * 100] * 1_000)):
            area.post_message(Paste(text))
            await person.pilot.pause()
        assert area.text == "name,email\n"
        area.post_message(Paste("\n".join(["y" * 100] * (PASTED_LIMIT // 101 - 1))))
        await person.pilot.pause()
        full = area.text
        assert len(full) > PASTED_LIMIT - 300
        area.select_all()
        person.app.copy_to_clipboard(full)
        area.move_cursor((0, 0))
        area.action_paste()
        area.insert("z" * (PASTED_LIMIT - len(area.text)))
        await person.presses("z", "z")
        assert len(area.text) == PASTED_LIMIT


async def test_palette_limit(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("ctrl+p")
        field = person.app.focused
        assert isinstance(field, Input)
        await person.types(MARKS)
        assert field.value == ""
        assert field.max_length == TEXT_LIMIT
        await person.types("security")
        assert field.value == "security"


async def test_palette_that_was_closed_at_once(world):
    """What says that it was opened may come after it."""
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        person.app.post_message(CommandPalette.Opened())
        await person.presses("slash")
        await person.sees("4 users")
