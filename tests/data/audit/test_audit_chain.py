"""The chain of audit rows: what is changed, removed, moved, added or cut off is found and named."""

import asyncio
import hmac
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.database import OPERATOR, SUPPORT, unguarded

from data.operations.audit import chain, trail, verification
from data.operations.audit.chain import Columns
from data.operations.audit.verification import Wrong
from data.operations.results import Denied
from data.operations.users import lifecycle
from data.rules.audit_chain import Head, encoded, next_head
from data.rules.audit_events import Event
from data.rules.domain_types import Application
from data.rules.source_addresses import Origin
from data.storage import models
from data.store import StoreUnavailableError

COLUMNS = ["at", "account_id", "event", "actor", "user", "application", "address", "detail"]


def write(world, count=1, chain="main"):
    """Write rows to a chain, each in a transaction of its own."""
    account_id = models.Account.get().id

    def operation(tx):
        trail.write(
            replace(tx, services=replace(tx.services, chain=chain)),
            Event.CODE_WRONG,
            Origin(Application.SSH, "192.0.2.1"),
            account_id=account_id,
            actor="anna",
            user="anna",
            left=3,
        )

    for _ in range(count):
        world.run(operation)
        world.clock.forward(seconds=1)


def verify(world, *exported, actor=OPERATOR):
    plan = world.run(verification.plan_verification, actor, exported)
    if isinstance(plan, Denied):
        return plan
    looked: list[int] = []
    found = asyncio.run(verification.verify(world.store, actor, plan, looked.append))
    assert found.faults or sum(looked) == plan.rows == found.rows
    return found


def faults(world, *exported):
    return [(fault.chain, fault.seq, fault.wrong) for fault in verify(world, *exported).faults]


def heads(world):
    return world.run(chain.heads, OPERATOR)


def row(chain, seq):
    table = models.AuditEntry
    return table.get((table.chain == chain) & (table.seq == seq))


def change(row_id, **columns):
    models.AuditEntry.update(columns).where(models.AuditEntry.id == row_id).execute()


def test_every_act_adds_a_row(world):
    before = {head.chain: head.seq for head in heads(world)}
    world.user("anna")
    write(world, 2, "node-2")
    after = {head.chain: head.seq for head in heads(world)}
    assert after == {"main": before["main"] + 1, "node-2": 2}
    assert models.AuditEntry.select().where(models.AuditEntry.mac.is_null()).count() == 0
    found = verify(world)
    assert found.faults == []
    assert found.rows == models.AuditEntry.select().count()


def test_people_that_are_imported_are_in_the_chain_too(world):
    rows = [Columns(1, None, "user.created", "x", f"u{number}", "ssh", "", "{}") for number in range(250)]
    start = heads(world)[0].seq
    world.run(lambda tx: chain.append(tx, iter(rows)))
    assert heads(world)[0].seq == start + 250
    assert [row("main", start + 1 + number).user for number in (0, 99, 100, 249)] == [
        "u0",
        "u99",
        "u100",
        "u249",
    ]
    assert verify(world).faults == []


def test_an_act_that_is_rolled_back_leaves_no_gap(world):
    def failing(tx):
        lifecycle.create_user(tx, OPERATOR, lifecycle.NewUser("anna", "anna@clinic.example"))
        raise LookupError

    before = heads(world)
    with pytest.raises(LookupError):
        world.run(failing)
    assert heads(world) == before
    write(world, 3)
    assert verify(world).faults == []


@settings(max_examples=25)
@given(
    behind=st.integers(1, 6),
    column=st.sampled_from([*COLUMNS, "chain", "mac"]),
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    number=st.integers(-(2**31), -1),
)
def test_a_row_that_was_changed_in_any_column_is_named(passing_world, behind, column, text, number):
    with passing_world() as world:
        seq = heads(world)[0].seq + behind
        write(world, 6)
        new = number if column in {"at", "account_id"} else f"x{text}"
        with unguarded(world):
            mark = world.database.param
            statement = f'UPDATE audit_entry SET "{column}" = {mark} WHERE seq = {mark}'
            world.database.execute_sql(statement, (new, seq))
        wrong = Wrong.REMOVED if behind < 6 else Wrong.CUT_OFF
        found = faults(world)
        assert found[0] == ("main", seq, wrong if column == "chain" else Wrong.CHANGED)
        assert (column == "chain") == (len(found) == 2)


