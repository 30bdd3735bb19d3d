"""Words and searches: where a word begins, what is folded, and which keys lie within a beginning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules import user_search
from data.rules.user_search import fold, terms, word_range, words


def finds(search: str, *texts: str, phone: str | None = None) -> bool:
    known = words(*texts, phone=phone)
    return all(
        any(word.startswith(beginning[: user_search.LONGEST]) for word in known for beginning in term)
        for term in terms(search)
    )


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("LEE", "Anna Lee"),
        ("lee anna", "Anna Lee"),
        ("brien", "Conor O'Brien-Smith"),
        ("o'b", "Conor O'Brien-Smith"),
        ("smith", "Conor O'Brien-Smith"),
        ("clinic", "anna.lee@clinic.example"),
        ("lee@cl", "anna.lee@clinic.example"),
        ("anna.l", "anna.lee@clinic.example"),
        ("ozlem", "Özlem"),
        ("ÖZL", "özlem"),
        ("strasse", "Große Straße"),
        ("anna", "\uff41\uff4e\uff4e\uff41"),
        ("ipek", "İpek"),
        ("한", "한국"),
        ("[b", "[b]x"),
        ("x", "[b]x"),
        ("", "anyone"),
    ],
)
def test_a_word_is_found_by_its_beginning(search, text):
    assert finds(search, text)


@pytest.mark.parametrize(
    ("search", "text"),
    [("ee", "Anna Lee"), ("nna", "anna.lee"), ("anna lex", "Anna Lee"), ("]x", "[b]x"), ("@", "a@b.c")],
)
def test_what_stands_inside_of_a_word_is_not_found(search, text):
    assert not finds(search, text)


@pytest.mark.parametrize(
    "search", ["+49", "49 30", "030", "030 1234", "(30)", "030-123", "1234", "+4930123456"]
)
def test_phone_number_beginnings(search):
    """A number is found from its country, its area or the next group on."""
    assert finds(search, "anna", phone="+49301234567")


def test_digits_of_a_number_are_no_word_of_a_name():
    assert not finds("4711", "anna", phone="+49301234567")
    assert finds("007", "agent 007")
    assert not finds("007", "agent 7")


def test_prefixes_are_not_kept_twice():
    assert words("anna.lee", "anna.lee@clinic.example", "Anna Lee") == [
        "anna.lee@clinic.example",
        "clinic.example",
        "example",
        "lee@clinic.example",
    ]


@given(st.text(max_size=40), st.integers(0, 39), st.integers(1, 200))
def test_any_beginning_is_found(text, which, length):
    """It lies in the range of its word."""
    kept = words(text)
    if kept:
        word = kept[which % len(kept)]
        first, end = word_range(word[:length])
        assert first <= word.encode() < end


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_a_range_holds_exactly_what_begins_so(word, beginning):
    first, end = word_range(beginning)
    assert (first <= word.encode() < end) == word.startswith(beginning)


@given(st.text(max_size=60))
def test_folding_twice(text):
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_any_search_has_few_short_terms(search):
    wanted = terms(search)
    assert len(wanted) <= 8
    assert all(1 <= len(beginning) <= user_search.LONGEST + 1 for term in wanted for beginning in term)
