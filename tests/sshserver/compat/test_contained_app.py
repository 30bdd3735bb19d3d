"""An app that fails shows no values, in a local terminal as well as in a session."""

import asyncio
import inspect
import logging
from functools import partial

import pytest
import textual.css.stylesheet
from support.fake_backend import session
from support.ssh_server import GreetingApp, until
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Static

from sshserver.compat.textual_app import ContainedApp
from sshserver.compat.textual_screen import BlankScreen, ContainedScreen
from sshserver.limits.limit_values import Limits
from sshserver.session.channel_driver import ChannelDriver
from sshserver.telemetry import crash_reports
from sshserver.terminal.capabilities import Terminal


def app():
    return GreetingApp(session(), Terminal())


async def test_failing_app_under_test():
    """A test that drives it gets the exception."""
    with pytest.raises(ValueError, match="battery"):
        async with app().run_test() as pilot:
            await pilot.press("x")


async def test_failing_local_app(capfd, caplog):
    """It prints a message and a reference and nothing else."""
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


def test_place_is_in_our_own_code():
    """The place of an error is our own code that led there."""

    def fail():
        int("secret")

    try:
        fail()
    except ValueError as error:
        place = crash_reports.place_of(error)
    assert place.startswith("ValueError at compat/test_contained_app.py:")
    assert "secret" not in place


def test_place_of_an_exception_group():
    """It is that of its first error."""
    assert (
        crash_reports.place_of(ExceptionGroup("all", [KeyError("secret")])) == "KeyError at an unknown place"
    )


def test_textuals_own_log_is_silent():
    assert GreetingApp._log is not App._log


async def test_style_sheets_are_parsed_once(monkeypatch):
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


class PatientScreen(ContainedScreen[None]):
    PATIENCE = 60.0

    def compose(self):
        yield Static("begun", id="words")


class PatientApp(ContainedApp):
    """Draws into the memory of the test, over a screen that is never drawn for itself."""

    def __init__(self):
        super().__init__()
        self.frames = []
        self.host(Terminal(), partial(ChannelDriver, wire=self, limits=Limits()))

    def get_default_screen(self):
        return BlankScreen()

    def send(self, data):
        if b"\x1b[1;1H" in data:
            self.frames.append(data)

    def attach(self, driver):
        driver.resize((80, 24))

    def pause_reading(self):
        pass

    resume_reading = pause_reading

    async def __aenter__(self):
        self.running = asyncio.create_task(self.run_hosted(Terminal()))
        await self.done(lambda: self.is_running)
        return self

    async def __aexit__(self, *_):
        self.exit(None)
        await self.running

    async def done(self, act, *arguments):
        """Do something as the app does, and wait for it and for what it brings about."""
        ended = asyncio.Event()

        async def do():
            result = act(*arguments)
            if inspect.isawaitable(result):
                await result
            self.screen.call_after_refresh(self.screen.call_after_refresh, ended.set)

        self.call_later(do)
        await ended.wait()


async def test_a_screen_is_drawn_once_when_it_is_complete():
    async with PatientApp() as patient:
        waiting = PatientScreen()
        await patient.done(patient.push_screen, waiting)
        assert patient.frames == []
        waiting.query_one(Static).update("complete")
        waiting.complete()
        await until(lambda: patient.frames)
        await patient.done(waiting.complete)
        assert len(patient.frames) == 1
        assert b"complete" in patient.frames[0]
        await patient.done(waiting.query_one(Static).update, "changed")
        await until(lambda: b"changed" in patient.frames[-1])


async def test_slow_screen_is_drawn_as_it_is(monkeypatch):
    monkeypatch.setattr(PatientScreen, "PATIENCE", 0.01)
    async with PatientApp() as patient:
        await patient.done(patient.push_screen, PatientScreen())
        await until(lambda: patient.frames)
        assert b"begun" in patient.frames[0]


async def test_screen_under_an_incomplete_one():
    """What comes before an incomplete screen is drawn over it."""

    class Question(ModalScreen[None]):
        def compose(self):
            yield Static("sure?")

    async with PatientApp() as patient:
        await patient.done(patient.push_screen, PatientScreen())
        await patient.done(patient.push_screen, Question())
        assert b"sure?" in patient.frames[-1]
        await patient.done(patient.pop_screen)
        await until(lambda: b"begun" in patient.frames[-1])


async def test_a_blank_screen_lies_below_a_question():
    class Question(ModalScreen[None]):
        def compose(self):
            yield Static("sure?")

    async with PatientApp() as patient:
        await patient.done(patient.push_screen, Question())
        assert b"sure?" in patient.frames[-1]
        drawn = len(patient.frames)
        await patient.done(patient.pop_screen)
        assert len(patient.frames) == drawn


async def test_screen_has_its_size_classes_first(monkeypatch):
    monkeypatch.setattr(PatientApp, "VERTICAL_BREAKPOINTS", [(0, "-short"), (24, "-tall")])
    styled = []
    async with PatientApp() as patient:
        apply = patient.stylesheet.apply
        patient.stylesheet.apply = lambda node, **named: (
            styled.append((type(node), set(node.classes))),
            apply(node, **named),
        )
        await patient.done(patient.push_screen, PatientScreen())
    assert [classes for kind, classes in styled if kind is PatientScreen] == [{"-tall"}]


async def test_the_variables_of_a_theme_are_its_own():
    async with app().run_test() as pilot:
        dark = pilot.app.get_css_variables()
        pilot.app.theme = "textual-light"
        light = pilot.app.get_css_variables()
        assert light["background"] != dark["background"]
        assert pilot.app.theme_variables == light
        pilot.app.theme = "textual-dark"
        assert pilot.app.get_css_variables() == dark
