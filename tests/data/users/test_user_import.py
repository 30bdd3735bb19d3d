"""Importing people: all or none, beside sign-ins, and never by halves."""

import asyncio
import json

import pytest
from peewee import IntegrityError
from support.database import OPERATOR, SYSTEM, World

from data.operations.maintenance import accounts
from data.operations.policy import needs_attention, policy_settings
from data.operations.results import Denied, Done
from data.operations.signin import first_factor
from data.operations.users import (
    deletion,
    import_staging,
    lifecycle,
    practices,
    user_export,
    user_import,
    user_summaries,
)
from data.operations.users.user_import import Faulty, Staged
from data.operations.users.user_search import SortKey, UserQuery
from data.rules import users_csv
from data.rules.domain_types import Status
from data.rules.users_csv import PersonRow
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna@laptop"


def rows(text: str) -> tuple[PersonRow, ...]:
    read = users_csv.read_people(text.encode())
    assert read.faults == ()
    return read.rows


def crowd(count: int) -> tuple[PersonRow, ...]:
    lines = (f"user{number:05},user{number:05}@x.example,User {number}" for number in range(count))
    return rows("name,email,full_name\n" + "\n".join(lines))


def stage(world: World, given, actor=OPERATOR, batch=None):
    return world.run(user_import.stage_people, actor, batch, user_import.newcomers(given))


async def imported(world: World, given, actor=OPERATOR, told=lambda _more: None):
    return await user_import.import_people(world.store, actor, given, told)


@pytest.mark.feature("import-csv")
async def test_users_are_as_if_created_one_by_one(world):
    world.run(practices.add_practice, OPERATOR, "Clinic North")
    given = rows(
        "name,email,full_name,phone,practice,require_2fa,public_key\n"
        f"anna,anna@x.example,Anna Berg,+49301234567,clinic north,yes,{KEY}\n"
        "ben,ben@x.example,,,,,\n"
    )
    result = await imported(world, given)
    assert isinstance(result, Done)
    assert "Imported 2 users." in result.message
    assert "one-time password" in result.message
    anna = world.run(user_summaries.user_detail, OPERATOR, "anna")
    assert (anna.email, anna.full_name, anna.phone) == ("anna@x.example", "Anna Berg", "+49301234567")
    assert (anna.practice, anna.required, anna.active) == ("Clinic North", True, True)
    assert [key.comment for key in anna.keys] == ["anna@laptop"]
    assert (anna.roles, anna.has_password, anna.attempts_left) == (frozenset(), False, 7)
    assert anna.created_at == world.clock.now
    assert world.events(last=4) == ["people.imported", "user.created", "key.added", "user.created"]
    assert world.events(user="anna") == ["user.created", "key.added"]
    assert next(entry.sentence for entry in anna.recent).startswith("SSH key added: SHA256:")
    other = world.run(lifecycle.create_user, OPERATOR, lifecycle.NewUser("eve", "eve@x.example"))
    assert isinstance(other, Done)
    columns = {"id", "name", "email", "created_at"}
    one, two = (
        {key: value for key, value in world.row(name).__data__.items() if key not in columns}
        for name in ("ben", "eve")
    )
    assert one == two
    assert models.StagedUser.select().count() == models.ImportBatch.select().count() == 0


@pytest.mark.feature("import-csv")
async def test_an_imported_user_signs_in_with_the_key(world):
    given = rows(f"name,email,require_2fa,public_key\nanna,anna@x.example,no,{KEY}\n")
    await imported(world, given)
    assert world.first_by_key("anna", given[0].key.fingerprint).session.username == "anna"


@pytest.mark.feature("import-errors")
async def test_whoever_is_there_already_refuses_the_whole(world):
    world.user("user00601")
    given = crowd(1000)
    before = models.User.select().count()
    checked = await user_import.check_all(world.store, OPERATOR, given, lambda _more: None)
    assert [(fault.row, fault.column) for fault in checked.faults] == [(603, "name")]
    assert isinstance(await imported(world, given), Faulty)
    assert models.User.select().count() == before


