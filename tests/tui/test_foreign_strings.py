"""Names, addresses and everything else that others typed reach the terminal as visible text alone."""

import json
import re

import pytest
from support.app_driver import Person, opened
from textual.events import Key, Paste
from textual.widgets import TextArea

from data.rules.domain_types import Mode
from data.rules.policy import MustEnrol
from data.storage import models

TITLE = "\x1b]0;taken over\x07"
CLEAR = "\x1b[2J\x9b31m"
MARKUP = "[red]x[/red][@click=app.exit]"
BIDI = "\u202egnp.exe\u2066"
LONG = "very" * 1250
EVIL = [TITLE, CLEAR, MARKUP, BIDI, LONG, "\ud7ff\ue000\u200b", "line\nbreak\r\ttab"]

_SEQUENCES = re.compile(r"\x1b\[[0-9;?<>=]*[A-Za-z]")


async def is_clean(person: Person) -> None:
    """Look at the cells, and at all that is sent to a terminal, without what Textual itself sends."""
    shown = await person.sees("Clinic")
    assert all(symbol.isprintable() for symbol in shown.replace("\n", ""))
    picture = person.app.screen._compositor.render_update(full=True)
    sent = picture.render_segments(person.app.console)
    raw = _SEQUENCES.sub("", sent)
    assert "Clinic" in raw
    assert not re.search(r"(?<!\\x1b\]0;)taken over", raw)
    assert "\x1b]0;" not in raw
    assert not re.search(r"[\x80-\x9f\u202a-\u202e\u2066-\u2069\u200b\ue000]", raw)
    assert "\x1b[2J\x9b" not in sent


@pytest.fixture
def poisoned(world):
    """Everybody's strings are as bad as a database row can make them."""
    for number, text in enumerate(EVIL):
        name = world.user(f"evil{number}")
        world.set(name, full_name=text, email=f"{text}{number}@x.example")
    models.User.update(name=f"a{TITLE}").where(models.User.name == "evil0").execute()
    account = models.Account.get()
    models.AuditEntry.insert_many(
        {
            "at": world.clock.now,
            "account": account.id,
            "event": event,
            "actor": text,
            "user": text,
            "application": text[:16],
            "address": text,
            "detail": json.dumps({"fields": text, "reason": text}),
        }
        for text in EVIL
        for event in ("user.edited", "signin.turned_away", text)
    ).execute()
    models.PublicKey.insert(
        user=world.row("admin").id,
        algorithm=CLEAR,
        blob="x",
        fingerprint=TITLE,
        comment=MARKUP,
        added_at=world.clock.now,
    ).execute()
    world.set("admin", full_name=MARKUP + TITLE)
    for name in ("evil1", "evil3"):
        session = world.session(name)
        models.Session.update(address=CLEAR, methods=MARKUP + TITLE, application=BIDI).where(
            models.Session.id == session.session_id
        ).execute()
    return world


async def test_no_screen_lets_a_foreign_string_act(poisoned):
    async with opened(poisoned, "admin", size=(120, 40)) as person:
        await person.sees("11 users")
        await is_clean(person)
        for key in ("0", "1", "4", "6", "2"):
            await person.presses(key)
            await is_clean(person)
        await person.sees("11 users")


@pytest.mark.parametrize("above", [0, 6])
async def test_no_dialog_lets_a_foreign_string_act(poisoned, above):
    """Those of six users, below so many others."""
    async with opened(poisoned, "admin", size=(120, 40)) as person:
        await person.sees("11 users")
        await person.presses(*["down"] * above)
        for _ in range(6):
            await person.presses("down", "enter")
            await is_clean(person)
            for action in ("r", "e"):
                await person.presses(action)
                assert all(symbol.isprintable() for symbol in person.screen.replace("\n", ""))
                await person.presses("escape")
            await person.presses("escape")
        await person.sees("11 users")


