"""The counts that triggers keep: comparing them with the rows that they count, and correcting them."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from data.operations.actors import ActingOperator
from data.operations.audit import trail
from data.operations.guards import require_operator
from data.operations.results import Denied, Done
from data.rules.audit_events import COUNTED, COUNTED_DAYS, Event
from data.rules.deadline import MOST_GRACE_DAYS
from data.rules.doctor import Finding, judge_counts
from data.rules.user_status import Standing
from data.storage import models
from data.storage.prepared_statements import insert_rows
from data.store import Tx

_OPERATOR_ONLY = Denied("Only the operator on the host can correct the counts.")
_AT_ONCE = 500
_USERS = """
SELECT u.account_id, 0, '', u.standing, u.few_codes, COUNT(*) FROM "user" u GROUP BY 1, 4, 5
UNION ALL
SELECT u.account_id, u.practice_id, '', u.standing, u.few_codes, COUNT(*) FROM "user" u GROUP BY 1, 2, 4, 5
UNION ALL
SELECT u.account_id, 0, r.role, u.standing, u.few_codes, COUNT(*)
FROM "user" u JOIN user_role r ON r.user_id = u.id GROUP BY 1, 3, 4, 5
"""
_EVENTS = f"""
SELECT account_id, at / {models.MICROSECONDS_OF_DAY}, event, COALESCE(chain, ''), COUNT(*) FROM audit_entry
WHERE account_id IS NOT NULL AND event IN ({", ".join(f"'{event.value}'" for event in COUNTED)})
    AND at >= {{since}} GROUP BY 1, 2, 3, 4
"""  # noqa: S608 - words of ours.
_GRACE = """
SELECT account_id, 0, grace_from, COUNT(*) FROM "user"
WHERE standing = 'free' AND grace_from > {after} GROUP BY 1, 3
UNION ALL
SELECT account_id, practice_id, grace_from, COUNT(*) FROM "user"
WHERE standing = 'free' AND grace_from > {after} GROUP BY 1, 2, 3
"""

_Group = tuple[int, int, str]
"""An account, a practice or 0, and a role or nothing."""


def check_counts(tx: Tx) -> Finding:
    """Compare the kept counts with the rows; this reads all users and the whole log."""
    return judge_counts(_wrong(tx))


@require_operator(_OPERATOR_ONLY)
def repair_counts(acting: ActingOperator) -> Done:
    """Count all rows again, and record it if any count was wrong."""
    wrong = _wrong(acting.tx)
    if not wrong:
        return Done("All counts are right. Nothing was changed.")
    users, events = models.UserCount, models.EventCount
    users.delete().execute()
    key = ("account_id", "practice_id", "role")
    _insert(users, [dict(zip(key, group, strict=True)) | counts for group, counts in _users().items()])
    grace = models.GraceCount
    grace.delete().execute()
    columns: tuple[str, ...] = ("account_id", "practice_id", "grace_from", "free")
    _insert(grace, [dict(zip(columns, row, strict=True)) for row in _spared(acting.tx)])
    since = _complete_since(acting.tx)
    events.delete().where(events.day >= since).execute()
    columns = ("account_id", "day", "event", "chain", "count")
    _insert(events, [dict(zip(columns, row, strict=True)) for row in _logged(since)])
    trail.record_everywhere(acting, Event.COUNTS_REPAIRED, count=wrong)
    return Done(f"{wrong} {'count' if wrong == 1 else 'counts'} corrected.")


def forget_old_days(tx: Tx) -> None:
    """Remove the counts of days that are over for long, and those of users who have no days of grace left."""
    grace = models.GraceCount
    grace.delete().where(grace.grace_from <= _no_grace(tx)).execute()
    table = models.EventCount
    table.delete().where(table.day <= models.day_number(tx.now) - COUNTED_DAYS).execute()


def _wrong(tx: Tx) -> int:
    return _wrong_users() + _wrong_events(tx) + _wrong_grace(tx)


def _wrong_grace(tx: Tx) -> int:
    """Count the hours whose kept count of users who may have days of grace is not that of their rows."""
    table = models.GraceCount
    kept = table.select().where((table.free != 0) & (table.grace_from > _no_grace(tx)))
    return _differences(
        {(row.account_id, row.practice_id, models.microseconds(row.grace_from)): row.free for row in kept},
        {tuple(group): free for *group, free in _spared(tx)},
    )


def _spared(tx: Tx) -> list[tuple[Any, ...]]:
    return _rows(_GRACE.format(after=models.microseconds(_no_grace(tx))))


def _no_grace(tx: Tx) -> datetime:
    """Return the latest hour whose users have no days of grace left, however many there are."""
    return tx.now - timedelta(days=MOST_GRACE_DAYS)


def _wrong_users() -> int:
    """Count the groups of users whose kept counts are not those of their rows."""
    kept = {
        (row.account_id, row.practice_id, row.role): {name: getattr(row, name) for name in _COLUMNS}
        for row in models.UserCount.select()
    }
    return _differences({group: counts for group, counts in kept.items() if any(counts.values())}, _users())


_COLUMNS = (*(standing.value for standing in Standing), "people", "few_codes")


def _users() -> dict[_Group, dict[str, int]]:
    """Count the users of each group by standing, as `UserCount` does."""
    groups: dict[_Group, dict[str, int]] = {}
    for account, practice, role, standing, few, count in _rows(_USERS):
        if standing == models.TOMBSTONE:
            continue
        counts = groups.setdefault((account, practice, role), dict.fromkeys(_COLUMNS, 0))
        counts[standing] += count
        counts["people"] += count if standing != Standing.DEACTIVATED.value else 0
        counts["few_codes"] += count if few and standing == Standing.ENROLLED.value else 0
    return groups


def _wrong_events(tx: Tx) -> int:
    """Count the events of a day whose kept count is not that of the log."""
    since, table = _complete_since(tx), models.EventCount
    kept = table.select(table.account_id, table.day, table.event, table.chain, table.count)
    return _differences(
        _summed(kept.where(table.day >= since).tuples()),
        _summed(_logged(since)),
    )


def _summed(rows: Any) -> Counter[tuple[int, int, str]]:
    """Add up all chains: rows from before there were chains were counted without one, and have one since."""
    counts: Counter[tuple[int, int, str]] = Counter()
    for account, day, event, _chain, count in rows:
        counts[account, day, event] += count
    return counts


def _logged(since: int) -> list[tuple[Any, ...]]:
    return _rows(_EVENTS.format(since=since * models.MICROSECONDS_OF_DAY))


def _complete_since(tx: Tx) -> int:
    """Return the first day that is counted and of which the log still has all rows."""
    counted = models.day_number(tx.now) - COUNTED_DAYS + 1
    if not models.AuditCut.select().exists():
        return counted
    oldest = models.AuditEntry.select().order_by(models.AuditEntry.at).first()
    return max(counted, models.day_number(oldest.at if oldest else tx.now) + 1)


def _differences(kept: Mapping[Any, object], found: Mapping[Any, object]) -> int:
    return sum(kept.get(key) != found.get(key) for key in kept.keys() | found.keys())


def _rows(sql: str) -> list[tuple[Any, ...]]:
    return list(models.database.execute_sql(sql).fetchall())


def _insert(table: type[Any], rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        insert_rows(table, rows[start : start + _AT_ONCE])
