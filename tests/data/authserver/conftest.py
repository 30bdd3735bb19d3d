"""Applications that ask a real server."""

from collections.abc import Callable

import pytest
from support.database import World
from support.http_server import add_application

from data.rules.applications import Asks


@pytest.fixture
def curl_program(require_program) -> str:
    return require_program("curl")


@pytest.fixture
def ben(world: World) -> str:
    """Someone with an authenticator app, whose present code is unused."""
    world.enrol(world.user("ben"))
    world.clock.forward(minutes=2)
    return "ben"


@pytest.fixture
def token(world: World) -> Callable[..., str]:
    """Register an application and return its token."""
    return lambda asks=Asks.CODE, name="portal", **options: add_application(world, asks, name, **options)
