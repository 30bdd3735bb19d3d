"""What runs again and again outlives its failures, and tells of them once."""

import asyncio

import pytest

from data.periodic import periodically


class Act:
    """Fails where it is told to, and ends the test when nothing is left to do."""

    def __init__(self, *fails: bool) -> None:
        self.fails = list(fails)

    async def __call__(self) -> None:
        if not self.fails:
            raise asyncio.CancelledError
        if self.fails.pop(0):
            raise RuntimeError


async def reported(act: Act) -> list[tuple[type[BaseException], str]]:
    told = []
    with pytest.raises(asyncio.CancelledError):
        await periodically(act, 0, "Acting", lambda error, what: told.append((type(error), what)))
    return told


async def test_what_fails_is_reported_once_until_it_succeeds():
    assert await reported(Act(False, True, True, True, False)) == [(RuntimeError, "Acting")]
    assert await reported(Act(True, False, True, True)) == [(RuntimeError, "Acting")] * 2


async def test_the_first_time_can_be_later():
    act = Act(False)
    task = asyncio.create_task(periodically(act, 0, "Acting", print, first=60))
    await asyncio.sleep(0.01)
    assert act.fails
    task.cancel()
