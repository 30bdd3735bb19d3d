"""What the attacks share: a real server with a real store, and one who must get in meanwhile."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from support.besieged import Besieged, besieged
from support.ssh_people import People, open_people


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    """A real store, with an administrator and a clock that stands still."""
    found = open_people(tmp_path)
    yield found
    found.store.close()


Besiege = Callable[..., AbstractAsyncContextManager[Besieged]]


@pytest.fixture
def besiege(people: People) -> Besiege:
    """Serve with other limits."""
    return partial(besieged, people)


@pytest.fixture
async def siege(people: People) -> AsyncIterator[Besieged]:
    """A server with its default limits. Whatever a test did, others are served at its end."""
    async with besieged(people) as found:
        yield found
        await found.still_serves()
