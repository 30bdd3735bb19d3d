"""Changing the deadline of the mode `required`, and the days of grace of people who are created under it."""

from dataclasses import replace
from datetime import date, datetime

from data.operations.actors import Acting
from data.operations.audit import trail
from data.operations.guards import require_permission, why_not
from data.operations.results import Denied, Done
from data.operations.signin.sessions import rejudge_sessions
from data.rules.audit_events import Event
from data.rules.deadline import (
    MOST_GRACE_DAYS,
    REASON_LIMIT,
    announced,
    begins,
    full_hour,
    has_passed,
    is_put_off,
    mode_in_words,
    reminders_over,
    why_not_day,
)
from data.rules.domain_types import NEVER, Mode
from data.rules.permissions import SensitiveAction
from data.rules.user_fields import tidy
from data.storage import models


@require_permission(SensitiveAction.SET_POLICY)
def set_deadline(
    acting: Acting, day: date | None, *, seen: datetime | None, reason: str = ""
) -> Done | Denied:
    """Require two-factor authentication from a day on, or at once; `seen` is the deadline that the actor saw.

    A later day than before needs a reason.
    """
    policy, now = acting.policy, acting.tx.now
    if policy.mode is not Mode.REQUIRED or policy.deadline != seen:
        said = mode_in_words(policy, now)
        return Denied(f"Someone else changed the mode to {said} in the meantime. Check it, then try again.")
    if refusal := why_not_deadline(acting, day):
        return Denied(refusal)
    deadline = begins(day) if day else None
    put_off = put_deadline_off(acting, day, reason)
    if isinstance(put_off, Denied):
        return put_off
    changes = deadline_columns(acting, Mode.REQUIRED, day)
    models.Account.update(changes).where(models.Account.id == acting.account_id).execute()
    rejudge_sessions(acting.tx, models.User.account == acting.account_id)
    if not put_off:
        before, after = _said(seen, now), _said(deadline, now)
        trail.record(acting, Event.DEADLINE_CHANGED, before=before, after=after)
    return Done(f"The mode is now {mode_in_words(replace(policy, deadline=deadline, seen_at=NEVER), now)}.")


@require_permission(SensitiveAction.SET_POLICY)
def set_grace_days(acting: Acting, days: int, *, seen: int) -> Done | Denied:
    """Change how many days people who are created under `required` have; `seen` is what the actor saw."""
    if not 0 <= days <= MOST_GRACE_DAYS:
        return Denied(f"New users can have 0 to {MOST_GRACE_DAYS} days of grace.")
    before = acting.policy.grace_days
    if before != seen:
        return Denied(f"Someone else changed the days to {before} in the meantime. Check it, then try again.")
    if before == days:
        return Denied(f"The number of days of grace is already {days}.")
    models.Account.update(grace_days=days).where(models.Account.id == acting.account_id).execute()
    forget_later_time(acting)
    rejudge_sessions(acting.tx, models.User.account == acting.account_id)
    trail.record(acting, Event.GRACE_DAYS_CHANGED, before=before, after=days)
    return Done(f"New users now have {days} day{'' if days == 1 else 's'} of grace.")


def put_deadline_off(acting: Acting, day: date | None, reason: str) -> bool | Denied:
    """Count and log that a new deadline is later than the one that was announced; return whether it is."""
    policy, now = acting.policy, acting.tx.now
    if day is None or not is_put_off(policy, begins(day), now):
        return False
    given = tidy(reason[: REASON_LIMIT + 1])
    if not given or len(reason) > REASON_LIMIT:
        return Denied(f"To put the deadline off, give a reason of 1 to {REASON_LIMIT} characters.")
    table = models.Account
    table.update(put_off=table.put_off + 1).where(table.id == acting.account_id).execute()
    before, after = _said(policy.deadline, now), f"{day}"
    trail.record(acting, Event.DEADLINE_PUT_OFF, before=before, after=after, reason=given)
    return True


def deadline_columns(acting: Acting, mode: Mode, day: date | None) -> dict[str, object]:
    """Return the columns of a deadline, or none, in a mode; what was seen before no longer counts.

    Other modes than `required` keep the deadline that was announced, and how often it was put off.
    """
    policy, now = acting.policy, acting.tx.now
    deadline = begins(day) if day else None
    if mode is not Mode.REQUIRED:
        deadline = announced(policy, now)
    after = replace(policy, mode=mode, deadline=deadline, seen_at=NEVER)
    changes: dict[str, object] = {
        "deadline": deadline,
        "seen_at": full_hour(now),
        "reminded_days": None if has_passed(after, now) else reminders_over(after, now),
        "reminded_user": None,
    }
    if mode is not Mode.REQUIRED and deadline is None:
        changes["put_off"] = 0
    return changes


def forget_later_time(acting: Acting) -> bool:
    """Have deadlines and days of grace judged by the clock again; return whether they were not."""
    seen_at, now = acting.policy.seen_at, acting.tx.now
    if seen_at <= now:
        return False
    table = models.Account
    table.update(seen_at=full_hour(now)).where(table.id == acting.account_id).execute()
    trail.record(acting, Event.SEEN_TIME_CORRECTED, before=f"{seen_at:%Y-%m-%d %H:%M} UTC")
    return True


def why_not_deadline(acting: Acting, day: date | None) -> str | None:
    """Return why this actor cannot change the deadline of the mode `required` to this, or None."""
    if refusal := why_not(acting, SensitiveAction.SET_POLICY):
        return refusal.message
    policy, is_over = acting.policy, has_passed(acting.policy, acting.tx.now)
    if day is None:
        return "The mode is already required." if is_over else None
    if policy.deadline == begins(day) and not is_over:
        return f"The deadline is already {day:%Y-%m-%d}."
    return why_not_day(day, acting.tx.now)


def _said(deadline: datetime | None, now: datetime) -> str:
    return f"{deadline or now:%Y-%m-%d}"
