"""Importing people: written in short transactions where they are to stay, and there for all to see at once.

Publishing is one row, however many they are. What the audit log says of each of them is written after it, in
short transactions again, by whoever gets to it: that they were imported is recorded as they are published.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from data.operations.actors import Acting, Actor
from data.operations.audit import trail
from data.operations.guards import authorise
from data.operations.leases import Work, one_at_a_time
from data.operations.results import Denied, Done, Refused, RefusedOrStale
from data.operations.users.import_staging import PART, clean_up_all, in_turns, make_way
from data.operations.users.uniqueness import (
    email_refused,
    name_refused,
    tell,
    tell_owners,
    used_emails,
    used_names,
)
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.permissions import Action, SensitiveAction
from data.rules.policy import ATTEMPTS
from data.rules.user_search import words
from data.rules.user_status import Standing
from data.rules.users_csv import PersonRow, RowFault
from data.storage import models
from data.storage.prepared_statements import insert_rows, is_any_held
from data.store import Store, Tx

_CHECKED = 500
"""Rows that are compared with the database at once."""

Told = Callable[[int], None]
"""Is told how many more rows were dealt with."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """Nothing was imported, because of these rows."""

    faults: tuple[RowFault, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows wait in this batch to be published."""

    batch: int


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A row, and the words that its user will be found by."""

    person: PersonRow
    words: tuple[bytes, ...]


async def check_all(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told, known: Sequence[RowFault] = ()
) -> Faulty | Refused | None:
    """Compare all rows with the database; None when they can be imported.

    `known` are faults of the file itself, told together with those found here, by row. Nothing is written
    but notices, to the owners of e-mail addresses that are used.
    """
    faults = list(known)
    for some in _parts(rows, _CHECKED):
        result = await store.read(check_people, actor, some)
        if not isinstance(result, Faulty):
            return result
        faults.extend(result.faults)
        if asked_for := _emails_at(result.faults, some):
            refusal = await store.run(tell_owners, actor, asked_for)
            if refusal is not None:
                return refusal
        told(len(some))
    return Faulty(tuple(sorted(faults, key=lambda fault: fault.row))) if faults else None


async def import_people(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told
) -> Done | Faulty | RefusedOrStale:
    """Import all rows or none. Whom a broken-off import has staged is never seen, and removed later."""
    result = await one_at_a_time(store, actor, Work.BULK, lambda: _import(store, actor, rows, told))
    await clean_up_all(store)
    return result


async def _import(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told
) -> Done | Faulty | RefusedOrStale:
    batch: int | None = None
    for some in _parts(rows, PART):
        # What needs no database is done before the transaction begins.
        arriving = await store.calculate(newcomers, some)
        staged = await in_turns(store, stage_people, actor, batch, arriving)
        if not isinstance(staged, Staged):
            return staged
        batch = staged.batch
        told(len(some))
    if batch is None:
        return Denied("There is nobody to import.")
    return await store.run(publish_people, actor, batch)


def newcomers(rows: Sequence[PersonRow]) -> list[Newcomer]:
    """Find the words of each row."""
    return [
        Newcomer(
            row,
            tuple(word.encode() for word in words(row.name, row.email, row.full_name, phone=row.phone)),
        )
        for row in rows
    ]


def check_people(tx: Tx, actor: Actor, rows: Sequence[PersonRow]) -> Faulty | Refused:
    """Compare some rows with the database; the faults may be none."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    return Faulty(tuple(_faults(tx, rows, _practices(acting, rows), look=True)))


