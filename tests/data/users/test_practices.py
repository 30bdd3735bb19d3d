"""Practices, phone numbers, and changes that two administrators make at once."""

import pytest
from support.database import BOTH, OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.actors import Operator
from data.operations.maintenance import accounts
from data.operations.policy import policy_settings
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.users import lifecycle, practices, role_grants, user_summaries
from data.operations.users.lifecycle import Edited, NewUser, UserChanges
from data.operations.users.practices import PracticeRow
from data.operations.users.user_summaries import UserQuery
from data.rules import user_fields
from data.rules.domain_types import Mode, Role, Status

BERLIN, PARIS = "+493012345678", "+33123456789"


def shown(world: World, name: str) -> user_summaries.UserDetail:
    return world.run(user_summaries.user_detail, OPERATOR, name)


def edit(world, actor, name, changes, seen=None):
    return world.run(lifecycle.edit_user, actor, name, changes, seen=seen)


def found(world, **query) -> list[str]:
    return [row.name for row in world.run(user_summaries.list_users, OPERATOR, UserQuery(**query)).rows]


@pytest.mark.feature("practices")
def test_practices_are_listed(world):
    """They are added, renamed and listed with how many users each has."""
    assert world.run(practices.add_practice, OPERATOR, "  north   wing ") == Done(
        "Practice north wing added."
    )
    world.user("anna")
    world.set(world.user("gone"), active=False)
    world.run(practices.move_user, OPERATOR, "anna", "NORTH WING")
    assert world.run(practices.list_practices, OPERATOR) == [
        PracticeRow("Main", 2, 1),
        PracticeRow("north wing", 1, 1),
    ]
    done = world.run(practices.rename_practice, OPERATOR, "north wing", "North Wing")
    assert done == Done("Practice north wing renamed to North Wing.")
    assert shown(world, "anna").practice == "North Wing"
    assert world.events(last=1) == ["practice.renamed"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "MAIN", " main "])
def test_a_practice_needs_a_name_of_its_own(world, name):
    world.run(practices.add_practice, OPERATOR, "North")
    before = world.dump()
    assert isinstance(world.run(practices.add_practice, OPERATOR, name), Denied)
    assert isinstance(world.run(practices.rename_practice, OPERATOR, "North", name), Denied)
    assert world.dump() == before


def test_case_outside_ascii(world):
    """Letters outside ASCII are compared without case too."""
    world.run(practices.add_practice, OPERATOR, "Überlingen")
    assert isinstance(world.run(practices.add_practice, OPERATOR, "ÜBERLINGEN"), Denied)


def test_unknown_practice(world):
    world.user("anna")
    before = world.dump()
    for name in ("North", "", "\ud800"):
        assert world.run(practices.move_user, OPERATOR, "anna", name) == practices.NO_SUCH_PRACTICE
        assert world.run(practices.rename_practice, OPERATOR, name, "South") == practices.NO_SUCH_PRACTICE
    new = NewUser("bob", "bob@clinic.example", practice="North")
    assert world.run(lifecycle.create_user, OPERATOR, new) == practices.NO_SUCH_PRACTICE
    assert world.dump() == before


@pytest.mark.feature("rename-and-remove")
def test_an_empty_practice_is_removed_and_no_other(world):
    world.user("anna")
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(practices.move_user, OPERATOR, "anna", "North")
    refused = world.run(practices.remove_practice, OPERATOR, "north")
    assert refused == Denied("1 user is in practice North. Move them to another one first.")
    world.run(practices.move_user, OPERATOR, "anna", "Main")
    assert world.run(practices.remove_practice, OPERATOR, "NORTH") == Done("Practice North removed.")
    assert [row.name for row in world.run(practices.list_practices, OPERATOR)] == ["Main"]
    assert world.run(practices.remove_practice, OPERATOR, "North") == practices.NO_SUCH_PRACTICE
    assert isinstance(world.run(practices.remove_practice, OPERATOR, "Main"), Denied)


@pytest.mark.feature("one-policy")
def test_one_policy_for_all_practices(world):
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(lifecycle.create_user, OPERATOR, NewUser("bob", "bob@clinic.example", practice="north"))
    assert world.run(policy_settings.show_policy, OPERATOR).practices == 2
    world.mode(Mode.REQUIRED)
    assert shown(world, "bob").status is Status.PENDING


@pytest.mark.feature("move-users")
def test_two_who_move_one_user(world):
    """They do not undo each other."""
    for name in ("North", "South"):
        world.run(practices.add_practice, OPERATOR, name)
    world.user("anna")
    one, other = world.person("one", SYSTEM), world.person("other", SYSTEM)
    assert isinstance(world.run(practices.move_user, one, "anna", "North", seen="Main"), Done)
    denied = world.run(practices.move_user, other, "anna", "South", seen="Main")
    assert denied == Denied("Someone else moved anna to North in the meantime. Check it, then try again.")
    assert shown(world, "anna").practice == "North"


@pytest.mark.feature("search")
def test_table_by_practice_and_phone(world):
    world.run(practices.add_practice, OPERATOR, "North Wing")
    new = NewUser("bob", "bob@clinic.example", phone="+49 30 12345678", practice="North Wing")
    world.run(lifecycle.create_user, OPERATOR, new)
    for search in ("north", "wing NORTH", "030", "+49 30", "030-123", "(30)", "12345", "bob wing 4930"):
        assert found(world, search=search) == ["bob"], search
    for search in ("north admin", "4931", "0331", "45678"):
        assert found(world, search=search) == [], search
    assert found(world, practice="North Wing") == ["bob"]
    assert found(world, practice="Main") == ["admin"]
    assert found(world, practice="\ud800") == []


