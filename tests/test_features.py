"""The table of features: every test that it names is there, and every part was tried where people use it."""

import ast
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PARTS: dict[str, dict[str, list[str]]] = tomllib.loads((TESTS / "features.toml").read_text())
NOT_IN_THE_APP = {
    "Export": "files are written on the host",
    "Notices by e-mail": "nothing of them is shown",
    "Journeys": "they go through everything",
}
NOT_ON_THE_COMMAND_LINE = {
    "Sent codes": "commands ask for no code",
    "Recovery codes": "only their owner makes them",
    "Many at once": "a shell repeats commands",
    "Journeys": "they go through everything",
}


def names_in(file: Path) -> set[str]:
    """Name the tests that pytest finds in a file: functions, and methods of classes."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test_"):
                found.add(prefix + member.name)
    return found


def is_there(name: str) -> bool:
    file, _, test = name.partition("::")
    path = TESTS / file
    return path.is_file() and path.name.startswith("test_") and test in names_in(path)


@pytest.mark.parametrize("part", PARTS)
def test_every_feature_names_tests_that_are_there(part):
    for feature, named in PARTS[part].items():
        assert named, f"{feature!r} is shown by no test"
        assert len(named) == len(set(named)), f"{feature!r} names a test twice"
        assert [name for name in named if not is_there(name)] == [], feature


@pytest.mark.parametrize("part", PARTS)
def test_every_part_was_tried_in_the_app_and_on_the_command_line(part):
    named = [name for tests in PARTS[part].values() for name in tests]
    in_the_app = [name for name in named if name.startswith("tui/") and not name.startswith("tui/cli/")]
    assert bool(in_the_app) == (part not in NOT_IN_THE_APP)
    assert any(name.startswith("tui/cli/") for name in named) == (part not in NOT_ON_THE_COMMAND_LINE)


def test_a_test_that_is_not_there_would_be_noticed():
    assert is_there("test_features.py::test_a_test_that_is_not_there_would_be_noticed")
    assert not is_there("test_features.py::test_that_nobody_wrote")
    assert not is_there("test_features.py::is_there")
    assert not is_there("nowhere/test_nothing.py::test_nothing")
    assert not is_there("support/data_world.py::World")
