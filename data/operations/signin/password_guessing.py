"""Guesses at one user's password from many sources: they wait for each other, and the user is told.

Failures are summed by the bucket of a name, so that an unknown name is treated like a known one.
"""

from datetime import timedelta
from typing import Any

from peewee import fn

from data.operations.audit import trail
from data.rules import throttle
from data.rules.audit_events import Event
from data.rules.source_addresses import Origin, source_of
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

_Failures = models.FirstFactorFailures
_LOOKED_AT = 1_000
"""Sessions of a user that are searched for known sources: a user who signs in constantly has millions."""


def _many(condition: Any) -> Any:
    """Return a sum of failures that stops once they are many: anyone can add to them.

    Each row counts one or more.
    """
    some = _Failures.select(_Failures.count).where(condition).limit(throttle.MANY_OF_NAME).alias("some")
    return _Failures.select(fn.SUM(some.c.count).alias("count")).from_(some)


_OF_NAME = Prepared(
    _Failures,
    2,
    lambda bucket, minute: _many((_Failures.bucket == bucket) & (_Failures.minute > minute)),
)
_UNTOLD = Prepared(
    _Failures,
    3,
    lambda bucket, user_id, minute: _many(
        (_Failures.bucket == bucket)
        & (_Failures.user_id == user_id)
        & (_Failures.minute > minute)
        & ~_Failures.told
    ),
)


def takes_turns(tx: Tx, bucket: int, user_id: int | None, source: str) -> bool:
    """Return whether passwords for a name from a source are judged one at a time: many were wrong recently.

    A source that the user has signed in from within `throttle.KNOWN_DAYS`, in one of the newest
    `_LOOKED_AT` sessions, never waits for strangers.
    """
    found = _OF_NAME.one(bucket, _minute(tx) - throttle.WINDOW_MINUTES)
    if found is None or (found.count or 0) < throttle.MANY_OF_NAME:
        return False
    table = models.Session
    since = tx.now - timedelta(days=throttle.KNOWN_DAYS)
    newest = table.select().where(table.user == (user_id or 0)).order_by(table.id.desc()).limit(_LOOKED_AT)
    came = {row.address for row in newest if not row.restricted and row.started_at > since}
    return source not in {source_of(address) for address in came}


def has_many_untold(tx: Tx, bucket: int, user_id: int | None) -> bool:
    """Return whether a user's name failed many times in the last day without the user having been told."""
    found = _UNTOLD.one(bucket, user_id or 0, _minute(tx) - throttle.KEPT_MINUTES)
    return found is not None and (found.count or 0) >= throttle.MANY_OF_NAME


def tell_of_failures(tx: Tx, user: models.User, bucket: int, origin: Origin) -> None:
    """Tell a user whose password was right, once, about the many wrong ones of the last day.

    Afterwards, only the failures within the window are still needed.
    """
    theirs = (_Failures.bucket == bucket) & (_Failures.user_id == user.id)
    untold = theirs & ~_Failures.told
    recent = untold & (_Failures.minute > _minute(tx) - throttle.KEPT_MINUTES)
    failures = int(_Failures.select(fn.SUM(_Failures.count)).where(recent).scalar() or 0)
    sources = int(_Failures.select(fn.COUNT(_Failures.source.distinct())).where(recent).scalar())
    if not _Failures.update(told=True).where(untold).execute():
        return  # Another sign-in has just reported them.
    over = theirs & (_Failures.minute <= _minute(tx) - throttle.WINDOW_MINUTES)
    _Failures.delete().where(over).execute()
    trail.write_own(tx, Event.RIGHT_AFTER_FAILURES, user, origin, failures=failures, sources=sources)


def forget_old_failures(minute: int) -> None:
    """Remove failures that are no longer needed; otherwise strangers could fill the table."""
    of_nobody = (_Failures.user_id == 0) | _Failures.told
    _Failures.delete().where(_Failures.minute < minute - throttle.KEPT_MINUTES).execute()
    _Failures.delete().where(of_nobody & (_Failures.minute < minute - throttle.WINDOW_MINUTES)).execute()


def guessed_now(tx: Tx) -> Any:
    """Return, as SQL, the IDs of users whose name failed many times within the window."""
    recent = _Failures.select(_Failures.user_id).where(
        (_Failures.minute > _minute(tx) - throttle.WINDOW_MINUTES) & (_Failures.user_id > 0)
    )
    return recent.group_by(_Failures.user_id).having(fn.SUM(_Failures.count) >= throttle.MANY_OF_NAME)


def _minute(tx: Tx) -> int:
    return int(tx.now.timestamp()) // 60
