"""Answers to the question for a code: one normalisation, and the forms that are judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.code_answers import LONGEST, Answer, Form, normalise, read

SIX = Answer(Form.CODE, "123456")
RECOVERY = Answer(Form.RECOVERY_CODE, "01ABCD0123451XYZ")


def wide(text: str) -> str:
    """Write ASCII in full-width characters, as an input method for Chinese or Japanese does."""
    return "".join(chr(ord(symbol) + 0xFEE0) for symbol in text)


@pytest.mark.feature("spellings")
@pytest.mark.parametrize(
    "typed",
    [
        "123456",
        " 123 456\r\n",
        "123-456",
        "123.456",
        "12,34,56",
        "123\u2011456",
        "123\u2212456",
        "123·456",
        "123_456",
        "123\u00a0456",
        "123\u202f456",
        wide("123456"),
        "١٢٣٤٥٦",
        "۱۲۳۴۵۶",
        "१२३४५६",
        "123456\u200b",
        "\u200e123456\u200f",
        "\u2068123456\u2069",
        "\ufeff123456",
        "123456\u00ad",
        "1\ufe0f2\ufe0f3\ufe0f4\ufe0f5\ufe0f6\ufe0f",
        "\x1b123456\x00",
    ],
)
def test_six_digits_are_a_code_in_every_spelling(typed):
    assert read(typed) == SIX


@pytest.mark.parametrize(
    "typed",
    [
        "01AB-CD01-2345-1XYZ",
        "o1abcdo12345lxyz",
        "01ab cd01 2345 ixyz\u200b",
        wide("01AB-CD01-2345-1XYZ"),
    ],
)
def test_sixteen_symbols_in_every_spelling(typed):
    """They are a recovery code."""
    assert read(typed) == RECOVERY


def test_the_other_forms_are_eight_and_twelve_digits():
    assert read("1234-5678") == Answer(Form.SCRATCH_CODE, "12345678")
    assert read("123 456 654 321") == Answer(Form.TWO_CODES, "123456654321")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "12345",
        "1234567",
        "12345a",
        "a123456",
        "s",
        "hunter2",
        "correct horse battery",
        "UUUUUUUUUUUUUUUU",
        "123/456",
        "12 34 56!",
        "\ud800",
        "1" * 17,
        "123456" + " " * LONGEST,
    ],
)
def test_what_has_none_of_the_forms_is_no_answer(typed):
    assert read(typed) is None


@given(st.text(max_size=200))
def test_normalising_twice(typed):
    """No text is too odd, and normalising again changes nothing."""
    once = normalise(typed)
    assert " " not in once
    assert read(once[:LONGEST]) == read(normalise(once))


@given(
    st.integers(0, 10**6 - 1), st.lists(st.sampled_from(" -.\u200b\u200f\u00a0·,"), max_size=30), st.randoms()
)
def test_separators_anywhere_change_nothing(number, separators, chance):
    code = f"{number:06}"
    typed = list(code)
    for separator in separators:
        typed.insert(chance.randrange(len(typed) + 1), separator)
    assert read("".join(typed)) == Answer(Form.CODE, code)