@pytest.mark.feature("contact-form")
@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" +49 30 12345678 ", BERLIN),
        ("+49 (30) 1234-5678", BERLIN),
        ("+33 1 23 45 67 89", PARIS),
        ("030 12345678", None),
        ("+49 30 12345678 ext. 5", None),
        ("+49 1", None),
        ("+999 123456789", None),
        ("anna", None),
        ("\ud800", None),
        ("+" * 5000, None),
        ("+49 30 12345678\x1b[2J", None),
    ],
    ids=repr,
)
def test_a_phone_number_is_stored_as_e164_or_refused(typed, stored):
    assert user_fields.fold_phone(typed) == stored


@pytest.mark.feature("shared-number")
def test_two_users_may_share_a_number_and_are_warned(world):
    world.run(lifecycle.create_user, OPERATOR, NewUser("anna", "anna@clinic.example", phone=BERLIN))
    done = world.run(lifecycle.create_user, OPERATOR, NewUser("bob", "bob@clinic.example", phone=BERLIN))
    assert done == Done("User bob created. anna has the same phone number. Use separate numbers if possible.")
    assert edit(world, OPERATOR, "admin", UserChanges(phone=BERLIN)).message.startswith("User admin saved. ")
    assert edit(world, OPERATOR, "admin", UserChanges(phone=" ")) == Edited("User admin saved.")
    assert shown(world, "admin").phone is None
    assert isinstance(edit(world, OPERATOR, "admin", UserChanges(phone="4711")), Denied)


@pytest.mark.feature("unique-address")
def test_address_is_unique_in_any_case(world):
    world.user("anna")
    for actor_name in ("ANNA@clinic.example", "Anna@CLINIC.EXAMPLE"):
        assert isinstance(edit(world, OPERATOR, "admin", UserChanges(email=actor_name)), Denied)


@pytest.mark.feature("two-editors")
def test_second_editor_of_one_field(world):
    """The second editor is told what changed, and nothing is lost."""
    world.user("anna")
    one, other = world.person("one", SYSTEM), world.person("other", SYSTEM)
    form = UserChanges("anna@clinic.example", "", "")
    assert isinstance(edit(world, one, "anna", UserChanges(full_name="Anna Lee"), form), Done)
    denied = edit(world, other, "anna", UserChanges(full_name="Anna Berg", phone=BERLIN), form)
    assert denied.message.startswith("Someone else changed the full name to Anna Lee in the meantime.")
    assert (shown(world, "anna").full_name, shown(world, "anna").phone) == ("Anna Lee", None)


def test_editors_of_different_fields(world):
    """Both get their way, and the second is told."""
    world.user("anna")
    form = UserChanges("anna@clinic.example", "", "")
    edit(world, OPERATOR, "anna", UserChanges(full_name="Anna Lee"), form)
    saved = edit(world, OPERATOR, "anna", UserChanges(phone=BERLIN), form)
    assert saved.message == "User anna saved. Someone else changed the full name to Anna Lee in the meantime."
    assert (shown(world, "anna").full_name, shown(world, "anna").phone) == ("Anna Lee", BERLIN)


@pytest.mark.feature("two-editors")
def test_second_editor_of_roles(world):
    """The second editor is told what the roles are now."""
    world.user("anna")
    nobody: frozenset[Role] = frozenset()
    one, other = world.person("one", *BOTH), world.person("other", *BOTH)
    assert isinstance(world.run(role_grants.set_roles, one, "anna", frozenset({SUPPORT}), seen=nobody), Done)
    denied = world.run(role_grants.set_roles, other, "anna", frozenset({SECURITY}), seen=nobody)
    assert denied == Denied(
        "Someone else changed the roles of anna to support in the meantime. Check them, then try again."
    )
    assert shown(world, "anna").roles == {SUPPORT}


def test_own_name_and_addresses(world):
    """The name is changed at any time, addresses after fresh proof."""
    anna = world.enrol(world.user("anna"))
    world.clock.forward(minutes=6)
    assert isinstance(world.run(lifecycle.edit_own, anna, UserChanges(full_name="Anna Lee")), Done)
    for changes in (UserChanges(email="lee@clinic.example"), UserChanges(phone=BERLIN)):
        before = world.dump()
        assert isinstance(world.run(lifecycle.edit_own, anna, changes), FreshProofNeeded)
        assert world.dump() == before
    world.clock.forward(minutes=1)
    anna = world.session("anna")
    changes = UserChanges("lee@clinic.example", phone=BERLIN)
    assert isinstance(world.run(lifecycle.edit_own, anna, changes), Done)
    mine = shown(world, "anna")
    assert (mine.full_name, mine.email, mine.phone) == ("Anna Lee", "lee@clinic.example", BERLIN)
    assert isinstance(world.run(lifecycle.edit_own, anna, UserChanges("admin@clinic.example")), Denied)
    assert isinstance(world.run(lifecycle.edit_own, OPERATOR, changes), Denied)


def test_number_shared_with_another_account(world):
    """Nothing is said of it."""
    eve = NewUser("eve", "eve@other.example", phone=BERLIN, password_hash="hash")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", eve)
    changes = UserChanges(phone=BERLIN)
    done = world.run(lifecycle.edit_user, Operator("root", "Clinic"), "admin", changes)
    assert done == Edited("User admin saved.")
