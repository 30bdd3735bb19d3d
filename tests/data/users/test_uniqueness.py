"""Names and addresses are unique in the whole installation, and nobody learns who has one elsewhere."""

import pytest
from support.database import OPERATOR, SYSTEM, World

from data.operations.actors import Member, Operator
from data.operations.audit import notice_outbox
from data.operations.maintenance import accounts
from data.operations.results import Denied, Done
from data.operations.users import lifecycle, uniqueness, user_import
from data.operations.users.lifecycle import NewUser, UserChanges
from data.rules.domain_types import ADMIN_ROLES
from data.rules.users_csv import read_people
from data.storage import models

CLINIC = Operator("root", "Clinic")
ASKED = "That e-mail address cannot be used. Enter another one. A message to that address says why."


@pytest.fixture
def boss(world: World) -> Member:
    """The administrator of an account beside which there is another one with the user eve."""
    eve = NewUser("eve", "eve@surgery.example", roles=ADMIN_ROLES, password_hash="hash")
    boss = world.person("boss", SYSTEM)
    world.user("ben")
    assert isinstance(world.run(accounts.add_account, OPERATOR, "Surgery", "Main", eve), Done)
    models.Notice.delete().execute()
    return boss


def told(world: World) -> list[tuple[str, str]]:
    """Return address and words of everything that is to be sent now."""
    return [(one.envelope.to, " ".join(one.envelope.text.split())) for one in world.run(notice_outbox.claim)]


def create(world: World, actor: Member | Operator, name: str, email: str) -> object:
    return world.run(lifecycle.create_user, actor, NewUser(name, email))


def test_taken_name_in_any_account(world, boss):
    """It is refused in the same words."""
    here = create(world, boss, "ben", "new@clinic.example")
    there = create(world, boss, "eve", "new@clinic.example")
    assert here == Denied("The name ben cannot be used. ben2 is free.")
    assert there == Denied("The name eve cannot be used. eve2 is free.")
    assert told(world) == []


def test_offered_name_is_free(world, boss):
    long = "x" * 32
    for name in (long, "eve2", "eve3"):
        assert isinstance(create(world, boss, name, f"{name}@x.example"), Done)
    assert create(world, boss, "eve", "new@clinic.example").message.endswith("eve4 is free.")
    offer = create(world, boss, long, "new@clinic.example").message.split()[-3]
    assert isinstance(create(world, boss, offer, "new@clinic.example"), Done)
    for number in range(4, 20):
        create(world, boss, f"eve{number}", f"eve{number}@x.example")
    assert create(world, boss, "eve", "n@clinic.example").message.endswith("Choose another one.")


def test_taken_address(world, boss):
    """It is refused in the same words, and its owner is told once a day."""
    for email in ("ben@clinic.example", "eve@surgery.example"):
        for _ in range(3):
            assert create(world, boss, "new", email) == Denied(ASKED)
    notices = told(world)
    assert [to for to, _ in notices] == ["ben@clinic.example", "eve@surgery.example"]
    for _, text in notices:
        assert "Someone tried to use this e-mail address for another user." in text
        assert "boss" not in text
    assert "Account: Surgery" in notices[1][1]
    assert "Clinic" not in notices[1][1]
    world.clock.forward(days=1, minutes=1)
    create(world, CLINIC, "new", "eve@surgery.example")
    assert [to for to, _ in told(world)] == ["eve@surgery.example"]


def test_editing_tells_no_more_than_creating(world, boss):
    denied = world.run(lifecycle.edit_user, boss, "ben", UserChanges(email="eve@surgery.example"))
    assert denied == Denied(ASKED)
    me = world.session("ben")
    assert world.run(lifecycle.edit_own, me, UserChanges(email="boss@clinic.example")) == Denied(ASKED)
    assert sorted(to for to, _ in told(world)) == ["boss@clinic.example", "eve@surgery.example"]


async def test_import_tells_no_more(world, boss):
    """It tells the owners too."""
    text = "name,email\neve,n@x.example\nben,m@x.example\nnew,eve@surgery.example\n"
    rows = read_people(text.encode()).rows
    checked = await user_import.check_all(world.store, boss, rows, lambda _more: None)
    assert [(fault.row, fault.wrong) for fault in checked.faults] == [
        (2, "The name eve cannot be used. eve2 is free."),
        (3, "The name ben cannot be used. ben2 is free."),
        (4, ASKED),
    ]
    assert [to for to, _ in told(world)] == ["eve@surgery.example"]
    models.Notice.delete().execute()
    staged = world.run(user_import.stage_people, boss, None, user_import.newcomers(rows))
    assert staged.faults == checked.faults
    assert [to for to, _ in told(world)] == ["eve@surgery.example"]


def test_where_no_mail_can_be_sent_none_is_promised(world, boss):
    world.store.services = world.services = type(world.services)(
        world.services.clock, world.services.vault, world.services.hasher
    )
    assert create(world, boss, "new", "eve@surgery.example") == Denied(
        "That e-mail address cannot be used. Enter another one."
    )
    assert models.Notice.select().count() == 0


def test_only_who_manages_people_can_have_owners_told(world, boss):
    assert isinstance(
        world.run(uniqueness.tell_owners, world.session("ben"), ["eve@surgery.example"]), Denied
    )
    assert told(world) == []
