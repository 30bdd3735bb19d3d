"""Several accounts in one installation."""

import pytest
from support.database import OPERATOR, World

from data.operations.actors import NO_SUCH_ACCOUNT, Operator
from data.operations.audit import trail
from data.operations.maintenance import accounts
from data.operations.maintenance.accounts import AccountRow
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done
from data.operations.users import practices, user_summaries
from data.operations.users.lifecycle import NewUser
from data.operations.users.user_summaries import UserQuery
from data.rules.domain_types import ADMIN_ROLES, Mode, Status

EVE = NewUser("eve", "eve@surgery.example", password_hash="hash")
CLINIC, SURGERY = Operator("root", "Clinic"), Operator("root", " SURGERY ")


def add(world: World, name: str = "Surgery", practice: str = "Old Town", admin: NewUser = EVE):
    return world.run(accounts.add_account, OPERATOR, name, practice, admin)


@pytest.mark.feature("several-accounts")
def test_new_account(world):
    """It has its first practice and administrator."""
    assert add(world).message.startswith("Account Surgery created. User eve created.")
    eve = world.run(user_summaries.user_detail, SURGERY, "eve")
    assert (eve.account, eve.practice, eve.roles) == ("Surgery", "Old Town", ADMIN_ROLES)
    assert eve.one_time_until
    assert world.run(accounts.list_accounts, OPERATOR) == [
        AccountRow("Clinic", Mode.OPTIONAL, 1, 1),
        AccountRow("Surgery", Mode.OPTIONAL, 1, 1),
    ]
    view = world.run(accounts.show_account, OPERATOR, "surgery")
    assert (view.name, view.administrators, view.people) == ("Surgery", ("eve",), {Status.PENDING: 1})
    assert world.run(accounts.show_account, OPERATOR, "Nowhere") == NO_SUCH_ACCOUNT


@pytest.mark.feature("several-accounts")
@pytest.mark.parametrize(
    ("name", "practice", "admin"),
    [
        ("CLINIC", "Main", EVE),
        ("", "Main", EVE),
        ("x" * 121, "Main", EVE),
        ("Surgery", " ", EVE),
        ("Surgery", "Main", NewUser("admin", "eve@surgery.example")),
        ("Surgery", "Main", NewUser("eve", "ADMIN@clinic.example")),
        ("Surgery", "Main", NewUser("not a name", "eve@surgery.example")),
    ],
)
def test_a_refused_account_leaves_nothing(world, name, practice, admin):
    before = world.dump()
    assert isinstance(add(world, name, practice, admin), Denied)
    assert world.dump() == before


@pytest.mark.feature("account-named")
def test_operator_must_name_one_of_several(world):
    """The refusal lists the accounts."""
    add(world)
    denied = world.run(user_summaries.list_users, OPERATOR, UserQuery())
    assert denied == Denied("There are several accounts (Clinic, Surgery). Choose one with --account NAME.")
    assert world.run(user_summaries.list_users, Operator("root", "Nowhere"), UserQuery()) == NO_SUCH_ACCOUNT
    assert world.run(user_summaries.list_users, Operator("root", ""), UserQuery()) == NO_SUCH_ACCOUNT
    for operator, name in ((CLINIC, "admin"), (SURGERY, "eve")):
        page = world.run(user_summaries.list_users, operator, UserQuery())
        assert [row.name for row in page.rows] == [name]
    assert world.run(user_summaries.user_detail, SURGERY, "admin") == Denied("The user was not found.")


@pytest.mark.feature("account-walls")
def test_policy_practices_and_log_are_separate(world):
    add(world)
    world.run(practices.add_practice, SURGERY, "Main")
    assert isinstance(world.run(policy_settings.set_mode, SURGERY, Mode.REQUIRED, seen=Mode.OPTIONAL), Done)
    assert world.run(policy_settings.show_policy, CLINIC).policy.mode is Mode.OPTIONAL
    assert [row.name for row in world.run(practices.list_practices, CLINIC)] == ["Main"]
    events = [entry.event for entry in world.run(trail.list_entries, SURGERY, trail.Filter())]
    assert events == ["policy.mode_changed", "practice.added", "user.created", "account.created"]
    assert "practice.added" not in [
        entry.event for entry in world.run(trail.list_entries, CLINIC, trail.Filter())
    ]


def test_a_practice_of_another_account_is_no_practice(world):
    add(world)
    denied = world.run(practices.move_user, SURGERY, "eve", "Main")
    assert denied == practices.NO_SUCH_PRACTICE
    denied = world.run(practices.rename_practice, CLINIC, "Old Town", "New Town")
    assert denied == practices.NO_SUCH_PRACTICE


@pytest.mark.feature("rename-and-remove")
def test_renaming(world):
    """The account keeps its users and its log."""
    add(world)
    done = world.run(accounts.rename_account, OPERATOR, "surgery", "Theatre")
    assert done == Done("Account Surgery renamed to Theatre.")
    theatre = Operator("root", "Theatre")
    assert [row.name for row in world.run(user_summaries.list_users, theatre, UserQuery()).rows] == ["eve"]
    newest = world.run(trail.list_entries, theatre, trail.Filter(), limit=1)[0]
    assert newest.sentence == "Account Surgery renamed to Theatre"
    assert world.run(accounts.rename_account, OPERATOR, "Surgery", "Other") == NO_SUCH_ACCOUNT
    for name in ("", "x" * 121, "CLINIC"):
        assert isinstance(world.run(accounts.rename_account, OPERATOR, "Theatre", name), Denied)
    assert isinstance(world.run(accounts.rename_account, OPERATOR, "Theatre", "THEATRE"), Done)