async def test_markup_is_shown_as_it_was_typed(poisoned):
    async with opened(poisoned, "admin", size=(120, 40)) as person:
        await person.sees("[red]x[/red][@cl")
        await person.presses("1")
        await person.sees("[red]x[/red][@click=app.exit]\\x1b]0;taken over\\x07")
        await person.clicks("[@click=app.exit]")
        await person.sees("How it works")


async def test_five_thousand_characters(poisoned):
    async with opened(poisoned, "admin", size=(120, 40)) as person:
        await person.sees("veryvery", "…")
        table_lines = [line for line in person.screen.split("\n") if "veryvery" in line]
        assert len(table_lines) == 1
        await person.presses("4")
        await person.sees("newest first")
        assert all(len(line) == 120 for line in person.screen.split("\n"))


async def test_account_name_in_the_wizard(world):
    models.Account.update(name=f"Clinic {TITLE}{MARKUP}{LONG}").execute()
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        await person.sees("required by Clinic \\x1b]0;taken over\\x07[red]x[/red]")
        await person.resizes(81, 24)
        await is_clean(person)


async def test_editing_a_foreign_name(poisoned):
    """What was not touched stays as it is."""
    async with opened(poisoned, "admin") as person:
        await person.sees("11 users")
        await person.presses("slash")
        await person.types("evil1")
        await person.sees("1 user")
        await person.presses("enter", "e")
        await person.sees("Edit evil1", "\\x1b[2J\\x9b31m")
        await person.presses("enter", "enter", "enter")
        await person.sees("✓ Nothing changed.")
    assert poisoned.row("evil1").full_name == CLEAR


# A mark of direction as address books have it, a joiner that belongs there, one that does not, and an escape
# that was typed as such.
FORMATTED = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u200fLee\u200d \\u200f"


async def test_typing_beside_format_characters(world):
    world.set("anna", full_name=FORMATTED)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("slash")
        await person.types("anna")
        await person.sees("1 user")
        await person.presses("enter", "e")
        await person.sees("Edit anna", "\\u200fLee\\u200d \\x5cu200f")
        await person.presses("tab", "end")
        await person.types("x")
        await person.presses("enter", "enter")
        await person.sees("✓ User anna saved.")
    assert world.row("anna").full_name == FORMATTED + "x"


async def test_a_name_is_stored_as_it_is_pasted(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("n")
        await person.sees("New user")
        await person.types("eve")
        await person.presses("tab")
        await person.types("eve@clinic.example")
        await person.presses("tab")
        await person.types(FORMATTED)
        await person.sees("\\u200fLee")
        await person.clicks("Create")
        await person.sees("User eve created.")
    assert world.row("eve").full_name == FORMATTED


async def test_pasted_rows_are_imported_as_they_are(world):
    text = f"name,email,full_name\nben,ben@x.example,{FORMATTED}\n"
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("i")
        await person.sees("Import users")
        person.app.screen.query_one(TextArea).post_message(Paste(text))
        await person.presses("ctrl+s")
        await person.sees("Import 1 user?", "\\u200fLee")
        await person.presses("n")
        await person.sees("Import users")
        await person.presses("ctrl+s")
        await person.sees("Import 1 user?")
        await person.presses("y")
        await person.sees("✓ Imported 1 user.")
    assert world.row("ben").full_name == FORMATTED


async def test_practice_keeps_format_characters(world):
    models.Practice.update(name=FORMATTED).execute()
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("5")
        await person.sees("1 practice")
        await person.presses("e")
        await person.sees("Rename practice")
        await person.presses("enter")
        await person.sees("✓ Nothing changed.")
        await person.presses("e", "end")
        await person.types("x")
        await person.presses("enter")
        await person.sees("renamed to")
    assert models.Practice.get().name == FORMATTED + "x"


async def test_a_keyboard_types_joiners(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await person.presses("5")
        await person.sees("1 practice")
        await person.presses("e", "end")
        for symbol in "\u0645\u200c\u062e":
            person.app.focused.post_message(Key("x", symbol))
        await person.presses("enter")
        await person.sees("renamed to")
    assert models.Practice.get().name == "Main\u0645\u200c\u062e"
