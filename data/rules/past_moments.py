"""Reading the moment that someone types as a date or as how long ago it is."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,6}) ?(m|h|d|minutes?|hours?|days?)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def past_moment(typed: str, now: datetime) -> datetime | None:
    """Read `30m`, `2h`, `7d`, `30 days`, or a date (ISO 8601) with or without a time, else return None.

    A date without a zone is in UTC.
    """
    text = typed.strip().lower()
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2][0]]: int(ago[1])})
        parsed = datetime.fromisoformat(text.upper())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
