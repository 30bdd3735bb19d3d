"""The form of a principal, and which of those given count."""

import pytest

from data.rules.principals import (
    MOST_PRINCIPALS,
    Given,
    effective,
    read_principal,
    reserved_names,
    why_not_more,
)

RESERVED = reserved_names(["Deploy"])


@pytest.mark.parametrize("typed", ["deploy", "Web-Admin", "_apt", " zone.a ", "ben@clinic.example", "a" * 64])
def test_form(typed: str) -> None:
    assert read_principal(typed) == typed.strip()


@pytest.mark.parametrize(
    "typed", ["", " ", "a b", "a,b", "-x", "*", "we?b", "ä", "a" * 65, "a\0", "!root", "a" + " " * 200 + "b"]
)
def test_another_form(typed: str) -> None:
    """Nothing is a principal that is a pattern or several of them somewhere, or cannot be written there."""
    assert read_principal(typed) is None


def test_reserved_ones_count_only_if_the_operator_gave_them() -> None:
    """In any case of their letters, and the user's own name like any other."""
    for name in ("root", "ROOT", "deploy", "dePloy"):
        assert effective("ben", [Given(name, by_operator=False)], RESERVED) == {"ben"}
        assert effective("ben", [Given(name, by_operator=True)], RESERVED) == {"ben", name}
    assert effective("deploy", [Given("web", by_operator=False)], RESERVED) == {"web"}
    assert effective("root", [Given("root", by_operator=True)], RESERVED) == {"root"}
    assert effective("root", [], frozenset({"root"})) == frozenset()


def test_limit() -> None:
    assert why_not_more(range(MOST_PRINCIPALS - 1)) is None
    assert why_not_more(range(MOST_PRINCIPALS))
