"""Which applications a user's attempts were spent in, from the audit log."""

from collections import Counter
from collections.abc import Iterable

from data.rules.audit_events import Event
from data.rules.policy import ATTEMPTS, Refusal
from data.rules.signin_explanation import Failures
from data.storage import models


def entries_about(user: models.User, event: Event, limit: int) -> list[models.AuditEntry]:
    """Read the newest rows of one kind about a user."""
    table = models.AuditEntry
    mine = (table.account == user.account_id) & (table.user == user.name) & (table.event == event.value)
    return list(table.select().where(mine).order_by(table.id.desc()).limit(limit))


def failures_of(rows: Iterable[models.AuditEntry]) -> Failures:
    """Count rows by application; they come newest first."""
    found = list(rows)
    counted = Counter(row.application for row in found)
    return Failures(tuple(sorted(counted.items())), found[0].at if found else None)


def spent_attempts(user: models.User, left: int) -> Failures:
    """Read in which applications the attempts were spent that a user with so many left no longer has."""
    return failures_of(entries_about(user, Event.CODE_WRONG, ATTEMPTS - left) if left < ATTEMPTS else ())


def locked_in_words(user: models.User) -> str:
    """Tell a user that they are locked, and which registered applications used their attempts."""
    return " ".join(filter(None, (Refusal.LOCKED.value, spent_attempts(user, 0).by_registered)))
