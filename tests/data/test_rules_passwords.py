"""What a password must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules import passwords


@pytest.mark.parametrize("password", ["correct horse battery staple", "žluťoučký kůň pěl", "qvkzmwtxpjhr"])
def test_a_long_password_is_taken_whatever_it_is_composed_of(password):
    assert passwords.fault(password) is None


@pytest.mark.parametrize(
    "password", ["", "x7#Kq!9zLm2", "passwordpassword", "123456789012", "aaaaaaaaaaaaaaaa", "x" * 257]
)
def test_short_endless_and_common_passwords_are_refused_in_words(password):
    assert passwords.fault(password)


@pytest.mark.parametrize("errors", ["replace", "surrogateescape"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "mac-roman", "utf-16"])
def test_a_password_of_which_bytes_are_not_utf8_is_refused_and_the_encoding_is_named(encoding, errors):
    typed = "ein schöner Gruß aus Zürich"
    assert passwords.fault(typed) is None
    assert "UTF-8" in (passwords.fault(typed.encode(encoding).decode("utf-8", errors)) or "")


def test_a_password_made_of_the_users_own_name_is_refused():
    assert passwords.fault("annaliese.winterbottom") is None
    assert passwords.fault("annaliese.winterbottom", about=("annaliese.winterbottom", ""))


@given(st.text(alphabet=st.characters(codec=None), max_size=40))
def test_no_password_raises(password):
    assert (passwords.fault(password) is None) in {True, False}


@given(st.binary(min_size=20, max_size=20))
def test_a_one_time_password_is_one_that_the_rules_take(raw):
    password = passwords.one_time_from_random(raw)
    assert [len(group) for group in password.split("-")] == [5, 5, 5, 5]
    assert not set(password) & set("il1oILO")
