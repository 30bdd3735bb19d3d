"""Rows of unfinished imports: they become users, or are removed.

They wait in a separate table, where no search for users finds them. The work runs in short transactions
with pauses between them, so that sign-ins go on. If it breaks off, a server or the next import continues it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from data.operations.audit.chain import Columns, append
from data.rules.audit_events import Event
from data.rules.deadline import grace_from
from data.rules.domain_types import Mode
from data.rules.policy import ATTEMPTS
from data.rules.user_status import Standing
from data.storage import models
from data.storage.prepared_statements import insert_rows
from data.store import Store, StoreUnavailableError, Tx

PART = 50
"""Rows that one transaction processes."""
_ABANDONED = timedelta(hours=1)
"""The age at which an import that was not published is given up."""

P = ParamSpec("P")
R = TypeVar("R")


async def in_turns(
    store: Store, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run one of many operations, then leave the database to others for as long as it took."""
    begun = time.monotonic()
    result = await store.run(operation, *args, **kwargs)
    await asyncio.sleep(time.monotonic() - begun)
    return result


async def clean_up_all(store: Store, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Do the remaining work for imports that were published, dropped or given up, while it `goes_on`."""
    with suppress(StoreUnavailableError):  # It stays to be done later.
        while goes_on() and await store.read(is_something_left):
            await in_turns(store, clean_up)


def is_something_left(tx: Tx) -> bool:
    """Whether there are imports that `clean_up` has work for."""
    table = models.ImportBatch
    return bool(table.select().where(_is_over() | _is_abandoned(tx)).exists())


def clean_up(tx: Tx) -> None:
    """Do a part of the remaining work: create users from published rows, or remove other rows."""
    batches, staged = models.ImportBatch, models.StagedUser
    batches.update(dropped=True).where(_is_abandoned(tx)).execute()
    batch = batches.select().where(_is_over()).order_by(batches.id).first()
    if batch is None:
        return
    mine = staged.batch == batch.id
    part = list(staged.select().where(mine).order_by(staged.row).limit(PART))
    if part:
        if batch.published_at is not None:
            _make_users(tx, batch.account_id, [row for row in part if row.words])
            append(tx, [row for each in part for row in _rows_about(tx, batch, each)])
        staged.delete().where(mine & (staged.row <= part[-1].row)).execute()
    if len(part) < PART:
        batches.delete().where(batches.id == batch.id).execute()


def remove_unpublished() -> None:
    """End all imports that are in progress, and remove their rows."""
    batches, staged = models.ImportBatch, models.StagedUser
    unpublished = batches.select(batches.id).where(batches.published_at.is_null())
    staged.delete().where(staged.batch.in_(unpublished)).execute()
    batches.delete().where(batches.published_at.is_null()).execute()


def _make_users(tx: Tx, account_id: int, rows: Sequence[models.StagedUser]) -> None:
    """Create users with their words and keys."""
    at = models.microseconds(tx.now)
    mode = Mode(models.Account.get_by_id(account_id).mode)
    grace = models.microseconds(grace_from(mode, tx.now))
    given = [_columns(account_id, row, at) | {"grace_from": grace} for row in rows]
    ids: dict[str, int] = dict(insert_rows(models.User, given, returning=("name", "id")))
    insert_rows(
        models.UserWord,
        [
            {"user_id": ids[row.name], "word": word.encode(), "account_id": account_id}
            for row in rows
            for word in row.words.split(" ")
        ],
    )
    key_of = ("algorithm", "blob", "fingerprint", "comment")
    insert_rows(
        models.PublicKey,
        [
            {"user_id": ids[row.name], "added_at": at} | {column: getattr(row, column) for column in key_of}
            for row in rows
            if row.fingerprint
        ],
    )


def _columns(account_id: int, row: models.StagedUser, at: int) -> dict[str, object]:
    fields = models.User._meta.sorted_fields  # noqa: SLF001 - peewee's own name for a table's description.
    defaults = {field.column_name: field.default for field in fields if field.default is not None}
    copied = ("practice_id", "name", "email", "full_name", "phone", "required")
    return defaults | {
        "account_id": account_id,
        "standing": (Standing.OBLIGED if row.required else Standing.FREE).value,
        "attempts_left": ATTEMPTS,
        "created_at": at,
        "standing_since": at,
        **{column: getattr(row, column) for column in copied},
    }


def _is_over() -> Any:
    table = models.ImportBatch
    return table.published_at.is_null(False) | table.dropped


def _is_abandoned(tx: Tx) -> Any:
    table = models.ImportBatch
    return table.published_at.is_null() & (table.begun_at < tx.now - _ABANDONED)


def _rows_about(tx: Tx, batch: models.ImportBatch, staged: models.StagedUser) -> list[Columns]:
    """Write the log row of one created user."""
    facts: list[tuple[Event, dict[str, object]]] = [
        (Event.USER_CREATED, {"roles": [], "required": staged.required})
    ]
    if staged.fingerprint:
        facts.append((Event.KEY_ADDED, {"fingerprint": staged.fingerprint}))
    at = models.microseconds(tx.now)
    return [
        Columns(
            at,
            batch.account_id,
            event.value,
            batch.actor,
            staged.name,
            batch.application,
            batch.address,
            json.dumps(detail),
        )
        for event, detail in facts
    ]
