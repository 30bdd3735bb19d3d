"""Importing people: staged in short batches, published at once, so that sign-ins go on meanwhile."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from peewee import Case, Value

from data.operations.actors import Acting, Actor, authorise
from data.operations.record import audit
from data.operations.record.audit_chain import Columns, append, raw
from data.operations.results import Denied, Done, Refused
from data.rules import names
from data.rules.events import Event
from data.rules.people_csv import PersonRow, RowFault
from data.rules.permissions import Action
from data.rules.policy import ATTEMPTS
from data.rules.searching import words
from data.rules.standing import Standing
from data.storage import models
from data.store import Store, Tx

BATCH = 500
"""Rows that one transaction stages."""
_ABANDONED = timedelta(hours=1)
"""The age at which a staged import that was never published is swept away."""

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


async def check_all(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told
) -> Faulty | Refused | None:
    """Compare all rows with the database, writing nothing; None when they can be imported."""
    faults: list[RowFault] = []
    for some in _batches(rows):
        result = await store.read(check_people, actor, some)
        if not isinstance(result, Faulty):
            return result
        faults.extend(result.faults)
        told(len(some))
    return Faulty(tuple(faults)) if faults else None


async def import_people(
    store: Store, actor: Actor, rows: Sequence[PersonRow], told: Told
) -> Done | Faulty | Refused:
    """Import all rows or none. What a broken-off import has staged is never seen, and swept away later."""
    batch: int | None = None
    for some in _batches(rows):
        staged = await store.run(stage_people, actor, batch, some)
        if not isinstance(staged, Staged):
            return staged
        batch = staged.batch
        told(len(some))
    if batch is None:
        return Denied("There is nobody to import.")
    return await store.run(publish_people, actor, batch)


def check_people(tx: Tx, actor: Actor, rows: Sequence[PersonRow]) -> Faulty | Refused:
    """Compare some rows with the database; the faults may be none."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    return Faulty(tuple(_faults(rows, _practices(acting))))


def stage_people(
    tx: Tx, actor: Actor, batch: int | None, rows: Sequence[PersonRow]
) -> Staged | Faulty | Refused:
    """Put some rows where they wait to be published; without a batch, begin one."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    practices = _practices(acting)
    if faults := tuple(_faults(rows, practices)):
        return Faulty(faults)
    if batch is None:
        models.ImportBatch.delete().where(models.ImportBatch.begun_at < tx.now - _ABANDONED).execute()
        batch = int(models.ImportBatch.insert(account=acting.account_id, begun_at=tx.now).execute())
    elif _batch_of(acting, batch) is None:
        return Denied("This import ended meanwhile. Start it again.")
    staged = [_staged(row, batch, practices) for row in rows]
    for start in range(0, len(staged), 100):
        models.StagedUser.insert_many(staged[start : start + 100]).execute()
    found = [
        {"batch": batch, "name": row.name, "word": word.encode()} for row in rows for word in _words(row)
    ]
    for start in range(0, len(found), 500):
        models.StagedWord.insert_many(found[start : start + 500]).execute()
    return Staged(batch)


def publish_people(tx: Tx, actor: Actor, batch: int) -> Done | Faulty | Refused:
    """Turn a batch into users by a few statements; or drop it, naming who is there already."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    if _batch_of(acting, batch) is None:
        return Denied("This import ended meanwhile. Start it again.")
    mine = models.StagedUser.batch == batch
    faults = tuple(_taken_meanwhile(batch))
    count = models.StagedUser.select().where(mine).count()
    if not faults:
        _publish(tx, acting, batch)
        audit.record(tx, acting, Event.PEOPLE_IMPORTED, count=count)
    models.ImportBatch.delete().where(models.ImportBatch.id == batch).execute()
    if faults:
        return Faulty(faults)
    return Done(
        f"Imported {count} user{'' if count == 1 else 's'}. None of them has a password yet: they sign in "
        "by their key, or with a one-time password that you make for them."
    )


