"""What is typed ahead of the screen lands where the person meant it."""

import asyncio

import pytest
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import AppBlur, AppFocus, Key, Paste
from textual.widgets import Input

from sshserver.terminal import typeahead
from sshserver.terminal.typeahead import TypeAheadApp


class TwoFields(TypeAheadApp):
    """Goes on to the second field by Enter, as the sign-in screen does."""

    def compose(self) -> ComposeResult:
        with Vertical(), Vertical():
            yield Input(id="first")
            yield Input(id="second", password=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "first":
            self.query_one("#second").focus()
        else:
            event.input.remove()


def type_at_once(app: TwoFields, text: str) -> None:
    """Post every key before the app has looked at the first one."""
    names = {"\t": "tab", "\r": "enter", " ": "space"}
    for character in text:
        app.post_message(Key(names.get(character, character), character))


async def until_taken(app: TwoFields) -> None:
    async with asyncio.timeout(60):
        while app.keys_waiting or app._under_way:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("patience", [typeahead._PATIENCE, 0], ids=["", "on a loop that lags"])
async def test_keys_after_tab_or_enter(monkeypatch, patience):
    """They go to the next field, however long the app is kept from its keys."""
    monkeypatch.setattr(typeahead, "_PATIENCE", patience)
    for separator in "\t\r":
        app = TwoFields()
        async with app.run_test():
            type_at_once(app, f"anna{separator}secret words")
            await asyncio.sleep(0)
            await until_taken(app)
            assert app.query_one("#first", Input).value == "anna"
            assert app.query_one("#second", Input).value == "secret words"


@pytest.mark.parametrize("reports", [[AppBlur], [AppBlur, AppFocus]], ids=["", "and gets it back"])
async def test_a_terminal_that_loses_the_focus_among_keys(reports):
    app = TwoFields()
    async with app.run_test():
        type_at_once(app, "anna")
        await asyncio.sleep(0)
        await until_taken(app)
        type_at_once(app, "\r")
        for report in reports:
            app.post_message(report())
        type_at_once(app, "secret words")
        await asyncio.sleep(0)
        await until_taken(app)
        assert app.query_one("#first", Input).value == "anna"
        assert app.query_one("#second", Input).value == "secret words"


async def test_paste_after_tab():
    app = TwoFields()
    async with app.run_test():
        app.post_message(Paste("anna"))
        app.post_message(Key("tab", "\t"))
        app.post_message(Paste("secret words"))
        await asyncio.sleep(0)
        await until_taken(app)
        assert app.query_one("#first", Input).value == "anna"
        assert app.query_one("#second", Input).value == "secret words"


async def test_keys_after_a_removed_widget():
    app = TwoFields()
    async with app.run_test():
        type_at_once(app, "a\tb\r\txyz")
        await asyncio.sleep(0)
        await until_taken(app)
        assert app.query_one("#first", Input).value.endswith("xyz")


async def test_long_burst(monkeypatch):
    """It is taken in order, without a wait for any timer."""
    monkeypatch.setattr(typeahead, "_PATIENCE", 3600)
    app = TwoFields()
    async with app.run_test():
        text = "abcdefghij" * 50
        type_at_once(app, text)
        await asyncio.sleep(0)
        await until_taken(app)
        assert app.query_one("#first", Input).value == text
