"""What the attacks share: a real server with a real store, and one who must get in meanwhile."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from support.attacked_server import AttackedServer, attacked_server
from support.ssh_users import People, open_people


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    """A real store, with an administrator and a clock that stands still."""
    found = open_people(tmp_path)
    yield found
    found.store.close()


AttackedWith = Callable[..., AbstractAsyncContextManager[AttackedServer]]


@pytest.fixture
def attacked_with(people: People) -> AttackedWith:
    """Serve with other limits."""
    return partial(attacked_server, people)


@pytest.fixture
async def attacked(people: People) -> AsyncIterator[AttackedServer]:
    """A server with its default limits. Whatever a test did, others are served at its end."""
    async with attacked_server(people) as found:
        yield found
        await found.still_serves()
