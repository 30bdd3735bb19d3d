"""What a user did that costs no attempt, and so has no end: counted for a day, by kind, source and hour.

Of what the audit log tells, it takes a part of each hour only.
"""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

from peewee import fn

from data.operations.audit import trail
from data.rules.audit_events import Event
from data.rules.protocol_misuse import Misuse
from data.rules.signin_explanation import Uncounted
from data.rules.source_addresses import Origin, source_of
from data.storage import models
from data.store import Tx

AUDITED = 20
"""Rows that the audit log takes of one kind and source within an hour."""
_HOUR = 3600
_KEPT = timedelta(days=1)
_SOURCES_TOLD = 5
"""Sources of one kind that are told of, those that count most."""


class Kind(StrEnum):
    """What was done."""

    NO_CODE = "no code"
    REPEATED = "repeated"
    LAPSED = "lapsed"
    USED = "used"
    """An answer that is a code which was used before."""
    MISUSE = "misuse"
    """A connection that did what is refused to everyone."""


_TOLD = (Kind.NO_CODE, Kind.REPEATED, Kind.LAPSED)
"""Kinds of which the audit log tells nothing."""


def count(tx: Tx, user: models.User, kind: Kind, origin: Origin) -> int:
    """Count one more; return how many there are of this kind and source in this hour."""
    table = models.UncountedAnswer
    hour = int(tx.now.timestamp()) // _HOUR
    table.delete().where(
        (table.user == user.id) & (table.hour <= hour - _KEPT // timedelta(hours=1))
    ).execute()
    row = {
        "user": user.id,
        "kind": kind.value,
        "application": origin.application.value,
        "address": source_of(origin.address),
        "hour": hour,
    }
    known = table.get_or_none(**row)
    before = int(known.count) if known else 0
    table.insert(**row, count=before + 1).on_conflict(
        conflict_target=[table.user, table.kind, table.application, table.address, table.hour],
        update={table.count: before + 1},
    ).execute()
    return before + 1


def record_misuse(tx: Tx, user_id: int, origin: Origin, what: Misuse) -> None:
    """Audit what a client did that is refused to everyone, once it has passed this user's first factor."""
    user = models.User.get_or_none(models.User.id == user_id)
    if user is not None and count(tx, user, Kind.MISUSE, origin) <= AUDITED:
        trail.write_own(tx, Event.MISUSED, user, origin, what=what.value)


def uncounted_answers(tx: Tx, user_id: int) -> tuple[Uncounted, ...]:
    """Read how many answers of the last day were not counted, the most of one kind and source first."""
    table = models.UncountedAnswer
    since = int((tx.now - _KEPT).timestamp()) // _HOUR
    total = fn.SUM(table.count)
    told: list[Uncounted] = []
    for kind in _TOLD:
        rows = (
            table.select(total, table.application, table.address)
            .where((table.user == user_id) & (table.kind == kind.value) & (table.hour > since))
            .group_by(table.application, table.address)
            .order_by(total.desc(), table.address)
            .limit(_SOURCES_TOLD)
        )
        found: Iterable[tuple[int, str, str]] = rows.tuples().iterator()
        told += [Uncounted(kind.value, int(count), *source) for count, *source in found]
    return tuple(sorted(told, key=lambda each: -each.count))