async def test_taken_address_and_unknown_practice(world):
    given = rows("name,email,practice\nx,admin@clinic.example,\ny,y@x.example,Nowhere\n")
    checked = await user_import.check_all(world.store, OPERATOR, given, lambda _more: None)
    assert [(fault.row, fault.column) for fault in checked.faults] == [(2, "email"), (3, "practice")]


async def test_checking_writes_nothing(world):
    before = world.dump()
    assert await user_import.check_all(world.store, OPERATOR, crowd(20), lambda _more: None) is None
    assert world.dump() == before


@pytest.mark.feature("import-errors")
async def test_user_created_before_publishing(world):
    """Someone created between staging and publishing refuses the whole import."""
    staged = stage(world, crowd(5))
    assert isinstance(staged, Staged)
    world.user("user00003")
    result = world.run(user_import.publish_people, OPERATOR, staged.batch)
    assert [(fault.row, fault.column) for fault in result.faults] == [(5, "name")]
    assert models.User.select().where(models.User.name == "user00001").count() == 0
    assert isinstance(world.run(user_import.publish_people, OPERATOR, staged.batch), Denied)


async def test_broken_off_import(world):
    """What it staged is never seen, and is removed."""
    stage(world, crowd(5))
    assert seen(world) == nothing_seen(1)
    world.clock.forward(hours=2)
    await imported(world, rows("name,email\nx,x@x.example\n"))
    assert everyone() == {"admin", "x"}
    assert models.StagedUser.select().count() == models.ImportBatch.select().count() == 0


def everyone() -> set[str]:
    return {row.name for row in models.User.select()}


def seen(world: World) -> dict[str, object]:
    """Look wherever users are listed, searched, counted, shown, exported or looked up."""
    read = [
        world.run(user_summaries.list_users, OPERATOR, query).total
        for query in (
            UserQuery(),
            UserQuery(sort=SortKey.LAST_SIGNIN),
            UserQuery("user0000"),
            UserQuery("user0000 x", practice="Main"),
            UserQuery(status=Status.NO),
        )
    ]
    return {
        "read": read,
        "detail": world.run(user_summaries.user_detail, OPERATOR, "user00001"),
        "exported": len(world.run(user_export.export_people, OPERATOR).records),
        "practices": [(row.users, row.active) for row in world.run(practices.list_practices, OPERATOR)],
        "people": sum(world.run(policy_settings.show_policy, OPERATOR).people.values()),
        "active": world.run(needs_attention.show_needs_attention, OPERATOR).active,
        "accounts": [row.users for row in world.run(accounts.list_accounts, OPERATOR)],
        "candidate": world.run(first_factor.find_candidate, "user00001", world.origin()).user_id,
    }


def nothing_seen(count: int) -> dict[str, object]:
    """What is seen where `count` users are there, none of them imported."""
    return {
        "read": [count, count, 0, 0, 0],
        "detail": Denied("The user was not found."),
        "exported": count,
        "practices": [(count, count)],
        "people": count,
        "active": count,
        "accounts": [count],
        "candidate": None,
    }


@pytest.mark.feature("import-errors")
async def test_published_import_is_seen_everywhere(world):
    staged = stage(world, crowd(60))
    assert seen(world) == nothing_seen(1)
    assert isinstance(world.run(user_import.publish_people, OPERATOR, staged.batch), Done)
    world.run(import_staging.clean_up)
    assert len(everyone()) == 1 + import_staging.PART
    assert world.events().count("user.created") == 1 + import_staging.PART
    await import_staging.clean_up_all(world.store)
    after = seen(world)
    assert after.pop("detail").name == "user00001"
    assert after.pop("candidate") == world.row("user00001").id
    assert after == {
        "read": [61, 61, 10, 10, 60],
        "exported": 61,
        "practices": [(61, 61)],
        "people": 61,
        "active": 61,
        "accounts": [61],
    }


