"""Taking turns: one at a time, one source after the other, and never for a client that is gone."""

import asyncio

import pytest

from data.fair_queue import SOURCES, FairQueue, Unserved


class Bench:
    """Work that waits to be told to end, and notes who it was done for."""

    def __init__(self) -> None:
        self.turns = FairQueue()
        self.begun: list[str] = []
        self.goes_on = asyncio.Event()

    def ask(self, source, gone=None, thing="bench", **options):
        async def work():
            self.begun.append(source)
            await self.goes_on.wait()
            return source

        return asyncio.create_task(self.turns.run(thing, source, gone, work, **options))


@pytest.fixture
async def bench():
    return Bench()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_busy_source_delays_by_one_turn(bench):
    crowd = [bench.ask("crowd") for _ in range(6)]
    await settle()
    other = bench.ask("other")
    bench.goes_on.set()
    await asyncio.gather(*crowd, other)
    assert bench.begun == ["crowd", "crowd", "other", "crowd", "crowd", "crowd", "crowd"]


async def test_same_things_once_others_side_by_side(bench):
    """The same thing is done once at a time, different things side by side."""
    asked = [bench.ask("a"), bench.ask("b"), bench.ask("c", thing="another bench")]
    await settle()
    assert bench.begun == ["a", "c"]
    bench.goes_on.set()
    assert await asyncio.gather(*asked) == ["a", "b", "c"]


async def test_client_that_is_gone_has_no_turn(bench):
    """It leaves its place."""
    first, gone = bench.ask("first"), asyncio.Event()
    leaving = [bench.ask(f"source {number}", gone) for number in range(SOURCES)]
    await settle()
    assert await bench.ask("one too many") is Unserved.BUSY
    gone.set()
    staying = bench.ask("staying")
    bench.goes_on.set()
    assert set(await asyncio.gather(*leaving)) == {Unserved.GONE}
    assert await asyncio.gather(first, staying) == ["first", "staying"]
    assert bench.begun == ["first", "staying"]


async def test_client_that_leaves_while_waiting(bench):
    gone = asyncio.Event()
    asked = [bench.ask("a"), bench.ask("b", gone), bench.ask("c")]
    await settle()
    gone.set()
    bench.goes_on.set()
    assert await asyncio.gather(*asked) == ["a", Unserved.GONE, "c"]
    assert await bench.ask("b", gone) is Unserved.GONE


async def test_full_queue_prefers_its_sources(bench):
    """It takes more of the sources that are in it, up to a bound."""
    asked = [bench.ask(source, sources=2) for source in ("a", "b", "c", "b")]
    await settle()
    assert await bench.ask("d", sources=2) is Unserved.BUSY
    asked += [bench.ask("b", sources=2) for _ in range(8)]
    await settle()
    assert await bench.ask("b", sources=2) is Unserved.BUSY
    bench.goes_on.set()
    assert Unserved.BUSY not in await asyncio.gather(*asked)


async def test_work_that_fails_passes_the_turn_on(bench):
    async def fail():
        await asyncio.sleep(0)
        raise ZeroDivisionError

    failing = asyncio.create_task(bench.turns.run("bench", "a", None, fail))
    await asyncio.sleep(0)
    bench.goes_on.set()
    assert await bench.ask("b") == "b"
    with pytest.raises(ZeroDivisionError):
        await failing


async def test_the_next_turn_begins_after_the_rest(bench, monkeypatch):
    later = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda seconds, *call: later.append((seconds, call)))
    bench.goes_on.set()
    assert await bench.ask("a", rest=7) == "a"
    waiting = bench.ask("b", rest=7)
    await settle()
    assert not waiting.done()
    ((seconds, (pass_on, *arguments)),) = later
    pass_on(*arguments)
    assert seconds == 7
    assert await waiting == "b"
