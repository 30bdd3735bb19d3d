"""The deadline of the mode `required`, and the days of grace of people who are created under it.

Both are judged at the present moment, and never before one that was seen: they end without anything being
done. They end at full hours, so that users can be counted by the hour in which they were created.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from data.rules.domain_types import NEVER, Mode, Policy

MOST_GRACE_DAYS: Final = 14
REMINDED_DAYS: Final = (14, 7, 3, 1)
"""How many days before the deadline those who have not set it up are reminded by e-mail."""
REASON_LIMIT: Final = 200
"""The longest reason for putting a deadline off, in characters."""
MOST_YEARS_AHEAD: Final = 2
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Typed:
    """A deadline, or None for now, and days of grace as someone typed them."""

    day: date | None
    grace_days: int


@dataclass(frozen=True, slots=True)
class Demand:
    """Of whom a policy demands two-factor authentication at a moment, besides those who must use it anyway.

    If `of_all`, it is everyone but those whose `grace_from` is after `grace_after`; None spares no one.
    `deadline` is the one that is ahead, if one is: it is of no one until then.
    """

    mode: Mode
    of_all: bool
    grace_after: datetime | None = None
    deadline: datetime | None = None

    def spares(self, grace_from: datetime) -> bool:
        """Whether a user has days of grace left."""
        return self.grace_after is not None and grace_from > self.grace_after

    def is_of(self, grace_from: datetime) -> bool:
        """Whether it is of a user who may otherwise choose."""
        return self.of_all and not self.spares(grace_from)


def demand_of(policy: Policy, now: datetime) -> Demand:
    """Return from whom a policy demands two-factor authentication now."""
    if policy.mode is not Mode.REQUIRED:
        return Demand(policy.mode, of_all=policy.mode is Mode.PERMANENT)
    if not has_passed(policy, now):
        return Demand(policy.mode, of_all=False, deadline=policy.deadline)
    return Demand(policy.mode, of_all=True, grace_after=_grace_after(policy, now))


def has_passed(policy: Policy, now: datetime) -> bool:
    """Whether a policy has no deadline ahead."""
    if policy.mode is not Mode.REQUIRED or policy.deadline is None:
        return True
    return _at(policy, now) >= policy.deadline


def set_up_by(policy: Policy, grace_from: datetime, now: datetime) -> datetime | None:
    """Return until when a user who is free to choose can put setting up off; None if there is no such time.

    There is none if they must set up now, or never have to.
    """
    demand = demand_of(policy, now)
    if policy.mode is not Mode.REQUIRED or demand.is_of(grace_from):
        return None
    after = _grace_after(policy, now)
    grace = grace_from + policy.grace_days * _DAY if after is not None and grace_from > after else NEVER
    return max(policy.deadline or NEVER, grace)


def days_left(policy: Policy, grace_from: datetime, now: datetime) -> int | None:
    """Return how many days are left until `set_up_by`, a begun one counted as a whole; None without one."""
    until = set_up_by(policy, grace_from, now)
    if until is None:
        return None
    days = -((_at(policy, now) - until) // _DAY)
    return days if until == policy.deadline else min(days, policy.grace_days)


def days_until(policy: Policy, now: datetime) -> int | None:
    """Return how many days are left until the deadline, if one is ahead."""
    ahead = demand_of(policy, now).deadline
    return days_left(policy, NEVER, now) if ahead else None


def days_in_words(days: int) -> str:
    """Say how long a user can still put setting up off, the same in each place where users are told."""
    return f"{days} day{'' if days == 1 else 's'} left to set up two-factor authentication"


def mode_in_words(policy: Policy, now: datetime) -> str:
    """Name a mode, and the deadline while that is ahead."""
    ahead = demand_of(policy, now).deadline
    return f"{policy.mode.value} from {ahead:%Y-%m-%d}" if ahead else policy.mode.value


def grace_from(mode: Mode, now: datetime) -> datetime:
    """Return what is kept of when a user is created: the next full hour in mode `required`, else `NEVER`."""
    return full_hour(now + _HOUR - timedelta.resolution) if mode is Mode.REQUIRED else NEVER


def newly_seen(policy: Policy, now: datetime) -> datetime | None:
    """Return the full hour to keep as seen, if it is later than the kept one and anything depends on it."""
    hour = full_hour(now)
    is_awaited = policy.deadline is not None and policy.seen_at < policy.deadline
    matters = policy.mode is Mode.REQUIRED and (is_awaited or policy.grace_days > 0)
    return hour if matters and hour > policy.seen_at else None


def read_deadline(day: str, grace_days: str) -> Typed | str:
    """Read what someone typed; return what is wrong with it otherwise."""
    if not grace_days.strip().isdecimal():
        return "Type the days of grace as a number."
    first = read_day(day) if day.strip() else None
    return first if isinstance(first, str) else Typed(first, int(grace_days))


def read_day(typed: str) -> date | str:
    """Read a day as YYYY-MM-DD, and in no other form of ISO 8601; return what is wrong with it otherwise."""
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        day = None
    if day is None or day.isoformat() != typed.strip():
        return "Type the first day as year, month and day, such as 2027-02-01."
    return day


def why_not_day(day: date, now: datetime) -> str | None:
    """Return why a day cannot be a deadline, or None."""
    if begins(day) <= now:
        today = f"{now:%Y-%m-%d}"
        return f"The date must be after today, {today} in UTC. To require it at once, leave the date out."
    is_leap_day = (now.month, now.day) == (2, 29)
    latest = (now.date() - is_leap_day * _DAY).replace(year=now.year + MOST_YEARS_AHEAD)
    if day > latest:
        return f"The date must be at most {MOST_YEARS_AHEAD} years ahead: {latest} or earlier."
    return None


def begins(day: date) -> datetime:
    """Return the first moment of a day of UTC."""
    return datetime.combine(day, time(), UTC)


def is_put_off(policy: Policy, deadline: datetime | None, now: datetime) -> bool:
    """Whether a new deadline, or None for now, lets anyone wait longer than the one that was announced."""
    if deadline is None:
        return False
    before = announced(policy, now)
    return policy.mode is Mode.REQUIRED if before is None else deadline > before


def announced(policy: Policy, now: datetime) -> datetime | None:
    """Return the deadline that is ahead, or was ahead when the mode `required` was left."""
    return None if policy.mode is Mode.REQUIRED and has_passed(policy, now) else policy.deadline


def reminder_due(policy: Policy, now: datetime) -> int | None:
    """Return the nearest of `REMINDED_DAYS` that the deadline is due for; None without one ahead."""
    left = days_until(policy, now)
    return min((days for days in REMINDED_DAYS if left is not None and left <= days), default=None)


def reminders_over(policy: Policy, now: datetime) -> int | None:
    """Return the nearest of `REMINDED_DAYS` whose day was over before this deadline was set."""
    left = days_until(policy, now) or 0
    return min((days for days in REMINDED_DAYS if left < days), default=None)


def _at(policy: Policy, now: datetime) -> datetime:
    return max(now, policy.seen_at)


def _grace_after(policy: Policy, now: datetime) -> datetime | None:
    return _at(policy, now) - policy.grace_days * _DAY if policy.grace_days else None


def full_hour(at: datetime) -> datetime:
    """Return the hour that a moment is in, as its first moment."""
    return at.replace(minute=0, second=0, microsecond=0)
