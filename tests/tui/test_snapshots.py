"""Pictures of the main screens; `pytest --snapshot-update` after a look accepts new ones."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from support.app_driver import Person, make_app, sign_in
from support.database import SUPPORT, World, totp
from textual.widgets import Input, TextArea

from data.rules.domain_types import Mode
from data.rules.policy import MustChangePassword, MustEnrol
from tui.app import TwofoldApp
from tui.screens.enrolment_authenticator import SetUpScreen

Walk = Callable[[Person], Awaitable[object]]


@pytest.fixture
def clinic(world: World) -> World:
    """A clinic in which something has happened."""
    world.user("dmitri", required=True)
    world.set("dmitri", full_name="Dmitri Petrov")
    world.user("emma", SUPPORT)
    world.set("emma", full_name="Emma van der Woude")
    world.clock.now += timedelta(days=2, hours=3)
    world.enrol("anna")
    world.enrol("boris")
    world.lock("boris")
    world.set("carla", active=False)
    world.clock.now += timedelta(hours=1)
    return world


@pytest.fixture(autouse=True)
def steady_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cursor blinks: one that is told so while it is hidden stays hidden."""
    for field in (Input, TextArea):
        monkeypatch.setattr(field.cursor_blink, "_default", False)


async def to_sign_in(person: Person) -> None:
    await person.sees("Sign in to Twofold")


async def to_new_password(person: Person) -> None:
    await person.sees("Choose a new password")


async def to_introduction(person: Person) -> None:
    await person.sees("Step 1 of 4")


async def to_qr_code(person: Person) -> None:
    await to_introduction(person)
    await person.presses("enter")
    await person.sees("Step 2 of 4")


async def to_recovery_codes(person: Person) -> None:
    await to_qr_code(person)
    assert isinstance(person.app.screen, SetUpScreen)
    await person.types(totp(person.app.screen._pending.secret, person.world.clock.now))
    await person.presses("enter")
    await person.sees("Step 4 of 4")


async def to_profile(person: Person) -> None:
    await to_users(person)
    await person.presses("1")
    await person.sees("How it works")


async def to_overview(person: Person) -> None:
    await person.sees("0 Overview", "Needs attention")


async def to_users(person: Person) -> None:
    await to_overview(person)
    await person.presses("2")
    await person.sees("6 users", "anna")


async def to_detail(person: Person) -> None:
    await to_users(person)
    await person.presses("down", "down", "enter")
    await person.sees("Boris Iwanow", "Attempts left")


async def to_confirmation(person: Person) -> None:
    await to_detail(person)
    await person.presses("l")
    await person.sees("Clear the 2FA data of boris?")


async def to_new_user(person: Person) -> None:
    await to_users(person)
    await person.presses("n")
    await person.sees("New user")


async def to_security(person: Person) -> None:
    await to_users(person)
    await person.presses("3")
    await person.sees("(•) Optional", "Users: ")
    await person.presses("down")
    await person.sees("must set it up at the next sign-in")


async def to_activity(person: Person) -> None:
    await to_users(person)
    await person.presses("4")
    await person.sees("newest first", "Wrong code")


async def to_sessions(person: Person) -> None:
    await to_users(person)
    await person.presses("6")
    await person.sees("sessions open", "yours" if person.app.size.width > 100 else "password and code")


async def to_marked(person: Person) -> None:
    await to_users(person)
    await person.presses("down", "space", "space", "r")
    await person.sees("Require 2FA for 2 users?")


async def to_import(person: Person) -> None:
    await to_users(person)
    await person.presses("i")
    await person.sees("Import users")
    person.app.screen.query_one(TextArea).text = "name,email\nben,ben@clinic.example\nanna,nobody\n"
    await person.presses("ctrl+s")
    await person.sees("Row 3, email")


def as_admin(world: World) -> TwofoldApp:
    return make_app(world, sign_in(world, "admin"))


def as_newcomer(world: World) -> TwofoldApp:
    world.user("greta", one_time=True)
    return make_app(world, world.restricted("greta", MustChangePassword))


def to_enrol(world: World) -> TwofoldApp:
    world.mode(Mode.REQUIRED)
    world.user("greta")
    return make_app(world, world.restricted("greta", MustEnrol))


def on_the_host(world: World) -> TwofoldApp:
    return make_app(world, None)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize(
    ("who", "walk"),
    [
        (on_the_host, to_sign_in),
        (as_newcomer, to_new_password),
        (to_enrol, to_introduction),
        (to_enrol, to_qr_code),
        (to_enrol, to_recovery_codes),
        (as_admin, to_overview),
        (as_admin, to_profile),
        (as_admin, to_users),
        (as_admin, to_detail),
        (as_admin, to_confirmation),
        (as_admin, to_new_user),
        (as_admin, to_security),
        (as_admin, to_activity),
        (as_admin, to_sessions),
        (as_admin, to_marked),
        (as_admin, to_import),
    ],
    ids=lambda part: part.__name__,
)
def test_screen(clinic, snap_compare, who, walk: Walk, size):
    app = who(clinic)

    async def arrive(pilot) -> None:
        await walk(Person(app, pilot, clinic))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=arrive)
