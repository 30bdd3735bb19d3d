"""Who is signed in, on the screen; and the app on the host, whose session is ended elsewhere."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.app_driver import LOCAL, Person, make_app, opened, sign_in
from support.database import OPERATOR, PASSWORD
from support.ssh_server import until

from data.operations.signin import sessions
from data.operations.signin.admission import TOO_MANY_SIGNINS
from data.storage import models
from sshserver.limits.limit_values import Limits
from tui.app import TwofoldApp


@pytest.mark.feature("session-list")
async def test_who_where_since_when_and_how(world):
    world.session("anna", address="192.0.2.77")
    async with opened(world, "admin", size=(120, 40)) as person:
        await person.sees("2 Users")
        await person.presses("6")
        await person.sees("sessions open", "newest first", "anna 192.0.2.77 2026-03-02 09:", "password")
        await person.sees("password and code", "yours")
        await person.presses("enter")
        await person.sees("Session of admin", "Methods: password and code", "State: yours")


@pytest.mark.feature("session-list", "jumps-kept")
async def test_jumps_stand_with_their_session(world):
    number = world.session("anna", address="192.0.2.77").session_id
    since = models.Session.get_by_id(number).started_at
    models.Jump.insert(
        session=number, name="db1", address="10.0.0.5", port=22, opened_at=since, sent=1, received=2000
    ).execute()
    async with opened(world, "admin", size=(160, 40)) as person:
        await person.presses("6")
        await person.sees("signed in, 1 jump")
        await person.presses("down")
        await person.presses("enter")
        await person.sees("Session of anna", "Jump to db1, since ", "1 byte sent, 2000 bytes received")


@pytest.mark.feature("session-end")
async def test_a_session_is_ended_after_a_confirmation(world):
    anna = world.session("anna", address="192.0.2.77")
    models.Session.update(ended_at=world.clock.now).where(models.Session.id < anna.session_id).execute()
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("6")
        await person.sees("2 sessions open", "192.0.2.77")
        await person.presses("down", "h")
        await person.sees("End the session of anna?", "closes within five seconds")
        await person.presses("n")
        assert models.Session.get_by_id(anna.session_id).ended_at is None
        await person.presses("h")
        await person.sees("End the session of anna?")
        await person.presses("y")
        await person.sees("✓ Session of anna from 192.0.2.77 ended.", "1 session open")
        assert models.Session.get_by_id(anna.session_id).ended_because == sessions.ENDED_BY_ADMIN


async def test_ones_own_session_is_not_ended_so(world):
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("6")
        await person.sees("sessions open", "q Sign out")
        screen = person.app.screen
        await person.presses("h")
        assert person.app.screen is screen
        assert "h End" not in person.screen


async def test_support_sees_the_sessions_and_ends_none(world, supporter):
    anna = world.session("anna")
    async with opened(world, supporter) as person:
        await person.sees("2 Users")
        await person.presses("6")
        await person.sees(
            "sessions open", "anna", "Only a system administrator can end other users' sessions."
        )
        screen = person.app.screen
        await person.presses("down", "h")
        assert person.app.screen is screen
    assert models.Session.get_by_id(anna.session_id).ended_at is None


async def test_sessions_come_in_pages(world):
    for _ in range(60):
        world.session("anna")
    async with opened(world, "admin") as person:
        await person.sees("2 Users")
        await person.presses("6")
        await person.sees("page 1 ([ ] for more)")
        await person.presses("right_square_bracket")
        await person.sees("page 2")
        await person.presses("left_square_bracket")
        await person.sees("page 1")


@pytest.mark.feature("session-end")
async def test_local_app_ends_with_its_session(world, monkeypatch):
    """This holds also where a look takes longer than the time from one to the next."""
    read = world.store.read

    async def slow_read(*args, **kwargs):
        await asyncio.sleep(0.1)
        return await read(*args, **kwargs)

    monkeypatch.setattr(world.store, "read", slow_read)
    monkeypatch.setattr(TwofoldApp, "LOOK_SECONDS", 0.02)
    app = make_app(world, None)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(app, pilot, world)
        await person.sees("Sign in to Twofold")
        app.session = (await signed_in_locally(world)).session
        world.run(sessions.end_session_of, OPERATOR, app.session.id)
        assert await person.has_left() == "An administrator ended this session."


@pytest.mark.feature("session-idle")
async def test_end_is_announced(world):
    session = sign_in(world, "admin")
    world.clock.forward(hours=11, minutes=55, seconds=1)
    async with opened(world, session=session) as person:
        await person.sees("Sign in again soon", "This session ends in 5 minutes.")


async def test_new_session_has_no_warning(world):
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        assert "Sign in again soon" not in person.screen


async def test_local_app_ends_after_too_long(world, monkeypatch):
    monkeypatch.setattr(TwofoldApp, "LOOK_SECONDS", 0.02)
    app = make_app(world, None)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(app, pilot, world)
        await person.sees("Sign in to Twofold")
        app.session = (await signed_in_locally(world)).session
        world.clock.forward(hours=12)
        assert await person.has_left() == "Signed out: a session lasts at most 12 hours. Sign in again."


@asynccontextmanager
async def on_the_host(world, limits):
    """The app on the host, where somebody has just signed in."""
    app = TwofoldApp(world.store, session=None, clock=world.clock, origin=LOCAL, limits=limits)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        person = Person(app, pilot, world)
        await person.sees("Sign in to Twofold")
        await person.types("anna")
        await person.presses("enter")
        await person.types(PASSWORD)
        await person.presses("enter")
        yield person


async def test_local_app_warns_when_idle(world):
    async with on_the_host(world, Limits(idle_minutes=10, idle_warning_seconds=599)) as person:
        await person.sees("Still there?", "This session ends in 599 seconds. Press any key to stay.")


@pytest.mark.feature("session-idle")
async def test_local_app_ends_when_idle(world):
    async with on_the_host(world, Limits(idle_minutes=0.01, idle_warning_seconds=0.1)) as person:
        await until(lambda: person.app._exit)
        assert person.app.return_value == "Signed out after 0.01 minutes without activity."


async def test_typing_keeps_the_app_on_the_host(world):
    async with on_the_host(world, Limits(idle_minutes=10)) as person:
        await person.sees("How it works")
        before = person.app._idle._last
        await person.presses("tab")
        assert person.app._idle._last > before


async def signed_in_locally(world):
    return world.first("anna", address="local")


@pytest.mark.feature("sixty-sign-ins")
async def test_who_signs_in_too_often_on_the_host_is_told_so(world):
    for _ in range(60):
        world.first("anna")
    async with opened(world) as person:
        await person.sees("Sign in to Twofold")
        await person.fills(name="anna", password=PASSWORD)
        await person.pilot.click("Button")
        assert await person.has_left() == TOO_MANY_SIGNINS
