"""What a password must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.database import clipped

from data.rules import passwords

_typed = st.characters(codec="utf-8", exclude_characters="\N{REPLACEMENT CHARACTER}")
_repeating = st.builds(
    lambda part, times: (part * times)[:256], st.text(alphabet=_typed, min_size=1, max_size=9), st.just(256)
)


@pytest.mark.parametrize("password", ["correct horse battery staple", "žluťoučký kůň pěl", "qvkzmwtxpjhr"])
def test_long_password_of_any_kind(password):
    assert passwords.fault(password) is None


@pytest.mark.parametrize(
    "password", ["", "x7#Kq!9zLm2", "passwordpassword", "123456789012", "aaaaaaaaaaaaaaaa", "x" * 257]
)
def test_short_endless_and_common_passwords(password):
    assert passwords.fault(password)


@pytest.mark.parametrize("errors", ["replace", "surrogateescape"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "mac-roman", "utf-16"])
def test_password_not_utf8(encoding, errors):
    """The refusal names the encoding."""
    typed = "ein schöner Gruß aus Zürich"
    assert passwords.fault(typed) is None
    assert "UTF-8" in (passwords.fault(typed.encode(encoding).decode("utf-8", errors)) or "")


def test_own_name_as_password():
    assert passwords.fault("annaliese.winterbottom") is None
    assert passwords.fault("annaliese.winterbottom", about=("annaliese.winterbottom", ""))


@pytest.mark.parametrize(
    "password",
    [
        "annabell.schmidt@clinic.example",
        "Annabell.Schmidt@Clinic.Example1",
        "annabell.schmidt@clinic.example" * 3,
        "Annabell Schmidt-Winterbottom",
    ],
)
def test_long_password_of_known_words(password):
    """One made of what is known of the user is refused."""
    about = ("annabell", "annabell.schmidt@clinic.example", "Annabell Schmidt-Winterbottom", "")
    assert passwords.fault(password) is None
    assert passwords.fault(password, about=about)
    assert passwords.fault(f"{password} quince fathom lurid", about=about) is None


@given(st.text(alphabet=st.characters(codec=None), max_size=40))
def test_no_password_raises(password):
    assert (passwords.fault(password) is None) in {True, False}


@given(st.binary(min_size=20, max_size=20))
def test_one_time_password_passes_the_rules(raw):
    password = passwords.one_time_from_random(raw)
    assert [len(group) for group in password.split("-")] == [5, 5, 5, 5]
    assert not set(password) & set("il1oILO")


@pytest.mark.parametrize(
    "password",
    [
        "a" * 60 + " correct horse battery staple",
        "correct horse battery staple " + "a" * 60,
        "abcdefghijklmnopqrstuvwxyz0123456789 quince fathom lurid",
        "quince fathom lurid " * 4,
        "qvkzmwtxpjhr" * 20,
        "žluťoučký kůň pěl ďábelské ódy" * 3,
    ],
    ids=clipped,
)
def test_one_strong_part_is_enough(password):
    assert passwords.fault(password) is None


@pytest.mark.parametrize(
    "password",
    [
        "a" * 256,
        "ab" * 100,
        "abc123" * 40,
        "password" * 30,
        "letmein1" * 32,
        "12345678901234567890" * 12,
        "qwertyuiop" * 20,
        "passwordpasswordpasswordpassword1",
        "anna" * 60,
        "a" * 100 + "b" * 100,
    ],
    ids=clipped,
)
def test_repetition_adds_no_strength(password):
    assert passwords.fault(password, about=("anna",))


@given(st.text(alphabet=_typed, min_size=12, max_size=256) | _repeating)
def test_no_more_than_a_part_is_ever_judged_at_a_time(password):
    judged = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zxcvbn.zxcvbn", lambda part, **_: judged.append(part) or {"score": 0})
        assert passwords.fault(password)
    assert max(map(len, judged), default=0) <= 24
    assert len(judged) <= 11
    if len(password) <= 24:
        assert judged == [password]
