from collections.abc import Iterator
from pathlib import Path

import pytest
from support.database import SUPPORT, SYSTEM, World


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A clinic with an enrolled administrator `admin` and a few people, closed: each test gets a copy."""
    clinic = World(tmp_path_factory.mktemp("clinic"))
    clinic.enrol("admin")
    for name, full_name in (("anna", "Anna Berg"), ("boris", "Boris Iwanow"), ("carla", "Carla Díaz")):
        clinic.user(name)
        clinic.set(name, full_name=full_name)
    clinic.close()
    return clinic


@pytest.fixture
def world(tmp_path: Path, furnished: World) -> Iterator[World]:
    """A clinic with an enrolled administrator `admin` and a few people."""
    clinic = World(tmp_path, like=furnished)
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
