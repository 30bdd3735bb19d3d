"""Inviting and reminding in the app: one user, marked users, and who has just been imported."""

import pytest
from support.app_driver import opened, sign_in
from support.database import PASSWORD, World
from support.mail_server import HOST, mail_server
from textual.events import Paste
from textual.widgets import TextArea

from data.delivery.carriers import Carriers, Smtp
from data.operations.users import credentials
from data.rules.domain_types import Method, Mode
from tui.widgets.paged_table import PagedTable


def through(port: int) -> Carriers:
    return Carriers(Smtp(HOST, port, "twofold@clinic.example", "none"))


@pytest.fixture
def newcomers(world: World) -> World:
    for name in ("ben", "eve"):
        world.user(name, password=None)
    return world


async def marks(person, *names: str) -> None:
    table = person.app.screen.query_one(PagedTable)
    for name in names:
        table.move_cursor(row=[row.name for row in table._page].index(name))
        await person.presses("space")


@pytest.mark.feature("invite-whom")
async def test_inviting_marked_users(newcomers):
    async with opened(newcomers, "admin") as person:
        await person.sees("6 users")
        await marks(person, "anna", "ben", "eve")
        await person.sees("3 marked: r require, l clear, a deactivate")
        await person.presses("v")
        await person.sees("Invite 3 users by e-mail?", "anna, ben, eve.", "one-time password", "Invite 3 (y)")
        await person.presses("y")
        await person.sees("2 users invited, 1 refused", "anna: anna has a password of their own.")
        await person.presses("escape")
        await person.sees("✓ anna", "1 marked")
    for name in ("ben", "eve"):
        assert newcomers.events(user=name, last=1) == ["user.invited"]


async def test_inviting_from_the_detail(newcomers):
    async with opened(newcomers, "admin") as person:
        await person.sees("6 users")
        person.app.screen.query_one(PagedTable).move_cursor(row=2)
        await person.presses("enter")
        await person.sees("ben@clinic.example", "v Invite")
        await person.presses("v")
        await person.sees("Invite ben by e-mail?", "ben@clinic.example receives")
        await person.presses("y")
        await person.sees("✓ ben invited by e-mail.")


async def test_fresh_code_before_inviting(newcomers):
    async with opened(newcomers, "admin") as person:
        await person.sees("6 users")
        newcomers.clock.forward(hours=1)
        await marks(person, "ben")
        await person.presses("v", "y")
        await person.sees("code")
        assert newcomers.events(user="ben", last=1) == ["user.created"]
        await person.types(newcomers.live_code("admin"))
        await person.presses("enter")
        await person.sees("✓ 1 user invited.")


@pytest.mark.feature("remind")
async def test_who_must_set_up_is_reminded(world):
    world.set("anna", required=True)
    async with opened(world, "admin") as person:
        await person.sees("4 users")
        await marks(person, "anna", "boris")
        await person.presses("z")
        await person.sees("Remind 2 users by e-mail?")
        await person.presses("y")
        await person.sees(
            "1 user reminded, 1 refused", "boris: boris does not have to set up two-factor authentication"
        )
    assert world.events(user="anna", last=1) == ["user.reminded"]


@pytest.mark.feature("invite")
async def test_offer_after_an_import(world):
    async with mail_server() as mail, opened(world, "admin", carriers=through(mail.port)) as person:
        await person.sees("2 Users", "by name")
        await person.presses("i")
        await person.sees("Paste CSV text")
        text = "name,email\nben,ben@x.example\neve,eve@x.example\n"
        person.app.screen.query_one(TextArea).post_message(Paste(text))
        await person.pilot.pause()
        await person.presses("ctrl+s")
        await person.sees("Import 2 users?", "will need an invitation or a one-time password")
        await person.presses("y")
        await person.sees("Invite 2 users by e-mail?")
        await person.presses("y")
        await person.sees("✓ 2 users invited.")
    assert world.events(user="ben", last=1) == ["user.invited"]


@pytest.mark.feature("invite-not-email")
async def test_no_email_after_a_mailed_password(world):
    world.methods(Method.APP, Method.SMS, Method.EMAIL)
    world.mode(Mode.REQUIRED)
    credentials.set_password(
        world.row("anna"), world.services.hasher.hash(PASSWORD), None, mailed_at=world.clock.now
    )
    async with opened(world, session=sign_in(world, "anna")) as person:
        await person.sees("How do you want to get codes?", "Text message")
        assert "E-mail" not in person.screen
