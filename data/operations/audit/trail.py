"""The audit log: written in the transaction of the act it records, read in pages."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data.operations.actors import Acting, ActingOperator, in_account
from data.operations.audit import notices
from data.operations.audit.chain import Columns, append
from data.operations.guards import require_permission
from data.operations.leases import hold_for_page
from data.operations.results import Denied
from data.rules.audit_events import Event, sentence
from data.rules.permissions import Action
from data.rules.source_addresses import Origin
from data.rules.user_fields import storable
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log, with its sentence."""

    id: int
    at: datetime
    event: str
    actor: str
    user: str | None
    application: str
    address: str
    detail: dict[str, object]

    @property
    def sentence(self) -> str:
        """The event in words; it may hold foreign strings."""
        return sentence(self.event, self.detail)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows to read: about a user (as actor or subject), of a kind of event, since a moment."""

    user: str | None = None
    event: str | None = None
    since: datetime | None = None


def record(acting: Acting, event: Event, user: str | None = None, **detail: object) -> None:
    """Record what someone did."""
    write(
        acting.tx, event, acting.origin, account_id=acting.account_id, actor=acting.name, user=user, **detail
    )


def record_everywhere(acting: ActingOperator, event: Event, **detail: object) -> None:
    """Record what the operator did to the whole installation, visible to every account."""
    for account in list(models.Account.select().order_by(models.Account.id)):
        record(in_account(acting.tx, acting.operator, account), event, None, **detail)


def write(
    tx: Tx,
    event: Event,
    origin: Origin,
    *,
    account_id: int,
    actor: str,
    user: str | None,
    **detail: object,
) -> None:
    """Write a row, and tell its user about it if the rules say so.

    `detail` never holds a secret, a code, a password or a key.
    """
    at = models.microseconds(tx.now)
    text = json.dumps(detail, default=str)
    application, address = origin.application, origin.address
    append(tx, [Columns(at, account_id, event.value, actor, user, application, address, text)])
    if user is not None:
        notices.tell_if_due(tx, event, origin, user=user, actor=actor, detail=detail)


def write_own(tx: Tx, event: Event, user: models.User, origin: Origin, **detail: object) -> None:
    """Record what a user who is signing in or signed in did (see `write`)."""
    write(tx, event, origin, account_id=user.account_id, actor=user.name, user=user.name, **detail)


def write_ends(tx: Tx, ended: Iterable[tuple[models.User, Origin]]) -> None:
    """Record that sessions of these users ended, of which nobody is told."""
    at, event = models.microseconds(tx.now), Event.SIGNED_OUT.value
    append(
        tx,
        [
            Columns(
                at, user.account_id, event, user.name, user.name, origin.application, origin.address, "{}"
            )
            for user, origin in ended
        ],
    )


@require_permission(Action.SEE_PEOPLE)
def list_entries(acting: Acting, which: Filter, *, before: int | None = None, limit: int = 50) -> list[Entry]:
    """Read the log backwards from the newest row; `before` is the last row's ID on the previous page."""
    return entries(acting.account_id, which, before=before, limit=limit)


@require_permission(Action.SEE_PEOPLE)
def export_entries(
    acting: Acting, which: Filter, *, after: int = 0, limit: int = 500
) -> list[Entry] | Denied:
    """Read the log forwards from the oldest row; `after` is the last row's ID on the previous page.

    A user has one export at a time, from the page without `after` to one that is not full.
    """
    table = models.AuditEntry
    found = _matching(acting.account_id, which).where(table.id > after)
    rows = list(found.order_by(table.id).limit(limit))
    if refusal := hold_for_page(acting, first=not after, last=len(rows) < limit):
        return refusal
    return [_entry(row) for row in rows]


def entries(account_id: int, which: Filter, *, before: int | None = None, limit: int = 50) -> list[Entry]:
    """Read rows of one account, newest first."""
    table = models.AuditEntry
    query = _matching(account_id, which)
    if before is not None:
        query = query.where(table.id < before)
    return [_entry(row) for row in query.order_by(table.id.desc()).limit(limit)]


_NEWEST_OF = Prepared(
    models.AuditEntry,
    3,
    lambda account, name, limit: (
        models.AuditEntry.select()
        .where(
            models.AuditEntry.account == account,
            (models.AuditEntry.user == name) | (models.AuditEntry.actor == name),
        )
        .order_by(models.AuditEntry.id.desc())
        .limit(limit)
    ),
)


def newest_of(account_id: int, name: str, limit: int) -> list[Entry]:
    """Read the newest rows by or about one user."""
    return [_entry(row) for row in _NEWEST_OF.all(account_id, name, limit)]


def _matching(account_id: int, which: Filter) -> Any:
    table = models.AuditEntry
    query = table.select().where(table.account == account_id)
    if which.user:
        name = storable(which.user)
        query = query.where((table.user == name) | (table.actor == name))
    if which.event:
        query = query.where(table.event.startswith(storable(which.event)))
    if which.since:
        query = query.where(table.at >= which.since)
    return query


def _entry(row: models.AuditEntry) -> Entry:
    return Entry(
        row.id, row.at, row.event, row.actor, row.user, row.application, row.address, json.loads(row.detail)
    )
