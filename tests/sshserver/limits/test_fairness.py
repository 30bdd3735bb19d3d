"""Whose turn it is on the event loop."""

import asyncio

import pytest

from sshserver.limits.fairness import DrawingTurns, InputShares


class Gallery:
    """Screens that are drawn in turn; each notes whose it is."""

    def __init__(self):
        self.turns = DrawingTurns()
        self.drawn = []
        self.drawing = 0

    async def draw(self, user):
        async with self.turns.turn(user):
            self.drawing += 1
            assert self.drawing == 1
            self.drawn.append(user)
            self.drawing -= 1

    def start(self, *users):
        return [asyncio.create_task(self.draw(user)) for user in users]


async def test_users_are_drawn_in_turn():
    gallery = Gallery()
    async with gallery.turns.turn("z"):
        waiting = gallery.start(*"aaaaaaaaaa", *"bb", "c")
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert set(gallery.drawn[:3]) == {"a", "b", "c"}
    assert len(gallery.drawn) == 13


async def test_abandoned_turn_is_passed_over():
    gallery = Gallery()
    async with gallery.turns.turn("a"):
        waiting = gallery.start("b", "c", "d")
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert gallery.drawn == ["d"]


async def test_unwanted_turn_goes_to_the_next():
    gallery = Gallery()
    async with gallery.turns.turn("a"):
        waiting = gallery.start("b", "c")
        await asyncio.sleep(0)
    while not gallery.turns._is_drawing:
        await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting)
    assert gallery.drawn == ["c"]


async def test_a_drawing_that_fails_ends_its_turn():
    gallery = Gallery()
    with pytest.raises(ZeroDivisionError):
        async with gallery.turns.turn("a"):
            raise ZeroDivisionError
    await gallery.draw("a")


async def test_input_beyond_the_burst_waits():
    shares = InputShares()
    assert shares.charge("a", 0.05) == 0
    first = shares.charge("a", 1)
    assert first > 5
    assert shares.charge("a", 1) > first + 5
    assert shares.charge("b", 0.05) == 0