def _publish(tx: Tx, acting: Acting, batch: int) -> None:
    staged, user = models.StagedUser, models.User
    mine = staged.batch == batch
    given: dict[str, Any] = {
        "account": Value(acting.account_id),
        "practice": staged.practice,
        "name": staged.name,
        "email": staged.email,
        "full_name": staged.full_name,
        "phone": staged.phone,
        "required": staged.required,
        "standing": Case(None, [(staged.required, Standing.OBLIGED.value)], Standing.FREE.value),
        "attempts_left": Value(ATTEMPTS),
        "created_at": Value(models.microseconds(tx.now)),
    }
    for field in user._meta.sorted_fields:  # noqa: SLF001 - peewee's own name for a table's description.
        if field.name not in given and field.default is not None:
            given[field.name] = Value(field.default)
    rows = staged.select(*given.values()).where(mine).order_by(staged.row)
    user.insert_from(rows, [getattr(user, name) for name in given]).execute()
    _publish_words(acting, batch)
    made = raw(staged.select(staged.name, staged.required).where(mine).order_by(staged.row))
    details = {answer: json.dumps({"roles": [], "required": answer}) for answer in (False, True)}
    _record(tx, acting, Event.USER_CREATED, ((name, details[bool(required)]) for name, required in made))
    with_key = mine & (staged.fingerprint != "")
    key = models.PublicKey
    keys = (
        staged.select(
            user.id,
            staged.algorithm,
            staged.blob,
            staged.fingerprint,
            staged.comment,
            Value(models.microseconds(tx.now)),
        )
        .join(user, on=(user.name == staged.name))
        .where(with_key)
    )
    key.insert_from(
        keys, [key.user, key.algorithm, key.blob, key.fingerprint, key.comment, key.added_at]
    ).execute()
    added = raw(staged.select(staged.name, staged.fingerprint).where(with_key).order_by(staged.row))
    _record(tx, acting, Event.KEY_ADDED, ((name, json.dumps({"fingerprint": mark})) for name, mark in added))


def _publish_words(acting: Acting, batch: int) -> None:
    staged, user, word = models.StagedWord, models.User, models.UserWord
    rows = (
        staged.select(user.id, Value(acting.account_id), staged.word)
        .join(user, on=(user.name == staged.name))
        .where(staged.batch == batch)
    )
    word.insert_from(rows, [word.user, word.account_id, word.word]).execute()


def _record(tx: Tx, acting: Acting, event: Event, rows: Iterable[tuple[str, str]]) -> None:
    """Write an audit row for each name and detail by few statements, as `audit.record` writes one."""
    at = models.microseconds(tx.now)
    application = acting.application.value
    append(
        tx,
        (
            Columns(
                at, acting.account_id, event.value, acting.name, name, application, acting.address, detail
            )
            for name, detail in rows
        ),
    )


def _batch_of(acting: Acting, batch: int) -> models.ImportBatch | None:
    table = models.ImportBatch
    found: models.ImportBatch | None = table.get_or_none(
        (table.id == batch) & (table.account == acting.account_id)
    )
    return found


def _practices(acting: Acting) -> dict[str, int]:
    """Return the practices by folded name; the empty name is the first one."""
    table = models.Practice
    found = list(table.select().where(table.account == acting.account_id).order_by(table.id))
    return {"": found[0].id} | {row.name.lower(): row.id for row in found}


def _faults(rows: Sequence[PersonRow], practices: dict[str, int]) -> Iterable[RowFault]:
    user = models.User
    taken_names = {
        row.name for row in user.select(user.name).where(user.name.in_([row.name for row in rows]))
    }
    taken_emails = {
        row.email for row in user.select(user.email).where(user.email.in_([row.email for row in rows]))
    }
    for row in rows:
        if row.name in taken_names:
            yield RowFault(row.row, "name", f"There is a user {row.name} already.")
        if row.email in taken_emails:
            yield RowFault(row.row, "email", "Another user has that e-mail address.")
        if row.practice.lower() not in practices:
            yield RowFault(row.row, "practice", "There is no such practice. Add it first.")


def _taken_meanwhile(batch: int) -> Iterable[RowFault]:
    staged, user = models.StagedUser, models.User
    for column, mine, theirs in (("name", staged.name, user.name), ("email", staged.email, user.email)):
        clashes = staged.select(staged.row).join(user, on=(mine == theirs)).where(staged.batch == batch)
        for clash in clashes:
            yield RowFault(clash.row, column, "Someone else was given it meanwhile.")


def _staged(row: PersonRow, batch: int, practices: dict[str, int]) -> dict[str, object]:
    key = row.key
    return {
        "batch": batch,
        "row": row.row,
        "name": row.name,
        "email": row.email,
        "full_name": row.full_name,
        "phone": row.phone,
        "practice": practices[row.practice.lower()],
        "required": row.required,
        "algorithm": key.algorithm if key else "",
        "blob": key.blob if key else "",
        "fingerprint": key.fingerprint if key else "",
        "comment": (names.tidy(key.comment) or "")[: names.TEXT_LIMIT] if key else "",
    }


def _words(row: PersonRow) -> list[str]:
    return words(row.name, row.email, row.full_name, phone=row.phone)


def _batches(rows: Sequence[PersonRow]) -> Iterable[Sequence[PersonRow]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
