"""Importing users: all rows are staged first and then become users, both in short transactions.

Between the two, the import is published by one row, however many users it has: from then on it will be
completed whatever happens, and its names and addresses count as used. If the work breaks off, a server or
the next import continues it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from data.operations.actors import Acting, Actor
from data.operations.audit import trail
from data.operations.guards import authorise
from data.operations.leases import Work, one_at_a_time
from data.operations.results import Denied, Done, Refused, RefusedOrStale
from data.operations.users.import_staging import PART, clean_up_all, in_turns
from data.operations.users.uniqueness import (
    email_refused,
    name_refused,
    tell,
    tell_owners,
    used_emails,
    used_names,
    used_since,
)
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.permissions import Action, SensitiveAction
from data.rules.user_search import words
from data.rules.users_csv import PersonRow, RowFault
from data.storage import models
from data.storage.prepared_statements import insert_rows
from data.store import Store, Tx

_CHECKED = 500
"""Rows that are compared with the database at once."""

Told = Callable[[int], None]
"""Called with how many more rows were processed."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """Nothing was imported, because of these rows."""

    faults: tuple[RowFault, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows in this batch wait to be published."""

    batch: int


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A row, and the words that its user will be found by, separated by spaces."""

    person: PersonRow
    words: str


async def check_all(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told, known: Sequence[RowFault] = ()
) -> Faulty | Refused | None:
    """Compare all rows with the database; None if they can be imported.

    `known` are faults of the file itself, reported with those found here, by row. Nothing is written but
    notices to the owners of used e-mail addresses.
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
    store: Store,
    actor: Actor,
    rows: Sequence[PersonRow],
    told: Told,
    goes_on: Callable[[], bool] = lambda: True,
) -> Done | Faulty | RefusedOrStale:
    """Import all rows or none. Rows that a broken-off import has staged are removed later.

    `goes_on` is asked between parts. Once all are staged, the import is completed whatever happens.
    """
    result = await one_at_a_time(store, actor, Work.BULK, lambda: _import(store, actor, rows, told, goes_on))
    await clean_up_all(store, goes_on)
    return result


async def _import(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told, goes_on: Callable[[], bool]
) -> Done | Faulty | RefusedOrStale:
    batch: int | None = None
    for some in _parts(rows, PART):
        if not goes_on():
            return _STOPPED
        # Work that needs no database is done before the transaction begins.
        arriving = await store.calculate(newcomers, some)
        staged = await in_turns(store, stage_people, actor, batch, arriving)
        if not isinstance(staged, Staged):
            return staged
        batch = staged.batch
        told(len(some))
    if batch is None:
        return Denied("There are no users to import.")
    return await store.run(publish_people, actor, batch)


def newcomers(rows: Sequence[PersonRow]) -> list[Newcomer]:
    """Find the words of each row."""
    return [
        Newcomer(row, " ".join(words(row.name, row.email, row.full_name, phone=row.phone))) for row in rows
    ]


def check_people(tx: Tx, actor: Actor, rows: Sequence[PersonRow]) -> Faulty | Refused:
    """Compare some rows with the database; return their faults, if any."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    return Faulty(tuple(_faults(tx, rows, _practices(acting, rows))))


def stage_people(
    tx: Tx, actor: Actor, batch: int | None, arriving: Sequence[Newcomer]
) -> Staged | Faulty | RefusedOrStale:
    """Stage some rows to be published; without a batch, begin one.

    Fresh proof is needed only at the beginning: the import may take longer than the proof lasts.
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
    if faults := tuple(_faults(tx, rows, practices)):
        _drop(batch)
        tell(tx, _emails_at(faults, rows))
        return Faulty(faults)
    insert_rows(models.StagedUser, [_columns(batch, each, practices) for each in arriving])
    return Staged(batch)


def publish_people(tx: Tx, actor: Actor, batch: int) -> Done | Faulty | Refused:
    """Decide that all rows of a batch become users, or drop it and name what others have since taken."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    if not _is_open(acting, batch):
        return _ENDED
    if lost := sorted(used_since(tx, batch)):
        _drop(batch)
        why = "This is no longer available. Choose another one."
        return Faulty(tuple(RowFault(row, column, why) for row, column in lost))
    count = models.StagedUser.select().where(models.StagedUser.batch == batch).count()
    models.ImportBatch.update(published_at=tx.now).where(models.ImportBatch.id == batch).execute()
    trail.record(acting, Event.PEOPLE_IMPORTED, count=count)
    return Done(
        f"Imported {count} user{'' if count == 1 else 's'}. No one has a password yet: they sign in with "
        "their key, or with a one-time password from an invitation or from you."
    )


_ENDED = Denied("This import has ended. Start it again.")
_STOPPED = Denied("Stopped. Nothing was imported.")


def _begin(tx: Tx, acting: Acting) -> int:
    return int(
        models.ImportBatch.insert(
            account=acting.account_id,
            begun_at=tx.now,
            actor=acting.name,
            application=acting.origin.application,
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


def _columns(batch: int, arriving: Newcomer, practices: dict[str, int]) -> dict[str, object]:
    person, key = arriving.person, arriving.person.key
    return {
        "batch_id": batch,
        "row": person.row,
        "practice_id": practices[person.practice.lower()],
        "name": person.name,
        "email": person.email,
        "full_name": person.full_name,
        "phone": person.phone,
        "required": person.required,
        "words": arriving.words,
        "algorithm": key.algorithm if key else "",
        "blob": key.blob if key else "",
        "fingerprint": key.fingerprint if key else "",
        "comment": (user_fields.tidy(key.comment) or "")[: user_fields.TEXT_LIMIT] if key else "",
    }


def _practices(acting: Acting, rows: Sequence[PersonRow]) -> dict[str, int]:
    """Return the practices that rows name, by folded name; the empty name is the first one."""
    table = models.Practice
    query = table.select(table.name, table.id).where(table.account == acting.account_id).order_by(table.id)
    if not any(row.practice for row in rows):
        query = query.limit(1)
    found: list[tuple[str, int]] = list(query.tuples().iterator())
    return {"": found[0][1]} | {name.lower(): practice for name, practice in found}


def _faults(tx: Tx, rows: Sequence[PersonRow], practices: dict[str, int]) -> Iterable[RowFault]:
    """Return what is wrong with rows."""
    names_used = used_names(tx, [row.name for row in rows])
    emails_used = used_emails(tx, [row.email for row in rows])
    for row in rows:
        if row.name in names_used:
            yield RowFault(row.row, "name", name_refused(row.name, names_used[row.name]))
        if row.email in emails_used:
            yield RowFault(row.row, "email", email_refused(tx))
        if row.practice.lower() not in practices:
            yield RowFault(row.row, "practice", f"The practice {row.practice} was not found. Add it first.")


def _emails_at(faults: Iterable[RowFault], rows: Sequence[PersonRow]) -> list[str]:
    """Return the e-mail addresses that faults are about."""
    faulty = {fault.row for fault in faults if fault.column == "email"}
    return [row.email for row in rows if row.row in faulty]


def _parts(rows: Sequence[PersonRow], size: int) -> Iterable[Sequence[PersonRow]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
