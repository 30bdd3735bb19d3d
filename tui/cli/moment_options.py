"""Options that take a moment in the past: a date, or how long ago."""

from datetime import datetime

import click

from data.rules.past_moments import past_moment


def moment_of(option: str, typed: str | None, now: datetime) -> datetime | None:
    """Return the moment that `option` was given; None if it was not given.

    Raises:
        click.UsageError: when it names none.
    """
    if typed is None:
        return None
    found = past_moment(typed, now)
    if found is None:
        raise click.UsageError(
            f"{option} must be 30m, 2h, 7d, or a date such as 2026-01-31 or 2026-01-31T08:00."
        )
    return found
