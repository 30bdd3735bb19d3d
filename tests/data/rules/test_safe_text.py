"""Foreign strings on their way to a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.safe_text import JOINERS, SHOWN_LIMIT, editable, edited, safe

DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
anything = st.text(alphabet=st.characters(codec=None))
nasty = st.text(alphabet=st.characters(categories=("Cc", "Cf", "Cs", "Co")))


@given(anything | nasty, st.integers(min_value=1, max_value=400))
def test_invisible_characters_are_escaped(foreign, limit):
    """Only a joiner comes through as it is."""
    shown = safe(foreign, limit)
    assert not {unicodedata.category(symbol) for symbol in shown if symbol not in JOINERS} & DANGEROUS
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


@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: a verb with its prefix.
        "\u0915\u094d\u200d\u0937",  # Devanagari: a half form.
        "\u0d15\u0d4d\u200c\u0d37",  # Malayalam: a virama that is seen.
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala: Shri.
    ],
)
def test_joiner_between_letters(name):
    assert safe(name) == name
    assert safe(f"Dr. {name} {'x' * 40}") == f"Dr. {name} {'x' * 40}"


@pytest.mark.parametrize("joiner", JOINERS)
@pytest.mark.parametrize(
    "around",
    [
        "ad{}min",
        "{}",
        "{}\u0645",
        "\u0645{0}{0}\u0645",
        "\u200e{}",
        "\ue000{}a",
        "\U0001f468{}\U0001f469",
        "\u0645\u200e{}\u062e",
    ],
)
def test_any_other_joiner_becomes_visible(joiner, around):
    assert joiner not in safe(around.format(joiner))


joined = st.text(alphabet="\u0645\u062e\u0915\u094d\u0937\u200c\u200d\u200e a")
escapes = st.lists(
    st.sampled_from(
        ["\\", "\\x5c", "\\x1b", "\\x41", "\\u200c", "\\U0010ffff", "\\UFFFFFFFF", "x1b", "\x1b", "u200c"]
    )
).map("".join)


@given(anything | nasty | joined | escapes)
def test_edited_without_a_change(text):
    shown = editable(text)
    assert edited(shown) == text
    assert not {unicodedata.category(symbol) for symbol in shown if symbol not in JOINERS} & DANGEROUS


@given(joined, joined)
def test_what_stands_beside_a_change_is_what_it_was(before, after):
    assert edited(f"{editable(before)}Anna{editable(after)}") == f"{before}Anna{after}"


def test_typed_escapes():
    """An escape means its character; other backslashes mean themselves."""
    assert edited("a\\u200eb") == "a\u200eb"
    assert edited("C:\\x41 \\d") == "C:\\x41 \\d"
