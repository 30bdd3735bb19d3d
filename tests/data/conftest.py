"""Fixtures of the data layer's tests: a real database each, of either kind."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.database import PassingWorld, World
from support.postgresql_server import PostgresqlServer

KINDS = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever needs a database on both kinds, or on the one that it is about.

    Files that have a `server` of their own are left out.
    """
    asked = {"world", "passing_world"} & set(metafunc.fixturenames)
    if not asked and "server" not in inspect.signature(metafunc.function).parameters:
        return
    if not hasattr(metafunc.module, "server"):
        mark = metafunc.definition.get_closest_marker("only_on")
        metafunc.parametrize("server", mark.args if mark else KINDS, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def server(request: pytest.FixtureRequest) -> PostgresqlServer | None:
    """The PostgreSQL server to make worlds on, or None for files.

    It is there for every test, since pytest overlooks what only a `world` behind another `world` asks for.
    """
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    found: PostgresqlServer = request.getfixturevalue("postgresql")
    return found


@pytest.fixture
def world(tmp_path: Path, server: PostgresqlServer | None) -> Iterator[World]:
    opened = World(tmp_path, server)
    yield opened
    lags = opened.lags()
    opened.close()
    # Whatever an operation changes, the users table is to find and to show it so.
    assert lags == []


@pytest.fixture(scope="session")
def passing_world(server: PostgresqlServer | None) -> Callable[[], PassingWorld]:
    """Makes worlds for Hypothesis, one for each example."""
    return lambda: PassingWorld(server)
