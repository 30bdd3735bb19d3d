"""A clock that is set while the server runs is noticed, and so is one behind what is on record."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from data.store import StoreUnavailableError
from sshserver.background import clock_watch

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


async def warnings_of(caplog, *readings: tuple[float, float]) -> list[str]:
    """Watch a clock through pairs of its reading and that of the one that cannot be set, in seconds."""
    walls = iter([NOON + timedelta(seconds=wall) for wall, _ in readings])
    counts = iter([count for _, count in readings])
    caplog.set_level(logging.WARNING, "twofold.clock")
    watch = clock_watch.ClockWatch(lambda: next(walls), lambda: next(counts))
    for _ in readings[1:]:
        await watch.look()
    return [record.getMessage() for record in caplog.records if record.name == "twofold.clock"]


async def test_time_that_passes_is_no_news(caplog):
    assert await warnings_of(caplog, (0, 0), (5, 5), (10.2, 10), (15, 15)) == []


async def test_clock_set_back_and_forward(caplog):
    """Both are reported."""
    told = await warnings_of(caplog, (0, 100), (-3595, 105), (10, 110))
    assert [line.split(",")[0] for line in told] == [
        "The clock was set 3600 s back",
        "The clock was set 3600 s forward",
    ]
    assert "to 2026-03-02 11:00:05 UTC" in told[0]


async def test_clock_differs_from_the_database(caplog):
    """It is reported every time."""
    caplog.set_level(logging.WARNING, "twofold.clock")

    async def there(answer) -> datetime | None:
        if isinstance(answer, StoreUnavailableError):
            raise answer
        return None if answer is None else NOON + timedelta(seconds=answer)

    for answer in [0, 9, 40, None, StoreUnavailableError(), -40]:
        await clock_watch.compare(lambda: NOON, partial(there, answer))
    told = [record.getMessage().partition(".")[0] for record in caplog.records]
    assert told == [
        "The clock here is 40 s behind that of the database",
        "The clock here is 40 s ahead of that of the database",
    ]


def test_clock_behind_the_newest_record(caplog):
    clock_watch.warn_of_newer(NOON + timedelta(hours=1), NOON)
    assert "1:00:00 ahead" in caplog.text
    caplog.clear()
    clock_watch.warn_of_newer(NOON + timedelta(seconds=5), NOON)
    clock_watch.warn_of_newer(NOON - timedelta(days=9), NOON)
    clock_watch.warn_of_newer(None, NOON)
    assert not caplog.records
