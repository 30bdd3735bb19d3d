from collections.abc import Iterator
from pathlib import Path

import pytest
from support.database import SUPPORT, SYSTEM, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A clinic with an enrolled administrator `admin` and a few people."""
    clinic = World(tmp_path)
    clinic.enrol("admin")
    for name, full_name in (("anna", "Anna Berg"), ("boris", "Boris Iwanow"), ("carla", "Carla Díaz")):
        clinic.user(name)
        clinic.set(name, full_name=full_name)
    yield clinic
    clinic.close()


@pytest.fixture
def supporter(world: World) -> str:
    world.user("sam", SUPPORT)
    world.enrol("sam")
    return "sam"


@pytest.fixture
def system_admin(world: World) -> str:
    world.user("sysop", SYSTEM)
    world.enrol("sysop")
    return "sysop"
