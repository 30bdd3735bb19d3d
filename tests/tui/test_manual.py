"""The manual in the app: the page of each screen, its links, and what it never opens."""

from pathlib import Path

import pytest
from support.app_driver import Person, opened
from textual.widgets import Markdown

from data.rules.domain_types import Mode
from data.rules.policy import MustEnrol
from sshserver.compat.textual_markdown import ContainedMarkdown
from tui import manual
from tui.dialogs.manual import ManualDialog
from tui.screens.base_screen import ActingScreen


def all_screens(base: type = ActingScreen) -> set[type[ActingScreen]]:
    return {base} | {found for child in base.__subclasses__() for found in all_screens(child)}


async def opens_manual(person: Person) -> ManualDialog:
    await person.presses("question_mark", "question_mark")
    await person.sees("Topics (/)")
    assert isinstance(person.app.screen, ManualDialog)
    return person.app.screen


def follows(dialog: ManualDialog, link: str) -> None:
    page = dialog.query(ContainedMarkdown).first()
    page.post_message(Markdown.LinkClicked(page, link))


def test_every_screen_has_a_page():
    assert {screen.TOPIC for screen in all_screens()} <= set(manual.topics())


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_page_of_the_screen(world, size):
    """The help's key again shows it, and Esc leads back to the screen."""
    async with opened(world, "admin", size=size) as person:
        await person.sees("4 users")
        for key, topic in (("2", "administering-people"), ("3", "policy"), ("4", "audit-log")):
            await person.presses(key)
            await person.sees(f"{key} ")
            await opens_manual(person)
            shown = await person.sees(manual.title(topic), manual.first_sentence(topic)[:40])
            assert max(len(line) for line in shown.split("\n")) <= size[0]
            await person.presses("escape")
            await person.sees_no_more("Topics (/)")
        await person.sees("newest first")


async def test_button_of_the_help(world):
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        await person.presses("question_mark")
        await person.clicks("Manual (?)")
        await person.sees(manual.title("signing-in"))
        await person.clicks("Close")
        await person.sees_no_more("Topics (/)")


async def test_page_while_enrolling(world):
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol)) as person:
        await person.sees("Step 1 of 4")
        await opens_manual(person)
        await person.sees(manual.title("enrolling"))


async def test_topics_lead_to_the_pages(world):
    async with opened(world, "anna", size=(80, 40)) as person:
        await person.sees("How it works")
        await opens_manual(person)
        for topic in ("commands", manual.topics()[0], manual.topics()[-1]):
            await person.presses("slash")
            await person.sees("Choose")
            await person.presses("home", *["down"] * manual.topics().index(topic), "enter")
            await person.sees(manual.first_sentence(topic))
        await person.presses("slash", "escape")
        await person.sees(manual.first_sentence(topic))


async def test_link_to_a_page_and_a_heading(world):
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        dialog = await opens_manual(person)
        follows(dialog, "roles.md#fresh-codes")
        await person.sees("Fresh codes")
        follows(dialog, "roles.md")
        follows(dialog, "#fresh-codes")
        await person.sees("Fresh codes")
        follows(dialog, "policy.md")
        # Its first line; in the second one the scroll bar may end.
        await person.sees(manual.first_sentence("policy").partition(", by which")[0])


async def test_link_that_leads_out_does_nothing(world, monkeypatch):
    out = [
        "../../README.md",
        "/etc/passwd",
        "/etc/passwd.md",
        "file:///etc/passwd",
        "../manual/roles.md",
        "roles",
    ]
    out += ["./roles.md", "nothing.md", "roles.md/../../../README.md", "", "#nothing", "x" * 10_000]
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        dialog = await opens_manual(person)
        await person.sees(manual.first_sentence("signing-in")[:40])
        monkeypatch.setattr(Path, "read_text", None)
        monkeypatch.setattr(person.app, "open_url", None)
        for link in out:
            follows(dialog, link)
            await person.pilot.pause()
        shown = await person.sees(manual.title("signing-in"), manual.first_sentence("signing-in")[:40])
        assert "passwd" not in shown
        assert person.app.screen is dialog


async def test_address_is_said(world, monkeypatch):
    """It is not opened: the browser would be the server's."""
    async with opened(world, "anna", size=(120, 40)) as person:
        await person.sees("How it works")
        dialog = await opens_manual(person)
        monkeypatch.setattr(person.app, "open_url", None)
        follows(dialog, "https://example.org/[/x]")
        await person.pilot.pause(0.1)
        assert "https://example.org/[/x]" in person.screen


async def test_left_before_it_is_shown(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        for _ in range(2):
            await person.pilot.press("question_mark", "question_mark", "t", "enter", "escape", "escape")
        await person.presses("1")
        await person.sees("How it works")


async def test_brackets_and_unmarked_code_are_shown_as_they_are(world, monkeypatch):
    """Of code no language is guessed, and nothing is markup."""
    page = "# T\n\n[/x] `[bold]`\n\n"
    page += "| a | b |\n|---|---|\n| [/x] | [smtp] |\n\n"
    page += "```\n[/y] def f():\n```\n\n    z = [0]\n"
    async with opened(world, "anna") as person:
        await person.sees("How it works")
        monkeypatch.setattr(manual, "sections", lambda _topic: [page])
        monkeypatch.setattr("textual.highlight.guess_language", None)
        await opens_manual(person)
        await person.sees("[/x] [bold]", "[/x] [smtp]", "[/y] def f():", "z = [0]")
        for row in range(0, 20, 3):
            await person.pilot.hover(offset=(5, row))
