"""Users of imports that are not done with: who makes way for others, is told of, or is removed.

They are where they are to stay from the beginning, and there for nobody until their import is published
(see `models.User.select`). So that sign-ins go on, what is done for many is done in short transactions
with pauses between them; whatever breaks off is taken up again by a server, or by the next import.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from data.operations.audit.chain import Columns, append
from data.rules.audit_events import Event
from data.storage import models
from data.store import Store, StoreUnavailableError, Tx

PART = 50
"""Users that one transaction deals with."""
_ABANDONED = timedelta(hours=1)
"""The age at which an import that was not published is given up."""

P = ParamSpec("P")
R = TypeVar("R")


async def in_turns(
    store: Store, operation: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run one of many operations, and leave the database to others for as long as it took."""
    begun = time.monotonic()
    result = await store.run(operation, *args, **kwargs)
    await asyncio.sleep(time.monotonic() - begun)
    return result


async def clean_up_all(store: Store) -> None:
    """Do what is left to do for imports that were published, dropped or given up."""
    with suppress(StoreUnavailableError):  # It is left to do, then.
        while await store.read(is_something_left):
            await in_turns(store, clean_up)


def make_way(names: Collection[str], emails: Collection[str]) -> None:
    """Remove who is staged under one of these names or addresses; their import is refused for it.

    To be called before somebody else is given them: nobody who is not there yet keeps a name from anyone.
    """
    staged, batch, user = models.StagedUser, models.ImportBatch, models.User
    for column, held, wanted in (("name", user.name, names), ("email", user.email, emails)):
        holders = staged.select().join(user).switch(staged).join(batch)
        for row in list(holders.where(held.in_(list(wanted)) & batch.published_at.is_null())):
            models.OvertakenRow.insert(batch=row.batch_id, row=row.row, column=column).execute()
            user.delete().where(user.id == row.user_id).execute()


def is_something_left(tx: Tx) -> bool:
    """Whether there are imports that `tidy` has something to do for."""
    table = models.ImportBatch
    return bool(table.select().where(_is_over() | _is_abandoned(tx)).exists())


def clean_up(tx: Tx) -> None:
    """Do a part of what is left: tell the log of users who were published, or remove who never will be."""
    batches, staged, user = models.ImportBatch, models.StagedUser, models.User
    batches.update(dropped=True).where(_is_abandoned(tx)).execute()
    batch = batches.select().where(_is_over()).order_by(batches.id).first()
    if batch is None:
        return
    part = list(
        staged.select(staged, user)
        .join(user)
        .where(staged.batch == batch.id)
        .order_by(staged.user)
        .limit(PART)
    )
    ids = [row.user_id for row in part]
    if batch.published_at is None:
        user.delete().where(user.id.in_(ids)).execute()
    else:
        append(tx, [row for each in part for row in _rows_about(tx, batch, each)])
        staged.delete().where(staged.user.in_(ids)).execute()
    if len(part) < PART:
        batches.delete().where(batches.id == batch.id).execute()


def remove_unpublished() -> None:
    """End all imports that are under way, and remove their users."""
    batches, staged, user = models.ImportBatch, models.StagedUser, models.User
    unpublished = batches.published_at.is_null()
    user.delete().where(user.id.in_(staged.select(staged.user).join(batches).where(unpublished))).execute()
    batches.delete().where(unpublished).execute()


def _is_over() -> Any:
    table = models.ImportBatch
    return table.published_at.is_null(False) | table.dropped


def _is_abandoned(tx: Tx) -> Any:
    table = models.ImportBatch
    return table.published_at.is_null() & (table.begun_at < tx.now - _ABANDONED)


def _rows_about(tx: Tx, batch: models.ImportBatch, staged: models.StagedUser) -> list[Columns]:
    """Say of one user what the log says of everyone who is created."""
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
            staged.user.name,
            batch.application,
            batch.address,
            json.dumps(detail),
        )
        for event, detail in facts
    ]
