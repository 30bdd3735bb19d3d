"""Moments that are typed as a date or as how long ago."""

from datetime import UTC, datetime

import pytest

from data.rules.past_moments import past_moment

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("30m", datetime(2026, 3, 31, 11, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 3, 31, 10, tzinfo=UTC)),
        (" 30 Days ", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("1 day", datetime(2026, 3, 30, 12, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31t08:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("30", None),
        ("-3d", None),
        ("٣d", None),
        ("999999d", None),
        ("0001-01-01T00:00+14:00", None),
        ("2026-02-30", None),
    ],
)
def test_past_moments(typed, meant):
    assert past_moment(typed, NOW) == meant
