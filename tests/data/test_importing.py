"""Importing people: all or none, beside sign-ins, and never by halves."""

import asyncio
import time

import pytest
from support.data_world import OPERATOR, SYSTEM, World

from data.operations.people import directory, importing, practices, reading
from data.operations.people.finding import UserQuery
from data.operations.people.importing import Faulty, Staged
from data.operations.results import Denied, Done
from data.operations.signing_in import first_factor
from data.rules import people_csv
from data.rules.people_csv import PersonRow
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna@laptop"


def rows(text: str) -> tuple[PersonRow, ...]:
    read = people_csv.read_people(text.encode())
    assert read.faults == ()
    return read.rows


def crowd(count: int) -> tuple[PersonRow, ...]:
    lines = (f"user{number:05},user{number:05}@x.example,User {number}" for number in range(count))
    return rows("name,email,full_name\n" + "\n".join(lines))


async def imported(world: World, given, actor=OPERATOR, told=lambda _more: None):
    return await importing.import_people(world.store, actor, given, told)


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
    anna = world.run(reading.user_detail, OPERATOR, "anna")
    assert (anna.email, anna.full_name, anna.phone) == ("anna@x.example", "Anna Berg", "+49301234567")
    assert (anna.practice, anna.required, anna.active) == ("Clinic North", True, True)
    assert [key.comment for key in anna.keys] == ["anna@laptop"]
    assert (anna.roles, anna.has_password, anna.attempts_left) == (frozenset(), False, 7)
    assert anna.created_at == world.clock.now
    assert world.events(user="anna") == ["user.created", "key.added"]
    assert next(entry.sentence for entry in anna.recent).startswith("SSH key added: SHA256:")
    assert world.events(last=1) == ["people.imported"]
    other = world.run(directory.create_user, OPERATOR, directory.NewUser("eve", "eve@x.example"))
    assert isinstance(other, Done)
    columns = {"id", "name", "email", "created_at"}
    one, two = (
        {key: value for key, value in world.row(name).__data__.items() if key not in columns}
        for name in ("ben", "eve")
    )
    assert one == two
    assert models.StagedUser.select().count() == models.ImportBatch.select().count() == 0


async def test_an_imported_user_signs_in_with_the_key(world):
    given = rows(f"name,email,require_2fa,public_key\nanna,anna@x.example,no,{KEY}\n")
    await imported(world, given)
    assert world.first_by_key("anna", given[0].key.fingerprint).session.username == "anna"


async def test_whoever_is_there_already_refuses_the_whole(world):
    world.user("user00601")
    given = crowd(1000)
    before = models.User.select().count()
    checked = await importing.check_all(world.store, OPERATOR, given, lambda _more: None)
    assert [(fault.row, fault.column) for fault in checked.faults] == [(603, "name")]
    assert isinstance(await imported(world, given), Faulty)
    assert models.User.select().count() == before


async def test_an_address_that_is_taken_and_a_practice_that_is_not_there_are_named(world):
    given = rows("name,email,practice\nx,admin@clinic.example,\ny,y@x.example,Nowhere\n")
    checked = await importing.check_all(world.store, OPERATOR, given, lambda _more: None)
    assert [(fault.row, fault.column) for fault in checked.faults] == [(2, "email"), (3, "practice")]


async def test_checking_writes_nothing(world):
    before = world.dump()
    assert await importing.check_all(world.store, OPERATOR, crowd(20), lambda _more: None) is None
    assert world.dump() == before


async def test_someone_created_between_staging_and_publishing_refuses_the_whole(world):
    staged = world.run(importing.stage_people, OPERATOR, None, crowd(5))
    assert isinstance(staged, Staged)
    world.user("user00003")
    result = world.run(importing.publish_people, OPERATOR, staged.batch)
    assert [(fault.row, fault.column) for fault in result.faults] == [(5, "name")]
    assert models.User.select().where(models.User.name == "user00001").count() == 0
    assert models.StagedUser.select().count() == 0
    assert isinstance(world.run(importing.publish_people, OPERATOR, staged.batch), Denied)


async def test_what_a_broken_off_import_staged_is_never_seen_and_swept_away(world):
    world.run(importing.stage_people, OPERATOR, None, crowd(5))
    assert world.run(reading.list_users, OPERATOR, UserQuery()).total == 1
    world.clock.forward(hours=2)
    await imported(world, rows("name,email\nx,x@x.example\n"))
    assert models.StagedUser.select().count() == 0


async def test_a_demotion_half_way_ends_the_import(world):
    me = world.person("me", SYSTEM)
    staged = world.run(importing.stage_people, me, None, crowd(5))
    models.UserRole.delete().where(models.UserRole.user == world.row("me").id).execute()
    assert isinstance(world.run(importing.publish_people, me, staged.batch), Denied)
    assert isinstance(world.run(importing.stage_people, me, staged.batch, crowd(5)), Denied)


async def test_ten_thousand_people_are_imported_while_sign_ins_go_on(world):
    given = crowd(10_000)
    world.user("anna")
    waits, told = [], []
    importing_all = asyncio.create_task(imported(world, given, told=told.append))
    while not importing_all.done():
        started = time.monotonic()
        candidate = await world.store.run(importing_candidate, world)
        assert candidate.user_id
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0)
    assert isinstance(await importing_all, Done)
    assert models.User.select().count() == 10_002
    assert sum(told) == 10_000
    assert len(waits) >= 10_000 // importing.BATCH
    assert max(waits) < 10


def importing_candidate(tx, world):
    return first_factor.find_candidate(tx, "anna", world.origin())


@pytest.mark.parametrize("count", [0, 1, 500, 501])
async def test_batches_have_no_edges(world, count):
    result = await imported(world, crowd(count) if count else ())
    assert isinstance(result, Done if count else Denied)
    assert models.User.select().count() == count + 1