async def test_staged_user_cannot_sign_in(world):
    given = rows(f"name,email,public_key\nanna,anna@x.example,{KEY}\n")
    staged = stage(world, given)
    fingerprint = given[0].key.fingerprint
    assert isinstance(world.first_by_key("anna", fingerprint), first_factor.FirstFactorRejected)
    assert isinstance(world.first("anna", ""), first_factor.FirstFactorRejected)
    world.run(user_import.publish_people, OPERATOR, staged.batch)
    await import_staging.clean_up_all(world.store)
    assert world.first_by_key("anna", fingerprint).session.username == "anna"


@pytest.mark.parametrize("when", ["created", "edited", "imported"])
async def test_staged_names_stay_free(world, when):
    """A staged user keeps no name and no address from anyone."""
    world.user("eve")
    staged = stage(world, rows("name,email\nanna,anna@x.example\nben,ben@x.example\n"))
    if when == "created":
        done = world.run(lifecycle.create_user, OPERATOR, lifecycle.NewUser("ann", "anna@x.example"))
    elif when == "edited":
        changes = lifecycle.UserChanges(email="anna@x.example")
        done = world.run(lifecycle.edit_user, OPERATOR, "eve", changes)
    else:
        done = await imported(world, rows("name,email\nann,anna@x.example\n"))
    assert isinstance(done, Done)
    result = world.run(user_import.publish_people, OPERATOR, staged.batch)
    assert [(fault.row, fault.column) for fault in result.faults] == [(2, "email")]
    await import_staging.clean_up_all(world.store)
    assert everyone() == {"admin", "eve"} | ({"ann"} if when != "edited" else set())
    assert models.StagedUser.select().count() == models.ImportBatch.select().count() == 0


@pytest.mark.parametrize("when", ["created", "edited", "imported", "staged"])
async def test_published_names_are_taken(world, when):
    world.user("eve")
    staged = stage(world, rows("name,email\nanna,anna@x.example\n"))
    late = stage(world, rows("name,email\nanna,late@x.example\n"))
    assert isinstance(world.run(user_import.publish_people, OPERATOR, staged.batch), Done)
    if when == "created":
        refused = world.run(lifecycle.create_user, OPERATOR, lifecycle.NewUser("anna", "a@x.example"))
        assert refused == Denied("The name anna cannot be used. anna2 is free.")
    elif when == "edited":
        changes = lifecycle.UserChanges(email="anna@x.example")
        assert isinstance(world.run(lifecycle.edit_user, OPERATOR, "eve", changes), Denied)
    elif when == "imported":
        refused = await user_import.check_all(
            world.store, OPERATOR, rows("name,email\nann,anna@x.example\n"), lambda _more: None
        )
        assert [(fault.row, fault.column) for fault in refused.faults] == [(2, "email")]
    else:
        refused = world.run(user_import.publish_people, OPERATOR, late.batch)
        assert [(fault.row, fault.column) for fault in refused.faults] == [(2, "name")]
    await import_staging.clean_up_all(world.store)
    assert everyone() == {"admin", "anna", "eve"}
    assert world.row("anna").email == "anna@x.example"


async def test_name_used_meanwhile_refuses_the_import(world):
    staged = stage(world, rows("name,email\nanna,anna@x.example\n"))
    world.user("anna")
    world.run(deletion.delete_user, OPERATOR, "anna")
    result = world.run(user_import.publish_people, OPERATOR, staged.batch)
    assert [(fault.row, fault.column) for fault in result.faults] == [(2, "name")]


async def test_a_practice_that_rows_wait_for_stays(world):
    world.run(practices.add_practice, OPERATOR, "North")
    staged = stage(world, rows("name,email,practice\nanna,anna@x.example,North\n"))
    assert isinstance(world.run(practices.remove_practice, OPERATOR, "North"), Denied)
    world.run(user_import.publish_people, OPERATOR, staged.batch)
    assert isinstance(world.run(practices.remove_practice, OPERATOR, "North"), Denied)
    await import_staging.clean_up_all(world.store)
    assert world.run(user_summaries.user_detail, OPERATOR, "anna").practice == "North"


