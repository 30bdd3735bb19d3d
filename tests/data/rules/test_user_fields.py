"""User names, e-mail addresses and full names, folded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.user_fields import TEXT_LIMIT, fold_email, fold_username, tidy


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("Alice", "alice"),
        (" alice\n", "alice"),
        ("0-a.b_c", "0-a.b_c"),
        ("a" * 32, "a" * 32),
        ("a" * 33, None),
        ("", None),
        (".hidden", None),
        ("-rf", None),
        ("a b", None),
        ("a\nb", None),
        ("ärzte", None),
        ("alice\x00", None),
        ("alice\u200b", None),
    ],
)
def test_a_user_name_is_folded_or_refused(typed, folded):
    assert fold_username(typed) == folded


@given(st.text(alphabet=st.characters(codec=None)))
def test_a_folded_name_folds_to_itself_and_is_plain(typed):
    folded = fold_username(typed)
    if folded is not None:
        assert fold_username(folded) == folded
        assert folded.isascii()
        assert folded == folded.lower()


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True))
def test_case_never_makes_two_users_of_one(typed):
    assert fold_username(typed.upper()) == fold_username(typed.lower()) == typed.lower()


@pytest.mark.feature("contact-form")
@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("Anna@Clinic.Example", "anna@clinic.example"),
        (" anna@clinic.example ", "anna@clinic.example"),
        ("anna@klinik.local", "anna@klinik.local"),
        ("Anna@Mail.Home.Arpa", "anna@mail.home.arpa"),
        ("root@localhost", "root@localhost"),
        ("root@LOCALHOST", "root@localhost"),
        ("root@node.localhost", "root@node.localhost"),
        ("anna@clinic.test", "anna@clinic.test"),
        ("anna@intranet.lan", "anna@intranet.lan"),
        ("anna@nowhere.invalid", None),
        ("anna@clinic", None),
        ("anna@10.0.0.1", None),
        ("anna", None),
        ("anna@", None),
        ("@clinic.example", None),
        ("an na@clinic.example", None),
        ("anna@clinic.example\x1b[2J", None),
        ("a" * 300 + "@clinic.example", None),
        ("", None),
    ],
)
def test_an_email_address_is_folded_or_refused(typed, folded):
    assert fold_email(typed) == folded


@given(st.text(alphabet=st.characters(codec=None)) | st.emails())
def test_addresses_never_raise(typed):
    """A folded one folds to itself."""
    folded = fold_email(typed)
    if folded is not None:
        assert fold_email(folded) == folded


def test_full_name_spaces_and_length():
    assert tidy("  Anna \t\n  Lee ") == "Anna Lee"
    assert tidy("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT
    assert tidy("x" * (TEXT_LIMIT + 1)) is None