@settings(max_examples=10)
@given(behind=st.integers(1, 6), count=st.integers(1, 6))
def test_rows_that_were_removed_are_named_by_the_first(passing_world, behind, count):
    with passing_world() as world:
        seq = heads(world)[0].seq + behind
        write(world, 6)
        write(world, 3, "node-2")
        table = models.AuditEntry
        with unguarded(world):
            table.delete().where(
                (table.chain == "main") & (table.seq >= seq) & (table.seq < seq + count)
            ).execute()
        wrong = Wrong.REMOVED if behind + count <= 6 else Wrong.CUT_OFF
        assert faults(world) == [("main", seq, wrong)]


@settings(max_examples=10)
@given(places=st.lists(st.integers(1, 6), min_size=2, max_size=2, unique=True), whole=st.booleans())
def test_rows_that_changed_places(passing_world, places, whole):
    with passing_world() as world:
        start = heads(world)[0].seq
        write(world, 6)
        one, two = (row("main", start + place) for place in places)
        with unguarded(world):
            change(one.id, seq=None)
            for taken, given_to in ((one.seq, two), (two.seq, one)):
                change(given_to.id, seq=taken, **({"mac": row_of(one, two, taken).mac} if whole else {}))
        seq = min(one.seq, two.seq)
        assert faults(world)[0][:2] == ("main", seq)


def row_of(one, two, seq):
    return one if one.seq == seq else two


def test_row_with_another_id(world):
    """The log shows it elsewhere, so the row is named."""
    write(world, 3)
    last = heads(world)[0].seq
    moved = row("main", last)
    with unguarded(world):
        change(moved.id, id=-1)
    assert faults(world) == [("main", last, Wrong.MOVED)]


@settings(max_examples=10)
@given(kept=st.integers(0, 5), exported_behind=st.integers(0, 6))
def test_cut_end_and_head(passing_world, kept, exported_behind):
    """The exported head shows a cut of the last rows together with their head."""
    with passing_world() as world:
        start = heads(world)[0].seq
        exported = heads(world)
        for written in range(6):
            write(world)
            if written + 1 == exported_behind:
                exported = heads(world)
        assert faults(world, *exported) == []
        table, chains = models.AuditEntry, models.AuditChain
        last = row("main", start + kept)
        with unguarded(world):
            table.delete().where(table.seq > last.seq).execute()
            chains.update(seq=last.seq, mac=last.mac).execute()
        assert faults(world) == []
        cut = [("main", last.seq + 1, Wrong.CUT_OFF)] if exported_behind > kept else []
        assert faults(world, *exported) == cut


def test_cut_end_without_head(world):
    write(world, 3)
    last = heads(world)[0].seq
    with unguarded(world):
        models.AuditEntry.delete().where(models.AuditEntry.seq == last).execute()
    assert faults(world) == [("main", last, Wrong.CUT_OFF)]


def test_missing_chain(world):
    """The exported head shows that a whole chain is gone."""
    write(world, 3, "node-2")
    exported = heads(world)
    with unguarded(world):
        for table in (models.AuditEntry, models.AuditChainKey):
            table.delete().where(table.chain == "node-2").execute()
        models.AuditChain.delete().where(models.AuditChain.name == "node-2").execute()
    assert faults(world) == []
    assert faults(world, *exported) == [("node-2", 1, Wrong.CUT_OFF)]


def test_log_rewritten_with_the_key(world):
    """The exported head shows a log that was rewritten with the right key."""
    exported = heads(world)
    keys = models.AuditChainKey.get()
    place = chain.key_place("main", 0, 0, "")
    key = world.services.vault.open_at(place, bytes(keys.sealed_key))
    head = Head("main", 0, "")
    with unguarded(world):
        for entry in models.AuditEntry.select().order_by(models.AuditEntry.seq):
            columns = (models.microseconds(entry.at), entry.account_id, entry.event, "mallory", entry.user)
            head = next_head(key, head, (*columns, entry.application, entry.address, entry.detail))
            change(entry.id, actor="mallory", mac=head.mac)
        models.AuditChain.update(mac=head.mac).execute()
    assert faults(world) == []
    assert faults(world, *exported) == [("main", exported[0].seq, Wrong.OTHER)]
    write(world)
    assert faults(world, *exported) == [("main", exported[0].seq, Wrong.OTHER)]


