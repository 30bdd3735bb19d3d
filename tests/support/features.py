"""The features of `features.toml`, and the tests that show them."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PARTS: dict[str, dict[str, str]] = tomllib.loads((TESTS / "features.toml").read_text())
"""Of each part the sentence of each feature by the feature's name."""


def shown_by(items: Sequence[pytest.Item]) -> dict[str, list[str]]:
    """Name by feature the tests that carry its marker and run, each once however many parameters it has."""
    shown: dict[str, dict[str, None]] = {}
    for item in items:
        if item.get_closest_marker("skip") is None:
            for mark in item.iter_markers("feature"):
                for feature in mark.args:
                    shown.setdefault(feature, {})[item.nodeid.partition("[")[0]] = None
    return {feature: list(tests) for feature, tests in shown.items()}


def table(items: Sequence[pytest.Item]) -> Iterator[str]:
    """Give the lines of the table: parts, in them features, in them tests."""
    shown = shown_by(items)
    for part, features in PARTS.items():
        yield f"\n{part}"
        for feature, sentence in features.items():
            yield f"  {sentence} ({feature})"
            yield from (f"    {test}" for test in shown.get(feature, ["shown by no test"]))
