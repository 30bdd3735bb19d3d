"""An app that fails shows no values, in a local terminal as well as in a session."""

import logging

import pytest
import textual.css.stylesheet
from support.ssh_gate import session
from support.ssh_server import GreetingApp
from textual.app import App

from sshserver import crash
from sshserver.terminal import Terminal


def app():
    return GreetingApp(session(), Terminal())


async def test_a_test_that_drives_a_failing_app_gets_the_exception():
    with pytest.raises(ValueError, match="battery"):
        async with app().run_test() as pilot:
            await pilot.press("x")


async def test_a_local_app_that_fails_prints_a_message_and_a_reference_and_nothing_else(capfd, caplog):
    caplog.set_level(logging.DEBUG)
    failing = app()
    with pytest.raises(ValueError, match="battery"):
        async with failing.run_test() as pilot:
            await pilot.press("x")
    assert failing.return_code == 1
    assert failing.crash_message is not None
    shown = " ".join("".join(capfd.readouterr()).split())
    assert shown == failing.crash_message
    assert "battery" not in caplog.text
    assert "ValueError at support/ssh_server.py:" in caplog.text


def test_a_panic_with_a_traceback_shows_neither(caplog):
    failing = app()
    failing.panic("secret renderable")
    assert failing.crash_message is not None
    assert "secret" not in failing.crash_message + caplog.text


def test_the_place_of_an_error_names_the_own_code_that_led_there():
    def fail():
        int("secret")

    try:
        fail()
    except ValueError as error:
        place = crash.place_of(error)
    assert place.startswith("ValueError at sshserver/test_contained_app.py:")
    assert "secret" not in place


def test_the_place_of_a_group_is_that_of_its_first_error():
    assert crash.place_of(ExceptionGroup("all", [KeyError("secret")])) == "KeyError at an unknown place"


def test_textuals_own_log_is_silent():
    assert GreetingApp._log is not App._log


async def test_style_sheets_are_parsed_once_for_all_apps_of_a_theme(monkeypatch):
    parsed = []
    parse = textual.css.stylesheet.parse

    def noted(*args, **kwargs):
        parsed.append(args)
        return parse(*args, **kwargs)

    async def background(theme):
        showing = app()
        async with showing.run_test() as pilot:
            showing.theme = theme
            await pilot.pause()
            return showing.screen.styles.background.hex

    dark, light = await background("textual-dark"), await background("textual-light")
    monkeypatch.setattr(textual.css.stylesheet, "parse", noted)
    assert (await background("textual-dark"), await background("textual-light")) == (dark, light)
    assert parsed == []
    assert dark != light