def test_rows_that_something_else_wrote_are_named(world):
    last = heads(world)[0].seq
    copied = row("main", last)
    values = {name: getattr(copied, name) for name in (*Columns._fields, "mac")}
    stranger = models.AuditEntry.create(**values | {"mac": None})
    assert faults(world) == [(None, stranger.id, Wrong.ADDED)]
    models.AuditEntry.create(**values, chain="main", seq=last + 1)
    assert ("main", last + 1, Wrong.ADDED) in faults(world)
    models.AuditEntry.create(**values, chain="main", seq=0)
    assert ("main", 0, Wrong.ADDED) in faults(world)


def test_a_head_that_was_changed_names_the_last_row(world):
    last = heads(world)[0].seq
    with unguarded(world):
        models.AuditChain.update(mac="0" * 64).execute()
    assert faults(world) == [("main", last, Wrong.OTHER)]


@pytest.mark.parametrize("columns", [{"sealed_key": b"rubbish"}, {"after_mac": "x"}, {"epoch": 1}, None])
def test_a_key_that_was_changed_or_removed_is_said(world, columns):
    with unguarded(world):
        if columns is None:
            models.AuditChainKey.delete().execute()
        else:
            models.AuditChainKey.update(columns).execute()
    assert faults(world) == [("main", 1, Wrong.KEY)]


def test_the_key_of_another_chain_does_not_open(world):
    write(world, 1, "node-2")
    keys = models.AuditChainKey
    other = keys.get(keys.chain == "node-2").sealed_key
    with unguarded(world):
        keys.update(sealed_key=other).where(keys.chain == "main").execute()
    assert faults(world) == [("main", 1, Wrong.KEY)]


def test_database_refuses_changes(world):
    """The database itself refuses to change or remove a row."""
    table = models.AuditEntry
    before = world.dump()
    statements = [
        table.update(detail="{}"),
        table.update(seq=table.seq + 1),
        table.delete(),
        table.delete().where(table.seq == 1),
        models.AuditChain.update(seq=1),
        models.AuditChain.update(name="other"),
        models.AuditChain.delete(),
        models.AuditChainKey.update(after_seq=1),
        models.AuditChainKey.delete(),
    ]
    for statement in statements:
        with pytest.raises(StoreUnavailableError):
            world.run(lambda _tx, statement=statement: statement.execute())
    assert world.dump() == before


def test_writing_while_verifying(world):
    write(world, 5)
    plan = world.run(verification.plan_verification, OPERATOR)
    position = verification.Position(plan.stretches[0].begin)
    end = plan.stretches[0].end.seq
    while position.head.seq < end:
        position = world.run(verification.verify_batch, OPERATOR, plan.stretches[0], position, limit=2)
        assert isinstance(position, verification.Position)
        write(world)
    assert position.head == plan.stretches[0].end
    assert verify(world).faults == []


def test_rows_older_than_the_chains(world):
    """They go into one chain, the oldest first."""
    written = models.AuditEntry.select().count()
    with unguarded(world):
        models.AuditEntry.update(chain=None, seq=None, mac=None).execute()
        for table in (models.AuditChain, models.AuditChainKey):
            table.delete().execute()
    assert faults(world) == [(None, 1, Wrong.ADDED)]
    write(world)
    assert world.run(chain.adopt_older) == written
    assert faults(world) == []
    assert [(head.chain, head.seq) for head in heads(world)] == [("main", 1), ("older", written)]
    assert world.run(chain.adopt_older) == 0


def test_who_may_verify(world):
    """All who see the log may verify it, and nobody else."""
    assert verify(world, actor=world.person("sam", SUPPORT)).faults == []
    anna = world.person("anna")
    assert isinstance(verify(world, actor=anna), Denied)
    assert isinstance(world.run(chain.heads, anna), Denied)


@given(
    st.lists(st.lists(st.none() | st.integers() | st.text(max_size=3), max_size=4), min_size=2, max_size=2)
)
def test_different_values_are_never_written_alike(pair):
    one, two = pair
    assert (encoded(one) == encoded(two)) == (one == two)


def test_the_encoding_is_fixed():
    head = next_head(bytes(32), Head("main", 0, ""), (1, None, "a:b"))
    assert encoded(("a:b", None, -12)) == b"s3:a:bn0:i3:-12"
    assert head == Head("main", 1, hmac_of(b"s19:twofold audit row 1s4:maini1:1s0:i1:1n0:s3:a:b"))


def hmac_of(text):
    return hmac.new(bytes(32), text, "sha256").hexdigest()
