"""Sent codes: the limits, what a person sees of a destination, and how the question is worded."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.database import START

from data.rules import sent_codes
from data.rules.domain_types import Method
from data.rules.sent_codes import Purpose, Sending
from data.rules.user_fields import fold_phone

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL


def refusal(*ago, failed=(), there=0, of_day=0, per_day=1000, purpose=Purpose.PROOF):
    sent = [Sending(START - timedelta(seconds=seconds), seconds in failed) for seconds in ago]
    return sent_codes.refusal(START, purpose, sent, to_destination=there, of_day=of_day, per_day=per_day)


def test_the_first_code_is_sent():
    assert refusal() is None


@pytest.mark.parametrize(("seconds", "wait"), [(0, 60), (1, 59), (59, 1)])
def test_one_code_a_minute(seconds, wait):
    """The user is told how long to wait."""
    assert f"in {wait} s." in refusal(seconds)
    assert refusal(60) is None


def test_a_user_is_sent_five_codes_an_hour():
    hour = [600, 1200, 1800, 2400]
    assert refusal(*hour) is None
    assert refusal(*hour, 3599).startswith("5 codes were sent within an hour")
    assert refusal(*hour, 3600) is None


def test_undelivered_code():
    """It leaves the minute free and counts in the hour."""
    assert refusal(1, failed={1}) is None
    assert refusal(1, 2, 3, 4, 5, failed={1, 2, 3, 4, 5}) is not None


@pytest.mark.feature("proof-code-limits")
def test_limits_of_a_destination():
    """It gets twenty codes an hour to sign in and three to be proven."""
    assert refusal(there=19) is None
    assert "there" in refusal(there=20)
    assert refusal(there=2, purpose=Purpose.ENROL) is None
    assert "there" in refusal(there=3, purpose=Purpose.ENROL)


def test_an_account_sends_so_many_codes_a_day():
    assert refusal(of_day=99, per_day=100) is None
    assert "today" in refusal(of_day=100, per_day=100)


def test_clock_back_frees_nothing():
    assert refusal(30) is not None
    assert refusal(-30) is None


@pytest.mark.feature("masked")
@pytest.mark.parametrize(
    ("method", "destination", "shown"),
    [
        (EMAIL, "anna@clinic.example", "a•••@clinic.example"),
        (EMAIL, '"a@b"@clinic.example', '"•••@clinic.example'),
        (SMS, "+491701234711", "•••• 4711"),
    ],
)
def test_a_destination_is_shown_masked(method, destination, shown):
    assert sent_codes.masked(method, destination) == shown


@pytest.mark.feature("choose-at-sign-in")
@pytest.mark.parametrize(
    ("methods", "prompt"),
    [
        ((APP,), "Verification code: "),
        ((APP, EMAIL), "Verification code (e: e-mail): "),
        ((EMAIL,), "Verification code (e: e-mail): "),
        ((APP, SMS), "Verification code (s: text message): "),
        ((APP, SMS, EMAIL), "Verification code (s: text message, e: e-mail): "),
        ((EMAIL, SMS), "Verification code (s: text message, e: e-mail): "),
    ],
)
def test_the_question_offers_what_can_be_sent(methods, prompt):
    assert sent_codes.prompt(methods) == prompt


def test_letters_only_where_offered():
    assert sent_codes.asked_for(" E ", (APP, EMAIL)) is EMAIL
    assert sent_codes.asked_for("s", (APP, EMAIL)) is None
    assert sent_codes.asked_for("a", (APP, EMAIL)) is None
    assert sent_codes.asked_for("123456", (APP, SMS, EMAIL)) is None


def test_unasked_only_without_a_choice():
    assert sent_codes.sent_at_once((EMAIL,)) is EMAIL
    assert sent_codes.sent_at_once((APP,)) is None
    assert sent_codes.sent_at_once((SMS, EMAIL)) is None


@pytest.mark.feature("sent-code-form")
@given(st.binary(min_size=8, max_size=8))
def test_a_code_has_six_digits(raw):
    code = sent_codes.code_from_random(raw)
    assert len(code) == 6
    assert code.isascii()
    assert code.isdigit()


def test_message_hides_its_text():
    """Its words and its address are shown to its reader alone."""
    message = sent_codes.envelope(EMAIL, "anna@clinic.example", "123456", "Clinic")
    assert message.text.startswith("123456 is your Clinic verification code, good for 15 minutes.")
    assert "123456" not in repr(message) + message.subject
    assert "anna" not in repr(message)
    assert len(sent_codes.envelope(SMS, "+491701234711", "123456", "A" * 12).text) <= 160


@pytest.mark.parametrize("typed", ["+49 170 1234711", " +49-170-1234711 ", "+49 (170) 1234711"])
def test_a_phone_number_is_written_in_one_form(typed):
    assert fold_phone(typed) == "+491701234711"


@pytest.mark.parametrize("typed", ["", "0170 1234711", "+49", "+49 170 12", "-rf", "anna", "+1 000 000 0000"])
def test_numbers_without_a_country(typed):
    assert fold_phone(typed) is None
