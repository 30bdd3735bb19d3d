"""What users do without spending an attempt, and so without limit: counted by kind, source and hour.

The audit log records only the first ones of each hour.
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
"""Rows of one kind and source that the audit log records within an hour."""
_HOUR = 3600
_KEPT = timedelta(days=1)
_SOURCES_TOLD = 5
"""Sources of one kind that are reported, those with the highest counts."""


class Kind(StrEnum):
    """What was done."""

    NO_CODE = "no code"
    REPEATED = "repeated"
    LAPSED = "lapsed"
    USED = "used"
    """An answer that is an already used code."""
    MISUSE = "misuse"
    """A connection did something that is refused to everyone."""


_TOLD = (Kind.NO_CODE, Kind.REPEATED, Kind.LAPSED)
"""Kinds that the audit log does not record."""


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
        "application": origin.application,
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
    """Audit a misuse by a client that has passed this user's first factor."""
    user = models.User.get_or_none(models.User.id == user_id)
    if user is not None and count(tx, user, Kind.MISUSE, origin) <= AUDITED:
        trail.write_own(tx, Event.MISUSED, user, origin, what=what.value)


def uncounted_answers(tx: Tx, user_id: int) -> tuple[Uncounted, ...]:
    """Read how many answers of the last day were not counted, the highest counts first."""
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
