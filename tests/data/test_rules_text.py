"""Foreign strings on their way to a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.text import SHOWN_LIMIT, safe

DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
anything = st.text(alphabet=st.characters(codec=None))
nasty = st.text(alphabet=st.characters(categories=("Cc", "Cf", "Cs", "Co")))


@given(anything | nasty, st.integers(min_value=1, max_value=400))
def test_no_control_format_surrogate_or_private_use_character_comes_through(foreign, limit):
    shown = safe(foreign, limit)
    assert not {unicodedata.category(symbol) for symbol in shown} & DANGEROUS
    assert len(shown) <= limit
    shown.encode()


@given(st.integers(min_value=0, max_value=0x10FFFF))
def test_every_single_character_is_harmless_or_escaped(point):
    shown = safe(chr(point))
    if unicodedata.category(chr(point)) in DANGEROUS:
        assert shown.startswith("\\")
        assert shown.isascii()
        digits = shown.removeprefix("\\").lstrip("xuU")
        assert int(digits, 16) == point
    else:
        assert shown == chr(point) or shown.startswith("\\")


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=SHOWN_LIMIT))
def test_ordinary_text_is_left_as_it_is(text):
    assert safe(text) == text


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\ue000", "\\ue000"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        (None, "None"),
    ],
)
def test_what_is_dangerous_becomes_visible(foreign, shown):
    assert safe(foreign) == shown


def test_what_is_too_long_is_clipped_and_says_so():
    assert safe("x" * 5000, 10) == "x" * 9 + "…"
    assert safe("x" * 10, 10) == "x" * 10
    assert len(safe("\x1b" * 5000)) == SHOWN_LIMIT
