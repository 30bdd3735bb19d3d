"""Telling system administrators which of their people were locked: one message in ten minutes to each.

A lock joins the administrator's message that no sender has claimed yet, or begins a new one. A new one
waits until ten minutes after the one before it was settled, so that no lock is lost.
"""

import json
from datetime import timedelta
from typing import Any

from data.operations.actors import policy_of
from data.rules.audit_events import Event
from data.rules.domain_types import Method, PolicyNotice, Role
from data.rules.notices import with_lock
from data.rules.source_addresses import Origin, place_in_words
from data.storage import models
from data.store import Tx

EVERY = timedelta(minutes=10)
"""The least time between two messages to an administrator."""
_LOOKED_AGAIN = timedelta(minutes=1)
"""How long a message waits at a time while the one before it is not settled."""


def tell_of_lock(tx: Tx, user: models.User, origin: Origin) -> None:
    """Tell the system administrators of a user's account, but not the user, that the user is now locked."""
    if PolicyNotice.LOCKS not in policy_of(user.account).notices or Method.EMAIL not in tx.services.sends:
        return
    where = place_in_words(origin.application, origin.address)
    lock = f"{user.name}, {tx.now:%Y-%m-%d %H:%M} UTC, {where}"
    admins = models.User.select().where(
        (models.User.account == user.account_id) & (models.User.id != user.id) & _can_unlock()
    )
    for admin in list(admins):
        if not _joins(admin, lock):
            models.Notice.insert(
                user=admin.id,
                recipient=admin.email,
                event=Event.PEOPLE_LOCKED.value,
                actor=user.name,
                application=origin.application,
                address=origin.address,
                detail=json.dumps(with_lock({}, lock)),
                at=tx.now,
                next_try_at=tx.now,
            ).execute()


def is_held_back(tx: Tx, row: models.Notice) -> bool:
    """Hold back a message about locks that is due, if it comes too soon after the one before it.

    One to a user who would not be told now is settled instead.
    """
    if row.event != Event.PEOPLE_LOCKED.value:
        return False
    table = models.Notice
    this = table.update(next_try_at=None, done_at=tx.now).where(table.id == row.id)
    if not _is_told(row.user):
        return bool(this.execute())
    lately = table.done_at.is_null() | (table.done_at > tx.now - EVERY)
    before = table.select().where(
        (table.user == row.user_id) & (table.event == row.event) & (table.id < row.id) & lately
    )
    last = before.order_by(table.id.desc()).first()
    if last is None:
        return False
    again = last.done_at + EVERY if last.done_at else tx.now + _LOOKED_AGAIN
    return bool(table.update(next_try_at=again).where(table.id == row.id).execute())


def _joins(admin: models.User, lock: str) -> bool:
    """Add a lock to an administrator's message that was not claimed; return whether there is one."""
    table = models.Notice
    unclaimed = (table.tries == 0) & table.done_at.is_null()
    found = table.select().where(
        (table.user == admin.id) & (table.event == Event.PEOPLE_LOCKED.value) & unclaimed
    )
    row = found.order_by(table.id.desc()).first()
    if row is None:
        return False
    detail = json.dumps(with_lock(json.loads(row.detail), lock))
    return bool(table.update(detail=detail).where((table.id == row.id) & unclaimed).execute())


def _is_told(user: models.User) -> bool:
    told = PolicyNotice.LOCKS in policy_of(user.account).notices
    return told and models.User.select().where((models.User.id == user.id) & _can_unlock()).exists()


def _can_unlock() -> Any:
    """Return, as SQL, whether a user is an active system administrator."""
    roles = models.UserRole
    holders = roles.select(roles.user).where(roles.role == Role.SYSTEM_ADMIN.value)
    return models.User.active & models.User.id.in_(holders)
