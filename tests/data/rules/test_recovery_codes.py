"""Recovery codes: how they are written, and how typing is forgiven."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules import recovery_codes

raws = st.binary(min_size=16, max_size=16)
CODE = "01AB-CD01-2345-1XYZ"


def mistype(code: str, draws: list[int]) -> str:
    """Write a code as someone might: in any case, with O for 0, I or L for 1, dashes or none."""
    swaps = {"0": "0Oo", "1": "1IiLl", "-": ["-", "", " "]}
    return "".join(
        swaps.get(symbol, [symbol, symbol.lower()])[draw % len(swaps.get(symbol, "xx"))]
        for symbol, draw in zip(code, draws, strict=True)
    )


@given(raws)
def test_form_of_a_code(raw):
    """It has four groups of four symbols from Crockford's alphabet."""
    groups = recovery_codes.from_random(raw).split("-")
    assert [len(group) for group in groups] == [4, 4, 4, 4]
    assert set("".join(groups)) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(raws, st.lists(st.integers(0, 59), min_size=19, max_size=19))
def test_spellings(raw, draws):
    """Any case, dashes and look-alikes are read as the code that was meant."""
    code = recovery_codes.from_random(raw)
    parts = recovery_codes.parse(mistype(code, draws))
    assert parts is not None
    assert parts.selector + parts.secret == code.replace("-", "")


@pytest.mark.parametrize(
    "typed",
    [CODE, CODE.lower(), CODE.replace("-", ""), CODE.replace("0", "o"), CODE.replace("1", "l"), f" {CODE}\n"],
)
def test_the_ways_to_type_a_code(typed):
    assert recovery_codes.parse(typed) == recovery_codes.RecoveryCode("01AB", "CD0123451XYZ")


@pytest.mark.parametrize("typed", ["", "123456", CODE[:-1], CODE + "0", "U" * 16, CODE.replace("Z", "ß")])
def test_what_is_no_code_is_none(typed):
    assert recovery_codes.parse(typed) is None


@given(st.text())
def test_nonsense(typed):
    """It raises nothing, and what is read is clean."""
    parts = recovery_codes.parse(typed)
    if parts is not None:
        assert len(parts.selector) == 4
        assert len(parts.secret) == 12
        assert set(parts.selector + parts.secret) <= set(recovery_codes.ALPHABET)


def test_a_code_does_not_show_its_secret():
    assert "CD0123451XYZ" not in repr(recovery_codes.parse(CODE))
