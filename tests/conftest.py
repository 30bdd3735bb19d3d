"""What all tests share: the helpers in `support`, and the rule for programs that may be missing."""

import gc
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.features import table
from support.postgresql_server import PostgresqlServer, find_binaries, running_postgresql

settings.register_profile(
    "twofold", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("twofold")

RequireProgram = Callable[[str], str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--features", action="store_true", help="print which tests show each feature, and run none"
    )


gc.disable()
"""What is imported and collected stays: to search it for garbage again and again takes long."""


def pytest_collection_finish() -> None:
    """Have garbage be searched for only among what the tests make, and less often than Python does.

    An app makes and drops so many objects that the search took a fifth of the CPU of its tests.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    return list(table(items)) if config.option.features else []


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Say that the tests were run, where only the table was asked for."""
    return session.config.option.features or None


_numbers = itertools.count()


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder of the test's own, numbered without a look at all others: that takes pytest ever longer."""
    folder = tmp_path_factory.getbasetemp() / f"{next(_numbers)}-{request.function.__name__[:30]}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def require_program() -> RequireProgram:
    """Return the path of a program, skip the test by the program's name, or fail in CI."""

    def require(name: str) -> str:
        found = shutil.which(name)
        if found is not None:
            return found
        if os.environ.get("CI"):
            pytest.fail(f"the program {name} is missing, and CI must not skip", pytrace=False)
        pytest.skip(f"the program {name} is not installed")

    return require


@pytest.fixture(scope="session")
def postgresql(require_program: RequireProgram) -> Iterator[PostgresqlServer]:
    """A PostgreSQL server for the tests of this process; without its programs, their absence is named."""
    binaries = find_binaries()
    with running_postgresql(binaries or Path(require_program("initdb")).parent) as server:
        yield server