def stage_people(
    tx: Tx, actor: Actor, batch: int | None, arriving: Sequence[Newcomer]
) -> Staged | Faulty | RefusedOrStale:
    """Put some users where they wait to be published; without a batch, begin one.

    Fresh proof is asked for where it begins: what was begun with it may take longer than that lasts.
    """
    begins = batch is None
    acting = authorise(tx, actor, SensitiveAction.EMPOWER_PEOPLE if begins else Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    if batch is None:
        batch = _begin(tx, acting)
    elif not _is_open(acting, batch):
        return _ENDED
    rows = [each.person for each in arriving]
    practices = _practices(acting, rows)
    usernames, emails = [row.name for row in rows], [row.email for row in rows]
    held = is_any_held(models.User, {"name": usernames, "email": emails})
    if faults := tuple(_faults(tx, rows, practices, look=held)):
        _drop(batch)
        tell(tx, _emails_at(faults, rows))
        return Faulty(faults)
    if held:
        make_way(usernames, emails)
    _insert(tx, acting, batch, arriving, practices)
    return Staged(batch)


def publish_people(tx: Tx, actor: Actor, batch: int) -> Done | Faulty | Refused:
    """Have all users of a batch there from now on; or drop it, naming who made way for someone else."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    if not _is_open(acting, batch):
        return _ENDED
    overtaken = models.OvertakenRow
    lost = list(overtaken.select().where(overtaken.batch == batch).order_by(overtaken.row))
    if lost:
        _drop(batch)
        return Faulty(
            tuple(
                RowFault(row.row, row.column, "This can no longer be used. Choose another one.")
                for row in lost
            )
        )
    count = models.StagedUser.select().where(models.StagedUser.batch == batch).count()
    models.ImportBatch.update(published_at=tx.now).where(models.ImportBatch.id == batch).execute()
    trail.record(acting, Event.PEOPLE_IMPORTED, count=count)
    return Done(
        f"Imported {count} user{'' if count == 1 else 's'}. None of them has a password yet: they sign in "
        "by their key, or with a one-time password that an invitation or you bring them."
    )


_ENDED = Denied("This import ended meanwhile. Start it again.")


def _begin(tx: Tx, acting: Acting) -> int:
    return int(
        models.ImportBatch.insert(
            account=acting.account_id,
            begun_at=tx.now,
            actor=acting.name,
            application=acting.origin.application.value,
            address=acting.origin.address,
        ).execute()
    )


def _is_open(acting: Acting, batch: int) -> bool:
    """Whether a batch that the actor began can still be added to and published."""
    table = models.ImportBatch
    theirs = (table.id == batch) & (table.account == acting.account_id) & (table.actor == acting.name)
    return bool(table.select().where(theirs & table.published_at.is_null() & ~table.dropped).exists())


def _drop(batch: int) -> None:
    models.ImportBatch.update(dropped=True).where(models.ImportBatch.id == batch).execute()


def _insert(
    tx: Tx, acting: Acting, batch: int, arriving: Sequence[Newcomer], practices: dict[str, int]
) -> None:
    """Write users with their words and keys, marked as staged."""
    at = models.microseconds(tx.now)
    given = [_columns(acting, each.person, practices, at) for each in arriving]
    ids: dict[str, int] = dict(insert_rows(models.User, given, returning=("name", "id")))
    insert_rows(
        models.UserWord,
        [
            {"user_id": ids[each.person.name], "word": word, "account_id": acting.account_id}
            for each in arriving
            for word in each.words
        ],
    )
    insert_rows(models.PublicKey, list(_keys(arriving, ids, at)))
    insert_rows(
        models.StagedUser,
        [
            {
                "user_id": ids[each.person.name],
                "batch_id": batch,
                "row": each.person.row,
                "required": each.person.required,
                "fingerprint": each.person.key.fingerprint if each.person.key else "",
            }
            for each in arriving
        ],
    )


def _columns(acting: Acting, row: PersonRow, practices: dict[str, int], at: int) -> dict[str, object]:
    fields = models.User._meta.sorted_fields  # noqa: SLF001 - peewee's own name for a table's description.
    defaults = {field.column_name: field.default for field in fields if field.default is not None}
    return defaults | {
        "account_id": acting.account_id,
        "practice_id": practices[row.practice.lower()],
        "name": row.name,
        "email": row.email,
        "full_name": row.full_name,
        "phone": row.phone,
        "required": row.required,
        "standing": (Standing.OBLIGED if row.required else Standing.FREE).value,
        "attempts_left": ATTEMPTS,
        "created_at": at,
    }


def _keys(arriving: Sequence[Newcomer], ids: dict[str, int], at: int) -> Iterator[dict[str, object]]:
    for person in (each.person for each in arriving):
        if person.key is not None:
            yield {
                "user_id": ids[person.name],
                "algorithm": person.key.algorithm,
                "blob": person.key.blob,
                "fingerprint": person.key.fingerprint,
                "comment": (user_fields.tidy(person.key.comment) or "")[: user_fields.TEXT_LIMIT],
                "added_at": at,
            }


def _practices(acting: Acting, rows: Sequence[PersonRow]) -> dict[str, int]:
    """Return the practices by folded name, as far as rows name any; the empty name is the first one."""
    table = models.Practice
    query = table.select(table.name, table.id).where(table.account == acting.account_id).order_by(table.id)
    if not any(row.practice for row in rows):
        query = query.limit(1)
    found: list[tuple[str, int]] = list(query.tuples().iterator())
    return {"": found[0][1]} | {name.lower(): practice for name, practice in found}


def _faults(
    tx: Tx, rows: Sequence[PersonRow], practices: dict[str, int], *, look: bool
) -> Iterable[RowFault]:
    """Say what is wrong with rows; without `look`, their names and addresses are known to be free."""
    names_used = used_names(tx, [row.name for row in rows]) if look else {}
    emails_used = used_emails([row.email for row in rows]) if look else set()
    for row in rows:
        if row.name in names_used:
            yield RowFault(row.row, "name", name_refused(row.name, names_used[row.name]))
        if row.email in emails_used:
            yield RowFault(row.row, "email", email_refused(tx))
        if row.practice.lower() not in practices:
            yield RowFault(row.row, "practice", "There is no such practice. Add it first.")


def _emails_at(faults: Iterable[RowFault], rows: Sequence[PersonRow]) -> list[str]:
    """Return the e-mail addresses that faults are about."""
    faulty = {fault.row for fault in faults if fault.column == "email"}
    return [row.email for row in rows if row.row in faulty]


def _parts(rows: Sequence[PersonRow], size: int) -> Iterable[Sequence[PersonRow]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
