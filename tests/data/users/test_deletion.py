"""Deleting a user: nothing personal stays, the number is never given again, and the name is for a week."""

import pytest
from support.database import OPERATOR, SUPPORT, SYSTEM, World

from data.operations.audit import trail
from data.operations.maintenance import accounts
from data.operations.policy import needs_attention, policy_settings
from data.operations.results import Denied, Done
from data.operations.users import credentials, deletion, lifecycle, practices, user_import, user_summaries
from data.operations.users.lifecycle import NewUser
from data.operations.users.user_export import export_people
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Method
from data.rules.users_csv import read_people
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA laptop"
PERSONAL = ("ben@clinic.example", "Benjamin", "+493012345678", "AAAAC3NzaC1lZDI1NTE5")


def make_ben(world: World) -> None:
    """Make a user of whom as much is known as can be."""
    world.methods(*Method)
    new = NewUser(
        "ben", "ben@clinic.example", "Benjamin Berg", roles=frozenset({SUPPORT}), phone="+49 30 12345678"
    )
    world.run(lifecycle.create_user, OPERATOR, new)
    world.run(credentials.add_key, OPERATOR, KEY, name="ben")
    world.one_time_password("ben", OPERATOR)
    world.set("ben", one_time_until=None)
    world.enrol("ben")
    world.clock.forward(minutes=1)


def of_tables(world: World) -> str:
    """Return all that is stored, but for the audit log."""
    return repr({name: rows for name, rows in world.dump().items() if not name.startswith("audit")})


@pytest.mark.feature("delete")
def test_nothing_personal_stays(world):
    """The log keeps the name."""
    make_ben(world)
    number = world.row("ben").id
    assert all(value in of_tables(world) for value in PERSONAL[:3])
    done = world.run(deletion.delete_user, OPERATOR, "ben")
    assert done == Done("User ben deleted. The name is free again in 7 days.")
    assert not [value for value in PERSONAL if value in of_tables(world)]
    for table in models.TABLES:
        for field in table._meta.refs:
            if field.rel_model is models.User and table not in deletion._KEPT:
                assert not table.select().where(field == number).exists(), table
    assert all(session.ended_at for session in models.Session.select().where(models.Session.user == number))
    entries = world.run(trail.list_entries, OPERATOR, trail.Filter(user="ben"))
    assert [entries[0].sentence, entries[0].user] == ["Deleted", "ben"]
    assert "User created" in [entry.sentence for entry in entries]


@pytest.mark.feature("delete")
def test_a_tombstone_is_seen_and_counted_nowhere(world):
    world.user("anna")
    before = shown(world)
    make_ben(world)
    world.methods(Method.APP)
    world.run(deletion.delete_user, OPERATOR, "ben")
    assert shown(world) == before
    world.methods(*Method)  # Which writes anew where everybody stands.
    assert "ben" not in repr(shown(world))
    assert shown(world)[:3] == before[:3]
    for name in ("ben", f"~{models.DeletedUser.get().user_id}"):
        assert world.run(user_summaries.user_detail, OPERATOR, name) == Denied("The user was not found.")


def shown(world: World) -> list[object]:
    """Return all that administrators and the operator are shown of people."""
    return [
        world.run(user_summaries.list_users, OPERATOR, UserQuery()),
        world.run(practices.list_practices, OPERATOR),
        world.run(accounts.list_accounts, OPERATOR),
        world.run(policy_settings.show_policy, OPERATOR).people,
        world.run(needs_attention.show_needs_attention, OPERATOR),
        world.run(export_people, OPERATOR),
    ]


@pytest.mark.feature("delete")
def test_number_and_name_are_not_reused(world):
    """The number is never given again, the name only after a week."""
    make_ben(world)
    number = world.row("ben").id
    world.run(deletion.delete_user, OPERATOR, "ben")
    again = NewUser("ben", "ben@clinic.example")
    rows = read_people(b"name,email\nben,ben@clinic.example\n", "utf-8").rows
    for _ in range(2):
        refused = world.run(lifecycle.create_user, OPERATOR, again)
        assert refused == Denied("The name ben cannot be used. ben2 is free.")
        assert world.run(user_import.check_people, OPERATOR, rows).faults
        world.clock.forward(days=3)
    world.clock.forward(days=1)
    assert not world.run(user_import.check_people, OPERATOR, rows).faults
    assert isinstance(world.run(lifecycle.create_user, OPERATOR, again), Done)
    assert world.row("ben").id > number
    assert isinstance(world.run(deletion.delete_user, OPERATOR, "ben"), Done)


def test_oneself_and_last_admins_stay(world):
    """Nobody deletes themselves or the last administrators."""
    world.user("chief", SYSTEM)
    me = world.enrol("chief")
    assert isinstance(world.run(deletion.delete_user, me, "chief"), Denied)
    refused = world.run(deletion.delete_user, OPERATOR, "admin")
    assert "last active security administrator" in refused.message


def test_practice_of_tombstones_is_removed(world):
    """A practice with nobody but deleted users is removed."""
    world.run(practices.add_practice, OPERATOR, "North")
    make_ben(world)
    world.run(practices.move_user, OPERATOR, "ben", "North")
    world.run(deletion.delete_user, OPERATOR, "ben")
    assert world.run(practices.remove_practice, OPERATOR, "North") == Done("Practice North removed.")
