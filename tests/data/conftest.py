"""Fixtures of the data layer's tests: one real database file each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.data_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path)
    yield opened
    opened.close()