async def test_user_not_created_ends_no_import(world):
    staged = stage(world, rows("name,email\nanna,anna@x.example\n"))
    nowhere = lifecycle.NewUser("anna", "anna@x.example", practice="Nowhere")
    assert isinstance(world.run(lifecycle.create_user, OPERATOR, nowhere), Denied)
    assert isinstance(world.run(user_import.publish_people, OPERATOR, staged.batch), Done)


async def test_broken_off_after_publishing(world):
    """It is finished later."""
    given = rows(f"name,email,require_2fa,public_key\nanna,anna@x.example,yes,{KEY}\nben,b@x.example,,\n")
    staged = stage(world, given)
    world.run(user_import.publish_people, OPERATOR, staged.batch)
    assert world.events(last=1) == ["people.imported"]
    assert everyone() == {"admin"}
    world.clock.forward(hours=2)
    await import_staging.clean_up_all(world.store)
    told = list(models.AuditEntry.select().order_by(models.AuditEntry.id))[-3:]
    assert [(row.event, row.user, row.actor, row.application) for row in told] == [
        ("user.created", "anna", "operator:root", "host"),
        ("key.added", "anna", "operator:root", "host"),
        ("user.created", "ben", "operator:root", "host"),
    ]
    assert json.loads(told[0].detail) == {"roles": [], "required": True}
    assert json.loads(told[1].detail) == {"fingerprint": given[0].key.fingerprint}
    assert everyone() == {"admin", "anna", "ben"}
    assert models.StagedUser.select().count() == models.ImportBatch.select().count() == 0
    assert world.run(import_staging.is_something_left) is False


async def test_refused_half_way_is_removed(world):
    given = (*crowd(60), *rows("name,email\nadmin,other@x.example\n"))
    assert isinstance(await imported(world, given), Faulty)
    assert everyone() == {"admin"}


async def test_import_in_use_is_not_removed(world):
    staged = stage(world, crowd(5))
    with pytest.raises(IntegrityError):
        models.ImportBatch.delete().where(models.ImportBatch.id == staged.batch).execute()


async def test_two_imports_at_once_are_both_there(world):
    one, two = stage(world, crowd(5)), stage(world, rows("name,email\nx,x@x.example\n"))
    for staged in (two, one):
        assert isinstance(world.run(user_import.publish_people, OPERATOR, staged.batch), Done)
    await import_staging.clean_up_all(world.store)
    assert len(everyone()) == 7
    assert world.events().count("user.created") == 7


async def test_a_demotion_half_way_ends_the_import(world):
    me = world.person("me", SYSTEM)
    staged = stage(world, crowd(5), me)
    models.UserRole.delete().where(models.UserRole.user == world.row("me").id).execute()
    assert isinstance(world.run(user_import.publish_people, me, staged.batch), Denied)
    assert isinstance(stage(world, crowd(5), me, staged.batch), Denied)


@pytest.mark.feature("import-large")
async def test_thousands_of_users_during_sign_ins(world, server):
    """Ten thousand in a file; two thousand are many parts in PostgreSQL too."""
    count = 10_000 if server is None else 2_000
    given = crowd(count)
    world.user("anna")
    signins, told = 0, []
    importing_all = asyncio.create_task(imported(world, given, told=told.append))
    while not importing_all.done():
        candidate = await world.store.run(importing_candidate, world)
        assert candidate.user_id
        signins += 1
        await asyncio.sleep(0)
    assert isinstance(await importing_all, Done)
    assert models.User.select().count() == count + 2
    assert sum(told) == count
    assert signins >= count // import_staging.PART


def importing_candidate(tx, world):
    return first_factor.find_candidate(tx, "anna", world.origin())


@pytest.mark.parametrize("count", [0, 1, 500, 501])
async def test_batches_have_no_edges(world, count):
    result = await imported(world, crowd(count) if count else ())
    assert isinstance(result, Done if count else Denied)
    assert models.User.select().count() == count + 1
