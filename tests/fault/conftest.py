"""What the tests of faults share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ssh_users import People, open_people

from data.storage import sqlite


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[People]:
    """A real store that waits for a fifth of a second for a locked database."""
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.2)
    found = open_people(tmp_path)
    yield found
    found.store.close()
