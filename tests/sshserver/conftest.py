"""What the tests of the SSH server share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ssh_users import People, open_people


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    """A real store, with an administrator and a clock that stands still."""
    found = open_people(tmp_path)
    yield found
    found.store.close()
